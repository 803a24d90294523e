"""Columns of a slit of fibres on an even lamp: fluxes, and what they tell of centres and profiles.

A column holds ``d = sum_i f_i P_i(y - y_i) + n``, with profiles as in `slit_profile`. The fluxes of a column are solved
for together; a fibre's shift and departures then follow from what is left, its own flux eliminated (variable
projection; Golub & Pereyra 1973, SIAM J. Numer. Anal. 10, 413). Neighbours' fluxes are exact in what is left; in the
matrix of a fibre they are taken as known: the footprints of neighbours share a hundredth of their light, and steps that
are repeated converge by that factor.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled
from tracecube.kernels.slit_profile import Curves, phased

__all__ = ["ColumnFits", "MeanEquations", "fit_columns", "mean_equations"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


class ColumnFits(NamedTuple):
    """What the columns tell, of n fibres in c columns.

    Parameters
    ----------
    flux : array (n, c)
    score, information : array (n, c, 1 + q), (n, c, 1 + q, 1 + q)
        Gradient and curvature of -chi-square / 2 with a fibre's shift (px) and departures, for unit flux.
    model : array (rows, c)
        Light of all fibres.
    freedom : array (rows, c)
        Share of a pixel's variance that is left after the fluxes were fitted; 0 where a pixel counts for nothing.
    """

    flux: F8
    score: F8
    information: F8
    model: F4
    freedom: F4


class MeanEquations(NamedTuple):
    """Normal equations ``matrix`` (b, b), ``rhs`` (b,) of a step in the mean profile's coefficients."""

    matrix: F8
    rhs: F8


def fit_columns(  # noqa: PLR0913 - the image, and the slit's model
    data: F4, ivar: F4, columns: I8, centre: F8, amount: F8, curves: Curves, *, light_only: bool = False
) -> ColumnFits:
    """Solve columns for their fluxes, and sum what is left over each fibre's profile.

    Parameters
    ----------
    data, ivar : array (rows, m)
        ``ivar`` 0 where a pixel is bad.
    columns : int array (c,)
    centre : array (n, m), px
        Rising along the first axis.
    amount : array (n, m, q + 1)
        Departures of the fibres, `with_square`.
    curves : Curves
    light_only : bool
        Leave ``score`` and ``information`` empty.
    """
    n, q = len(centre), 0 if light_only else curves.shape.shape[1] - 1
    rows, c = len(data), columns.size
    found = ColumnFits(
        np.zeros((n, c)),
        np.zeros((n, c, q)),
        np.zeros((n, c, q, q)),
        np.zeros((c, rows), np.float32),
        np.zeros((c, rows), np.float32),
    )
    _fit_columns(
        *_upright(data, ivar, columns), columns, np.ascontiguousarray(centre), np.ascontiguousarray(amount),
        *phased(curves), *found,
    )  # fmt: skip
    return found._replace(model=found.model.T, freedom=found.freedom.T)


def _upright(data: F4, ivar: F4, columns: I8) -> tuple[F4, F4]:
    """Columns of an image (c, rows), one after the other in memory."""
    return np.ascontiguousarray(data[:, columns].T), np.ascontiguousarray(ivar[:, columns].T)


@compiled(fastmath={"reassoc", "contract"})
def _footprints(  # noqa: PLR0917 - the arrays of one loop
    place: F8, amount: F8, phases: F8, grid: tuple[float, float], rows: int, first: I8, value: F8
) -> None:
    """Profile and derivatives (n, 1 + q, width): light, shift, departures; and the first row of each."""
    n, q1, width = value.shape
    half = phases.shape[1] // 2
    for i in range(n):
        first[i] = int(np.ceil(place[i] + grid[0]))
        t = (first[i] - place[i] - grid[0]) / grid[1]
        at = min(int(t), phases.shape[0] - 2)
        f = t - at
        below, above = phases[at], phases[at + 1]
        value[i] = 0.0
        for s in range(half):
            share = amount[i, s - 1] if s else 1.0
            a, b = share * (1.0 - f), share * f
            for k in range(width):
                value[i, 0, k] += a * below[s, k] + b * above[s, k]
            if q1 > 1:
                for k in range(width):
                    value[i, 1, k] -= a * below[half + s, k] + b * above[half + s, k]
        for s in range(2, q1):
            for k in range(width):
                value[i, s, k] = (1.0 - f) * below[s - 1, k] + f * above[s - 1, k]
        value[i, :, : max(-first[i], 0)] = 0.0
        value[i, :, max(rows - first[i], 0) :] = 0.0


