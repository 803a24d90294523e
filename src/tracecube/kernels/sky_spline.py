"""One spectrum that many slices see, each with its own brightness, shift, width and skewness of lines.

s(wave) is a quintic B-spline with even knots. What a slice sees whose line-spread function has second and third
cumulants larger than the common one's by e and k, and the fourth by f, is to second order in e

    s + e/2 D^2 s - k/6 D^3 s + (e^2/8 + f/24) D^4 s

(the cumulant expansion of a convolution; Kendall and Stuart 1977, section 6.25), linear in the coefficients of s.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

__all__ = ["BAND", "accumulate", "derivatives", "solve"]

F8 = NDArray[np.float64]

BAND = 6
"""Splines that are not zero at a place."""

_RIDGE = 1e-8

# Polynomial pieces of the quintic B-spline over one interval, powers of t upwards (de Boor 1978, even knots):
# splines that end, ..., begin there.
_PIECES = (
    np.array(
        [
            [1.0, -5.0, 10.0, -10.0, 5.0, -1.0],
            [26.0, -50.0, 20.0, 20.0, -20.0, 5.0],
            [66.0, 0.0, -60.0, 0.0, 30.0, -10.0],
            [26.0, 50.0, 20.0, -20.0, -20.0, 10.0],
            [1.0, 5.0, 10.0, 10.0, 5.0, -5.0],
            [0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
        ]
    )
    / 120.0
)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill(t: float, step: float, out: F8) -> None:
    """Fill value and first four derivatives (5, 6) of the splines at ``t`` within their interval."""
    for j in range(BAND):
        for d in range(5):
            total, power = 0.0, 1.0
            for p in range(d, BAND):
                factor = 1.0
                for q in range(d):
                    factor *= p - q
                total += _PIECES[j, p] * factor * power
                power *= t
            out[d, j] = total / step**d


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def accumulate(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    wave: F8,
    data: F8,
    weight: F8,
    gain: float,
    excess: F8,
    skew: F8,
    flat: float,
    first: float,
    step: float,
    matrix: F8,
    rhs: F8,
) -> None:
    """Add samples (k,) to the normal equations: band (6, n) in the lower form of LAPACK, and right-hand side (n,).

    Samples of no weight, or beyond the spline, are passed over.
    """
    n = rhs.size
    basis, b = np.empty((5, BAND)), np.empty(BAND)
    for i in range(wave.size):
        at = (wave[i] - first) / step
        j = int(np.floor(at))
        if not weight[i] > 0.0 or j < 0 or j + BAND > n:
            continue
        _fill(at - j, step, basis)
        e, k = excess[i], skew[i]
        for a in range(BAND):
            b[a] = gain * (basis[0, a] + 0.5 * e * basis[2, a] - k / 6.0 * basis[3, a])
            b[a] += gain * (0.125 * e * e + flat / 24.0) * basis[4, a]
        for a in range(BAND):
            rhs[j + a] += weight[i] * b[a] * data[i]
            for c in range(a, BAND):
                matrix[c - a, j + a] += weight[i] * b[a] * b[c]


def solve(matrix: F8, rhs: F8) -> F8:
    """Return the coefficients (n,); a place without samples is drawn to zero."""
    band = matrix.copy()
    band[0] += _RIDGE * max(float(np.median(band[0])), 1e-300)
    return np.asarray(solveh_banded(band, rhs, lower=True), np.float64)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def derivatives(wave: F8, coefficients: F8, first: float, step: float) -> F8:
    """Return the spectrum and its first four derivatives (5, k); zero beyond the spline."""
    out = np.zeros((5, wave.size))
    basis = np.empty((5, BAND))
    n = coefficients.size
    for i in range(wave.size):
        at = (wave[i] - first) / step
        j = int(np.floor(at))
        if j < 0 or j + BAND > n:
            continue
        _fill(at - j, step, basis)
        for d in range(5):
            total = 0.0
            for a in range(BAND):
                total += basis[d, a] * coefficients[j + a]
            out[d, i] = total
    return out
