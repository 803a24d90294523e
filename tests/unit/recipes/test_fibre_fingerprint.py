"""Fibres are told by their places in the slit."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.fields import FloatArray
from tracecube.recipes.optics.fibre_fingerprint import likeness

ROWS, COLUMNS, NOISE = 1032, 400, 3.0


def slit(seed: int) -> FloatArray:
    """Traces of a slit whose fibres are glued to 0.15 px."""
    rng = np.random.default_rng(seed)
    index = np.arange(112)
    place = 20.0 + 8.76 * (index + (index > 36) + (index > 74)) + rng.normal(0.0, 0.15, 112)
    u = np.linspace(-1.0, 1.0, COLUMNS)
    return place[:, None] + 3.0 * ((place - 516.0) / 516.0)[:, None] * u**2


def frame(centre: FloatArray, light: FloatArray, seed: int = 9) -> FloatArray:
    """Gaussian fibres with noise, and a hit."""
    rng = np.random.default_rng(seed)
    image = rng.normal(0.0, NOISE, (ROWS, COLUMNS))
    for row, one in zip(centre, light, strict=True):
        near = np.rint(row).astype(int)[:, None] + np.arange(-6, 7)
        shape = np.exp(-0.5 * ((near - row[:, None]) / 1.8) ** 2) / (1.8 * np.sqrt(2.0 * np.pi))
        image[near, np.arange(COLUMNS)[:, None]] += one * shape
    image[500, 200] += 2e5
    return image


def like(image: FloatArray, centre: FloatArray):
    return likeness(image, np.full(image.shape, NOISE**2), centre)


def test_own_light_is_known_though_it_has_drifted_and_a_star_shines() -> None:
    own = slit(1)
    light = np.full(112, 60.0)
    light[[20, 71]] = 5000.0
    found = like(frame(own + 0.4 + 2e-4 * (own - 516.0), light), own)
    assert found.telling
    assert found.same
    assert found.shift == pytest.approx(0.4, abs=0.1)
    assert found.strange == pytest.approx(0.15 * np.sqrt(2.0), rel=0.3)
    assert found.scatter < 0.3 * found.strange


@pytest.mark.parametrize("other", [2, 3, 4, 5])
def test_light_of_another_slit_is_not_taken_for_it(other: int) -> None:
    found = like(frame(slit(other), np.full(112, 60.0)), slit(1))
    assert found.telling
    assert not found.same
    turned = like(frame(ROWS - 1 - slit(1)[::-1, ::-1], np.full(112, 60.0)), slit(1))
    assert not turned.same


@pytest.mark.parametrize("electrons", [0.0, 0.5])
def test_light_too_faint_to_tell_is_not_judged(electrons: float) -> None:
    found = like(frame(slit(2), np.full(112, electrons)), slit(1))
    assert not found.telling
    assert found.same


def test_few_fibres_tell_nothing() -> None:
    few = slit(1)
    few[20:] = np.nan
    assert not like(frame(slit(2), np.full(112, 60.0)), few).telling
