"""Weighted means of samples: known values of every method, and noise of bins as the correlations say."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.kernels.test_voxels import binned, detector
from tracecube.kernels.weighted_voxels import METHODS, Weighting, shared_noise, weigh_voxels

SHAPE = (24, 26, 28)


def means(place, value, how, shape=(5, 5, 5)):
    place, value = np.asarray(place, np.float32), np.asarray(value, np.float32)
    return weigh_voxels(place, value, np.full(value.size, 4.0, np.float32), shape, how)


@pytest.mark.parametrize(
    ("method", "weight"),
    [
        ("nearest", 0.0),
        ("linear", 0.4 / 0.8),
        ("quadratic", 0.4**2 / 0.8**2),
        ("renka", ((1.25 - 0.8) / (1.25 * 0.8)) ** 2 / ((1.25 - 0.4) / (1.25 * 0.4)) ** 2),
        ("drizzle", (0.9 - 0.8) / (0.9 - 0.4)),
        ("lanczos", None),
    ],
)
def test_two_samples_count_as_the_method_says(method, weight):
    """One 0.4 voxels off along x, the other 0.8 on the other side: reach 1, drops of 0.8."""
    found = means([(2, 2, 2.4), (2, 2, 1.2)], [1.0, 3.0], Weighting(method))
    if weight is None:
        one, two = (np.sinc(x) * np.sinc(x / 1.0) for x in (0.4, 0.8))
        weight = two / one
    total = 1.0 + weight
    assert found.data[2, 2, 2] == pytest.approx((1.0 + 3.0 * weight) / total, rel=1e-5)
    assert found.variance[2, 2, 2] == pytest.approx(4.0 * (1.0 + weight**2) / total**2, rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_an_even_field_keeps_its_value_and_empty_places_are_not_measured(method):
    place = detector(np.random.default_rng(1), SHAPE)
    place = place[place[:, 2] < 14.0]
    found = means(place, np.full(len(place), 7.0), Weighting(method), SHAPE)
    known = np.isfinite(found.data)
    assert found.data[known] == pytest.approx(7.0, rel=1e-5)
    assert known[3:-3, 3:-3, 3:12].mean() > (0.6 if method == "nearest" else 0.99)
    assert not known[:, :, 18:].any()
    assert (np.isfinite(found.variance) == known).all()


@pytest.mark.parametrize(
    "how", [Weighting("drizzle"), Weighting("renka"), Weighting("lanczos", reach=2), Weighting("linear")]
)
def test_noise_of_bins_is_what_variances_and_correlations_say(how):
    rng = np.random.default_rng(2)
    shape = (20, 40, 40)
    place = detector(rng, shape)
    spread = np.full(len(place), 1.0, np.float32)
    pulls, plain = [], []
    for _ in range(3):
        value = rng.normal(0.0, 1.0, len(place)).astype(np.float32)
        found = weigh_voxels(place, value, spread, shape, how)
        alike = correlations(place, shape, how, plane=9)
        data, variance = found.data[9, 5:-5, 5:-5], found.variance[9, 5:-5, 5:-5]
        n = 3
        near = [(y, x) for y in range(-n + 1, n) for x in range(-n + 1, n)]
        factor = sum((n - abs(y)) * (n - abs(x)) * _of(alike, (0, y, x)) for y, x in near) / n**2
        sums = [binned(one[None], n)[0] for one in (data, variance)]
        pulls.append((sums[0] / np.sqrt(sums[1] * factor)).ravel())
        plain.append((sums[0] / np.sqrt(sums[1])).ravel())
    assert np.concatenate(pulls).std() == pytest.approx(1.0, abs=0.06)
    assert np.concatenate(plain).std() > 1.06 * np.concatenate(pulls).std()  # without them it is too small


def correlations(place, shape, how, *, plane):
    """Correlation of the voxels of a plane with others, by offset."""
    shared, mean = shared_noise(place - np.array([plane, 0, 0], np.float32), shape[1:], how, 1)
    where = np.argwhere(mean > 0)
    return {tuple(at - [0, how.apart, how.apart]): shared[tuple(at)] / mean[tuple(at)] for at in where}


def _of(alike, offset):
    if offset == (0, 0, 0):
        return 1.0
    return alike.get(offset, alike.get(tuple(-one for one in offset), 0.0))


def test_nearest_samples_stand_in_one_voxel_each():
    place = detector(np.random.default_rng(3), SHAPE)
    shared, mean = shared_noise(place - np.array([12, 0, 0], np.float32), SHAPE[1:], Weighting("nearest"), 1)
    assert not shared.any()
    assert mean.shape == (1, 1, 1)
