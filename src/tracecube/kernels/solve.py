"""Weighted least squares for d = A f: normal equations in band form, their solution and covariance.

    (Aᵀ W A) f = Aᵀ W d        cov(f) = (Aᵀ W A)⁻¹ ,  W = 1 / variance, 0 where a pixel is bad

Unknowns must be ordered so that those which blend stand near each other (column by column, and by
position across within a column). The matrix is then a narrow band: it is factorised by Cholesky
(L D Lᵀ), and the elements of its inverse inside the band follow without the rest of the inverse
(Takahashi, Fagan & Chen 1973; Erisman & Tinney 1975, CACM 18, 177, eq. 3).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled
from tracecube.kernels.footprints import turned
from tracecube.kernels.forward import DesignMatrix

__all__ = ["Factor", "NormalEquations", "Solution", "band_width", "estimate", "factorise", "normal_equations", "solve"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

# An unknown whose good pixels hold less than this share of its footprint (by squared weight) is not
# measured: what it would give is its neighbours' light and noise, many times over.
MEASURED_SHARE = 0.05


class NormalEquations(NamedTuple):
    """AᵀWA and AᵀWd in band form.

    Parameters
    ----------
    matrix : array (band + 1, n)
        ``matrix[b, j]`` = (AᵀWA)[j + b, j].
    rhs : array (n,)
    share : array (n,)
        Share of each footprint, by squared weight, that lies on good pixels.
    """

    matrix: F8
    rhs: F8
    share: F8


class Factor(NamedTuple):
    """L D Lᵀ of the normal matrix: D in row 0 of ``lower`` (band + 1, n), L below; ``measured`` (n,)."""

    lower: F8
    measured: NDArray[np.bool_]


class Solution(NamedTuple):
    """Least-squares estimate of f.

    Parameters
    ----------
    flux : array (n,)
        NaN where the unknown was not measured.
    covariance : array (band + 1, n)
        ``covariance[b, j]`` = cov(f_j, f_{j+b}); row 0 is the variance.
    """

    flux: F8
    covariance: F8


def band_width(a: DesignMatrix) -> int:
    """Return the largest distance, in unknowns, between two whose footprints share pixels."""
    return int(_band_width(a.origin, a.weight.shape[1], a.weight.shape[2]))


def normal_equations(a: DesignMatrix, data: F4, ivar: F4, *, band: int) -> NormalEquations:
    """Form the normal equations.

    Parameters
    ----------
    a : DesignMatrix
    data, ivar : array (across, along)
        Pixels with ``ivar`` 0 count for nothing, whatever their (finite) value.
    band : int
        From `band_width`.
    """
    n = a.origin.shape[0]
    matrix, rhs, share = np.zeros((band + 1, n)), np.zeros(n), np.zeros(n)
    if a.weight.shape[2] == 1:
        _accumulate_rows(a.origin, a.weight, turned(data), turned(ivar), matrix, rhs, share)
    else:
        _accumulate(a.origin, a.weight, np.asarray(data), np.asarray(ivar), matrix, rhs, share)
    return NormalEquations(matrix, rhs, share)


def factorise(equations: NormalEquations) -> Factor:
    """Factorise the normal matrix; unmeasured unknowns are cut loose from their neighbours."""
    measured = (equations.share > MEASURED_SHARE) & (equations.matrix[0] > 0.0)
    lower = equations.matrix.copy()
    _isolate(lower, measured)
    _factorise(lower)
    return Factor(lower, measured)


def solve(factor: Factor, rhs: F8) -> F8:
    """Solve for the unknowns (n,), 0 where one is not measured."""
    x = np.where(factor.measured, rhs, 0.0)
    _substitute(factor.lower, x)
    return x


def estimate(factor: Factor, rhs: F8) -> Solution:
    """Solve for the unknowns together with their covariance inside the band."""
    covariance = np.zeros_like(factor.lower)
    _band_of_inverse(factor.lower, covariance)
    covariance[0, ~factor.measured] = np.nan
    return Solution(np.where(factor.measured, solve(factor, rhs), np.nan), covariance)


@compiled()
def _band_width(origin: I4, k_c: int, k_s: int) -> int:
    """Follow each unknown to the last one on overlapping columns that overlaps across."""
    widest = 0
    n = origin.shape[0]
    for j in range(n):
        i = j + 1
        while i < n and origin[i, 1] < origin[j, 1] + k_s:
            if abs(origin[i, 0] - origin[j, 0]) < k_c:
                widest = max(widest, i - j)
            elif k_s == 1:
                break
            i += 1
    return widest


@compiled()
def _accumulate(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    origin: I4, weight: F4, data: F4, ivar: F4, matrix: F8, rhs: F8, share: F8
) -> None:
    """Sum products of footprints over the pixels they share."""
    n, k_c, k_s = weight.shape
    for j in range(n):
        c_j, s_j = origin[j]
        whole = np.sum(weight[j] * weight[j])
        for b in range(min(matrix.shape[0], n - j)):
            c_i, s_i = origin[j + b]
            c0, c1 = max(c_i, c_j, 0), min(c_i + k_c, c_j + k_c, data.shape[0])
            s0, s1 = max(s_i, s_j, 0), min(s_i + k_s, s_j + k_s, data.shape[1])
            for c in range(c0, c1):
                for s in range(s0, s1):
                    w = ivar[c, s] * weight[j, c - c_j, s - s_j]
                    if w != 0.0:
                        matrix[b, j] += w * weight[j + b, c - c_i, s - s_i]
                        if b == 0:
                            rhs[j] += w * data[c, s]
                            share[j] += weight[j, c - c_j, s - s_j] ** 2 / whole


@compiled(fastmath={"reassoc", "contract"})
def _accumulate_rows(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    origin: I4, weight: F4, data: F4, ivar: F4, matrix: F8, rhs: F8, share: F8
) -> None:
    """The same of footprints one column wide, which meet on their own column alone; images are turned."""
    n, k_c = weight.shape[:2]
    own = np.zeros(k_c, np.float32)
    for j in range(n):
        c_j, s = origin[j]
        low, high = max(0, -c_j), min(k_c, data.shape[1] - c_j)
        own[:] = 0.0
        whole, seen, total, power = 0.0, 0.0, 0.0, 0.0
        for k in range(k_c):
            whole += weight[j, k, 0] * weight[j, k, 0]
        for k in range(low, high):
            w = ivar[s, c_j + k] * weight[j, k, 0]
            if w != 0.0:
                own[k] = w
                total += w * data[s, c_j + k]
                power += w * weight[j, k, 0]
                seen += weight[j, k, 0] * weight[j, k, 0]
        matrix[0, j], rhs[j], share[j] = power, total, seen / whole if whole > 0.0 else 0.0
        for b in range(1, min(matrix.shape[0], n - j)):
            if origin[j + b, 1] != s:
                break
            off = origin[j + b, 0] - c_j
            product = np.float32(0.0)
            for k in range(max(off, 0), min(k_c, k_c + off)):
                product += own[k] * weight[j + b, k - off, 0]
            matrix[b, j] = product


@compiled()
def _isolate(lower: F8, measured: NDArray[np.bool_]) -> None:
    """Give unmeasured unknowns a unit equation of their own."""
    band, n = lower.shape[0] - 1, lower.shape[1]
    for j in range(n):
        for b in range(1, min(band, n - 1 - j) + 1):
            if not (measured[j] and measured[j + b]):
                lower[b, j] = 0.0
        if not measured[j]:
            lower[0, j] = 1.0


@compiled()
def _factorise(lower: F8) -> None:
    """Turn the band matrix into D (row 0) and unit-lower L (other rows), M = L D Lᵀ, in place."""
    band, n = lower.shape[0] - 1, lower.shape[1]
    for j in range(n):
        reach = min(band, n - 1 - j)
        for b in range(1, reach + 1):
            factor = lower[b, j] / lower[0, j]
            if factor != 0.0:
                for i in range(b, reach + 1):
                    lower[i - b, j + b] -= factor * lower[i, j]
        for b in range(1, reach + 1):
            lower[b, j] /= lower[0, j]


@compiled()
def _substitute(lower: F8, x: F8) -> None:
    """Solve L D Lᵀ x = rhs in place."""
    band, n = lower.shape[0] - 1, lower.shape[1]
    for j in range(n):
        for b in range(1, min(band, n - 1 - j) + 1):
            x[j + b] -= lower[b, j] * x[j]
    for j in range(n - 1, -1, -1):
        x[j] /= lower[0, j]
        for b in range(1, min(band, n - 1 - j) + 1):
            x[j] -= lower[b, j] * x[j + b]


@compiled()
def _band_of_inverse(lower: F8, inverse: F8) -> None:
    """Elements of (L D Lᵀ)⁻¹ inside the band: Z = D⁻¹ + (I - Lᵀ) Z, from the last row upwards."""
    band, n = lower.shape[0] - 1, lower.shape[1]
    for j in range(n - 1, -1, -1):
        reach = min(band, n - 1 - j)
        for b in range(reach, -1, -1):
            total = 1.0 / lower[0, j] if b == 0 else 0.0
            for k in range(1, reach + 1):
                if b == 0:
                    total -= lower[k, j] * inverse[k, j]
                else:
                    low, high = min(k, b), max(k, b)
                    total -= lower[k, j] * inverse[high - low, j + low]
            inverse[b, j] = total
