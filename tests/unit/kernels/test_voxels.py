"""Voxels by the inverse root: noise as claimed at every scale, light kept where it is."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels import voxels
from tracecube.kernels.voxels import inverse_root, solve_voxels

SHAPE = (100, 30, 30)
ROOT = inverse_root(6, smallest=0.1)


def detector(rng, shape=SHAPE):
    """Places of pixels as slices have them: rows of slices at even steps, each with its own fraction in all axes."""
    nz, ny, nx = shape
    places = []
    for y in range(-2, ny + 2):
        z, x = np.meshgrid(np.arange(-2, nz + 2) * 1.003, np.arange(-2, nx + 2) * 0.985, indexing="ij")
        tilt = 0.05 * rng.normal()
        at = [z + rng.uniform(0, 1) + tilt * x, np.full(z.shape, y + rng.normal(0, 0.03)), x + rng.uniform(0, 1)]
        places.append(np.stack(at, axis=-1).reshape(-1, 3))
    return np.concatenate(places).astype(np.float32)


def solved(place, data, weight=None, shape=SHAPE):
    weight = np.ones(len(place), np.float32) if weight is None else weight.astype(np.float32)
    return solve_voxels(place, data.astype(np.float32), weight, shape, root=ROOT)


def inner(cube):
    return cube[12:-12, 4:-5, 4:-5]


def binned(cube, n):
    nz, ny, nx = cube.shape
    part = cube[:, : ny // n * n, : nx // n * n]
    return part.reshape(nz, ny // n, n, nx // n, n).sum(axis=(2, 4))


def test_white_noise_has_the_scatter_that_voxels_claim_at_every_scale():
    rng = np.random.default_rng(1)
    pulls = {1: [], 3: [], 5: []}
    for _ in range(4):
        place = detector(rng)
        found = solved(place, rng.normal(0, 1, len(place)))
        data, variance = inner(found.data), inner(found.variance)
        for n, some in pulls.items():
            some.append((binned(data, n) / np.sqrt(binned(variance, n))).ravel())
    for n, some in pulls.items():
        assert 0.97 < np.concatenate(some).std() < 1.03, n


def test_unequal_weights_are_claimed_rightly():
    rng = np.random.default_rng(2)
    place = detector(rng)
    noise = rng.uniform(0.7, 1.5, len(place))
    found = solved(place, noise * rng.normal(0, 1, len(place)), noise**-2)
    for n in (1, 3):
        pull = binned(inner(found.data), n) / np.sqrt(binned(inner(found.variance), n))
        assert 0.97 < pull.std() < 1.03


def test_an_even_field_keeps_its_value():
    rng = np.random.default_rng(3)
    place = detector(rng)
    assert np.allclose(inner(solved(place, np.full(len(place), 7.0)).data), 7.0, rtol=1e-4)


def test_a_point_source_keeps_flux_place_and_width():
    rng = np.random.default_rng(4)
    place = detector(rng)
    sigma, y0, x0 = 1.5, 14.37, 13.81
    r2 = (place[:, 1] - y0) ** 2 + (place[:, 2] - x0) ** 2
    found = solved(place, np.exp(-0.5 * r2 / sigma**2) / (2 * np.pi * sigma**2))
    image = found.data[12:-12].mean(axis=0)
    image = np.nan_to_num(image)
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
    total = image.sum()
    assert abs(total - 1.0) < 0.005
    at = (image * y).sum() / total, (image * x).sum() / total
    assert np.allclose(at, (y0, x0), atol=0.02)
    wide = np.sqrt(0.5 * (image * ((y - y0) ** 2 + (x - x0) ** 2)).sum() / total)
    assert abs(wide / sigma - 1.0) < 0.03


def test_samples_of_no_weight_tell_nothing():
    rng = np.random.default_rng(5)
    place = detector(rng)
    data, weight = rng.normal(0, 1, len(place)), np.ones(len(place))
    weight[::11] = 0.0
    one = solved(place, data, weight)
    data[::11] = 1e6
    two = solved(place, data, weight)
    assert np.array_equal(one.data, two.data, equal_nan=True)
    assert np.array_equal(one.variance, two.variance, equal_nan=True)


def test_voxels_without_samples_are_not_measured():
    rng = np.random.default_rng(6)
    place = detector(rng)
    place = place[(place[:, 2] < 10) | (place[:, 2] > 18)]
    found = solved(place, np.ones(len(place)))
    assert np.isnan(found.data[:, :, 13:16]).all()
    assert np.isnan(found.variance[:, :, 13:16]).all()
    assert np.isfinite(found.data[12:-12, 4:-5, 4:9]).all()


def test_no_sample_at_all():
    found = solve_voxels(
        np.zeros((0, 3), np.float32), np.zeros(0, np.float32), np.zeros(0, np.float32), (4, 4, 4), root=ROOT
    )
    assert np.isnan(found.data).all()
    assert not found.cover.any()


def keys_weights(f):
    """Cubic convolution at distances 1 + f, f, 1 - f, 2 - f, after Keys' equation 15."""

    def kernel(s):
        s = abs(s)
        return 1.5 * s**3 - 2.5 * s**2 + 1 if s <= 1 else -0.5 * s**3 + 2.5 * s**2 - 4 * s + 2

    return np.array([kernel(1 + f), kernel(f), kernel(1 - f), kernel(2 - f)])


