"""Shapes of lines settle within a few rounds, and their slopes are those of what is fitted."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.recipes.slices.sky_pieces import Sky
from tracecube.kernels import sky_spline
from tracecube.recipes.slices.sky_fit import SETTLED, SkyParams, fit_sky, shape_intervals
from tracecube.recipes.slices.sky_pieces import gather

STEP, SIZE = 0.6, 900
WAVE = np.arange(20.0, 500.0, 0.31)


@pytest.mark.parametrize(("term", "order", "share"), [(3, 2, 0.5), (5, 3, -1.0 / 6.0), (7, 4, 1.0 / 24.0)])
def test_slopes_of_shapes_are_those_of_what_a_slice_sees(term, order, share):
    """Noise of short waves, which no shape changes, times the fourth power of their number drowned the slope."""
    rng = np.random.default_rng(1)
    data = 5.0 * np.exp(-0.5 * ((WAVE[:, None] - np.arange(40.0, 480.0, 23.0)) / 1.1) ** 2).sum(axis=1)
    matrix, rhs = np.zeros((sky_spline.BAND, SIZE)), np.zeros(SIZE)
    noise = rng.normal(0.0, 0.05, WAVE.size)
    sky_spline.accumulate(WAVE, data + noise, np.ones(WAVE.size), 1.0, 0.0, STEP, matrix, rhs)
    coefficient = sky_spline.solve(matrix, rhs)
    seen, own = [], np.array([1.0, 0, 0, 0, 0, 0, 0, 0])
    for change in (-0.02, 0.02):
        own[term] = change
        pieces = shape_intervals(coefficient, STEP, own)
        seen.append(sky_spline.seen(WAVE, np.zeros(WAVE.size), pieces, 0.0, STEP, 1.05, 1)[0])
    true = (seen[1] - seen[0]) / 0.04
    lines = sky_spline.derivatives(WAVE, sky_spline.waves_of_lines(coefficient, STEP), 0.0, STEP)[order] * share
    every = sky_spline.derivatives(WAVE, coefficient, 0.0, STEP)[order] * share
    assert np.std(lines - true) < 0.15 * np.std(true)
    if order == 4:
        assert np.std(every - true) > np.std(true)


def test_a_noisy_sky_settles_in_a_few_rounds():
    """With slopes full of noise its flatness took more than twelve, each a few per cent of the way."""
    slices = gather(Sky(slices=16, noise=0.05).segments())
    found = fit_sky(slices, SkyParams(fraction=1.0, ignore=0.0, rounds=7, even=False, alike=False))
    assert found.moved < SETTLED
