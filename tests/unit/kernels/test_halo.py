"""Scattered light: its convolution and its interpolation against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import zoom
from scipy.signal import fftconvolve

from tracecube.kernels.halo import binned, power_law, refined, scattered, spread, transfer


def test_binned_light_is_convolved_with_the_whole_kernel() -> None:
    few = np.random.default_rng(1).gamma(0.5, 40.0, (33, 18)).astype(np.float32)
    kernel = power_law((33, 18), 4, softening=0.5, steepness=2.0, scale=1.5, power=1.0)
    expected = fftconvolve(few.astype(float), kernel, mode="full")[32:65, 17:35]
    assert spread(few, transfer(kernel)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("bins", [1, 3, 4])
def test_pixels_are_interpolated_with_cubic_splines(bins: int) -> None:
    few = np.random.default_rng(2).normal(10.0, 1.0, (20, 14)).astype(np.float32)
    expected = zoom(few.astype(float), bins, order=3, mode="nearest", grid_mode=True) / bins**2
    assert refined(few, bins) == pytest.approx(expected, abs=1e-5)


def test_light_that_is_even_is_scattered_evenly_in_the_middle() -> None:
    kernel = power_law((16, 16), 4, softening=0.5, steepness=2.0, scale=1.5, power=1.0)
    found = scattered(np.full((64, 64), 5.0, np.float32), kernel, 4)
    assert found.shape == (64, 64)
    assert found.sum() < 5.0 * 64 * 64
    assert found[32, 32] == pytest.approx(found[31, 31], rel=1e-3)
    assert binned(found, 4).sum() == pytest.approx(found.sum(), rel=1e-5)
