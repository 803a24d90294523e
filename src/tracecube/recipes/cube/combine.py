"""Cubes of several exposures to one: weighted mean of voxels, outliers between exposures left out, slab by slab."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.flags import Flag
from tracecube.core.spectra import CubeOnDisk

__all__ = ["Combined", "combine_cubes"]

F4 = NDArray[np.float32]

_VOXELS = 8_000_000  # of all exposures together that are held at a time: 12 bytes each
_ENOUGH = 3  # exposures from which a median tells which one is wrong
_SHARE = 0.3  # of the median: what a sharp source may differ between exposures of unlike seeing
_FROM_SPREAD = 1.2533  # error of a median over that of a mean


class Combined(NamedTuple):
    """Mean (wave, y, x), variance and flags; exposures of each spaxel in the middle plane; share that was left out."""

    data: F4
    variance: F4
    flags: NDArray[np.int32]
    exposures: IntArray
    rejected: float


def combine_cubes(cubes: Sequence[CubeOnDisk], weights: Sequence[float], *, clip: float) -> Combined:
    """Return the weighted mean of cubes on one grid.

    Variances add with the squares of the weights, as noise of cubes made from pixels is uncorrelated between voxels and
    exposures. Of three and more, a sample far off the median of all is left out; where that would be all of them, far
    off the lower of the two in the middle.

    Parameters
    ----------
    cubes : sequence of CubeOnDisk
    weights : sequence of float
        Of exposures, alike at all voxels, so that no source's spectrum depends on its brightness.
    clip : float
        Standard deviations beyond which a sample is left out.

    Raises
    ------
    BadData
        They are not on one grid.
    """
    shape = cubes[0].shape
    if any(one.shape != shape for one in cubes):
        raise BadData(f"cubes of shapes {sorted({one.shape for one in cubes})}", hint="make them on one grid again")
    data, variance = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    flags = np.zeros(shape, np.int32)
    depth = np.zeros(shape[1:], np.int32)
    step = max(1, _VOXELS // (len(cubes) * shape[1] * shape[2]))
    out = total = 0
    factor = np.asarray(weights, np.float32)
    for start in range(0, shape[0], step):
        stop = min(start + step, shape[0])
        parts = [one.planes(start, stop) for one in cubes]
        stack, noise = (np.stack([part[i] for part in parts]).astype(np.float32, copy=False) for i in (0, 1))
        good = np.stack([part[2] == 0 for part in parts]) & np.isfinite(stack) & (noise > 0)
        kept = good & ~_outliers(stack, noise, good, clip)
        out, total = out + int(good.sum() - kept.sum()), total + int(good.sum())
        data[start:stop], variance[start:stop] = _mean(stack, noise, kept, factor)
        flags[start:stop] = np.where(kept.any(axis=0), 0, np.bitwise_or.reduce([part[2] for part in parts]))
        if start <= shape[0] // 2 < stop:
            depth = kept[:, shape[0] // 2 - start].sum(axis=0, dtype=np.int32)
    flags[~np.isfinite(data) & (flags == 0)] = int(Flag.NOT_MEASURED)
    return Combined(data, variance, flags, depth, out / max(total, 1))


def _outliers(stack: F4, noise: F4, good: NDArray[np.bool_], clip: float) -> NDArray[np.bool_]:
    """Return which samples lie far off the median of three and more."""
    count = good.sum(axis=0)
    if len(stack) < _ENOUGH or not (count >= _ENOUGH).any():
        return np.zeros(stack.shape, bool)
    ordered = np.sort(np.where(good, stack, np.inf), axis=0)
    low, high = np.maximum((count - 1) // 2, 0), np.minimum(count // 2, len(stack) - 1)
    middle = 0.5 * (np.take_along_axis(ordered, low[None], 0)[0] + np.take_along_axis(ordered, high[None], 0)[0])
    found = _far(stack, noise, good, middle, clip)
    # of two pairs far apart the middle is near none: the lower one is true, as hits and satellites only add light
    lost = (count >= _ENOUGH) & ~(good & ~found).any(axis=0)
    if lost.any():
        middle = np.where(lost, np.take_along_axis(ordered, low[None], 0)[0], middle)
        found = _far(stack, noise, good, middle, clip)
    return found


def _far(stack: F4, noise: F4, good: NDArray[np.bool_], middle: F4, clip: float) -> NDArray[np.bool_]:
    """Return which samples lie further from the middle of three and more than errors allow."""
    count = good.sum(axis=0)
    mean = np.sum(np.where(good, noise, 0.0), axis=0) / np.maximum(count, 1)
    of_median = _FROM_SPREAD**2 * mean / np.maximum(count, 1)
    with np.errstate(invalid="ignore"):
        limit = clip * np.sqrt(noise + of_median) + _SHARE * np.maximum(middle, 0.0)
        return np.asarray(good & (count >= _ENOUGH) & (np.abs(stack - middle) > limit))


def _mean(stack: F4, noise: F4, kept: NDArray[np.bool_], factor: F4) -> tuple[FloatArray, FloatArray]:
    weight = np.where(kept, factor[:, None, None, None], np.float32(0.0))
    total = weight.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(total > 0, np.sum(weight * np.where(kept, stack, 0.0), axis=0) / total, np.nan)
        variance = np.where(total > 0, np.sum(weight**2 * np.where(kept, noise, 0.0), axis=0) / total**2, np.nan)
    return mean, variance
