"""Light of a star within a circle."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.recipes.slices.circle_flux import circle_spectrum
from tracecube.recipes.slices.star_flux import StarPixels

SIDE, BETA = 0.025, 2.5
EDGES = np.arange(5000.0, 5051.0, 12.5)


def test_the_ground_is_a_median_and_its_error_that_of_one():
    rng = np.random.default_rng(3)
    line = np.arange(-30, 31) * SIDE
    x, y = (part.ravel() for part in np.meshgrid(line, line))
    inside = np.hypot(x, y) < 0.6
    kept = inside | (rng.random(x.size) < 0.05)  # few pixels tell the ground
    x, y = x[kept], y[kept]
    pulls = []
    bins = np.arange(5000.0, 5301.0, 1.0)
    wave = np.repeat(bins[:-1] + 0.5, x.size)
    x, y = np.tile(x, bins.size - 1), np.tile(y, bins.size - 1)
    for _ in range(3):
        pixels = StarPixels(2.0 + rng.normal(0, 0.02, x.size), np.full(x.size, 4e-4), x, y, wave)
        flux, variance = circle_spectrum(pixels, (0.0, 0.0), (SIDE, SIDE), bins, reach=0.6)
        pulls.append(flux / np.sqrt(variance))
    assert np.std(pulls) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("fwhm", [0.06, 0.12])
def test_light_within_the_circle_is_found_whatever_its_shape_and_errors_hold(fwhm):
    rng = np.random.default_rng(1)
    grid = np.arange(-100, 101) * SIDE
    x, y, wave = np.meshgrid(grid, grid, np.arange(5000.6, 5050.0, 1.25), indexing="ij")
    x = x + rng.uniform(-0.5, 0.5, (x.shape[0], 1, x.shape[2])) * SIDE  # rows of a slice lie at their own fractions
    core = (0.5 * fwhm) ** 2 / (2.0 ** (1.0 / BETA) - 1.0)
    star = 500.0 * (BETA - 1.0) / (np.pi * core) * SIDE**2 * (1.0 + ((x - 0.01) ** 2 + y**2) / core) ** -BETA
    pulls, reach = [], 1.8
    light = 500.0 * (1.0 - (1.0 + reach**2 / core) ** (1.0 - BETA))
    for _ in range(8):
        value = 2.0 + star + rng.normal(0, 0.02, star.shape)
        value[rng.random(star.shape) < 1e-4] += 300.0
        pixels = StarPixels(
            value.ravel(), np.full(value.size, 4e-4), x.ravel(), y.ravel(), np.broadcast_to(wave, value.shape).ravel()
        )
        flux, variance = circle_spectrum(pixels, (0.01, 0.0), (SIDE, SIDE), EDGES, reach=reach)
        assert np.abs(flux / light - 1.0).max() < 0.02
        pulls.append((flux - flux.mean()) / np.sqrt(variance))
    assert np.sqrt(np.mean(np.square(pulls))) < 1.5  # sampling of the core is the same in all bins but for fractions
