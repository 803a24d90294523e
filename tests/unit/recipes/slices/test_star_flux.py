"""A star in slices: place, shape and light at every wavelength."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.slice_detector import SliceDetector
from tracecube.core.errors import NoConvergence
from tracecube.core.flags import Flag
from tracecube.recipes.slices.star_flux import StarPixels, StarShape, fit_shape, near_star, star_spectrum

SIDE = (0.2, 0.2)
SHAPE = StarShape(x=1.03, y=-0.57, x_slope=0.01, y_slope=-0.005, fwhm=0.8, power=-0.2, beta=2.8)
EDGES = np.arange(4700.0, 9300.1, 100.0)
ROWS = 24  # of wavelength in a bin


def light(wave):
    return 50.0 * (1.0 + 0.4 * (wave - 7000.0) / 2300.0)


def exact(shape, pixels, n=9):
    """Share of the star on each pixel by a fine sum over its side."""
    total = np.zeros(pixels.x.size)
    for dx in (np.arange(n) + 0.5) / n - 0.5:
        for dy in (np.arange(n) + 0.5) / n - 0.5:
            moved = replace(pixels, x=pixels.x + dx * SIDE[0], y=pixels.y + dy * SIDE[1])
            u = (moved.wave - 7000.0) / 1000.0
            r2 = (moved.x - shape.x - shape.x_slope * u) ** 2 + (moved.y - shape.y - shape.y_slope * u) ** 2
            width = shape.fwhm * (moved.wave / 7000.0) ** shape.power
            core = (0.5 * width) ** 2 / (2.0 ** (1.0 / shape.beta) - 1.0)
            total += (1.0 + r2 / core) ** -shape.beta * (shape.beta - 1.0) / (np.pi * core) * SIDE[0] * SIDE[1]
    return total / n**2


def field(rng, *, noise=0.05, ground=0.3, bad=0.0):
    """Pixels of slices about a star, at all wavelengths; some of them missing."""
    wave = (EDGES[:-1, None] + (np.arange(ROWS) + 0.5) * 100.0 / ROWS).ravel()
    side = np.arange(-5.9, 6.0, 0.2)
    y, x = np.meshgrid(side, side, indexing="ij")
    near = np.hypot(x, y) < 5.5
    x, y = x[near], y[near]
    x = np.tile(x, wave.size) + np.repeat(rng.uniform(-0.1, 0.1, wave.size), x.size)
    pixels = StarPixels(np.zeros(x.size), np.ones(x.size), x, np.tile(y, wave.size), np.repeat(wave, near.sum()))
    keep = rng.uniform(size=x.size) >= bad
    pixels = StarPixels(*(getattr(pixels, name)[keep] for name in ("value", "variance", "x", "y", "wave")))
    clean = light(pixels.wave) * exact(SHAPE, pixels, 3) + ground
    variance = noise**2 * (1.0 + clean)
    return replace(pixels, value=clean + rng.normal(0, np.sqrt(variance)), variance=variance)


@pytest.fixture(scope="module")
def star():
    return field(np.random.default_rng(1), bad=0.05)


def test_shares_of_pixels_are_those_of_a_fine_sum():
    rng = np.random.default_rng(2)
    pixels = StarPixels(
        *(np.zeros(300) for _ in range(2)),
        rng.uniform(-2, 3, 300),
        rng.uniform(-3, 2, 300),
        rng.uniform(4800, 9200, 300),
    )
    assert np.allclose(SHAPE.density(pixels, SIDE), exact(SHAPE, pixels), rtol=2e-3, atol=1e-7)


def test_place_and_shape_are_found(star):
    found = fit_shape(star, SIDE, first=(0.8, -0.3))
    assert np.hypot(found.x - SHAPE.x, found.y - SHAPE.y) < 0.002
    assert abs(found.fwhm / SHAPE.fwhm - 1.0) < 0.005
    assert abs(found.power - SHAPE.power) < 0.02
    assert abs(found.beta - SHAPE.beta) < 0.05
    assert np.allclose([found.x_slope, found.y_slope], [SHAPE.x_slope, SHAPE.y_slope], atol=0.002)


def test_light_is_found_with_pulls_of_one(star):
    flux, variance = star_spectrum(star, SHAPE, SIDE, EDGES, reach=3.2)
    middle = 0.5 * (EDGES[1:] + EDGES[:-1])
    off = flux - light(middle)
    assert abs(np.mean(off / light(middle))) < 0.003
    assert 0.7 < (off / np.sqrt(variance)).std() < 1.5


def test_missing_pixels_and_hits_cost_no_light():
    rng = np.random.default_rng(3)
    pixels = field(rng, bad=0.3)
    hit = rng.uniform(size=pixels.value.size) < 0.002
    pixels.value[hit] += 100.0
    flux, _ = star_spectrum(pixels, SHAPE, SIDE, EDGES, reach=3.2)
    assert abs(np.mean(flux / light(0.5 * (EDGES[1:] + EDGES[:-1]))) - 1.0) < 0.005


def test_bins_without_pixels_have_no_light(star):
    flux, variance = star_spectrum(star, SHAPE, SIDE, np.array([4000.0, 4100.0, 4200.0]), reach=3.2)
    assert np.isnan(flux).all()
    assert np.isnan(variance).all()


def test_too_few_pixels_are_no_star():
    few = StarPixels(*(np.ones(100) for _ in range(5)))
    with pytest.raises(NoConvergence, match="too few pixels about the star"):
        fit_shape(few, SIDE, first=(0.0, 0.0))


def test_pixels_about_a_star_are_good_inside_their_slices_and_freed_of_refraction():
    tall = SliceDetector(count=3, rows=600)
    exposure = tall.exposure(np.ones(tall.shape), np.ones(tall.shape))
    exposure.flags[10] = int(Flag.COSMIC_RAY)
    place = (5.1, 0.0)
    found = near_star(
        exposure,
        tall.traces,
        tall.solution,
        tall.geometry,
        lambda wave: (0.3 + 0 * wave, 0.1 + 0 * wave),
        place=place,
        reach=1.0,
        gain=np.array([1.0, 0.8, 1.0]),
    )
    assert np.allclose(np.unique(found.value.round(6)), [1.0, 1.25])  # the middle slice is fainter
    assert np.hypot(found.x + 0.3 - place[0], found.y + 0.1 - place[1]).max() < 1.0
    per_row = 2 * 5  # pixels of a slice in 2 arcsec
    assert found.value.size == pytest.approx(3 * (tall.rows - 1) * per_row, rel=0.05)
    assert found.wave.min() < 4700
    assert found.wave.max() > 9300
    lost = near_star(
        exposure, replace(tall.traces, dq=np.full(3, 64, np.int32)), tall.solution, tall.geometry,
        lambda wave: (0 * wave, 0 * wave), place=place, reach=1.0, gain=np.ones(3),
    )  # fmt: skip
    assert lost.value.size == 0


def test_pixels_at_the_ends_of_slices_are_not_those_of_the_next():
    tall = SliceDetector(count=3, rows=600)
    exposure = tall.exposure(np.ones(tall.shape), np.ones(tall.shape))
    place = (5.1 - 7.6, 0.0)  # the end of the middle slice
    found = near_star(
        exposure, tall.traces, tall.solution, tall.geometry, lambda wave: (0 * wave, 0 * wave),
        place=place, reach=3.0, gain=np.ones(3),
    )  # fmt: skip
    assert found.x.min() >= (tall.geometry.x - 0.5 * tall.geometry.width).min() - 0.01
