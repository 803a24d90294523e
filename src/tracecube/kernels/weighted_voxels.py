"""A cube of weighted means: each voxel the mean of the samples about it, by how near they lie or how far they overlap.

With w_vi the weight of sample i in voxel v, the value is sum_i w_vi d_i / W_v, W_v = sum_i w_vi, its variance
sum_i w_vi^2 s_i^2 / W_v^2, and the covariance of two voxels sum_i w_vi w_ui s_i^2 / (W_v W_u). Distances r are in
voxels. The weights (the choice is that of Weilbacher et al. 2020, A&A 641, A28, section 4.9; formulas of those named):

* nearest: of the samples in the voxel the one closest to its middle, alone; without any it is not measured;
* linear, quadratic: 1 / r, 1 / r^2 (Shepard 1968, Proc. 23rd ACM conference, 517), r no smaller than 1e-3;
* renka: ((c - r) / (c r))^2 within c (Renka 1988, ACM Trans. Math. Soft. 14, 139);
* drizzle: the share of the sample's drop, a box, that the voxel holds (Fruchter and Hook 2002, PASP 114, 144);
* lanczos: sinc(d) sinc(d / a) on each axis, within a (Duchon 1979, J. Appl. Meteorol. 18, 1016).

All but nearest and drizzle reach ``reach`` voxels beyond the one a sample lies in; a drop is laid out whole.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, uniform_filter

from tracecube.kernels.compiled import compiled

__all__ = ["METHODS", "Weighted", "Weighting", "shared_noise", "weigh_voxels"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

METHODS = ("nearest", "linear", "quadratic", "renka", "drizzle", "lanczos")
_NEAREST, _LINEAR, _QUADRATIC, _RENKA, _DRIZZLE, _LANCZOS = range(6)

_CLOSEST = 1e-6  # voxels squared: a sample in the very middle has a finite weight
_SLIVER = 1e-5  # of a sample: drops that touch a voxel by rounding alone do not measure it
_BIN, _LINE = (1, 3, 3), (5, 1, 1)  # voxels over whose mean variance pairs within a plane, and between, are taken
_ENOUGH = 0.2  # of the voxels that are known
_CANCELLED = 0.1  # sum of weights of both signs below which their noise is blown up


class Weighting(NamedTuple):
    """How samples count in the voxels about them.

    Parameters
    ----------
    method : str
        One of `METHODS`.
    reach : int, voxels
    radius : float, voxels
        Critical radius of renka.
    drop : (float, float, float), voxels
        Of drizzle: width of a sample's drop (z, y, x).
    """

    method: str
    reach: int = 1
    radius: float = 1.25
    drop: tuple[float, float, float] = (0.8, 0.8, 0.8)

    @property
    def span(self) -> int:
        """Voxels on either side of its own that a sample may count in."""
        if self.method == "drizzle":
            return int(0.5 * max(self.drop) + 1.0)
        return 0 if self.method == "nearest" else self.reach

    @property
    def apart(self) -> int:
        """Largest distance of two voxels, along an axis, that one sample counts in."""
        return int(np.ceil(max(self.drop))) if self.method == "drizzle" else 2 * self.span


class Weighted(NamedTuple):
    """Voxels of a grid (z, y, x): data and variance, NaN where no sample counts, and the sum of weights."""

    data: F4
    variance: F4
    weight: F4


def weigh_voxels(place: F4, value: F4, variance: F4, shape: tuple[int, int, int], how: Weighting) -> Weighted:
    """Return the weighted means of samples in the voxels of a grid.

    Parameters
    ----------
    place : array (k, 3), voxels
        Place of the samples along the axes of the grid (z, y, x).
    value, variance : array (k,)
        A sample whose variance is not positive and finite does not count.
    shape : (int, int, int)
    how : Weighting
    """
    code = METHODS.index(how.method)
    sums = np.zeros((*shape, 3), np.float32)
    if code == _NEAREST:
        _closest(place, value, variance, np.full(shape, np.inf, np.float32), sums)
    else:
        _scatter(code, place, value, variance, _numbers(how), how.reach, sums)
    total = sums[..., 1]
    known = total > (_CANCELLED if code == _LANCZOS else _SLIVER)
    nothing = np.full(shape, np.nan, np.float32)
    data = np.divide(sums[..., 0], total, out=nothing.copy(), where=known)
    noise = np.divide(sums[..., 2], total, out=nothing, where=known)
    np.divide(noise, total, out=noise, where=known)
    return Weighted(data, noise, np.ascontiguousarray(total))


def shared_noise(place: F4, shape: tuple[int, int], how: Weighting, planes: int) -> tuple[F8, F8]:
    """Return sums of covariances and of mean variances of pairs of voxels, by how they lie to each other.

    Their ratio is a correlation coefficient: that of samples of equal variance, which neighbours nearly have. Voxels
    with samples near their middle are noisier and share less: both count in units of the mean variance around them
    (within a plane of 3 x 3 voxels, between planes of 5 along wavelength), so that it is right for bins and lines of
    about that size wherever they lie. Voxels beside one that is not measured do not count: beyond the edge of a field
    they have the samples of those within.

    Parameters
    ----------
    place : array (k, 3), voxels
        Of the samples that count; those beyond the planes tell of the last ones' neighbours.
    shape : (int, int)
        Rows and columns of the grid.
    how : Weighting
    planes : int
        Voxels of the planes from 0 to this are compared with those around.

    Returns
    -------
    shared, mean : array (a + 1, 2 a + 1, 2 a + 1)
        At ``[dz, dy + a, dx + a]``, a being ``how.apart``; each pair once, so half of the plane dz = 0 is empty.
    """
    apart = how.apart
    near = (place[:, 0] > -how.span - 1) & (place[:, 0] < planes + apart + how.span)
    place, grid = place[near], (planes + apart, *shape)
    one = np.ones(len(place), np.float32)
    found = weigh_voxels(place, one, one, grid, how)
    known = _within(np.isfinite(found.data))
    shared = np.zeros((apart + 1, 2 * apart + 1, 2 * apart + 1))
    mean = np.zeros_like(shared)
    flat, deep = (_spread(found.variance, known, box) for box in (_BIN, _LINE))
    if how.method != "nearest":
        scale = np.divide(1.0, found.weight, out=np.zeros(grid, np.float32), where=known)
        _pairs(METHODS.index(how.method), place, _numbers(how), how.reach, (scale, flat, deep), planes, shared)
    for dz, dy, dx in np.ndindex(shared.shape):
        away = (dz, dy - apart, dx - apart)
        if away <= (0, 0, 0):
            continue
        first = tuple(slice(max(-step, 0), size - max(step, 0)) for step, size in zip(away, grid, strict=True))
        first = (slice(0, planes), *first[1:])
        other = tuple(slice(part.start + step, part.stop + step) for part, step in zip(first, away, strict=True))
        both = known[first] & known[other]
        size = deep if dz else flat
        unit = 1.0 / (size[first][both] * size[other][both])
        mean[dz, dy, dx] = 0.5 * ((found.variance[first][both] + found.variance[other][both]) * unit).sum()
    return shared, mean


def _within(known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return voxels all of whose 8 neighbours in the plane are known too; all known ones where that leaves few."""
    inner = binary_erosion(known, np.ones((1, 3, 3), bool), border_value=1)
    return inner if np.count_nonzero(inner) > _ENOUGH * np.count_nonzero(known) else known


