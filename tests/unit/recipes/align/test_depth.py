"""What counts as light of objects does not depend on how long an exposure is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.align.drawn_field import exposure
from tracecube.core.spectra import Image
from tracecube.recipes.align.pairs import _extended
from tracecube.recipes.align.white import white

SKY = 200.0  # in the unit of the images, where noise is 1 in ten minutes
SHAPE = (200, 310)


def seen(depth: float, share: float, *, told: bool = True) -> Image:
    """Waves that are ``share`` of the sky, over the field, in an exposure ``depth`` times as deep."""
    one = exposure(3, [], shape=SHAPE)
    row, column = np.mgrid[: SHAPE[0], : SHAPE[1]]
    wave = share * SKY * np.sin(column / 12.0) * np.cos(row / 30.0)
    data = (one.data / np.sqrt(depth) + wave).astype(np.float32)
    variance = (one.variance / depth).astype(np.float32)
    return replace(one, data=data, variance=variance, meta={**one.meta, "SKYLEVEL": SKY} if told else one.meta)


@pytest.mark.parametrize("depth", [0.3, 1.0, 30.0, 300.0])
def test_structure_of_flats_is_no_light_at_any_depth(depth):
    assert not _extended(white(seen(depth, 0.003))).any()


@pytest.mark.parametrize("depth", [1.0, 30.0, 300.0])
def test_a_nebula_that_fills_the_field_is_light_at_any_depth(depth):
    assert _extended(white(seen(depth, 0.03))).mean() > 0.2


def test_without_the_brightness_of_the_sky_a_deep_exposure_takes_structure_for_light():
    """What it was for all: the reason for the card."""
    assert _extended(white(seen(300.0, 0.003, told=False))).any()
