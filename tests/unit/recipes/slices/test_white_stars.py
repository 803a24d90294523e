"""Stars placed in the light of columns of slices."""

from __future__ import annotations

import numpy as np

from tracecube.recipes.slices.white_light import WhiteLight
from tracecube.recipes.slices.white_stars import place_stars

SIDE = (0.2, 0.2)
STARS = np.array([[-3.1, 2.2], [4.4, -1.7], [0.6, -4.1]])  # arcsec
LIGHT = np.array([40.0, 18.0, 9.0])
FWHM, BETA = 0.8, 2.8


def columns(rng: np.random.Generator, noise: float) -> WhiteLight:
    """Columns of slices a spaxel apart, each slice displaced along itself by its own fraction."""
    x, y = np.meshgrid(np.arange(-40, 41) * 0.2, np.arange(-36, 37) * 0.2)
    x = x + rng.uniform(0, 0.2, (x.shape[0], 1))
    core = (0.5 * FWHM) ** 2 / (2.0 ** (1.0 / BETA) - 1.0)
    value = np.full(x.shape, 1.0)
    for (a, b), light in zip(STARS, LIGHT, strict=True):
        r2 = (x - a) ** 2 + (y - b) ** 2
        value = value + light * (BETA - 1.0) / (np.pi * core) * 0.04 * (1.0 + r2 / core) ** -BETA
    value = value + rng.normal(0, noise, value.shape)
    return WhiteLight(value.ravel(), np.full(value.size, noise**2), x.ravel(), y.ravel())


def test_stars_are_placed_to_hundredths_of_a_spaxel_and_errors_hold():
    rng = np.random.default_rng(1)
    pulls = []
    for _ in range(6):
        found = place_stars(columns(rng, 0.05), SIDE, threshold=5.0, most=10)
        assert found.x.size >= 3
        off = np.stack([found.x, found.y], axis=1)[:3] - STARS
        pulls.append(off / np.stack([found.x_error, found.y_error], axis=1)[:3])
        assert np.abs(off[0]).max() < 0.01
        assert abs(found.fwhm - FWHM) < 0.12  # that of the star on a spaxel
    assert 0.5 < np.sqrt(np.mean(np.square(pulls))) < 1.5


def test_an_empty_field_has_no_star():
    rng = np.random.default_rng(2)
    x, y = (one.ravel() for one in np.meshgrid(np.arange(-30, 31) * 0.2, np.arange(-30, 31) * 0.2))
    empty = WhiteLight(1.0 + rng.normal(0, 0.05, x.size), np.full(x.size, 0.0025), x, y)
    found = place_stars(empty, SIDE, threshold=6.0, most=10)
    assert not (found.flux > 5.0).any()
