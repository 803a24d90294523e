"""Runs of pixels along columns: sums over windows, and what is beside."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter1d

from tracecube.kernels.column_runs import beside, run_pulls


def test_runs_are_the_sums_of_windows() -> None:
    rng = np.random.default_rng(2)
    excess, variance, light = rng.normal(size=(3, 90, 11)).astype(np.float32)
    variance, light, out = np.abs(variance) + 1.0, np.abs(light) + 5.0, rng.random(excess.shape) < 0.1
    for run in (1, 5, 40):
        planes = [np.where(out, 0.0, plane) for plane in (excess, variance, light)]
        sums = [uniform_filter1d(plane, run, axis=0, mode="constant") * run for plane in planes]
        pull, differs = run_pulls((excess, variance, light), out, run, 0.02)
        lit = sums[2] > 1.0
        assert np.allclose(pull[lit], (sums[0] / np.sqrt(np.maximum(sums[1], 1e-9)))[lit], atol=1e-5)
        assert np.isnan(pull[~lit]).all()
        assert np.array_equal(differs > 0, lit & (np.abs(sums[0]) > 0.02 * sums[2]))


def test_a_pixel_is_compared_with_good_pixels_that_do_not_touch_it() -> None:
    data = np.tile(np.arange(20.0, dtype=np.float32), (2, 1))
    good = np.ones(data.shape, bool)
    data[1, 4], good[1, 4] = 1e6, False
    around, known = beside(data, good, 3, 4)
    assert np.allclose(around[0, 5:15], np.arange(5.0, 15.0))
    assert np.isclose(around[1, 8], np.mean([5, 6, 10, 11, 12]))
    assert known[0, 5:15].all()
    assert not known[0, [0, 19]].any()
