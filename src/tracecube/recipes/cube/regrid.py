"""A cube on another grid, where its pixels are no longer to be had: voxels share by how much they overlap."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.sparse import csr_array

from tracecube.core.fields import BoolArray, FloatArray, IntArray

__all__ = ["Axis", "Regridded", "overlaps", "regrid"]

_MEASURED = 0.5  # share of a voxel that must have been seen


@dataclass(frozen=True)
class Axis:
    """How an axis of the new grid lies on the old: sample i of it is at ``first + step * i`` samples of the old."""

    first: float
    step: float
    count: int


@dataclass(frozen=True)
class Regridded:
    """A cube on its new grid.

    Parameters
    ----------
    data, variance : float32 array (z, y, x)
        NaN where less than half of a voxel was seen.
    covariance_offset : int32 array (k, 3)
    covariance_value : array (k,)
        Correlation of neighbours, for uncorrelated noise in the old cube.
    """

    data: FloatArray
    variance: FloatArray
    covariance_offset: IntArray
    covariance_value: FloatArray


def overlaps(axis: Axis, count: int) -> csr_array:
    """Return by how much samples of a new axis (n, first dimension) overlap those of the old (``count``).

    Both are boxes as wide as their steps; lengths are in samples of the old.
    """
    middle = axis.first + axis.step * np.arange(axis.count)
    low, high = middle - 0.5 * axis.step, middle + 0.5 * axis.step
    reach = int(np.ceil(axis.step)) + 1
    old = np.floor(low + 0.5).astype(int)[:, None] + np.arange(reach + 1)
    length = np.minimum(high[:, None], old + 0.5) - np.maximum(low[:, None], old - 0.5)
    used = (length > 0) & (old >= 0) & (old < count)
    row = np.broadcast_to(np.arange(axis.count)[:, None], old.shape)
    return csr_array((length[used], (row[used], old[used])), shape=(axis.count, count))


def regrid(data: FloatArray, variance: FloatArray, good: BoolArray, axes: tuple[Axis, Axis, Axis]) -> Regridded:
    """Return a cube on other axes: means over what new voxels see of old ones, with the variance of such a mean.

    This is the drizzle of Fruchter & Hook 2002, PASP 114, 144, with drops as large as voxels: surface brightness
    stays, noise is shared by neighbours.

    Parameters
    ----------
    data, variance : array (z, y, x)
    good : bool array (z, y, x)
        Voxels that count.
    axes : (Axis, Axis, Axis)
        z, y, x.
    """
    depth, rows, columns = (overlaps(axis, size) for axis, size in zip(axes, data.shape, strict=True))
    shape = tuple(axis.count for axis in axes)
    total, noise, share = (np.zeros(shape, np.float32) for _ in range(3))
    of_plane = depth.tocsc()
    for plane in range(data.shape[0]):
        targets = of_plane.indices[of_plane.indptr[plane] : of_plane.indptr[plane + 1]]
        if not targets.size or not good[plane].any():
            continue
        weights = of_plane.data[of_plane.indptr[plane] : of_plane.indptr[plane + 1]]
        known = good[plane]
        light, spread = (np.where(known, one[plane], 0.0).astype(np.float64) for one in (data, variance))
        light, seen = rows @ (light @ columns.T), rows @ (known.astype(np.float64) @ columns.T)
        spread = rows.power(2) @ (spread @ columns.power(2).T)
        for target, weight in zip(targets, weights, strict=True):
            total[target] += weight * light
            noise[target] += weight**2 * spread
            share[target] += weight * seen
    whole = float(np.prod([axis.step for axis in axes]))
    measured = share > _MEASURED * whole
    safe = np.where(measured, share, 1.0)
    offsets, values = _correlation(depth, rows, columns)
    return Regridded(
        data=np.where(measured, total / safe, np.nan).astype(np.float32),
        variance=np.where(measured, noise / safe**2, np.nan).astype(np.float32),
        covariance_offset=offsets,
        covariance_value=values,
    )


def _correlation(*axes: csr_array) -> tuple[IntArray, FloatArray]:
    """Return offsets (k, 3) to neighbours, and the mean correlation with them, of noise that the old voxels have."""
    beside = [_beside(axis) for axis in axes]
    offsets = [one for one in product((0, 1), repeat=len(axes)) if any(one)]
    values = [
        float(np.prod([near if step else 1.0 for near, step in zip(beside, one, strict=True)])) for one in offsets
    ]
    return np.array(offsets, np.int32), np.array(values)


def _beside(axis: csr_array) -> float:
    """Return the mean correlation of a sample with the next."""
    power = np.asarray(axis.power(2).sum(axis=1)).ravel()
    shared = np.asarray((axis[:-1] * axis[1:]).sum(axis=1)).ravel()
    both = np.sqrt(power[:-1] * power[1:])
    known = both > 0
    return float(np.mean(shared[known] / both[known])) if known.any() else 0.0
