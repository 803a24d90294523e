"""Voxels as weighted means: each weight beside its definition, noise as claimed at every scale, light where it is."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.kernels.test_voxels import binned, detector
from tracecube.kernels.correlated_sums import noise_factor
from tracecube.kernels.weighted_voxels import METHODS, Weighting, shared_noise, weigh_voxels

SHAPE = (60, 30, 30)

WAYS = [*(Weighting(kind) for kind in METHODS), Weighting("lanczos", reach=2), Weighting("renka", radius=1.9, reach=2)]
WAYS += [Weighting("drizzle", drop=(0.6, 0.6, 0.6)), Weighting("drizzle", drop=(0.8, 1.7, 2.9))]


def name(weights):
    return f"{weights.method}-{weights.reach}-{weights.drop[2]:g}"


def turned(rng, shape=SHAPE):
    """Places as `detector` has them, with slices anywhere between rows: fields are pointed anywhere."""
    place = detector(rng, shape)
    place[:, 1] += np.float32(rng.uniform(0.0, 1.0))
    return place


def made(place, value, weights, shape=SHAPE, variance=None):
    variance = np.ones(len(place), np.float32) if variance is None else variance.astype(np.float32)
    return weigh_voxels(place, value.astype(np.float32), variance, shape, weights)


def correlation(place, weights, shape=SHAPE, planes=12):
    """Offsets and coefficients, from planes in the middle."""
    at = place - np.array([(shape[0] - planes) // 2, 0, 0], np.float32)
    shared, mean = shared_noise(at, shape[1:], weights, planes)
    value = np.divide(shared, mean, out=np.zeros_like(mean), where=mean > 0)
    where = np.argwhere(value != 0)
    return where - np.array([0, weights.apart, weights.apart]), value[tuple(where.T)]


def plain(at, voxel, weights):
    """The weight of a sample in a voxel, by the definition."""
    d = np.abs(np.asarray(at, float) - voxel)
    if weights.method == "drizzle":
        half = 0.5 * np.array(weights.drop)
        return np.prod(np.clip(np.minimum(half, 0.5 - d) + np.minimum(half, 0.5 + d), 0, None) / (2 * half))
    if weights.method == "lanczos":
        return np.prod(np.where(d < weights.reach, np.sinc(d) * np.sinc(d / weights.reach), 0.0))
    if np.any(np.abs(np.floor(np.asarray(at) + 0.5) - voxel) > weights.reach):
        return 0.0
    r = max(np.sqrt((d**2).sum()), 1e-3)
    return {
        "linear": 1 / r,
        "quadratic": 1 / r**2,
        "renka": (max(weights.radius - r, 0.0) / (weights.radius * r)) ** 2,
        "nearest": -r,
    }[weights.method]


def dense(place, shape, weights):
    """Weights (voxel, sample), and whether a sample reaches a voxel at all."""
    voxels = list(np.ndindex(shape))
    matrix = np.array([[plain(at, np.array(v), weights) for at in place] for v in voxels])
    if weights.method != "nearest":
        return matrix
    near = np.array([[np.all(np.floor(at + 0.5) == v) for at in place] for v in voxels])
    best = np.argmax(np.where(near, matrix, -np.inf), axis=1)
    return (np.arange(len(place)) == best[:, None]) & near.any(axis=1)[:, None]


@pytest.mark.parametrize("weights", WAYS, ids=name)
def test_values_variances_and_covariances_are_those_of_the_dense_matrix(weights):
    rng = np.random.default_rng(1)
    shape = (4, 4, 4)
    place = rng.uniform(-1.5, np.array(shape) + 0.5, (200, 3)).astype(np.float32)
    value, variance = rng.normal(0, 1, 200).astype(np.float32), rng.uniform(0.5, 2, 200).astype(np.float32)
    matrix = dense(place, shape, weights)
    total = matrix.sum(axis=1)
    known = total > (0.1 if weights.method == "lanczos" else 1e-4)
    share = matrix / np.where(known, total, 1.0)[:, None]
    found = made(place, value, weights, shape, variance)
    assert np.array_equal(np.isfinite(found.data.ravel()), known)
    assert np.allclose(found.data.ravel()[known], (share @ value)[known], rtol=2e-3, atol=2e-4)
    assert np.allclose(found.variance.ravel()[known], (share**2 @ variance)[known], rtol=2e-3)
    tall = max(shape[0] - weights.apart, 1)
    shared, mean = shared_noise(place, shape[1:], weights, tall)
    if weights.method == "nearest":
        assert not (share @ share.T)[~np.eye(len(share), dtype=bool)].any()
        return
    for step in ((0, 0, 1), (0, 1, -1), (1, 0, 0), (1, -1, 1)):
        at = (step[0], step[1] + weights.apart, step[2] + weights.apart)
        expected = paired(share * known[:, None], shape, step, tall, weights.apart)
        assert (shared[at], mean[at]) == pytest.approx(expected, rel=3e-3, abs=1e-3), step


def paired(share, shape, step, tall, apart):
    """Sums over pairs of voxels of covariance and mean variance, in units of the variance around them."""
    whole = (share @ share.T).reshape(*shape, *shape)
    own = np.array([whole[(*v, *v)] for v in np.ndindex(shape)]).reshape(shape)
    inner = {
        (z, y, x): (own[z, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] > 0).all() for z, y, x in np.ndindex(shape)
    }
    own = np.where(np.array(list(inner.values())).reshape(shape), own, 0.0)
    unit = np.ones(shape)
    for z, y, x in np.ndindex(shape):
        around = own[z, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        if step[0]:
            around = own[max(z - 2, 0) : min(z + 3, tall + apart), y, x]
        unit[z, y, x] = np.sqrt(around[around > 0].mean()) if (around > 0).any() else 1.0
    cov = var = 0.0
    for v in np.ndindex(tall, *shape[1:]):
        u = tuple(int(k) for k in np.add(v, step))
        if all(0 <= k < n for k, n in zip(u, shape, strict=True)) and own[v] > 0 and own[u] > 0:
            cov += whole[(*v, *u)] / (unit[v] * unit[u])
            var += 0.5 * (own[v] + own[u]) / (unit[v] * unit[u])
    return cov, var


@pytest.mark.parametrize("weights", [Weighting(kind) for kind in METHODS], ids=name)
def test_noise_is_what_variances_and_correlation_say_at_every_scale(weights):
    rng = np.random.default_rng(2)
    squares = {(1, 1): [], (3, 3): [], (5, 5): []}
    for _ in range(12):
        place = turned(rng)
        noise = rng.uniform(0.8, 1.25, len(place))
        found = made(place, noise * rng.normal(0, 1, len(place)), weights, variance=noise**2)
        told = correlation(place, weights)
        data, variance = (one[6:-6, 4:-5, 4:-5] for one in (found.data, found.variance))
        for box, some in squares.items():
            claimed = noise_factor(*told, (1, *box)) * np.sqrt(binned(variance, box[0]))
            some.append(np.square(binned(data, box[0]) / claimed).ravel())
    for box, some in squares.items():
        whole = np.concatenate(some)
        whole = whole[np.isfinite(whole)]  # of nearest, voxels without a sample are not measured
        assert whole.size > (2000 if weights.method == "nearest" else 20_000) / box[0] ** 2, box
        assert 0.95 < np.sqrt(whole.mean()) < 1.05, box


@pytest.mark.parametrize("kind", ["linear", "renka", "drizzle", "lanczos"])
def test_noise_of_sums_along_wavelength_is_told_too(kind):
    rng = np.random.default_rng(3)
    pulls = []
    for _ in range(12):
        place = turned(rng)
        found = made(place, rng.normal(0, 1, len(place)), Weighting(kind))
        factor = noise_factor(*correlation(place, Weighting(kind)), (5, 1, 1))
        assert factor > 1.05
        data, variance = (
            one[5:-5, 4:-5, 4:-5].reshape(10, 5, 21, 21).sum(axis=1) for one in (found.data, found.variance)
        )
        pulls.append(np.square(data / np.sqrt(variance) / factor).ravel())
    assert 0.95 < np.sqrt(np.concatenate(pulls).mean()) < 1.05


@pytest.mark.parametrize("weights", WAYS, ids=name)
def test_an_even_field_keeps_its_value_and_what_does_not_count_tells_nothing(weights):
    rng = np.random.default_rng(4)
    place = turned(rng, (20, 14, 14))
    value, variance = np.full(len(place), 7.0), np.ones(len(place))
    value[::11], variance[::11] = 1e6, np.inf
    value[5::11], variance[5::11] = np.nan, 0.0
    found = made(place, value, weights, (20, 14, 14), variance)
    known = np.isfinite(found.data)
    assert known[3:-3, 3:-3, 3:-3].mean() > (0.75 if weights.method == "nearest" else 0.95)
    assert np.allclose(found.data[known], 7.0, rtol=1e-4)
    assert np.array_equal(known, np.isfinite(found.variance))


def test_drops_keep_all_light():
    """Values times weights sum to the light of the samples: what leaves one voxel is in another."""
    rng = np.random.default_rng(5)
    for drop in ((0.8, 0.8, 0.8), (0.6, 0.6, 0.6), (0.4, 1.3, 2.2)):
        place = rng.uniform(4.0, 15.0, (5000, 3)).astype(np.float32)
        light = rng.exponential(1.0, 5000)
        found = made(place, light, Weighting("drizzle", drop=drop), (20, 20, 20))
        known = np.isfinite(found.data)
        assert np.sum(found.data[known].astype(float) * found.weight[known]) == pytest.approx(light.sum(), rel=1e-5)
        assert found.weight.sum(dtype=float) == pytest.approx(5000.0, rel=1e-5)


def even(shape, y_phase, x_phase):
    """Places of slices at one fraction of a row, whose pixels lie at fractions of a voxel that cover all evenly."""
    nz, ny, nx = shape
    z, y, x = np.meshgrid(np.arange(-2.0, nz + 2), np.arange(-2.0, ny + 2), np.arange(-2.0, nx + 2), indexing="ij")
    place = [z + 0.618 * y % 1.0, y + y_phase, x + (x_phase + 0.375 * y) % 1.0]
    return np.stack(place, axis=-1).reshape(-1, 3).astype(np.float32)


@pytest.mark.parametrize("kind", METHODS)
def test_a_star_keeps_its_place_and_its_flux(kind):
    """Over all ways in which pixels and voxels may lie to each other; a single one displaces, as the docs say."""
    rng = np.random.default_rng(6)
    shape, sigma, off, flux = (9, 22, 22), 1.3, [], []
    y, x = np.mgrid[: shape[1], : shape[2]]
    for one, other in np.ndindex(16, 8):
        place = even(shape, (one + 0.5) / 16, (other + 0.5) / 8)
        y0, x0 = rng.uniform(10, 11, 2)
        r2 = (place[:, 1] - y0) ** 2 + (place[:, 2] - x0) ** 2
        found = made(place, np.exp(-0.5 * r2 / sigma**2) / (2 * np.pi * sigma**2), Weighting(kind), shape)
        image = found.data[2:-2].mean(axis=0, dtype=float)
        flux.append(image.sum())
        off.append([(image * y).sum() / image.sum() - y0, (image * x).sum() / image.sum() - x0])
    assert np.abs(np.mean(off, axis=0)).max() < 0.01
    assert np.abs(np.mean(flux) - 1.0) < 0.003


def test_no_sample_at_all():
    nothing = np.zeros(0, np.float32)
    for weights in WAYS:
        found = weigh_voxels(np.zeros((0, 3), np.float32), nothing, nothing, (4, 4, 4), weights)
        assert np.isnan(found.data).all()
        shared, mean = shared_noise(np.zeros((0, 3), np.float32), (4, 4), weights, 2)
        assert not shared.any()
        assert not mean.any()
