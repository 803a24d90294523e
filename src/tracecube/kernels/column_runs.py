"""Runs of pixels along columns, judged against the columns beside them: sums that follow a window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled

__all__ = ["beside", "run_pulls"]

F4 = NDArray[np.float32]
Mask = NDArray[np.bool_]


@compiled()
def beside(data: F4, good: Mask, near: int, least: int) -> tuple[F4, Mask]:
    """Mean of the good pixels of a row on either side of each, itself and its next ones left out.

    Parameters
    ----------
    data : array (y, x)
    good : bool array (y, x)
    near : int
        Columns on either side, beyond the next one.
    least : int
        Good pixels of these ``2 near`` that must be more.

    Returns
    -------
    array (y, x)
    bool array (y, x)
        Where it is known.
    """
    rows, columns = data.shape
    around, known = np.zeros((rows, columns), np.float32), np.zeros((rows, columns), np.bool_)
    total, count = np.zeros(columns + 1), np.zeros(columns + 1, np.int64)
    for y in range(rows):
        for x in range(columns):
            total[x + 1] = total[x] + (data[y, x] if good[y, x] else 0.0)
            count[x + 1] = count[x] + (1 if good[y, x] else 0)
        for x in range(columns):
            first, last = max(x - near - 1, 0), min(x + near + 2, columns)
            left, right = max(x - 1, 0), min(x + 2, columns)
            n = count[last] - count[right] + count[left] - count[first]
            if n > least:
                known[y, x] = True
                around[y, x] = (total[last] - total[right] + total[left] - total[first]) / n
    return around, known


@compiled(error_model="numpy")
def run_pulls(planes: tuple[F4, F4, F4], left_out: Mask, run: int, least: float) -> tuple[F4, F4]:
    """Sum runs of pixels along columns: excess over its noise, where it is more than a share of the light.

    Parameters
    ----------
    planes : tuple of array (y, x)
        Excess, variance, light.
    left_out : bool array (y, x)
        Pixels that are not summed.
    run : int
        Rows of a run; pixels beyond the edge hold nothing.
    least : float
        Share of the light.

    Returns
    -------
    pull : array (y, x)
        Of the run about each pixel; NaN where it holds no light.
    differs : array (y, x)
        Size of the pull; 0 where the excess is a smaller share of the light.
    """
    excess, variance, light = planes
    rows, columns = excess.shape
    pull, differs = np.full((rows, columns), np.nan, np.float32), np.zeros((rows, columns), np.float32)
    sums = np.zeros((3, columns))
    before, after = run // 2, (run - 1) // 2
    for y in range(-after, rows):
        for step in (0, 1):
            at = y + after if step == 0 else y - before - 1
            if 0 <= at < rows:
                sign = 1.0 - 2.0 * step
                for x in range(columns):
                    if not left_out[at, x]:
                        sums[0, x] += sign * excess[at, x]
                        sums[1, x] += sign * variance[at, x]
                        sums[2, x] += sign * light[at, x]
        if y < 0:
            continue
        for x in range(columns):
            if sums[2, x] > 1e-3:  # noqa: PLR2004 - electron: what sums of rounded numbers leave
                pull[y, x] = sums[0, x] / np.sqrt(max(sums[1, x], 1e-9))
                differs[y, x] = abs(pull[y, x]) if abs(sums[0, x]) > least * sums[2, x] else 0.0
    return pull, differs
