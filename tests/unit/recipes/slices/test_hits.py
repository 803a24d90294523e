"""Hits in slices: found, and stars and lines left alone."""

from __future__ import annotations

import numpy as np

from tracecube.recipes.slices.hits import find_hits

SHAPE = (400, 80)


def scene(rng):
    """A star along dispersion, a line of the sky across it that was not wholly taken off, noise."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    clean = 400.0 * np.exp(-0.5 * ((x - 30) / 1.8) ** 2) + 150.0 * np.exp(-0.5 * ((y - 200) / 0.9) ** 2)
    variance = clean + 25.0
    return clean + rng.normal(0, np.sqrt(variance)), variance


def test_nothing_is_hit_where_there_are_stars_and_lines_alone():
    data, variance = scene(np.random.default_rng(1))
    assert find_hits(data, variance, np.ones(SHAPE, bool), limit=6.0).mean() < 2e-4


def test_hits_are_found_with_what_belongs_to_them():
    rng = np.random.default_rng(2)
    data, variance = scene(rng)
    hit = np.zeros(SHAPE, bool)
    for y, x in zip(rng.integers(5, 395, 60), rng.integers(3, 77, 60), strict=True):
        data[y, x] += 900.0
        data[y, x + 1] += 60.0
        hit[y, x] = True
    found = find_hits(data, variance, np.ones(SHAPE, bool), limit=6.0)
    assert found[hit].mean() >= 0.98
    beside = np.roll(hit, 1, axis=1) & ~hit
    assert found[beside].mean() > 0.7


def test_bad_pixels_are_no_hits():
    data, variance = scene(np.random.default_rng(3))
    good = np.ones(SHAPE, bool)
    data[100, 50], good[100, 50] = 1e5, False
    assert not find_hits(data, variance, good, limit=6.0)[98:103, 48:53].any()
