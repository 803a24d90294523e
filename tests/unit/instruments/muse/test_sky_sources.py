"""Where the sky of an exposure comes from."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.recipes.slices.sky_pieces import CARDS, Sky
from tracecube.core.frame import RawFrame
from tracecube.instruments.muse.sky_sources import chosen_method, mask_image, masked_pieces
from tracecube.recipes.slices.sky_fit import gather


@pytest.fixture(scope="module")
def segments():
    made = Sky(slices=8, pieces=4).segments()
    x, y = np.meshgrid([-5.6, -1.9, 1.9, 5.6], 0.2 * np.arange(8))
    for one in made:
        one.x[:], one.y[:] = x.ravel(), y.ravel()
    return made


@pytest.mark.parametrize(
    ("wanted", "spread", "there", "expected"),
    [
        ("auto", 0.001, True, "own"),
        ("auto", 0.1, True, "model"),
        ("auto", 0.1, False, "own"),
        ("model", 0.001, False, "own"),
        ("subtract-model", 0.001, True, "subtract-model"),
        ("none", 0.001, False, "none"),
    ],
)
def test_auto_takes_the_sky_exposure_where_objects_fill_the_field(segments, wanted, spread, there, expected):
    slices = gather(segments)
    slices.white[:] = 1.0 + spread * np.linspace(0.0, 2.0, slices.white.size)
    method, said = chosen_method(wanted, slices, "a sky" if there else None)
    assert method == expected
    assert bool(said) == (expected != wanted if wanted != "auto" else spread > 0.05) or wanted == "none"


def mask(time: float, image: np.ndarray) -> RawFrame:
    scale = 0.2 / 3600
    axes = {
        "CRVAL1": CARDS["RA"],
        "CRVAL2": CARDS["DEC"],
        "CRPIX1": 41.0,
        "CRPIX2": 11.0,
        "CD1_1": -scale,
        "CD2_2": scale,
    }
    return RawFrame("mask", "USER_SKY_MASK", {**axes, "MJD-OBS": time}, {"DATA": image}, {})


def test_a_mask_of_the_same_time_tells_where_the_sky_is(segments):
    west = np.zeros((30, 80))
    west[:, 41:] = 1.0
    found, said = masked_pieces([mask(58400.0, 1.0 - west), mask(CARDS["MJD-OBS"], west)], segments)
    assert np.array_equal(found, segments[0].x > 0)
    assert not said
    assert masked_pieces([], segments) == (None, ())
    none, [said] = masked_pieces([mask(58400.0, west)], segments)
    assert none is None
    assert "mask (58400.0)" in said


def test_the_mask_that_is_made_says_the_same_when_given_back(segments):
    blank = segments[0].x > 0
    made = mask_image(segments, blank)
    given = RawFrame("m", "USER_SKY_MASK", made.meta, {"DATA": made.data}, {})
    assert np.array_equal(masked_pieces([given], segments)[0], blank)
    assert made.meta["ESO PRO CATG"] == "SKY_MASK"
