"""Normal equations of a piece of a slice against a dense least-squares fit."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.slice_sky import TERMS, add_piece, clip_piece

SPAN, NODES = (-1.0, 1.0), 6


def hats(z):
    """Straight-line interpolation between even nodes, dense."""
    return np.array([np.interp(z, np.linspace(*SPAN, NODES), row) for row in np.eye(NODES)]).T


def samples(rng, n=400):
    z = np.sort(rng.uniform(-1, 1, n))
    weight = rng.uniform(0.5, 2.0, n).astype(np.float32)
    weight[::7] = 0.0
    kept = rng.uniform(size=n) > 0.1
    return z, weight, kept


def test_the_continuum_is_eliminated_as_a_dense_fit_does():
    rng = np.random.default_rng(1)
    z, weight, kept = samples(rng)
    s, left, gain = rng.normal(0, 1, (5, z.size)), rng.normal(0, 1, z.size), 1.1
    matrix, rhs = np.zeros((TERMS, TERMS)), np.zeros(TERMS)
    add_piece(s, left, weight, z, kept, gain, 0.5, 3.0, 0.8, SPAN, NODES, matrix, rhs)
    change = [s[1], s[1] * z, 0.5 * s[2], 0.5 * s[2] * z, -s[3] / 6, -s[3] / 6 * z, s[4] / 24]
    design = np.concatenate([s[:1], gain * np.array(change)]).T
    w = 0.5 * weight * kept
    basis = hats(z)
    prior = 0.8 ** np.abs(np.subtract.outer(np.arange(NODES), np.arange(NODES))) / 3.0
    inner = basis.T @ (w[:, None] * basis) + np.linalg.inv(prior)
    cross = basis.T @ (w[:, None] * design)
    right = basis.T @ (w * left)
    assert np.allclose(matrix, design.T @ (w[:, None] * design) - cross.T @ np.linalg.solve(inner, cross), rtol=1e-6)
    assert np.allclose(rhs, design.T @ (w * left) - cross.T @ np.linalg.solve(inner, right), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("wider", [0.5, 2.0])
def test_samples_far_off_the_curve_are_left_out_and_chi_square_is_that_of_the_noise(wider):
    rng = np.random.default_rng(2)
    z, weight, _ = samples(rng, 4000)
    noise = rng.normal(0, 1, z.size) / np.sqrt(np.where(weight > 0, weight, 1.0))
    left = 3.0 + z + wider * noise  # errors are so many times as large as told
    left[100] += 40.0 / np.sqrt(weight[100])
    kept = np.ones(z.size, bool)
    chi2 = clip_piece(left, weight, z, kept, SPAN, NODES, 5.0)
    assert abs(chi2 / wider**2 - 1.0) < 0.1
    assert np.flatnonzero(~kept & (weight > 0)).tolist() == [100]


def test_without_a_kept_sample_all_count():
    rng = np.random.default_rng(3)
    z, weight, _ = samples(rng)
    kept = np.zeros(z.size, bool)
    clip_piece(5.0 - z, weight, z, kept, SPAN, NODES, 5.0)
    assert np.array_equal(kept, weight > 0)
