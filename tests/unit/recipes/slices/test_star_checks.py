"""Checks of a standard star, against fields whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.flags import Flag
from tracecube.core.slices import SliceExposure, SliceGeometry, SliceTraces
from tracecube.recipes.slices.star_checks import neighbour_of, saturated_near, seen_share
from tracecube.recipes.slices.star_flux import StarPixels, StarShape

SIDE = (0.2, 0.2)


def star(x: float = 0.0, y: float = 0.0) -> StarShape:
    return StarShape(x, y, 0.0, 0.0, 0.8, -0.2, 2.8)


def slices(y: np.ndarray, x: float = 0.0) -> SliceGeometry:
    n = y.size
    return SliceGeometry(np.arange(n), np.full(n, x), y, np.zeros(n), np.full(n, 15.0), np.zeros(n, np.int32), {})


ALL = slices(np.arange(-30, 31) * 0.2)


def test_a_star_inside_is_seen_whole_one_at_the_edge_by_half():
    assert seen_share(star(), [ALL], 0.2, reach=3.2) == pytest.approx(1.0)
    assert seen_share(star(7.5), [ALL], 0.2, reach=3.2) == pytest.approx(0.5, abs=0.05)
    assert seen_share(star(y=6.1), [ALL], 0.2, reach=3.2) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("y", np.arange(0.0, 0.1, 0.013))
def test_hair_gaps_between_uneven_slices_hide_hardly_anything_wherever_the_star_stands(y):
    uneven = slices(ALL.y + np.random.default_rng(5).normal(0.0, 0.006, ALL.y.size))
    assert seen_share(star(y=float(y)), [uneven], 0.2, reach=3.2) > 0.97


def test_a_star_on_the_border_of_two_detectors_is_seen_whole_by_both():
    lower, upper = slices(np.arange(-30, 0) * 0.2), slices(np.arange(31) * 0.2)
    assert seen_share(star(y=-0.1), [lower, upper], 0.2, reach=3.2) == pytest.approx(1.0)
    assert seen_share(star(y=-0.1), [lower], 0.2, reach=3.2) == pytest.approx(0.5, abs=0.05)


def pixels(rng: np.random.Generator, *others: tuple[float, float, float]) -> StarPixels:
    """Pixels of a star of 1000, others of (light, x, y), on a ground of 5 with noise of 1."""
    axis = np.arange(-30, 31) * 0.2
    x, y = (np.tile(one.ravel(), 40) for one in np.meshgrid(axis, axis))
    wave = np.repeat(np.linspace(5900.0, 7600.0, 40), axis.size**2)
    zero = np.zeros(x.size)
    value = 5.0 + 1000.0 * star().density(StarPixels(zero, zero, x, y, wave), SIDE)
    for light, dx, dy in others:
        value += light * star(dx, dy).density(StarPixels(zero, zero, x, y, wave), SIDE)
    return StarPixels(value + rng.normal(0.0, 1.0, x.size), zero + 1.0, x, y, wave)


def test_a_neighbour_is_found_where_it_is():
    found = neighbour_of(pixels(np.random.default_rng(2), (60.0, 2.7, -1.5)), star(), SIDE)
    assert found.distance == pytest.approx(np.hypot(2.7, 1.5), abs=0.5)
    assert 0.01 < found.share < 0.06  # a patch holds a part of it
    assert found.share > 5.0 * found.error


def test_of_a_lonely_star_nothing_stands_out():
    found = neighbour_of(pixels(np.random.default_rng(3)), star(), SIDE)
    assert found.share < 5.0 * found.error
    assert found.share < 0.005


def test_saturated_pixels_count_only_near_the_star():
    shape = (20, 60)
    flags = np.zeros(shape, np.int32)
    flags[5, 10:13] = Flag.SATURATED
    flags[5, 45] = Flag.SATURATED
    centre = np.repeat([[15.0], [45.0]], shape[0], axis=1)
    zero, none = np.zeros(2, np.int32), np.zeros((2, shape[0]))
    traces = SliceTraces(np.array([1, 2]), zero, zero, np.ones(2), centre, centre - 10, centre + 10, none,
                         none.astype(np.int32), 0, {})  # fmt: skip
    light = np.zeros(shape, np.float32)
    exposure = SliceExposure(light, light, flags, np.array([1, 2]), *[np.zeros(2)] * 3, zero, {})
    places = slices(np.array([0.0, 5.0]))
    assert saturated_near(exposure, traces, places, y=0.1, reach=1.0) == 3
    assert saturated_near(exposure, traces, places, y=5.0, reach=1.0) == 1