@compiled(fastmath={"reassoc", "contract"})
def _normal(weight: F8, first: I8, value: F8, each: int, band: F8) -> None:
    """Matrix, below the diagonal (3 each, n each), of the first ``each`` footprints of every fibre of a column."""
    n, _, width = value.shape
    band[:] = 0.0
    for i in range(n):
        low, high = max(-first[i], 0), min(width, weight.size - first[i])
        for b in range(min(3, n - i)):
            off = first[i + b] - first[i]
            for e in range(each):
                for g in range(e if b == 0 else 0, each):
                    total = 0.0
                    for k in range(max(off, low), high):
                        total += weight[first[i] + k] * value[i, e, k] * value[i + b, g, k - off]
                    band[b * each + g - e, i * each + e] = total
    for j in range(n * each):
        band[0, j] = band[0, j] * (1.0 + 1e-12) + 1e-30


@compiled(fastmath={"reassoc", "contract"})
def _adjoint(weighted: F8, first: I8, value: F8, each: int, x: F8) -> None:
    """Products (n each, columns of ``weighted`` (rows, columns)) with the first footprints of every fibre."""
    n, _, width = value.shape
    x[:] = 0.0
    for i in range(n):
        for k in range(max(-first[i], 0), min(width, weighted.shape[0] - first[i])):
            for e in range(each):
                for c in range(weighted.shape[1]):
                    x[i * each + e, c] += value[i, e, k] * weighted[first[i] + k, c]


@compiled(fastmath={"reassoc", "contract"})
def _factorise(band: F8) -> None:
    """L D L' in place: D in row 0."""
    width, n = band.shape
    for i in range(n):
        for b in range(1, min(width, n - i)):
            share = band[b, i] / band[0, i]
            for c in range(b, min(width, n - i)):
                band[c - b, i + b] -= share * band[c, i]
        for b in range(1, width):
            band[b, i] /= band[0, i]


@compiled(fastmath={"reassoc", "contract"})
def _substitute(band: F8, x: F8) -> None:
    """Solve for x (n, k) in place."""
    width, n = band.shape
    for i in range(n):
        for b in range(1, min(width, n - i)):
            for c in range(x.shape[1]):
                x[i + b, c] -= band[b, i] * x[i, c]
    for i in range(n - 1, -1, -1):
        for c in range(x.shape[1]):
            x[i, c] /= band[0, i]
            for b in range(1, min(width, n - i)):
                x[i, c] -= band[b, i] * x[i + b, c]


@compiled(fastmath={"reassoc", "contract"})
def _fit_columns(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    data: F4,
    ivar: F4,
    columns: I8,
    centre: F8,
    amount: F8,
    phases: F8,
    grid: tuple[float, float],
    flux: F8,
    score: F8,
    information: F8,
    model: F4,
    freedom: F4,
) -> None:
    """Column by column."""
    n, _, q = score.shape
    rows, width = data.shape[1], phases.shape[2]
    value, first = np.zeros((n, q + 1, width)), np.zeros(n, np.int64)
    band, x = np.zeros((3, n)), np.zeros((n, 1))
    weight, light, left = np.zeros(rows), np.zeros(rows), np.zeros(rows)
    for j in range(columns.size):
        s = columns[j]
        _footprints(centre[:, s], amount[:, s], phases, grid, rows, first, value)
        weight[:] = ivar[j]
        _normal(weight, first, value, 1, band)
        left[:] = 1.0
        for i in range(n):
            total = 0.0
            for k in range(max(-first[i], 0), min(width, rows - first[i])):
                w = weight[first[i] + k] * value[i, 0, k]
                total += w * data[j, first[i] + k]
                left[first[i] + k] -= w * value[i, 0, k] / band[0, i]
            x[i, 0] = total
        for y in range(rows):
            freedom[j, y] = max(left[y], 0.0) if weight[y] > 0.0 else 0.0
        _factorise(band)
        _substitute(band, x)
        light[:] = 0.0
        for i in range(n):
            flux[i, j] = x[i, 0]
            for k in range(max(-first[i], 0), min(width, rows - first[i])):
                light[first[i] + k] += x[i, 0] * value[i, 0, k]
        model[j] = light
        if q == 0:
            continue
        for y in range(rows):
            left[y] = weight[y] * (data[j, y] - light[y])
        for i in range(n):
            _project(weight, left, first[i], value[i], score[i, j], information[i, j])