def _spread(variance: F4, known: NDArray[np.bool_], box: tuple[int, int, int]) -> F4:
    """Return the root of the mean variance of the known voxels in a box around each (z, y, x)."""
    mean = uniform_filter(np.where(known, variance, 0.0).astype(np.float64), box, mode="constant")
    share = uniform_filter(known.astype(np.float64), box, mode="constant")
    return np.asarray(np.sqrt(np.divide(mean, share, out=np.ones_like(mean), where=known)), np.float32)


def _numbers(how: Weighting) -> F4:
    """Return half the widths of a drop (z, y, x), and the critical radius."""
    return np.array([*(0.5 * width for width in how.drop), how.radius], np.float32)


@compiled(inline="always")
def _axis(code: int, centre: np.float32, half: np.float32, reach: int, out: F4) -> tuple[int, int]:
    """Put the shares of the voxels along an axis, or their squared distances, into ``out``; return first and number."""
    side = np.float32(0.5)
    if code == _DRIZZLE:
        low, high = centre - half, centre + half
        first, last = int(np.floor(low + side)), int(np.floor(high + side))
        for k in range(last - first + 1):
            middle = np.float32(first + k)
            out[k] = max(min(high, middle + side) - max(low, middle - side), np.float32(0.0)) / (high - low)
        return first, last - first + 1
    first = int(np.floor(centre + side)) - reach
    for k in range(2 * reach + 1):
        d = centre - np.float32(first + k)
        out[k] = d * d
        if code == _LANCZOS:
            out[k] = np.float32(np.sinc(d) * np.sinc(d / reach)) if abs(d) < reach else np.float32(0.0)
    return first, 2 * reach + 1


@compiled(inline="always")
def _about(code: int, r2: np.float32, radius: np.float32) -> np.float32:
    """Return the weight at a squared distance."""
    r2 = max(r2, np.float32(_CLOSEST))
    if code == _QUADRATIC:
        return np.float32(np.float32(1.0) / r2)
    r = np.sqrt(r2)
    if code == _LINEAR:
        return np.float32(np.float32(1.0) / r)
    beyond = max(radius - r, np.float32(0.0)) / (radius * r)
    return np.float32(beyond * beyond)


