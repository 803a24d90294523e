"""Error of a spectrum that is a cubic B-spline fitted to many samples.

Normal equations of a spline are banded, and so is all that the variance of its values needs of their inverse: a value
is a sum of four coefficients.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from tracecube.kernels.common_spectrum import accumulate, basis, empty_system
from tracecube.kernels.compiled import compiled

__all__ = ["spline_covariance", "spline_variance"]

F8 = NDArray[np.float64]

_BAND = 4
_RIDGE = 1e-9
_BLOCK = 256  # columns of an inverse that are solved for at a time


def spline_covariance(samples: Iterable[tuple[Any, Any, Any, Any]], first: float, step: float, n: int) -> F8:
    """Covariance (n, 4) of each coefficient with itself and the next three; infinite where there are no data.

    Parameters
    ----------
    samples : iterable of (wave, scale, excess, weight)
        Arrays of one shape each, as of `accumulate`.
    first, step : float, Angstrom
        Knots.
    n : int
    """
    matrix, _ = empty_system(n)
    for wave, scale, excess, weight in samples:
        given = (wave, scale, excess, np.zeros_like(scale), weight)
        flat = (np.ascontiguousarray(part, np.float64).ravel() for part in given)
        accumulate(*flat, first, step, matrix, np.zeros(n))
    known = matrix[0] > _RIDGE * float(matrix[0].max())
    matrix[0] += _RIDGE * max(float(matrix[0].max()), 1e-300)
    found = np.zeros((n, _BAND))
    for start in range(0, n, _BLOCK):
        columns = np.arange(start, min(start + _BLOCK, n))
        unit = np.zeros((n, columns.size))
        unit[columns, columns - start] = 1.0
        inverse = solveh_banded(matrix, unit, lower=True)
        for p in range(_BAND):
            inside = columns + p < n
            found[columns[inside], p] = inverse[columns[inside] + p, columns[inside] - start]
    found[~known] = np.inf
    return found


@compiled()
def _variance(wave: F8, excess: F8, grid: tuple[float, float], covariance: F8, value: F8) -> None:
    first, step = grid
    n = len(covariance)
    for j in range(wave.size):
        u = (wave[j] - first) / step
        i = int(np.floor(u))
        if i < 0 or i + 4 > n:
            value[j] = np.inf
            continue
        b = basis(u - i, excess[j] / step**2)
        total = 0.0
        for p in range(4):
            total += b[p] * b[p] * covariance[i + p, 0]
            for q in range(p + 1, 4):
                total += 2.0 * b[p] * b[q] * covariance[i + p, q - p]
        value[j] = total if total == total else np.inf  # noqa: PLR0124 - infinite less infinite


def spline_variance(covariance: F8, wave: Any, excess: Any, first: float, step: float) -> F8:
    """Variance of the spline as apertures see it at wavelengths; infinite beyond the knots or the data."""
    flat, wide = (np.ascontiguousarray(part, np.float64).ravel() for part in (wave, excess))
    value = np.empty(flat.size)
    _variance(flat, wide, (first, step), np.ascontiguousarray(covariance), value)
    return np.maximum(value, 0.0).reshape(wave.shape)
