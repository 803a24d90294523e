"""Cosmic rays in slices that only one slice sees: light spread by seeing is in the slices beside it too.

A track on the detector lies within one slice, and may have any shape there: as wide as an image, as long as a line. The
sky's light reaches the slices on either side, which lie elsewhere on the detector and were not hit. An image of a full
width at half maximum of two slices puts half of its peak into each of them; of the mean over 3 x 3 pixels there, for a
line of 1.85 px, 0.21 is left, and of the sum of both sides 0.42.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import binary_dilation

from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.slices import SliceGeometry

__all__ = ["SliceView", "beside", "find_alone"]

_BOTH = 0.3  # of a pixel's light: less than both slices beside it see together of the sharpest image
_ONE = 0.07  # less than the one slice farther out sees on the wing of a star: Moffat's, of two slices' width, has 0.1
_CLEAR = 2.0  # standard deviations by which they are fainter
_GROW = 0.5  # of the limit: pixels beside a hit
_FARTHEST = 1.5  # of the distance between slices: beyond it lies another
_FEW = 4  # of 9 pixels that tell of a slice
_ROUNDS = 3


class SliceView(NamedTuple):
    """What a slice sees in some rows of the detector, the sky off, as bright as all slices.

    Parameters
    ----------
    light, variance : array (y, x)
    usable : bool array (y, x)
        Good, and not hit.
    hit : bool array (y, x)
    wave : array (y, x), Angstrom
    along : array (y, x), arcsec
        Place along the slice, in the field: linear in x.
    """

    light: FloatArray
    variance: FloatArray
    usable: BoolArray
    hit: BoolArray
    wave: FloatArray
    along: FloatArray


def find_alone(own: SliceView, beside: Sequence[SliceView], *, limit: float) -> BoolArray:
    """Return which usable pixels have light that the slices beside do not see.

    Parameters
    ----------
    own : SliceView
    beside : sequence of SliceView
        On either side; of one there, more is asked; of none, nothing is known.
    limit : float
        Standard deviations by which a pixel stands out; half as many beside a hit.
    """
    found = np.zeros(own.hit.shape, bool)
    noise = np.sqrt(own.variance)
    bright = own.usable & (own.light > _GROW * limit * noise)
    if not beside or not bright.any():
        return found
    y, x = np.nonzero(bright)
    sides = [_around(one, own.wave[y, x], own.along[y, x]) for one in beside]
    told = np.isfinite([mean for mean, _ in sides])
    mean = np.where(told, np.maximum([mean for mean, _ in sides], 0.0), 0.0).sum(axis=0)
    variance = np.where(told, [noisy for _, noisy in sides], 0.0).sum(axis=0)
    share = np.where(told.sum(axis=0) > 1, _BOTH, _ONE)
    light, error = own.light[y, x], noise[y, x]
    clear = share * light - mean > _CLEAR * np.sqrt(variance + (share * error) ** 2)
    alone = told.any(axis=0) & clear
    high = light > limit * error
    for _ in range(_ROUNDS):
        near = binary_dilation(own.hit | found, np.ones((3, 3)))[y, x]
        found[y, x] |= alone & (high | near)
    return found


def beside(views: Mapping[int, SliceView], geometry: SliceGeometry, row: int) -> list[SliceView]:
    """Return the slices on either side of one, of those there are.

    Parameters
    ----------
    views : mapping of int to SliceView
        By the row in the geometry.
    geometry : SliceGeometry
    row : int
    """
    away = geometry.y - geometry.y[row]
    level = np.abs(geometry.x - geometry.x[row]) < 0.5 * geometry.width[row]
    found = []
    for side in (-1.0, 1.0):
        order = [int(one) for one in np.argsort(np.abs(away)) if level[one] and side * away[one] > 0.0]
        if order and order[0] in views and abs(away[order[0]]) < _FARTHEST * _closest(geometry):
            found.append(views[order[0]])
    return found


def _closest(geometry: SliceGeometry) -> float:
    """Return how far apart slices lie (arcsec): the median over those in one column."""
    order = np.lexsort((geometry.y, np.rint(geometry.x / np.median(geometry.width))))
    return float(np.median(np.abs(np.diff(geometry.y[order]))))


def _around(view: SliceView, wave: FloatArray, along: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and variance of 3 x 3 pixels of a slice about places in the field; NaN where it does not tell."""
    rows, columns = view.light.shape
    middle = columns // 2
    y = np.interp(wave, view.wave[:, middle], np.arange(rows))
    for _ in range(2):  # lines are tilted: to the row in which the column has the wavelength
        row = np.clip(np.rint(y), 1, rows - 2).astype(int)
        scale = view.along[row, -1] - view.along[row, 0]
        column = (along - view.along[row, 0]) / scale * (columns - 1)
        x = np.clip(np.rint(column), 0, columns - 1).astype(int)
        y = row + 2.0 * (wave - view.wave[row, x]) / (view.wave[row + 1, x] - view.wave[row - 1, x])
    inside = (np.abs(y - row) < 1.0) & (column > -1.0) & (column < columns)
    j = np.clip(row[:, None] + np.repeat([-1, 0, 1], 3), 0, rows - 1)
    i = np.clip(x[:, None] + np.tile([-1, 0, 1], 3), 0, columns - 1)
    known = view.usable[j, i] & inside[:, None]
    count = known.sum(axis=1)
    enough = np.where(count >= _FEW, count, np.nan)
    mean = np.where(known, view.light[j, i], 0.0).sum(axis=1) / enough
    return mean, np.where(known, view.variance[j, i], 0.0).sum(axis=1) / enough**2
