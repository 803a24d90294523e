"""What a slit's own solution says of the pixels of its CCD: scattered light, noise, and what no fibre can have written.

All arrays are (m columns, rows), as in `kernels.slit_light`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled
from tracecube.kernels.slit_light import Footprints, project_column
from tracecube.kernels.slit_solve import Pixels, padded_columns

__all__ = ["Dark", "Limits", "dark_rest", "first_weights", "flood", "judge", "open_pixels"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]
U1 = NDArray[np.uint8]
_FAST = {"reassoc", "contract", "nsz"}
_SIDE = 16  # pixels a side of the blocks in which images are turned: their lines fit the fastest cache

NOT_USED, SATURATED = 1, 2
"""Bits of the states of pixels."""


class Limits(NamedTuple):
    """When a pixel is none of the fibres': sigma above (found, grown) and below, and the share of light in doubt."""

    clip: float
    grow: float
    low: float
    trust: float


class Dark(NamedTuple):
    """Pixels (k,) far from all fibres: where they lie (flat index), and what the fibres' wings leave of their data."""

    at: I8
    rest: F4


def open_pixels(frame: tuple[F4, F4, I4], unusable: int, saturated: int, lost: NDArray[np.bool_]) -> tuple[Pixels, U1]:
    """Turn a frame to columns, and say in which state (m, rows) its pixels are.

    Parameters
    ----------
    frame : (array, array, int32 array) (rows, m)
        Data, variance and flags.
    unusable, saturated : int
        Flags of pixels that are not used, and of those at the end of the scale.
    lost : bool array (rows,)
        Rows that are not used.

    Returns
    -------
    Pixels
        Ground and weights are 0 for now. A pixel that is not finite, or has no variance, is not used either.
    uint8 array (m, rows)
    """
    data, variance, flags = frame
    out = Pixels(*(np.zeros(data.shape[::-1], np.float32) for _ in range(4)))
    state = np.empty(data.shape[::-1], np.uint8)
    _turn(
        (np.ascontiguousarray(data), np.ascontiguousarray(variance)),
        np.ascontiguousarray(flags),
        (unusable, saturated),
        lost,
        out,
        state,
    )
    return out, state


@compiled()
def _turn(
    frame: tuple[F4, F4], flags: I4, masks: tuple[int, int], lost: NDArray[np.bool_], out: Pixels, state: U1
) -> None:
    """Turn a frame block by block."""
    data, variance = frame
    rows, m = data.shape
    for r0 in range(0, rows, _SIDE):
        for c0 in range(0, m, _SIDE):
            for c in range(c0, min(c0 + _SIDE, m)):
                for r in range(r0, min(r0 + _SIDE, rows)):
                    value, noise, flag = data[r, c], variance[r, c], flags[r, c]
                    bad = lost[r] or flag & masks[0] != 0 or not (np.isfinite(value) and noise > 0.0 and noise < np.inf)
                    out.data[c, r] = np.float32(0.0) if bad else value
                    out.floor[c, r] = np.float32(np.inf) if bad else noise
                    state[c, r] = (NOT_USED if bad else 0) + (SATURATED if flag & masks[1] else 0)


@compiled(fastmath={"nsz", "contract"})
def first_weights(pixels: Pixels, shot: float) -> None:
    """Weigh pixels by the median of five along dispersion, which a hit does not lift."""
    m, rows = pixels.data.shape
    shot4 = np.float32(shot)
    for c in range(m):
        a, b = pixels.data[max(c - 2, 0)], pixels.data[max(c - 1, 0)]
        e, d = pixels.data[min(c + 2, m - 1)], pixels.data[min(c + 1, m - 1)]
        x, floor, ivar = pixels.data[c], pixels.floor[c], pixels.ivar[c]
        for i in range(rows):
            low, high = min(a[i], b[i]), max(a[i], b[i])
            low2, high2 = min(d[i], e[i]), max(d[i], e[i])
            p, q = max(low, low2), min(high, high2)  # least and greatest of five are none of the three
            middle = max(min(p, q), min(max(p, q), x[i]))
            ivar[i] = np.float32(1.0) / (floor[i] + shot4 * max(middle, np.float32(0.0)))


