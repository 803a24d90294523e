"""The ground under light of any kind."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.empty_level import empty_level

NOISE = 0.004
WEAK = np.full(2, 1.0 / 0.01**2)


def drawn(seed: int, lit: float, scale: float, n: int = 448) -> tuple[np.ndarray, np.ndarray]:
    """Levels about a ground of 1 with slopes, of which a share holds light of exponentially distributed brightness."""
    rng = np.random.default_rng(seed)
    at = rng.uniform(-1.0, 1.0, (n, 2))
    light = np.where(rng.random(n) < lit, rng.exponential(scale, n), 0.0)
    return 1.0 + at @ (0.004, -0.003) + light + rng.normal(0.0, NOISE, n), at


@pytest.mark.parametrize(("lit", "scale"), [(0.0, 1.0), (0.3, 0.3), (0.6, 0.1), (0.8, 1.0)])
def test_ground_is_found_under_light_and_its_error_is_true(lit: float, scale: float) -> None:
    pulls, slopes, errors = [], [], []
    for seed in range(40):
        level, at = drawn(seed, lit, scale)
        found = empty_level(level, np.full(level.size, NOISE), np.zeros(level.size, int), at, WEAK)
        pulls.append((found.level[0] - 1.0) / found.error[0])
        slopes.append((found.terms - (0.004, -0.003)) / np.sqrt(np.diag(found.covariance)))
        errors.append(found.error[0])
    assert abs(np.mean(pulls)) < 1.0  # less than one error, a thousandth of the ground at most
    assert np.std(pulls) == pytest.approx(1.0, abs=0.4)
    assert np.std(slopes) == pytest.approx(1.0, abs=0.3)
    assert np.mean(errors) < 4.0 * NOISE / (448 * (1.0 - lit)) ** 0.5


def test_groups_have_grounds_of_their_own_and_none_where_nothing_is_known() -> None:
    first, at = drawn(1, 0.3, 0.3)
    second, there = drawn(2, 0.3, 0.3)
    level = np.concatenate([first, second + 0.05, [np.nan, 1.0]])
    group = np.repeat([0, 1, 2], [448, 448, 2])
    error = np.concatenate([np.full(896, NOISE), [NOISE, np.inf]])
    found = empty_level(level, error, group, np.concatenate([at, there, np.zeros((2, 2))]), WEAK)
    assert found.level[:2] == pytest.approx([1.0, 1.05], abs=0.003)
    assert np.isnan(found.level[2])
    assert np.isinf(found.error[2])
    assert (found.empty[-2:] == 0.0).all()


def test_failures_far_below_pull_nothing_and_scatter_is_measured() -> None:
    rng = np.random.default_rng(5)
    level = 1.0 + rng.normal(0.0, 0.006, 2000)
    level[:50] = 0.2
    found = empty_level(level, np.full(2000, NOISE), np.zeros(2000, int), np.zeros((2000, 0)), np.zeros(0))
    assert found.level[0] == pytest.approx(1.0, abs=0.001)
    assert np.hypot(found.scatter, NOISE) == pytest.approx(0.006, rel=0.05)
    assert (found.empty[:50] == 0.0).all()
