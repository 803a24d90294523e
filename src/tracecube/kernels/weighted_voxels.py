"""A cube from samples at any place: the weighted mean of the samples about each voxel, and how voxels correlate.

    c_v = sum_i w_iv d_i / W_v,   var_v = sum_i w_iv^2 s_i / W_v^2,   W_v = sum_i w_iv,

over the samples i whose nearest voxel is at most some voxels away along each axis. Weights are those of Weilbacher et
al. (2020, A&A 641, A28, sect. 4.6), r the distance in voxels:

    nearest    1 for the sample closest to the voxel, 0 for all others
    linear     1 / r
    quadratic  1 / r^2
    renka      ((R - r) / (R r))^2 within R (Renka 1988, ACM Trans. Math. Softw. 14, 139)
    drizzle    share of the sample's drop, a box smaller than its pixel, in the voxel
               (Fruchter and Hook 2002, PASP 114, 144)
    lanczos    product over the axes of sinc(x) sinc(x / a), a the reach in voxels
               (Duchon 1979, J. Appl. Meteor. 18, 1016)

One sample counts in several voxels, whose noise is therefore alike: cov(u, v) = sum_i w_iu w_iv s_i / (W_u W_v).
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["METHODS", "Correlated", "Weighting", "correlation_sums", "half_offsets", "weigh_voxels"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

METHODS = ("nearest", "linear", "quadratic", "renka", "drizzle", "lanczos")
_NEAREST, _LINEAR, _QUADRATIC, _RENKA, _DRIZZLE = range(5)
_CLOSEST = 1e-3  # voxel: a sample nearer than this counts as one so far away
_SMALLEST = 1e-7  # of the sum of weights: with less a voxel is not measured
_AXES = 3


class Weighting(NamedTuple):
    """How samples count.

    Parameters
    ----------
    method : str
        One of `METHODS`.
    reach : int
        Voxels away, along each axis, that samples count at.
    radius : float, voxel
        Of renka.
    drop : (float, float, float), voxel
        Sides (z, y, x) of a sample's drop.
    """

    method: str
    reach: int = 1
    radius: float = 1.25
    drop: tuple[float, float, float] = (0.8, 0.8, 0.8)


class Correlated(NamedTuple):
    """Weighted means on a grid (z, y, x), NaN where no sample tells, and variances."""

    data: F4
    variance: F4


@numba.njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _overlap(distance: float, drop: float) -> float:
    """Return the share of a drop that lies in a voxel, along one axis."""
    low, high = max(distance - 0.5 * drop, -0.5), min(distance + 0.5 * drop, 0.5)
    return max(high - low, 0.0) / drop


@numba.njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _windowed(distance: float, reach: float) -> float:
    """Return Lanczos' windowed sinc."""
    if abs(distance) >= reach:
        return 0.0
    t = np.pi * distance
    return 1.0 if abs(t) < _CLOSEST else reach * np.sin(t) * np.sin(t / reach) / (t * t)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _weight(d: tuple[float, float, float], method: int, reach: int, radius: float, drop: F8) -> float:
    """Return the weight of a sample at a distance (z, y, x) from a voxel; of the nearest, how near it is."""
    if method == _DRIZZLE:
        return float(_overlap(d[0], drop[0]) * _overlap(d[1], drop[1]) * _overlap(d[2], drop[2]))
    if method > _DRIZZLE:
        return float(_windowed(d[0], reach) * _windowed(d[1], reach) * _windowed(d[2], reach))
    r = max(np.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]), _CLOSEST)
    if method == _RENKA:
        return float(((radius - r) / (radius * r)) ** 2) if r < radius else 0.0
    return float(1.0 / (r * r) if method == _QUADRATIC else 1.0 / r)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sum(  # noqa: PLR0913 - the arrays of one loop
    place: F4, value: F4, variance: F4, how: tuple[int, int, float], drop: F8, sums: F4
) -> None:
    """Add up weights, weighted values and squared weights times variances, sums (3, z, y, x)."""
    method, reach, radius = how
    nz, ny, nx = sums.shape[1:]
    for i in range(value.size):
        z0, y0, x0 = int(np.rint(place[i, 0])), int(np.rint(place[i, 1])), int(np.rint(place[i, 2]))
        for z in range(max(z0 - reach, 0), min(z0 + reach + 1, nz)):
            for y in range(max(y0 - reach, 0), min(y0 + reach + 1, ny)):
                for x in range(max(x0 - reach, 0), min(x0 + reach + 1, nx)):
                    d = place[i, 0] - z, place[i, 1] - y, place[i, 2] - x
                    w = _weight(d, method, reach, radius, drop)
                    if method == _NEAREST:
                        if w > sums[0, z, y, x]:
                            sums[0, z, y, x], sums[1, z, y, x] = w, w * value[i]
                            sums[2, z, y, x] = w * w * variance[i]
                    elif w != 0.0:
                        sums[0, z, y, x] += w
                        sums[1, z, y, x] += w * value[i]
                        sums[2, z, y, x] += w * w * variance[i]


