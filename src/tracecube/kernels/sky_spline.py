"""One spectrum that many slices see, each with its own brightness, shift and shape of lines.

s(wave) is a quintic B-spline with even knots. A slice whose line-spread function has second, third and fourth cumulants
larger than the common one's by e, k and f sees s convolved with the kernel of characteristic function

    exp(-e w^2 / 2 + i k w^3 / 6 + f w^4 / 24)

(Kendall and Stuart 1977, section 3.12), which acts on the coefficients as it does on s. Its derivatives with e, k and f
are derivatives of what is seen: D^2 / 2, -D^3 / 6 and D^4 / 24.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

__all__ = ["BAND", "accumulate", "derivatives", "reshaped", "solve"]

F8 = NDArray[np.float64]

BAND = 6
"""Splines that are not zero at a place."""

_RIDGE = 1e-8
_PAD = 64  # coefficients put on at either end, mirrored, lest one end sees the other
_SURE, _NONE = 2.6, 3.8  # radian / Angstrom: lines have 2 per cent of their power left at the one, none at the other

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
    wave: F8, data: F8, weight: F8, gain: float, first: float, step: float, matrix: F8, rhs: F8
) -> None:
    """Add samples (k,) to the normal equations: band (6, n) in the lower form of LAPACK, and right-hand side (n,).

    Samples of no weight, or beyond the spline, are passed over.
    """
    n = rhs.size
    basis = np.empty((5, BAND))
    for i in range(wave.size):
        at = (wave[i] - first) / step
        j = int(np.floor(at))
        if not weight[i] > 0.0 or j < 0 or j + BAND > n:
            continue
        _fill(at - j, step, basis)
        for a in range(BAND):
            rhs[j + a] += weight[i] * gain * basis[0, a] * data[i]
            for c in range(a, BAND):
                matrix[c - a, j + a] += weight[i] * gain * gain * basis[0, a] * basis[0, c]


def reshaped(coefficient: F8, step: float, excess: float, skew: float, flat: float) -> F8:
    """Return the coefficients of the spectrum seen with other cumulants (n,).

    Parameters
    ----------
    coefficient : array (n,)
    step : float, Angstrom
    excess, skew, flat : float, Angstrom to the second, third and fourth power
        Beyond those of the common line-spread function.
    """
    padded = np.pad(coefficient, _PAD, mode="reflect")
    w = 2.0 * np.pi * np.fft.rfftfreq(padded.size, step)
    share = 0.5 * (1.0 + np.cos(np.pi * np.clip((w - _SURE) / (_NONE - _SURE), 0.0, 1.0)))
    kernel = np.exp(share * (-0.5 * excess * w**2 + 1j * skew * w**3 / 6.0 + flat * w**4 / 24.0))
    return np.asarray(np.fft.irfft(np.fft.rfft(padded) * kernel, padded.size)[_PAD:-_PAD], np.float64)


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
