"""How far the light of a slit lies off its traces, and how much wider it is: one step of Gauss and Newton.

    d = A(q) f ,   q = shift at the middle, its slopes along the slit and along dispersion, width

The fluxes are free: what they can take of a change of the footprints tells nothing of q, and is projected out
(variable projection; Golub & Pereyra 1973, SIAM J. Numer. Anal. 10, 413), column by column.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled
from tracecube.kernels.slit_light import Footprints, SlitLight, adjoint_column, fill_column, project_column
from tracecube.kernels.slit_solve import (
    Band,
    Pixels,
    band_of,
    factorise_column,
    load_column,
    normal_column,
    padded_columns,
    substitute,
)

__all__ = ["TERMS", "Changes", "move_equations"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
_FAST = {"reassoc", "contract", "nsz"}

TERMS = 4
"""Shift of the middle, its change to the last row and to the last column, width."""


class Changes(NamedTuple):
    """How footprints change, beside the light itself.

    Parameters
    ----------
    slope : SlitLight
        Footprints' derivative with the centre.
    width : SlitLight
        Their derivative with the width.
    place : float64 array (m, n)
        Place of each sample within its amplifier, -1 to 1.
    """

    slope: SlitLight
    width: SlitLight
    place: F8


@compiled()
def move_equations(
    feet: Footprints, changes: Changes, expected: F4, pixels: Pixels, parts: int, every: int
) -> tuple[F8, F8]:
    """Sum the normal equations of a step over columns.

    Parameters
    ----------
    feet : Footprints
    changes : Changes
    expected : array (m, n)
        Light whose footprints move.
    pixels : Pixels
    parts : int
        Amplifiers of equal height, from the bottom up, each with a move of its own.
    every : int
        Take every so many columns.

    Returns
    -------
    array (parts, 4, 4), array (parts, 4)
    """
    m, rows = pixels.data.shape
    n, width = feet.weight.shape[1:]
    other, band = np.zeros((n, width), np.float32), band_of(n)
    padded, change, left = (
        padded_columns(2, rows, width),
        padded_columns(3, rows, width),
        padded_columns(4, rows, width),
    )
    matrix, rhs = np.zeros((parts, TERMS, TERMS)), np.zeros((parts, TERMS))
    for c in range(0, m, every):
        first, weight, lit = feet.first[c], feet.weight[c], expected[c]
        load_column(pixels, c, padded)
        normal_column(first, weight, padded[0], padded[1], band)
        factorise_column(band)
        fill_column(changes.slope, c, rows, first, other)
        project_column(first, other, lit, change[0])
        project_column(first, other, (lit * changes.place[c]).astype(np.float32), change[1])
        fill_column(changes.width, c, rows, first, other)
        project_column(first, other, lit, change[2])
        for k in range(3):
            _unexplained(first, weight, change[k], padded[1], band, left[k])
        _unexplained(first, weight, padded[0], padded[1], band, left[3])
        x = 2.0 * c / (m - 1.0) - 1.0
        for part in range(parts):
            low, high = width + part * rows // parts, width + (part + 1) * rows // parts
            _add(change, left, (low, high), x, matrix[part], rhs[part])
    return matrix, rhs


@compiled(fastmath=_FAST)
def _unexplained(first: I8, weight: F4, values: F4, ivar: F4, band: Band, left: F4) -> None:
    """Weigh what the best fluxes leave of a padded column."""
    right, weighed = np.empty(first.size), np.empty(values.size, np.float32)
    for i in range(values.size):
        weighed[i] = values[i] * ivar[i]
    adjoint_column(first, weight, weighed, right)
    for j in range(right.size):
        if not band.measured[j]:
            right[j] = 0.0
    substitute(band.matrix, right)
    project_column(first, weight, right.astype(np.float32), left)
    for i in range(left.size):
        left[i] = weighed[i] - ivar[i] * left[i]


@compiled(fastmath=_FAST)
def _product(a: F4, b: F4) -> float:
    """Sum of products."""
    total = np.float32(0.0)
    for i in range(a.size):
        total += a[i] * b[i]
    return float(total)


@compiled()
def _add(change: F4, left: F4, part: tuple[int, int], x: float, matrix: F8, rhs: F8) -> None:
    """Add a column: changes by shift, shift along the slit and width; what is left of them and of the data."""
    h, s = np.zeros((3, 3)), np.zeros(3)
    low, high = part
    for a in range(3):
        own = change[a, low:high]
        for b in range(a + 1):
            h[a, b] = h[b, a] = _product(own, left[b, low:high])
        s[a] = _product(own, left[3, low:high])
    for a in range(TERMS):
        # the slope along dispersion is the shift once more, by the place of the column
        one, scale = (0, x) if a == 2 else (min(a, 2), 1.0)
        rhs[a] += scale * s[one]
        for b in range(TERMS):
            other, factor = (0, x) if b == 2 else (min(b, 2), 1.0)
            matrix[a, b] += scale * factor * h[one, other]