def weigh_voxels(
    place: F4, value: F4, variance: F4, shape: tuple[int, int, int], how: Weighting
) -> tuple[Correlated, F4]:
    """Return the weighted mean of the samples about each voxel of a grid.

    Parameters
    ----------
    place : array (k, 3), voxels
        Place of the samples along the axes of the grid (z, y, x).
    value, variance : array (k,)
    shape : (int, int, int)
    how : Weighting

    Returns
    -------
    voxels : Correlated
    noise : array (z, y, x)
        Square root of the sum of squared weights times variances, 0 where nothing is measured: for `correlation_sums`.
    """
    sums = np.zeros((3, *shape), np.float32)
    _sum(place, value, variance, _plain(how), np.array(how.drop, np.float64), sums)
    good = sums[0] > _SMALLEST
    nothing = np.full(shape, np.nan, np.float32)
    data = np.divide(sums[1], sums[0], out=nothing.copy(), where=good)
    noise = np.where(good, np.sqrt(sums[2]), np.float32(0.0))
    spread = np.square(np.divide(noise, sums[0], out=nothing, where=good))
    return Correlated(data, spread), noise


def _plain(how: Weighting) -> tuple[int, int, float]:
    number = METHODS.index(how.method)
    return number, 0 if number == _NEAREST else how.reach, how.radius


def half_offsets(most: int) -> I8:
    """Return the offsets (n, 3) between voxels at most so many apart along each axis, one of each pair of opposites.

    Examples
    --------
    >>> half_offsets(1).shape, half_offsets(1)[0].tolist()
    ((13, 3), [0, 0, 1])
    """
    line = np.arange(-most, most + 1)
    all_ = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(-1, _AXES)
    return np.asarray(all_[len(all_) // 2 + 1 :], np.int64)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _correlate(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    place: F4, variance: F4, how: tuple[int, int, float], drop: F8, noise: F4, plane: int, most: int, total: F8
) -> None:
    """Add the correlations of every voxel of a plane with those that samples share with it, over the samples."""
    method, reach, radius = how
    nz, ny, nx = noise.shape
    side = 2 * most + 1
    middle = (side**3) // 2
    for i in range(variance.size):
        z0, y0, x0 = int(np.rint(place[i, 0])), int(np.rint(place[i, 1])), int(np.rint(place[i, 2]))
        if abs(z0 - plane) > reach:
            continue
        for y in range(max(y0 - reach, 0), min(y0 + reach + 1, ny)):
            for x in range(max(x0 - reach, 0), min(x0 + reach + 1, nx)):
                d = place[i, 0] - plane, place[i, 1] - y, place[i, 2] - x
                own = _weight(d, method, reach, radius, drop)
                if own == 0.0 or noise[plane, y, x] == 0.0:
                    continue
                part = own * variance[i] / noise[plane, y, x]
                for p in range(plane, min(z0 + reach + 1, nz)):
                    for q in range(max(y0 - reach, 0), min(y0 + reach + 1, ny)):
                        for s in range(max(x0 - reach, 0), min(x0 + reach + 1, nx)):
                            k = ((p - plane + most) * side + q - y + most) * side + s - x + most - middle - 1
                            if k >= 0 and noise[p, q, s] > 0.0:
                                d = place[i, 0] - p, place[i, 1] - q, place[i, 2] - s
                                total[k] += part * _weight(d, method, reach, radius, drop) / noise[p, q, s]


def correlation_sums(place: F4, variance: F4, noise: F4, how: Weighting, *, plane: int) -> tuple[F8, I8]:
    """Return sums of the correlations of the voxels of a plane with others, and of how many pairs each is.

    Parameters
    ----------
    place : array (k, 3), voxels
    variance : array (k,)
    noise : array (z, y, x)
        From `weigh_voxels`.
    how : Weighting
    plane : int

    Returns
    -------
    total : array (n,)
        By the offsets of `half_offsets` for twice the reach: samples join no voxels farther apart.
    pairs : array (n,)
    """
    offset = half_offsets(2 * how.reach)
    total = np.zeros(len(offset))
    if how.method != "nearest":
        near = np.abs(place[:, 0] - np.float32(plane)) < how.reach + 1
        drop = np.array(how.drop, np.float64)
        _correlate(place[near], variance[near], _plain(how), drop, noise, plane, 2 * how.reach, total)
    known = noise > 0
    pairs = np.array([_pairs(known, plane, one) for one in offset], np.int64)
    return total, pairs


def _pairs(known: NDArray[np.bool_], plane: int, offset: I8) -> int:
    """Return how many voxels of a plane and those at an offset are both measured."""
    z, y, x = (int(one) for one in offset)
    if not 0 <= plane + z < len(known):
        return 0
    ny, nx = known.shape[1:]
    here = known[plane, max(0, -y) : ny - max(0, y), max(0, -x) : nx - max(0, x)]
    there = known[plane + z, max(0, y) : ny - max(0, -y), max(0, x) : nx - max(0, -x)]
    return int(np.count_nonzero(here & there))
