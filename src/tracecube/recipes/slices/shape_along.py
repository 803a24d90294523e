"""By how much columns of a slice are brighter than their piece, and which of them no image of an object explains."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import BoolArray
from tracecube.kernels.compiled import compiled

__all__ = ["BLOCK", "FEWEST", "levels", "shapes"]

F4 = NDArray[np.float32]
I4 = NDArray[np.int32]

BLOCK = 32
"""Rows in which objects have one shape along the slice."""

FEWEST = 3
"""Pixels of a piece in a row that tell its level."""

_KNOWN = 0.25  # of the rows of a block: fewer do not tell the shape
_CLIP = 4.0  # errors of a column's shape beyond what its neighbours allow
_STEEP = 2.5  # a column's light over its neighbours' mean; 2.0 for a star of FWHM 2 px (0.4 arcsec) centred on a pixel
_STEEP_ACROSS = 5.0  # the same where one neighbour is the next but one, over a bad column, and of two columns: 4.0
_SKY = 0.1  # of the columns of a slice are no brighter than the sky


@compiled()
def levels(data: F4, part: I4, pieces: int) -> F4:
    """Return the median of the pixels of each piece in each row (pieces, y); NaN for fewer than three."""
    rows, columns = data.shape
    level, value = np.full((pieces, rows), np.nan, np.float32), np.empty(columns, np.float32)
    for y in range(rows):
        for piece in range(pieces):
            n = 0
            for x in range(columns):
                if part[y, x] == piece:
                    value[n] = data[y, x]
                    n += 1
            if n >= FEWEST:
                level[piece, y] = np.median(value[:n])
    return level


def shapes(data: F4, variance: F4, part: I4, level: F4) -> tuple[F4, BoolArray]:
    """Return by how much pixels are brighter than their piece, by blocks of rows (blocks, x): an object's shape.

    That is the median over the rows of a block; NaN where few of them are good. Columns that are not as light can be
    (warm or dead ones, a hit along dispersion) are told, and have the shape of their neighbours.

    Parameters
    ----------
    data, variance : array (y, x)
        Of one slice.
    part : int array (y, x)
        Piece of each pixel; -1 for those that do not count.
    level : array (pieces, y)
        Of the pieces.

    Returns
    -------
    shape : array (blocks, x)
    spoilt : bool array (blocks, x)
    """
    shape, height, noise = _medians(data, variance, part, level)
    spoilt, beside = _unlike_light(height, noise)
    return np.where(spoilt, shape - (height - beside), shape).astype(np.float32), spoilt


@compiled()
def _medians(data: F4, variance: F4, part: I4, level: F4) -> tuple[F4, F4, F4]:
    """Return medians over a block above the piece and above the typical piece, and their variance (blocks, x)."""
    rows, columns = data.shape
    shape = np.full((-(-rows // BLOCK), columns), np.nan, np.float32)
    height, noise = shape.copy(), shape.copy()
    own, over, spread = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    typical = np.empty(rows, np.float32)
    for y in range(rows):
        typical[y] = np.nanmedian(level[:, y])
    for block in range(len(shape)):
        first, last = block * BLOCK, min((block + 1) * BLOCK, rows)
        for x in range(columns):
            n = 0
            for y in range(first, last):
                if part[y, x] >= 0 and not np.isnan(level[part[y, x], y]):
                    own[n], over[n] = data[y, x] - level[part[y, x], y], data[y, x] - typical[y]
                    spread[n] = variance[y, x]
                    n += 1
            if n > _KNOWN * (last - first):
                shape[block, x], height[block, x] = np.median(own[:n]), np.median(over[:n])
                noise[block, x] = 0.5 * np.pi * np.median(spread[:n]) / n
    return shape, height, noise


def _unlike_light(height: F4, noise: F4) -> tuple[BoolArray, F4]:
    """Return which columns are not as light can be, and the mean of their neighbours (blocks, x).

    Whatever stars there are, none narrower than 2 px, a column has at most twice its neighbours' mean above the sky,
    and no column is darker than the sky. Two columns have at most four times what is beside both. A column at an end
    of the slice may be all that is seen of a star beyond: one that is so steep does not count, be it light or not.
    """
    sky = _lowest(height)[:, None]
    left, right = (_beside(height, noise, way) for way in (1, -1))
    error = _CLIP * np.sqrt(noise + np.maximum(left.noise, right.noise))
    dark = (np.minimum(left.height, right.height) - height > error) & (sky - height > error)
    left, right = (_beside(np.where(dark, np.nan, height), noise, way) for way in (1, -1))
    beside, beside_noise = 0.5 * (left.height + right.height), 0.25 * (left.noise + right.noise)
    steep = np.where(left.next & right.next, _STEEP, _STEEP_ACROSS)
    most = sky + steep * (beside - sky) + _CLIP * np.sqrt(noise + steep**2 * beside_noise)
    warm = (left.next | right.next) & (height > most)
    spoilt, shape = (dark & np.isfinite(beside)) | warm, np.asarray(beside)
    for own, value in (_ends(height, noise, sky, left, right), _pairs(np.where(dark, np.nan, height), noise, sky)):
        shape = np.where(own, value, shape)
        spoilt |= own
    return np.asarray(spoilt), np.asarray(shape)


def _ends(height: F4, noise: F4, sky: F4, left: _Neighbours, right: _Neighbours) -> tuple[BoolArray, F4]:
    """Return which columns at an end are steeper than light beside a column is, and what the neighbour has."""
    found, value = np.zeros(height.shape, bool), np.zeros_like(height)
    for inner, outer in ((left, right), (right, left)):
        most = sky + _STEEP_ACROSS * (inner.height - sky) + _CLIP * np.sqrt(noise + _STEEP_ACROSS**2 * inner.noise)
        own = ~np.isfinite(outer.height) & inner.next & (height > most)
        found, value = found | own, np.where(own, inner.height, value)
    return found, value


def _pairs(height: F4, noise: F4, sky: F4) -> tuple[BoolArray, F4]:
    """Return which columns are, with one beside them, brighter than two of light are, and what is about both."""
    found, value = np.zeros(height.shape, bool), np.zeros_like(height)
    both, error = 0.5 * (height + _moved(height, -1)), 0.25 * (noise + _moved(noise, -1))  # of a column and the next
    about = 0.5 * (_moved(height, 1) + _moved(height, -2))
    about_error = 0.25 * (_moved(noise, 1) + _moved(noise, -2))
    own = both > sky + _STEEP_ACROSS * (about - sky) + _CLIP * np.sqrt(error + _STEEP_ACROSS**2 * about_error)
    own &= np.minimum(height, _moved(height, -1)) - about > _CLIP * np.sqrt(
        noise + about_error
    )  # not one of them alone
    for step in (0, 1):
        mine = own if step == 0 else _moved(own.astype(np.float32), 1) > 0
        found, value = found | mine, np.where(mine, about if step == 0 else _moved(about, 1), value)
    return found, value


class _Neighbours(NamedTuple):
    """On one side: how bright, with variance, and whether they are next; else the next but one (blocks, x)."""

    height: F4
    noise: F4
    next: BoolArray


def _beside(height: F4, noise: F4, way: int) -> _Neighbours:
    """Return the neighbours on one side."""
    near, far, near_noise, far_noise = (_moved(a, step * way) for a in (height, noise) for step in (1, 2))
    known = np.isfinite(near)
    return _Neighbours(np.where(known, near, far), np.where(known, near_noise, far_noise), known)


def _moved(image: F4, step: int) -> F4:
    """Columns moved by a step; NaN come in."""
    moved = np.full_like(image, np.nan)
    if step > 0:
        moved[:, step:] = image[:, :-step]
    else:
        moved[:, :step] = image[:, -step:]
    return moved


def _lowest(height: F4) -> F4:
    """The sky of each block: a tenth of its columns are fainter; NaN without any (blocks)."""
    sky = np.full(len(height), np.nan, np.float32)
    known = np.isfinite(height).any(axis=1)
    sky[known] = np.nanquantile(height[known], _SKY, axis=1)
    return sky
