"""Transmission of a filter for light that is blurred after it."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.recipes.science.filter_light import passed_light

WAVE, SPREAD = np.linspace(9565.0, 16650.0, 39), np.linspace(150.0, 220.0, 39)
FINE = np.arange(9000.0, 17500.0, 10.0)
CURVE = FINE, 0.02 * np.exp(-((FINE - 9500.0) / 700.0)) + 0.003


def seen(light: np.ndarray) -> np.ndarray:
    """Light (k,) in channels, seen through the line-spread function."""
    place = np.cumsum(10.0 / np.interp(FINE, WAVE, SPREAD))
    blurred = np.exp(-0.5 * (place[:, None] - place) ** 2) @ light
    step = WAVE[1] - WAVE[0]
    return np.array([blurred[np.abs(FINE - wave) < 0.5 * step].mean() for wave in WAVE])


def test_the_ratio_of_filtered_to_unfiltered_light_is_found_where_both_are_steep() -> None:
    star = 1.0 / (1.0 + np.exp(-(FINE - 9600.0) / 150.0)) * (1.0 - 0.9 * np.exp(-0.5 * ((FINE - 13800) / 250) ** 2))
    through = seen(CURVE[1] * star)
    true = through / seen(star)
    plain = seen(CURVE[1]) / seen(np.ones(FINE.size))
    assert np.abs(plain / true - 1.0).max() > 0.04
    found = passed_light(WAVE, SPREAD, CURVE, through)
    assert found == pytest.approx(true, rel=0.02)  # light from beyond the first channel is not seen
    assert found[1:] == pytest.approx(true[1:], rel=0.01)
    noisy = through * (1.0 + 0.01 * np.random.default_rng(3).normal(size=WAVE.size))
    noisy[20] = np.nan
    assert passed_light(WAVE, SPREAD, CURVE, noisy) == pytest.approx(true, rel=0.025)


def test_a_filter_without_colour_is_what_it_is() -> None:
    flat = FINE, np.full(FINE.size, 0.013)
    assert passed_light(WAVE, SPREAD, flat, 1.0 + np.sin(WAVE / 900.0) ** 2) == pytest.approx(0.013)
