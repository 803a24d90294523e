"""Size and length of a level that wanders, from noisy samples of several series."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.wandering import walk_covariance, wandering_scale

PLACES = np.arange(100.0)
TERMS = np.column_stack([np.ones(100), PLACES])


def series(seed: int, size: float, length: float, noise: float = 0.5):
    rng = np.random.default_rng(seed)
    level = np.linalg.cholesky(walk_covariance(PLACES, max(size, 1e-9), length)) @ rng.normal(size=100)
    tilt = TERMS @ rng.normal(0.0, (5.0, 0.1))
    return PLACES, level + tilt + noise * rng.normal(size=100), np.full(100, noise**2), TERMS


@pytest.mark.parametrize(("size", "length"), [(1.0, 6.0), (0.5, 24.0)])
def test_size_and_length_are_found_whatever_the_tilt(size: float, length: float) -> None:
    found = wandering_scale([series(seed, size, length) for seed in range(20)])
    assert found[0] == pytest.approx(size, rel=0.45)
    assert found[1] == pytest.approx(length, rel=0.55)


def test_none_is_none() -> None:
    assert wandering_scale([series(seed, 0.0, 6.0) for seed in range(20)])[0] == 0.0
    assert wandering_scale([])[0] == 0.0
