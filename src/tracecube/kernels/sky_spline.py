"""One spectrum that many slices see, each with its own brightness, shift and shape of lines.

s(wave) is a quintic B-spline with even knots. A slice whose line-spread function has second, third and fourth cumulants
larger than the common one's by e, k and f sees s convolved with the kernel of characteristic function

    exp(-e w^2 / 2 + i k w^3 / 6 + f w^4 / 24)

(Kendall and Stuart 1977, section 3.12), which acts on the coefficients as it does on s. Its derivatives with e, k and f
are derivatives of what is seen: D^2 / 2, -D^3 / 6 and D^4 / 24, of waves as long as lines have them alone: noise of
shorter ones, times w^4, would drown what lines tell of f. Cumulants change along the spectrum: coefficients are
made for a few nodes in z, a coordinate along it, and between nodes what is seen changes by straight lines.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from scipy.linalg import solveh_banded

from tracecube.kernels.compiled import compiled

__all__ = ["BAND", "accumulate", "derivatives", "intervals", "reshaped", "seen", "solve", "waves_of_lines"]

F8 = NDArray[np.float64]

BAND = 6
"""Splines that are not zero at a place."""

_RIDGE = 1e-10
_FEW = 1e-4  # of the typical strength of a place, which even the brightest lines have: below, there are few samples
_STIFF = 0.01  # of the typical strength of a place: what holds it to a straight line there and within a spline's reach
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


@compiled()
def intervals(nodes: F8) -> F8:
    """Return the polynomials of splines (m, n) between their knots (m, n - 5, 6), powers of t upwards."""
    m, n = nodes.shape
    made = np.zeros((m, n - BAND + 1, BAND))
    for i in range(m):
        for j in range(n - BAND + 1):
            for a in range(BAND):
                c = nodes[i, j + a]
                for p in range(BAND):
                    made[i, j, p] += c * _PIECES[a, p]
    return made


@compiled()
def accumulate(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    wave: F8, data: F8, weight: F8, gain: float, first: float, step: float, matrix: F8, rhs: F8
) -> None:
    """Add samples (k,) to the normal equations: band (6, n) in the lower form of LAPACK, and right-hand side (n,).

    Samples of no weight, or beyond the spline, are passed over.
    """
    n = rhs.size
    basis = np.empty(BAND)
    for i in range(wave.size):
        at = (wave[i] - first) / step
        j = int(np.floor(at))
        if not weight[i] > 0.0 or j < 0 or j + BAND > n:
            continue
        t = at - j
        for a in range(BAND):
            total = _PIECES[a, BAND - 1]
            for p in range(BAND - 2, -1, -1):
                total = total * t + _PIECES[a, p]
            basis[a] = total
        strength, single = weight[i] * gain * gain, weight[i] * gain * data[i]
        for a in range(BAND):
            rhs[j + a] += single * basis[a]
            own = strength * basis[a]
            for c in range(a, BAND):
                matrix[c - a, j + a] += own * basis[c]


def reshaped(coefficient: F8, step: float, shape: F8, change: F8, reach: float) -> F8:
    """Return the coefficients of the spectrum seen with other cumulants, at z = -reach, 0 and reach (3, n).

    Parameters
    ----------
    coefficient : array (n,)
    step : float, Angstrom
    shape : array (3,), Angstrom to the second, third and fourth power
        Cumulants beyond those of the common line-spread function at z = 0.
    change : array (3,)
        By how much they grow with z.
    reach : float
    """
    spectrum, w, share = _transformed(coefficient, step)
    known, size = share.size, 2 * (spectrum.size - 1)
    powers = np.stack([-0.5 * share * w[:known] ** 2, share * w[:known] ** 4 / 24.0, share * w[:known] ** 3 / 6.0])
    middle, growth = (_kernel(powers, np.asarray(one, np.float64)) for one in (shape, reach * np.asarray(change)))
    made = np.empty((3, spectrum.size), complex)
    made[:] = spectrum
    made[:, :known] *= [middle / growth, middle, middle * growth]
    return np.asarray(np.fft.irfft(made, size)[:, _PAD : _PAD + coefficient.size], np.float64)


def waves_of_lines(coefficient: F8, step: float) -> F8:
    """Return the coefficients (n,) of that part of a spectrum which `reshaped` changes: waves as long as lines have."""
    spectrum, _, share = _transformed(coefficient, step)
    spectrum[: share.size] *= share
    spectrum[share.size :] = 0.0
    return np.asarray(np.fft.irfft(spectrum, 2 * (spectrum.size - 1))[_PAD : _PAD + coefficient.size], np.float64)


def _transformed(coefficient: F8, step: float) -> tuple[NDArray[np.complex128], F8, F8]:
    """Return the transform of coefficients (continued at both ends), wave numbers, and what share of it lines have."""
    size = next_fast_len(coefficient.size + 2 * _PAD, real=True)
    size += size % 2
    padded = np.pad(coefficient, (_PAD, size - coefficient.size - _PAD), mode="reflect")
    w = np.asarray(2.0 * np.pi * np.fft.rfftfreq(size, step), np.float64)
    known = np.count_nonzero(w < _NONE)
    share = 0.5 * (1.0 + np.cos(np.pi * np.clip((w[:known] - _SURE) / (_NONE - _SURE), 0.0, 1.0)))
    return np.fft.rfft(padded), w, np.asarray(share, np.float64)


def _kernel(powers: F8, shape: F8) -> NDArray[np.complex128]:
    """Return the characteristic function of cumulants (e, k, f)."""
    angle = shape[1] * powers[2]
    return np.asarray(np.exp(shape[0] * powers[0] + shape[2] * powers[1]) * (np.cos(angle) + 1j * np.sin(angle)))


def solve(matrix: F8, rhs: F8) -> F8:
    """Return the coefficients (n,); a place with few samples or none goes on as straight as its neighbours allow.

    A spline of which only the foot is seen could take any value, and its lines, reshaped, would reach far inwards.
    """
    band = matrix.copy()
    some = band[0][band[0] > 0.0]
    typical = float(np.median(some)) if some.size else 1.0
    few = np.convolve(band[0] < _FEW * typical, np.ones(2 * BAND + 1), mode="same") > 0.5
    bent = np.where(few, _STIFF * typical, 0.0)[1:-1]  # strength of second differences about a place
    for row, factors in enumerate(((1.0, 4.0, 1.0), (-2.0, -2.0), (1.0,))):
        for at, factor in enumerate(factors):
            band[row, at : at + bent.size] += factor * bent
    band[0] += _RIDGE * typical
    return np.asarray(solveh_banded(band, rhs, lower=True), np.float64)


def derivatives(wave: F8, coefficients: F8, first: float, step: float) -> F8:
    """Return the spectrum and its first four derivatives (5, k); zero beyond the spline."""
    given = np.asarray(coefficients, np.float64)
    flat = intervals(np.stack([given, given, given]))
    return np.asarray(seen(np.asarray(wave, np.float64), np.zeros(np.size(wave)), flat, first, step, 1.0, 5))


@compiled()
def seen(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    wave: F8, z: F8, pieces: F8, first: float, step: float, reach: float, orders: int
) -> F8:
    """Return what a slice sees and its derivatives (orders, k), one or five; zero beyond the spline.

    Parameters
    ----------
    wave : array (k,), Angstrom
    z : array (k,)
        Coordinate along the spectrum.
    pieces : array (3, n - 5, 6)
        Polynomials of the splines for z = -reach, 0 and reach, from `intervals`.
    first, step : float, Angstrom
    reach : float
    orders : {1, 5}
    """
    out = np.zeros((orders, wave.size))
    count = pieces.shape[1]
    for i in range(wave.size):
        at = (wave[i] - first) / step
        j = int(np.floor(at))
        if not 0 <= j < count:
            continue
        t = at - j
        low = 0 if z[i] < 0.0 else 1
        q = z[i] / reach + 1.0 - low
        p = 1.0 - q
        a, b = pieces[low, j], pieces[low + 1, j]
        c0, c1, c2 = p * a[0] + q * b[0], p * a[1] + q * b[1], p * a[2] + q * b[2]
        c3, c4, c5 = p * a[3] + q * b[3], p * a[4] + q * b[4], p * a[5] + q * b[5]
        out[0, i] = c0 + t * (c1 + t * (c2 + t * (c3 + t * (c4 + t * c5))))
        if orders > 1:
            out[1, i] = (c1 + t * (2.0 * c2 + t * (3.0 * c3 + t * (4.0 * c4 + t * 5.0 * c5)))) / step
            out[2, i] = (2.0 * c2 + t * (6.0 * c3 + t * (12.0 * c4 + t * 20.0 * c5))) / step**2
            out[3, i] = (6.0 * c3 + t * (24.0 * c4 + t * 60.0 * c5)) / step**3
            out[4, i] = (24.0 * c4 + t * 120.0 * c5) / step**4
    return out
