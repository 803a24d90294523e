"""Brightness of slices: kept where they differ, not put into slices that are alike."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.recipes.slices.alike import drawn_to_alike


def made(width, seed, n=144):
    """Slices on a slope over the field that scatter by ``width``, measured to 0.12 per cent."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-30, 30, n), rng.uniform(-4, 4, n)
    true = 1.0 + 1e-4 * x + width * rng.normal(size=n)
    error = np.full(n, 0.0012) * rng.uniform(0.8, 1.2, n)
    return true, true + rng.normal(0, error), error, x, y


@pytest.mark.parametrize(("width", "most"), [(0.0, 0.4), (0.001, 0.8), (0.006, 1.02)])
def test_errors_shrink_where_slices_are_alike_and_are_honest(width, most):
    off, before, pulls = [], [], []
    for seed in range(8):
        true, gain, error, x, y = made(width, seed)
        found, sure = drawn_to_alike(gain, error, x, y)
        off.append(found - true)
        before.append(gain - true)
        pulls.append((found - true) / sure)
    assert np.std(off) < most * np.std(before)
    if width:
        assert 0.85 < np.std(pulls) < 1.2


def test_slices_that_were_not_measured_stay_and_few_are_left():
    _, gain, error, x, y = made(0.0, 1)
    gain[3], error[3] = 1.3, np.inf
    found, sure = drawn_to_alike(gain, error, x, y)
    assert found[3] == 1.3
    assert np.isinf(sure[3])
    few = slice(0, 8)
    assert np.array_equal(drawn_to_alike(gain[few], error[few], x[few], y[few])[0], gain[few])


def test_slices_without_a_place_are_drawn_to_their_mean():
    true, gain, error, x, y = made(0.0, 2)
    found, _ = drawn_to_alike(gain, error, np.full_like(x, np.nan), np.zeros_like(y))
    assert np.isfinite(found).all()
    assert abs(found.mean() - true.mean()) < 3e-4
