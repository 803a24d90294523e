"""An amplifier's own ground along its rows, from the pixels where no fibre shines."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.recipes.optics.fibre_scatter import ground_along

ROWS, COLUMNS, NOISE = 200, 1032, 3.0


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A wave as long as the rows, seen in thirty rows of noise with hits and a fibre's light beside them."""
    rng = np.random.default_rng(seed)
    wave = 0.3 * np.cos(np.arange(COLUMNS) / 170.0 + rng.uniform(0.0, 6.28))
    dark = np.zeros((ROWS, COLUMNS), bool)
    dark[:15], dark[-15:] = True, True
    image = wave + rng.normal(0.0, NOISE, dark.shape)
    image[~dark] += 500.0
    image[rng.random(dark.shape) < 0.002] += 300.0
    return image, dark, wave


def followed(image: np.ndarray, dark: np.ndarray) -> np.ndarray:
    return ground_along(image[dark], np.nonzero(dark)[1], np.full(dark.sum(), NOISE**2), (COLUMNS, 5))


def test_a_wave_whose_phase_wanders_is_followed_to_the_noise() -> None:
    left = []
    for seed in range(10):
        image, dark, wave = drawn(seed)
        left.append(followed(image, dark) - wave)
    bound = NOISE * (6 / (30 * COLUMNS)) ** 0.5  # six terms from so many pixels
    assert np.std(left) == pytest.approx(bound, rel=0.3)
    assert np.abs(np.mean(left)) < bound


def test_few_dark_pixels_tell_of_fewer_terms_and_none_of_nothing() -> None:
    image, dark, _ = drawn(1)
    few = np.zeros_like(dark)
    few[0, :100] = True
    assert np.ptp(followed(image, few)) == 0.0
    assert (followed(image, np.zeros_like(dark)) == 0.0).all()
