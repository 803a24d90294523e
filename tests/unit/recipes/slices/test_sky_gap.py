"""The spectrum of the sky across a gap without samples."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels import sky_spline
from tracecube.recipes.slices.sky_exposure import continuum_of
from tracecube.recipes.slices.sky_gap import over_gap

FIRST, STEP, GAP = 5500.0, 0.6, (5805.0, 5966.0)
COUNT = 1200


def sky(wave):
    """A slope with lines on it."""
    light = 100.0 + 0.02 * (wave - 5500.0)
    for line in (5577.3, 5770.0, 5990.0, 6100.0):
        light = light + 500.0 * np.exp(-0.5 * ((wave - line) / 1.1) ** 2)
    return light


@pytest.fixture(scope="module")
def fitted():
    """A spline through samples outside the gap; a few wild ones at its ends, as noise has them."""
    wave = np.arange(5510.0, 6190.0, 0.2)
    wave = wave[(wave < GAP[0]) | (wave > GAP[1])]
    data = sky(wave)
    matrix, rhs = np.zeros((sky_spline.BAND, COUNT)), np.zeros(COUNT)
    sky_spline.accumulate(wave, data, np.ones_like(wave), 1.0, FIRST, STEP, matrix, rhs)
    found = sky_spline.solve(matrix, rhs)
    centre = FIRST + STEP * (np.arange(COUNT) - 2.0)
    off = (centre > GAP[0] + 1.0) & (centre < GAP[1] - 1.0)
    return np.where(off, -900.0, found)


def spectrum(coefficient, wave):
    return sky_spline.derivatives(wave, coefficient, FIRST, STEP)[0]


def test_the_gap_is_bridged_and_nothing_else_is_touched(fitted):
    made = over_gap(fitted, FIRST, STEP, GAP)
    beside = np.r_[np.arange(5560.0, GAP[0], 0.3), np.arange(GAP[1], 6150.0, 0.3)]
    assert spectrum(made, beside) == pytest.approx(sky(beside), rel=0.02)
    within = np.arange(GAP[0] + 4.0, GAP[1] - 4.0, 0.3)
    assert spectrum(made, within) == pytest.approx(100.0 + 0.02 * (within - 5500.0), rel=0.03)


def test_the_continuum_beside_the_gap_is_that_of_the_sky(fitted):
    wave = np.arange(5560.0, 6150.0, 0.3)
    there = (np.abs(wave - GAP[0]) < 60.0) | (np.abs(wave - GAP[1]) < 60.0)
    true = 100.0 + 0.02 * (wave[there] - 5500.0)
    spoiled = continuum_of(spectrum(fitted, wave), 0.3)[there]
    assert np.abs(spoiled / true - 1.0).max() > 2.0
    made = continuum_of(spectrum(over_gap(fitted, FIRST, STEP, GAP), wave), 0.3)[there]
    assert made == pytest.approx(true, rel=0.03)


def test_without_a_gap_or_beyond_the_spectrum_all_stays(fitted):
    assert over_gap(fitted, FIRST, STEP, None) is fitted
    assert over_gap(fitted, FIRST, STEP, (7000.0, 7100.0)) is fitted
