"""Samples that stand out of those around them in a grid: what a cosmic ray leaves, once several slices lie together.

A sample is compared with all others in its voxel and in the 26 around. It stands out where it exceeds their middle by
so many of their spreads: median and median absolute deviation (times 1.4826, of a Gaussian's standard deviation), mean
and standard deviation, or median and the root of their mean variance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled

__all__ = ["STATISTICS", "standing_out"]

F4 = NDArray[np.float32]
I4 = NDArray[np.int32]

STATISTICS = ("median", "mean", "iraf")
_MEDIAN, _MEAN, _IRAF = range(3)

_GAUSSIAN = 1.4826
_FEW = 9  # others, with fewer of which nothing is told: the deviation of five is small by chance
_MOST = 256  # others that are looked at


def standing_out(
    place: F4, value: F4, variance: F4, shape: tuple[int, int, int], *, statistic: str, limit: float
) -> NDArray[np.bool_]:
    """Return which samples stand out of those around.

    Parameters
    ----------
    place : array (k, 3), voxels
        Place of the samples along the axes of a grid (z, y, x); those outside it are not looked at.
    value, variance : array (k,)
        A sample whose variance is not positive and finite does not count.
    shape : (int, int, int)
    statistic : str
        One of `STATISTICS`.
    limit : float
        Spreads above the middle.
    """
    cell = np.floor(place + np.float32(0.5)).astype(np.int32)
    counts = (variance > 0) & np.isfinite(variance) & np.isfinite(value)
    inside = counts & ((cell >= 0) & (cell < np.array(shape))).all(axis=1)
    number = np.where(inside, np.ravel_multi_index(np.clip(cell.T, 0, np.array(shape)[:, None] - 1), shape), -1)
    start, order = _sorted(number, int(np.prod(shape)))
    out = np.zeros(value.size, np.bool_)
    _compare(start, order, shape, value, variance, STATISTICS.index(statistic), limit, out)
    return out


@compiled()
def _sorted(number: NDArray[np.int64], size: int) -> tuple[I4, I4]:
    """Return where the samples of each cell begin in a list of them by cell, and that list; -1 is in no cell."""
    start = np.zeros(size + 1, np.int32)
    for one in number:
        if one >= 0:
            start[one + 1] += 1
    for k in range(size):
        start[k + 1] += start[k]
    order, filled = np.empty(start[size], np.int32), start[:-1].copy()
    for i in range(number.size):
        if number[i] >= 0:
            order[filled[number[i]]] = i
            filled[number[i]] += 1
    return start, order


@compiled()
def _middle(values: F4, n: int) -> float:
    """Return the median of the first ``n`` values, which are sorted in place."""
    for k in range(1, n):
        one, m = values[k], k
        while m > 0 and values[m - 1] > one:
            values[m] = values[m - 1]
            m -= 1
        values[m] = one
    return 0.5 * (float(values[(n - 1) // 2]) + float(values[n // 2]))


@compiled()
def _stands(own: float, others: F4, noise: float, n: int, statistic: int, limit: float) -> bool:
    """Return whether a value stands out of others, whose mean variance is ``noise``; they are used up."""
    if statistic == _MEAN:
        mean = float(others[:n].mean())
        return bool(own - mean > limit * float(others[:n].std()))
    middle = _middle(others, n)
    if own <= middle:
        return False
    if statistic == _IRAF:
        return bool(own - middle > limit * np.sqrt(noise))
    for k in range(n):
        others[k] = abs(others[k] - np.float32(middle))
    return bool(own - middle > limit * _GAUSSIAN * _middle(others, n))


@compiled()
def _compare(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    start: I4,
    order: I4,
    shape: tuple[int, int, int],
    value: F4,
    variance: F4,
    statistic: int,
    limit: float,
    out: NDArray[np.bool_],
) -> None:
    """Mark samples that stand out of those in their cell and around it."""
    others = np.empty(_MOST, np.float32)
    nz, ny, nx = shape
    for z, y, x in np.ndindex(shape):
        cell = (z * ny + y) * nx + x
        for one in order[start[cell] : start[cell + 1]]:
            n, noise = 0, 0.0
            for j in range(max(z - 1, 0), min(z + 2, nz)):
                for i in range(max(y - 1, 0), min(y + 2, ny)):
                    row = (j * ny + i) * nx
                    for other in order[start[row + max(x - 1, 0)] : start[row + min(x + 1, nx - 1) + 1]]:
                        if other != one and n < _MOST:
                            others[n] = value[other]
                            noise += variance[other]
                            n += 1
            if n >= _FEW:
                out[one] = _stands(float(value[one]), others, noise / n, n, statistic, limit)
