"""A signal over scattered points from noisy values of it, when nothing but its smoothness is known."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Signal", "krige"]

F8 = NDArray[np.float64]
_SHELLS = (0.5, 1.35, 1.9, 3.2, 5.0)  # pitches: borders that fall between the neighbours of a triangular lattice
_LENGTHS = (0.75, 1.0, 1.5, 2.0, 3.0, 4.5)  # pitches: what a pattern of a few points may have


class Signal(NamedTuple):
    """Estimate and its variance (n,); variance of the signal; its share that points hold in common with neighbours."""

    value: F8
    variance: F8
    power: float
    smooth: float


def krige(x: F8, y: F8, value: F8, variance: F8, *, pitch: float) -> Signal:
    """Estimate a signal of zero mean from noisy values, with the covariance that these show themselves.

    The signal's covariance is a spike at zero and an exponential (Cressie 1993, Statistics for Spatial Data,
    section 2.3); variance and correlation follow from products of values in shells of distance, in
    which independent noise cancels. The estimate is the linear one of least error (Wiener 1949).

    Parameters
    ----------
    x, y : array (n,)
        Places.
    value, variance : array (n,)
        Variance of the noise, independent from point to point.
    pitch : float
        Distance of neighbours, units of the places.
    """
    power = max(0.0, float(np.mean(value**2 - variance)))
    if power == 0.0:
        zero = np.zeros_like(value)
        return Signal(zero, zero, 0.0, 0.0)
    gap = np.hypot(x[:, None] - x, y[:, None] - y) / pitch
    smooth, length = _correlation(gap, value)
    smooth = min(smooth / power, 1.0)
    kernel = power * smooth * np.exp(-gap / length)
    kernel[np.diag_indices_from(kernel)] = power
    inverse = np.linalg.inv(kernel + np.diag(variance))
    # K - K (K + N)^-1 K = N - N (K + N)^-1 N
    left = variance - variance**2 * np.diag(inverse)
    return Signal(value - variance * (inverse @ value), np.maximum(left, 0.0), power, smooth)


def _correlation(gap: F8, value: F8) -> tuple[float, float]:
    """Height at zero and length (pitches) of the exponential that the products of pairs follow best."""
    product = value[:, None] * value
    rows = [
        (gap[k].mean(), product[k].mean(), k.sum()) for a, b in pairwise(_SHELLS) if (k := (gap > a) & (gap <= b)).any()
    ]
    if not rows:
        return 0.0, 1.0
    at, mean, weight = np.array(rows, dtype=float).T
    best = (np.inf, 0.0, 1.0)
    for length in _LENGTHS:
        shape = np.exp(-at / length)
        height = max(0.0, float(np.sum(weight * shape * mean) / np.sum(weight * shape**2)))
        best = min(best, (float(np.sum(weight * (mean - height * shape) ** 2)), height, length))
    return best[1], best[2]