@compiled(fastmath={"reassoc", "contract"})
def _project(weight: F8, left: F8, first: int, value: F8, score: F8, information: F8) -> None:
    """Sum what is left over one fibre's derivatives, its flux eliminated."""
    q1, width = value.shape
    low, high = max(-first, 0), min(width, weight.size - first)
    heavy, cross = np.empty(width), np.empty(q1)
    pulled = 0.0
    for a in range(q1):
        for k in range(low, high):
            heavy[k] = weight[first + k] * value[a, k]
        total = 0.0
        for k in range(low, high):
            total += left[first + k] * value[a, k]
        if a == 0:
            pulled = total
        else:
            score[a - 1] = total
        for b in range(a + 1):
            total = 0.0
            for k in range(low, high):
                total += heavy[k] * value[b, k]
            if b == 0:
                cross[a] = total
            else:
                information[a - 1, b - 1] = total
    own = cross[0] + 1e-30
    for a in range(1, q1):
        score[a - 1] -= cross[a] * pulled / own
        for b in range(1, a + 1):
            information[a - 1, b - 1] -= cross[a] * cross[b] / own
            information[b - 1, a - 1] = information[a - 1, b - 1]


def mean_equations(data: F4, ivar: F4, columns: I8, fibres: tuple[F8, F8], curves: Curves, basis: F8) -> MeanEquations:
    """Sum the equations of a step in the mean profile, flux and shift of every fibre and column eliminated.

    So the mean does not wait for the centres, nor they for it; what it would say of a shift of itself is left to who
    centres it.

    Parameters
    ----------
    data, ivar : array (rows, m)
    columns : int array (c,)
    fibres : (array (n, m), array (n, m, q + 1))
        Centres and departures.
    curves : Curves
    basis : array (b, k)
        Cubic B-splines at ``curves.u``.
    """
    size = len(basis)
    found = MeanEquations(np.zeros((size, size)), np.zeros(size))
    centre, amount = (np.ascontiguousarray(one) for one in fibres)
    lit = basis != 0.0
    start = np.argmax(lit, axis=0)
    wide = np.pad(basis, ((0, 4), (0, 0)))
    span = np.stack([wide[start + k, np.arange(basis.shape[1])] for k in range(4)], axis=1)
    _sum_mean(*_upright(data, ivar, columns), columns, centre, amount, *phased(curves), start, span, *found)
    return found


@compiled(fastmath={"reassoc", "contract"})
def _sum_mean(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    data: F4,
    ivar: F4,
    columns: I8,
    centre: F8,
    amount: F8,
    phases: F8,
    grid: tuple[float, float],
    start: I8,
    span: F8,
    matrix: F8,
    rhs: F8,
) -> None:
    """Column by column; only splines that reach a pixel are touched."""
    n, size, rows = centre.shape[0], rhs.size, data.shape[1]
    width = phases.shape[2]
    value, first = np.zeros((n, 2, width)), np.zeros(n, np.int64)
    band, x = np.zeros((6, 2 * n)), np.zeros((2 * n, 1))
    cross, solved = np.zeros((2 * n, size)), np.zeros((2 * n, size))
    weight, own = np.zeros(rows), np.zeros((rows, 1))
    for j in range(columns.size):
        s = columns[j]
        _footprints(centre[:, s], amount[:, s], phases, grid, rows, first, value)
        weight[:] = ivar[j]
        _normal(weight, first, value, 2, band)
        own[:, 0] = weight * data[j]
        _adjoint(own, first, value, 2, x)
        _factorise(band)
        _substitute(band, x)
        slopes, left = np.zeros((rows, size)), data[j].astype(np.float64)
        for i in range(n):
            for k in range(max(-first[i], 0), min(width, rows - first[i])):
                y = first[i] + k
                left[y] -= x[2 * i, 0] * value[i, 0, k] + x[2 * i + 1, 0] * value[i, 1, k]
                t = (y - centre[i, s] - grid[0]) / grid[1]
                at = min(int(t), span.shape[0] - 2)
                for b in range(4):
                    slopes[y, min(start[at] + b, size - 1)] += x[2 * i, 0] * (1.0 - t + at) * span[at, b]
                    slopes[y, min(start[at + 1] + b, size - 1)] += x[2 * i, 0] * (t - at) * span[at + 1, b]
        heavy = slopes * weight.reshape(-1, 1)
        _adjoint(heavy, first, value, 2, cross)
        solved[:] = cross
        _substitute(band, solved)
        matrix += heavy.T @ slopes - cross.T @ solved
        rhs += heavy.T @ left