@compiled(inline="always")
def _counts(variance: np.float32) -> bool:
    """Return whether a sample counts."""
    return bool(np.float32(0.0) < variance < np.float32(np.inf))


@compiled()
def _scatter(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    code: int, place: F4, value: F4, variance: F4, numbers: F4, reach: int, sums: F4
) -> None:
    """Add w d, w and w^2 s^2 of all samples to ``sums`` (z, y, x, 3)."""
    apart, longest = code in {_DRIZZLE, _LANCZOS}, 2 * reach + 3 + int(4 * numbers[:3].max())
    along = np.empty((3, longest), np.float32)
    lz, ly, lx, _ = sums.shape
    for i in range(value.size):
        if not _counts(variance[i]):
            continue
        z0, nz = _axis(code, place[i, 0], numbers[0], reach, along[0])
        y0, ny = _axis(code, place[i, 1], numbers[1], reach, along[1])
        x0, nx = _axis(code, place[i, 2], numbers[2], reach, along[2])
        for p in range(max(-z0, 0), min(nz, lz - z0)):
            for q in range(max(-y0, 0), min(ny, ly - y0)):
                product, total = along[0, p] * along[1, q], along[0, p] + along[1, q]
                for s in range(max(-x0, 0), min(nx, lx - x0)):
                    w = product * along[2, s] if apart else _about(code, total + along[2, s], numbers[3])
                    sums[z0 + p, y0 + q, x0 + s, 0] += w * value[i]
                    sums[z0 + p, y0 + q, x0 + s, 1] += w
                    sums[z0 + p, y0 + q, x0 + s, 2] += w * w * variance[i]


@compiled()
def _closest(place: F4, value: F4, variance: F4, best: F4, sums: F4) -> None:
    """Put the sample closest to the middle of each voxel, ``best`` voxels squared away, into ``sums`` (z, y, x, 3)."""
    lz, ly, lx = best.shape
    side = np.float32(0.5)
    for i in range(variance.size):
        z, y, x = (
            int(np.floor(place[i, 0] + side)),
            int(np.floor(place[i, 1] + side)),
            int(np.floor(place[i, 2] + side)),
        )
        if not _counts(variance[i]) or min(z, y, x) < 0 or z >= lz or y >= ly or x >= lx:
            continue
        r2 = (place[i, 0] - z) ** 2 + (place[i, 1] - y) ** 2 + (place[i, 2] - x) ** 2
        if r2 < best[z, y, x]:
            best[z, y, x] = r2
            sums[z, y, x, 0], sums[z, y, x, 1], sums[z, y, x, 2] = value[i], 1.0, variance[i]


@compiled()
def _pairs(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    code: int, place: F4, numbers: F4, reach: int, of_voxels: tuple[F4, F4, F4], planes: int, total: F8
) -> None:
    """Add covariances of pairs of voxels to ``total``, in units of their sizes.

    Of voxels 1 / W, 0 of none, and their sizes for pairs within a plane and between planes.
    """
    scale, flat, deep = of_voxels
    apart, longest = code in {_DRIZZLE, _LANCZOS}, 2 * reach + 3 + int(4 * numbers[:3].max())
    along = np.empty((3, longest), np.float32)
    at, share = np.empty((longest**3, 3), np.int64), np.empty(longest**3)
    lz, ly, lx = scale.shape
    middle = total.shape[0] - 1
    for i in range(place.shape[0]):
        z0, nz = _axis(code, place[i, 0], numbers[0], reach, along[0])
        y0, ny = _axis(code, place[i, 1], numbers[1], reach, along[1])
        x0, nx = _axis(code, place[i, 2], numbers[2], reach, along[2])
        n = 0
        for p in range(max(-z0, 0), min(nz, lz - z0)):
            for q in range(max(-y0, 0), min(ny, ly - y0)):
                for s in range(max(-x0, 0), min(nx, lx - x0)):
                    w = along[0, p] * along[1, q] * along[2, s]
                    if not apart:
                        w = _about(code, along[0, p] + along[1, q] + along[2, s], numbers[3])
                    share[n] = w * scale[z0 + p, y0 + q, x0 + s]
                    at[n, 0], at[n, 1], at[n, 2] = z0 + p, y0 + q, x0 + s
                    n += share[n] != 0.0
        for k in range(n):
            if at[k, 0] >= planes:
                continue
            for m in range(n):
                dz, dy, dx = at[m, 0] - at[k, 0], at[m, 1] - at[k, 1], at[m, 2] - at[k, 2]
                if dz > 0 or (dz == 0 and (dy > 0 or (dy == 0 and dx > 0))):
                    size = deep if dz > 0 else flat
                    unit = size[at[k, 0], at[k, 1], at[k, 2]] * size[at[m, 0], at[m, 1], at[m, 2]]
                    total[dz, dy + middle, dx + middle] += share[k] * share[m] / unit
