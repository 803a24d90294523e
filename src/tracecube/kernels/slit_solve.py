"""Weighted least squares of a slit of fibres, one banded system a column of the CCD.

    (Aᵀ W A) f = Aᵀ W d ,  W = 1 / variance, 0 where a pixel is bad

Nothing couples columns, and a footprint reaches its second neighbour at most: the matrix of a column has two
diagonals beside the main one. It is assembled, factorised (L D Lᵀ) and solved while the column lies in the
processor's cache. `kernels.solve` does the same for any footprints, and is the oracle of the tests.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled
from tracecube.kernels.slit_light import Footprints
from tracecube.kernels.solve import MEASURED_SHARE

__all__ = [
    "Band",
    "Pixels",
    "band_of",
    "factorise_column",
    "load_column",
    "normal_column",
    "padded_columns",
    "solve_slit",
    "substitute",
]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
_FAST = {"reassoc", "contract", "nsz"}


class Pixels(NamedTuple):
    """Pixels of a CCD, float32 arrays (m columns, rows).

    Parameters
    ----------
    data : array, electron
        0 where bad.
    floor : array, electron**2
        Variance without light; infinite where bad.
    ground : array, electron
        Scattered light and levels.
    ivar : array
        1 / variance; 0 where bad or hit.
    """

    data: F4
    floor: F4
    ground: F4
    ivar: F4


class Band(NamedTuple):
    """A column's system: arrays (3, n) by diagonal and (n,), as in `kernels.solve.NormalEquations`."""

    matrix: F8
    rhs: F8
    share: F8
    measured: NDArray[np.bool_]


@compiled()
def band_of(n: int) -> Band:
    """Return room for the system of n fibres."""
    return Band(np.zeros((3, n)), np.zeros(n), np.zeros(n), np.zeros(n, np.bool_))


@compiled()
def padded_columns(count: int, rows: int, width: int) -> F4:
    """Return room for columns that go on beyond both ends of the CCD, where footprints may hang over."""
    return np.zeros((count, rows + 2 * width), np.float32)


@compiled(fastmath=_FAST)
def normal_column(first: I8, weight: F4, data: F4, ivar: F4, band: Band) -> None:
    """Assemble the system of a column from padded data and inverse variances."""
    n, width = weight.shape
    own = np.zeros(2 * width, np.float32)
    for j in range(n):
        w = weight[j]
        iv = ivar[first[j] + width : first[j] + 2 * width]
        d = data[first[j] + width : first[j] + 2 * width]
        power, right, seen, whole = np.float32(0.0), np.float32(0.0), np.float32(0.0), np.float32(0.0)
        for k in range(width):
            own[k] = iv[k] * w[k]
            square = w[k] * w[k]
            power += own[k] * w[k]
            right += own[k] * d[k]
            whole += square
            seen += square if iv[k] > 0.0 else np.float32(0.0)
        band.matrix[0, j], band.rhs[j] = power, right
        band.share[j] = seen / whole if whole > 0.0 else 0.0
        for b in range(1, 3):
            product = np.float32(0.0)
            if j + b < n:
                off = first[j + b] - first[j]
                if 0 <= off < width:
                    w = weight[j + b]
                    ahead = own[off : off + width]
                    for k in range(width):
                        product += ahead[k] * w[k]
            band.matrix[b, j] = product


@compiled()
def factorise_column(band: Band) -> None:
    """Turn the matrix into D (diagonal 0) and L (diagonals 1, 2) in place.

    What is not measured is cut loose: its light is 0.
    """
    m, n = band.matrix, band.rhs.size
    for j in range(n):
        band.measured[j] = band.share[j] > MEASURED_SHARE and m[0, j] > 0.0
        if not band.measured[j]:
            m[0, j], band.rhs[j] = 1.0, 0.0
            for b in range(1, 3):
                m[b, j] = 0.0
                if j >= b:
                    m[b, j - b] = 0.0
    for j in range(n):
        d = 1.0 / m[0, j]
        first, second = m[1, j] * d, m[2, j] * d
        if j + 1 < n:
            m[0, j + 1] -= first * m[1, j]
            m[1, j + 1] -= first * m[2, j]
        if j + 2 < n:
            m[0, j + 2] -= second * m[2, j]
        m[1, j], m[2, j] = first, second


@compiled()
def substitute(matrix: F8, x: F8) -> None:
    """Solve L D Lᵀ x = rhs in place."""
    n = x.size
    for j in range(n):
        if j + 1 < n:
            x[j + 1] -= matrix[1, j] * x[j]
        if j + 2 < n:
            x[j + 2] -= matrix[2, j] * x[j]
    for j in range(n - 1, -1, -1):
        value = x[j] / matrix[0, j]
        if j + 1 < n:
            value -= matrix[1, j] * x[j + 1]
        if j + 2 < n:
            value -= matrix[2, j] * x[j + 2]
        x[j] = value


@compiled()
def load_column(pixels: Pixels, column: int, padded: F4) -> None:
    """Put data less ground, and inverse variances, of a column into ``padded`` (2, rows + 2 k)."""
    rows = pixels.data.shape[1]
    at = (padded.shape[1] - rows) // 2
    data = pixels.data[column]
    ground = pixels.ground[column]
    to = padded[0, at : at + rows]
    for i in range(rows):
        to[i] = data[i] - ground[i]
    padded[1, at : at + rows] = pixels.ivar[column]


@compiled()
def solve_slit(feet: Footprints, pixels: Pixels) -> F4:
    """Solve every column for the fibres' light, float32 array (m, n); 0 where it is not measured."""
    m, rows = pixels.data.shape
    n, width = feet.weight.shape[1:]
    band, padded, flux = band_of(n), padded_columns(2, rows, width), np.empty((m, n), np.float32)
    for c in range(m):
        load_column(pixels, c, padded)
        normal_column(feet.first[c], feet.weight[c], padded[0], padded[1], band)
        factorise_column(band)
        substitute(band.matrix, band.rhs)
        flux[c] = band.rhs
    return flux
