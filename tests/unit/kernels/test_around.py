"""Samples that stand out of those around them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.kernels.test_voxels import detector
from tracecube.kernels.around import STATISTICS, standing_out

SHAPE = (30, 12, 14)


@pytest.fixture(scope="module")
def sky():
    rng = np.random.default_rng(1)
    place = detector(rng, SHAPE)
    return place, rng.normal(0, 1, len(place)).astype(np.float32), np.ones(len(place), np.float32)


def inside(place):
    return np.flatnonzero(((place > 2) & (place < np.array(SHAPE) - 3)).all(axis=1))


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_hit_stands_out_and_noise_does_not(sky, statistic):
    place, value, variance = sky
    hit = inside(place)[[100, 700, 1300]]
    value = value.copy()
    value[hit] += 60.0
    found = standing_out(place, value, variance, SHAPE, statistic=statistic, limit=15.0)
    assert np.flatnonzero(found).tolist() == sorted(hit.tolist())
    assert not standing_out(place, sky[1], variance, SHAPE, statistic=statistic, limit=15.0).any()


@pytest.mark.parametrize(("statistic", "all_of_it"), [("median", True), ("iraf", True), ("mean", False)])
def test_a_track_hides_itself_from_mean_and_deviation(sky, statistic, all_of_it):
    place, value, variance = sky
    middle = place[inside(place)[700]]
    track = np.flatnonzero((np.abs(place - middle) < [0.6, 0.4, 2.5]).all(axis=1))
    value = value.copy()
    value[track] += 100.0
    found = standing_out(place, value, variance, SHAPE, statistic=statistic, limit=15.0)
    assert found[track].all() == all_of_it
    assert not found[np.setdiff1d(np.arange(len(place)), track)].any()


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_star_does_not_stand_out(sky, statistic):
    place, value, variance = sky
    r2 = (place[:, 1] - 5.8) ** 2 + (place[:, 2] - 6.3) ** 2
    star = value + np.float32(40.0) * np.exp(-0.5 * r2 / 1.3**2)
    assert not standing_out(place, star, variance, SHAPE, statistic=statistic, limit=15.0).any()


def test_samples_that_do_not_count_are_no_neighbours_and_do_not_stand_out(sky):
    place, value, variance = sky
    value, variance = value.copy(), variance.copy()
    bad = inside(place)[::3]
    value[bad], variance[bad] = 1e6, np.inf
    assert not standing_out(place, value, variance, SHAPE, statistic="median", limit=15.0).any()


def test_of_few_nothing_is_told():
    place = np.full((8, 3), 2.0, np.float32)
    value, variance = np.array([100.0] + [0.0] * 7, np.float32), np.ones(8, np.float32)
    assert not standing_out(place, value, variance, (5, 5, 5), statistic="iraf", limit=5.0).any()
