from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.kriging import krige


def pattern(seed: int, *, smooth: float, length: float) -> tuple[np.ndarray, ...]:
    """Triangular lattice of pitch 1 with a signal of unit variance."""
    q, r = (index.ravel() for index in np.mgrid[-12:13, -12:13])
    x, y = q + r / 2.0, r * np.sqrt(0.75)
    gap = np.hypot(x[:, None] - x, y[:, None] - y)
    kernel = smooth * np.exp(-gap / length)
    kernel[np.diag_indices_from(kernel)] = 1.0 + 1e-9
    rng = np.random.default_rng(seed)
    return x, y, np.linalg.cholesky(kernel) @ rng.standard_normal(x.size), rng.standard_normal(x.size)


@pytest.mark.parametrize(("smooth", "noise"), [(0.8, 1.0), (0.0, 1.0), (0.8, 0.3)])
def test_errors_are_honest_and_the_estimate_is_better_than_the_data(smooth: float, noise: float) -> None:
    pulls, gains = [], []
    for seed in range(6):
        x, y, truth, white = pattern(seed, smooth=smooth, length=1.5)
        found = krige(x, y, truth + noise * white, np.full(x.size, noise**2), pitch=1.0)
        pulls.append((found.value - truth) / np.sqrt(found.variance))
        gains.append(np.mean((found.value - truth) ** 2))
    assert np.std(np.concatenate(pulls)) == pytest.approx(1.0, abs=0.05)
    assert np.mean(gains) < 1.05 * noise**2 / (
        1.0 + noise**2
    )  # a filter without neighbours; 3750 points tell 2 per cent


def test_noise_alone_is_no_signal() -> None:
    x, y, _, white = pattern(0, smooth=0.0, length=1.0)
    found = krige(x, y, 0.9 * white, np.ones(x.size), pitch=1.0)
    assert found.power == 0.0
    assert not found.value.any()


def test_what_neighbours_share_is_told_from_what_is_each_ones_own() -> None:
    shares = [
        [
            krige(x, y, t + 0.5 * w, np.full(x.size, 0.25), pitch=1.0).smooth
            for x, y, t, w in (pattern(s, smooth=share, length=2.0) for s in range(5))
        ]
        for share in (0.1, 0.9)
    ]
    assert np.mean(shares[0]) < 0.4
    assert np.mean(shares[1]) > 0.7