def dense(place, shape):
    matrix = np.zeros((len(place), *shape))
    for row, at in zip(matrix, place.astype(float), strict=True):
        low = np.floor(at).astype(int)
        w = [keys_weights(f) for f in at - low]
        for p, q, s in np.ndindex(4, 4, 4):
            index = low - 1 + (p, q, s)
            if np.all(index >= 0) and np.all(index < shape):
                row[tuple(index)] += w[0][p] * w[1][q] * w[2][s]
    return matrix.reshape(len(place), -1)


def test_the_kernel_is_the_polynomial_of_the_dense_matrix():
    rng = np.random.default_rng(7)
    shape = (5, 4, 6)
    place = rng.uniform(0.0, np.array(shape) - 1.0, (700, 3)).astype(np.float32)
    data, weight = rng.normal(0, 1, 700).astype(np.float32), rng.uniform(0.5, 2, 700).astype(np.float32)
    found = solve_voxels(place, data, weight, shape, root=ROOT, least=0.0)
    g = dense(place, shape)
    normal = g.T @ (weight[:, None] * g)
    scale = 1 / np.sqrt(np.diag(normal))
    values, vectors = np.linalg.eigh(scale[:, None] * normal * scale)
    root = np.polynomial.chebyshev.chebval(2 * values / 4.4 - 1, ROOT)
    half = vectors @ (root[:, None] * (vectors.T * scale))
    expected = (half @ (g.T @ (weight * data))) / (half @ (g.T @ weight))
    good = np.isfinite(found.data.ravel())
    assert good.mean() > 0.9
    assert np.allclose(found.data.ravel()[good], expected[good], atol=2e-3)
    assert np.allclose(found.cover.ravel(), np.diag(g.T @ g), rtol=1e-4)


@pytest.mark.parametrize("smallest", [0.05, 0.1, 0.2])
def test_the_root_is_an_inverse_root_above_its_smallest_eigenvalue_and_finite_below(smallest):
    root = inverse_root(30, smallest=smallest)
    x = np.linspace(5 * smallest, 4.4, 200)
    assert np.allclose(np.polynomial.chebyshev.chebval(2 * x / 4.4 - 1, root) * np.sqrt(x), 1.0, atol=0.02)
    assert 0 < np.polynomial.chebyshev.chebval(-1.0, root) < 1.2 / np.sqrt(smallest)


def test_a_voxel_whose_samples_all_go_to_its_neighbours_is_not_measured(monkeypatch):
    """One in some million of them has next to no weight of its own, and a value as large as its noise."""
    place = detector(np.random.default_rng(7), (20, 12, 12))
    data = np.random.default_rng(8).normal(size=len(place))
    whole = solved(place, data, shape=(20, 12, 12))
    found = voxels._clenshaw
    at = (voxels._BORDER + 8, voxels._BORDER + 5, 2 * (voxels._BORDER + 6) + 1)

    def emptied(*given: object) -> np.ndarray:
        solution = found(*given)
        solution[at] = 1e-5
        return solution

    monkeypatch.setattr(voxels, "_clenshaw", emptied)
    lost = solved(place, data, shape=(20, 12, 12))
    assert np.argwhere(np.isnan(lost.data) & np.isfinite(whole.data)).tolist() == [[8, 5, 6]]
    assert np.isnan(lost.variance[8, 5, 6])


def _bright_line(rng: np.random.Generator | None, *, slow: bool):
    """The cube of a bright narrow line, wide in the field; its samples have the noise of their light."""
    shape = (60, 9, 12)
    parts = []
    for iy in range(-1, shape[1] + 2):
        for ix in range(-2, shape[2] + 3):
            z = np.arange(-3.0, shape[0] + 3.0) + (0.37 * iy + 0.02 * ix) % 1.0
            parts.append(np.stack([z, np.full(z.size, iy + 0.13), np.full(z.size, 0.985 * ix + 0.21)], axis=1))
    place = np.concatenate(parts)
    light = 400.0 * np.exp(-0.5 * ((place[:, 0] - 30.2) / 1.25) ** 2)
    variance = 25.0 + light
    level = np.full(variance.size, 40.0) if slow else variance
    data = light if rng is None else light + rng.normal(0.0, np.sqrt(variance))
    place, data, weight, excess = (one.astype(np.float32) for one in (place, data, 1.0 / level, variance / level))
    return solve_voxels(place, data, weight, shape, root=ROOT, excess=excess)


def test_a_bright_line_keeps_its_flux_where_weights_do_not_follow_it():
    true = 400.0 * 1.25 * np.sqrt(2.0 * np.pi)
    found = [_bright_line(None, slow=slow).data[20:41, 3:-3, 3:-3].sum(axis=0).mean() for slow in (True, False)]
    assert abs(found[0] / true - 1.0) < 5e-4
    assert found[1] / true - 1.0 > 2e-3  # what weights that follow it do


def test_variances_are_those_of_the_samples_where_weights_are_not():
    clean, rng = _bright_line(None, slow=True), np.random.default_rng(3)
    pulls = []
    for _ in range(20):
        found = _bright_line(rng, slow=True)
        pulls.append(((found.data - clean.data) / np.sqrt(found.variance))[10:50, 3:-3, 3:-3])
    spread = np.std(np.array(pulls), axis=(0, 2, 3))
    assert np.abs(spread[np.r_[0:12, 28:40]] - 1.0).max() < 0.1
    assert np.abs(spread[17:23] - 1.0).max() < 0.15