@compiled(fastmath=_FAST)
def dark_rest(
    feet: Footprints, centre: F8, spectra: tuple[F4, F4], pixels: Pixels, away: float, bins: int
) -> tuple[F4, Dark]:
    """Sum the expected light over bins, and gather the pixels that no fibre lights.

    Parameters
    ----------
    feet : Footprints
    centre : array (m, n), px
    spectra : (array (m, n), array (m, n))
        Solved, and expected.
    pixels : Pixels
    away : float, px
        A dark pixel is farther than this from any centre; bad and hit ones are left out.
    bins : int
        Divides both sides.

    Returns
    -------
    array (m / bins, rows / bins)
    Dark
    """
    m, rows = pixels.data.shape
    n, width = feet.weight.shape[1:]
    padded = padded_columns(2, rows, width)
    few, lit = np.zeros((m // bins, rows // bins), np.float32), np.zeros(rows, np.uint8)
    at, rest, found = np.empty(m * rows, np.int64), np.empty(m * rows, np.float32), 0
    for c in range(m):
        for k in range(2):
            project_column(feet.first[c], feet.weight[c], spectra[k][c], padded[k])
        smooth, total = padded[1, width : width + rows], few[c // bins]
        for bin_ in range(total.size):
            for i in range(bin_ * bins, (bin_ + 1) * bins):
                total[bin_] += smooth[i]
        lit[:] = 0
        for j in range(n):
            low, high = centre[c, j] - away, centre[c, j] + away
            lit[max(int(np.ceil(low)), 0) : max(int(np.floor(high)) + 1, 0)] = 1
        for i in range(rows):
            if not lit[i] and pixels.ivar[c, i] > 0.0:
                at[found], rest[found] = c * rows + i, pixels.data[c, i] - padded[0, width + i]
                found += 1
    return few, Dark(at[:found].copy(), rest[:found].copy())


@compiled(fastmath={"contract", "nsz"})
def judge(feet: Footprints, spectra: tuple[F4, F4], pixels: Pixels, shot: float, limits: Limits) -> U1:
    """Weigh pixels by the expected light, and mark (m, rows) those that stand off the solution.

    Marks: 2 above the model by ``clip`` sigma, 1 by ``grow``, 3 below it by ``low``; the noise is that of the expected
    light, widened by the share of the light that the model may be off.
    """
    m, rows = pixels.data.shape
    width = feet.weight.shape[2]
    padded, marks = padded_columns(2, rows, width), np.empty((m, rows), np.uint8)
    zero, one, shot4, trust = np.float32(0.0), np.float32(1.0), np.float32(shot), np.float32(limits.trust**2)
    grow, clip, low = np.float32(limits.grow**2), np.float32(limits.clip**2), np.float32(limits.low**2)
    for c in range(m):
        for k in range(2):
            project_column(feet.first[c], feet.weight[c], spectra[k][c], padded[k])
        solved, smooth = padded[0, width : width + rows], padded[1, width : width + rows]
        data, floor, ground, ivar, mark = pixels.data[c], pixels.floor[c], pixels.ground[c], pixels.ivar[c], marks[c]
        for i in range(rows):
            variance = floor[i] + shot4 * max(smooth[i] + ground[i], zero)
            ivar[i] = one / variance
            model = solved[i] + ground[i]
            off, bright = data[i] - model, max(model, zero)
            variance += trust * bright * bright
            square = off * off
            above = np.uint8(square > grow * variance) + np.uint8(square > clip * variance)
            mark[i] = above if off > zero else np.uint8(3) * np.uint8(square > low * variance)
    return marks


@compiled()
def flood(marks: U1, pixels: Pixels) -> None:
    """Grow hits (marks 2) into all touching pixels of mark 1, in place; hits lose their weight, as marks 3 do."""
    m, rows = marks.shape
    pending, count = np.empty(m * rows, np.int64), 0
    for c in range(m):
        for i in range(rows):
            if marks[c, i] == 2:
                pending[count], count = c * rows + i, count + 1
            elif marks[c, i] == 3:
                pixels.ivar[c, i] = 0.0
    while count > 0:
        count -= 1
        c, i = pending[count] // rows, pending[count] % rows
        pixels.ivar[c, i] = 0.0
        for c2 in range(max(c - 1, 0), min(c + 2, m)):
            for i2 in range(max(i - 1, 0), min(i + 2, rows)):
                if marks[c2, i2] == 1:
                    marks[c2, i2] = 2
                    pending[count], count = c2 * rows + i2, count + 1
