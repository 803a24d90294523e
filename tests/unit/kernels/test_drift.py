"""The drift of a level: its Wiener filter is the best there is, and knows its error."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import idct
from scipy.ndimage import gaussian_filter1d

from tracecube.kernels.drift import wiener_drift

N = 1032
NOISE = 0.5


def drift(slope: float, size: float, seed: int) -> np.ndarray:
    """Draw a level whose power falls as a power of frequency."""
    k = np.arange(1, N)
    modes = np.random.default_rng(seed).normal(0.0, 1.0, N - 1) * (size * k**-slope) ** 0.5
    return np.asarray(idct(np.concatenate([[0.0], modes]), norm="ortho"))


@pytest.mark.parametrize(("slope", "size"), [(2.0, 200.0), (1.0, 10.0), (3.0, 3000.0)])
def test_the_error_is_that_of_the_drift(slope: float, size: float) -> None:
    pulls, widths = [], (3.0, 10.0, 25.0, 60.0)
    rest, plain = np.zeros(20), np.zeros((20, len(widths)))
    for seed in range(20):
        true = drift(slope, size, seed)
        measured = true + np.random.default_rng(100 + seed).normal(0.0, NOISE, N)
        found, error = wiener_drift(measured, NOISE)
        rest[seed] = np.var(found - true)
        pulls.append(np.std(found - true) / error)
        plain[seed] = [np.var(gaussian_filter1d(measured, width, mode="nearest") - true) for width in widths]
    assert np.mean(pulls) == pytest.approx(1.0, abs=0.12)
    assert rest.mean() < 1.02 * plain.mean(axis=0).min()


def test_white_noise_has_no_drift() -> None:
    found, error = wiener_drift(np.random.default_rng(1).normal(7.0, NOISE, N), NOISE)
    assert np.abs(found - 7.0).max() < 0.2
    assert error < 0.1
