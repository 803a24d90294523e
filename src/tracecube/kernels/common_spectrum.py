"""One spectrum that many apertures see, each through its own pixels and line-spread function.

s(wave) is a cubic B-spline with even knots. A sample of an aperture whose line-spread function is wider by
``excess`` = sigma**2 - sigma_ref**2 sees s + excess / 2 s'' (first term of the heat kernel), so both are linear in the
coefficients, and all samples of all apertures give one banded system of normal equations.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from tracecube.kernels.compiled import compiled

__all__ = ["CommonSpectrum", "accumulate", "basis", "empty_system", "evaluate", "solve_common"]

F8 = NDArray[np.float64]

_RIDGE = 1e-9


class CommonSpectrum(NamedTuple):
    """Coefficients (k,) of the spline whose knots are ``first + i * step``."""

    first: float
    step: float
    coefficients: F8


def empty_system(n: int) -> tuple[F8, F8]:
    """Return normal equations of ``n`` coefficients without data: band (4, n) and right-hand side (n,)."""
    return np.zeros((4, n)), np.zeros(n)


@compiled(inline="always")
def basis(t: float, excess: float) -> tuple[float, float, float, float]:
    """Four cubic B-splines at place ``t`` of their interval, with half the excess (steps**2) of their curvature."""
    r = 1.0 - t
    h = 0.5 * excess
    return (
        r * r * r / 6.0 + h * r,
        (3.0 * t * t * t - 6.0 * t * t + 4.0) / 6.0 + h * (3.0 * t - 2.0),
        (3.0 * r * r * r - 6.0 * r * r + 4.0) / 6.0 + h * (3.0 * r - 2.0),
        t * t * t / 6.0 + h * t,
    )


@compiled()
def accumulate(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    wave: F8, scale: F8, excess: F8, data: F8, weight: F8, first: float, step: float, matrix: F8, rhs: F8
) -> None:
    """Add samples (k,) to the normal equations: data = scale * (s + excess / 2 s'') with ``weight``.

    ``excess`` in Angstrom**2; samples of no weight, or beyond the spline, are passed over.
    """
    n = rhs.size
    for j in range(wave.size):
        if weight[j] <= 0.0:
            continue
        u = (wave[j] - first) / step
        i = int(np.floor(u))
        if i < 0 or i + 4 > n:
            continue
        b = basis(u - i, excess[j] / step**2)
        for p in range(4):
            value = weight[j] * scale[j] * b[p]
            rhs[i + p] += value * data[j]
            for q in range(p + 1):
                matrix[p - q, i + q] += value * scale[j] * b[q]


def solve_common(matrix: F8, rhs: F8, first: float, step: float) -> CommonSpectrum:
    """Solve the normal equations; coefficients without data are drawn to nothing by a small ridge."""
    band = matrix.copy()
    band[0] += _RIDGE * max(float(band[0].max()), 1e-300)
    return CommonSpectrum(first, step, np.asarray(solveh_banded(band, rhs, lower=True)))


@compiled()
def _evaluate(wave: F8, excess: F8, grid: tuple[float, float], coefficients: F8, value: F8, slope: F8) -> None:
    first, step = grid
    n = coefficients.size
    for j in range(wave.size):
        u = (wave[j] - first) / step
        i = int(np.floor(u))
        if i < 0 or i + 4 > n:
            value[j] = np.nan
            slope[j] = np.nan
            continue
        t = u - i
        b = basis(t, excess[j] / step**2)
        r = 1.0 - t
        d = (-0.5 * r * r, 1.5 * t * t - 2.0 * t, -1.5 * r * r + 2.0 * r, 0.5 * t * t)
        a = 0.0
        s = 0.0
        for p in range(4):
            a += coefficients[i + p] * b[p]
            s += coefficients[i + p] * d[p]
        value[j] = a
        slope[j] = s / step


def evaluate(spectrum: CommonSpectrum, wave: Any, excess: Any) -> tuple[F8, F8]:
    """Return the spectrum as apertures see it, and its slope with wavelength; NaN beyond the knots."""
    flat, wide = np.ascontiguousarray(wave, np.float64).ravel(), np.ascontiguousarray(excess, np.float64).ravel()
    value, slope = np.empty(flat.size), np.empty(flat.size)
    _evaluate(flat, wide, (spectrum.first, spectrum.step), spectrum.coefficients, value, slope)
    return value.reshape(wave.shape), slope.reshape(wave.shape)
