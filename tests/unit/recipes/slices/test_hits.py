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


def test_tracks_along_and_across_dispersion_are_found_whole():
    """Of nine pixels, one wide or on the border of two: medians along them are as bright as they are."""
    rng = np.random.default_rng(4)
    data, variance = scene(rng)
    hit = np.zeros(SHAPE, bool)
    for k in range(6):
        y, x = 40 + 25 * k, 45 + 4 * k
        data[y : y + 9, x] += 700.0 * rng.gamma(4.0, 0.25, 9)
        hit[y : y + 9, x] = True
        y, x = 230 + 25 * k, 40 + 4 * k
        data[y, x : x + 9] += 700.0 * rng.gamma(4.0, 0.25, 9)
        hit[y, x : x + 9] = True
    data[390:398, 60] += 500.0
    data[390:398, 61] += 400.0
    hit[390:398, 60:62] = True
    found = find_hits(data, variance, np.ones(SHAPE, bool), limit=6.0)
    assert found[hit].mean() > 0.93
    assert (found & ~hit).mean() < 3e-4


def test_sharp_stars_and_their_lines_are_no_tracks():
    """Images 2.5 and lines 2 pixels wide, centred anywhere in a pixel, with noise of a few thousandths."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    clean = np.full(SHAPE, 50.0)
    for k in range(6):
        lines = 1.0 + sum(2.0 * np.exp(-0.5 * ((y - 20.0 - 47.13 * j - k) / 0.85) ** 2) for j in range(8))
        clean += 3e4 * lines * np.exp(-0.5 * ((x - 8.0 - 12.12 * k) / 1.06) ** 2)
    variance = clean + 25.0
    data = clean + rng.normal(0, np.sqrt(variance))
    assert find_hits(data, variance, np.ones(SHAPE, bool), limit=6.0).sum() < 3


def test_a_star_beside_a_hit_stays_and_so_do_its_lines_and_knots_of_gas():
    """What is lost beside a hit on a star or on a knot of gas is not much more than the hit."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    rows = np.arange(20, 380, 30)
    knots = sum(np.exp(-0.5 * ((y - row) / 0.9) ** 2) for row in rows)
    for along in (1.0 + 0.0 * knots, 1.0 + 2.0 * knots, knots):
        for away in (-1, 0, 1, 2):
            rng = np.random.default_rng(6)
            clean = 50.0 + 3000.0 * np.exp(-0.5 * ((x - 40.3) / 1.8) ** 2) * along
            data, hit = clean + rng.normal(0, np.sqrt(clean + 25.0)), np.zeros(SHAPE, bool)
            hit[rows, 40 + away] = True
            data[hit] += 6000.0 * (1.0 + along[hit])
            found = find_hits(data, clean + 25.0 + 6000.0 * hit * (1.0 + along), np.ones(SHAPE, bool), limit=6.0)
            assert found[hit].all()
            assert (found & ~hit).sum() < rows.size
