"""Columns that read too much or too little, along part of their length or all of it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["column_offsets", "column_response"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
Mask = NDArray[np.bool_]

_REACH = 4  # px; the next column may share the charge of a bad one, so the second to fourth are looked at
_MAD_TO_SIGMA = 1.4826


def _around(image: F4) -> F4:
    """Mean of what stands left and right of each pixel: the middle one of three columns each."""
    padded = np.pad(image, ((0, 0), (_REACH, _REACH)), mode="edge")
    columns = image.shape[1]
    near = [padded[:, _REACH + shift : _REACH + shift + columns] for shift in (-4, -3, -2, 2, 3, 4)]
    return 0.5 * (_middle(*near[:3]) + _middle(*near[3:]))


def _between(good: Mask) -> Mask:
    """Good pixels whose neighbours, as `_around` takes them, are good too."""
    padded = np.pad(good, ((0, 0), (_REACH, _REACH)), mode="edge")
    columns = good.shape[1]
    kept = good.copy()
    for shift in (-4, -3, -2, 2, 3, 4):
        kept &= padded[:, _REACH + shift : _REACH + shift + columns]
    return kept


def _middle(a: F4, b: F4, c: F4) -> F4:
    """Median of three images."""
    return np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))


def _block_medians(values: F4, counted: Mask, rows: int) -> tuple[F8, F8]:
    """Median (n_block, x) of the counted pixels of each column in blocks of rows, and its error."""
    blocks = max(1, values.shape[0] // rows)
    edges = np.linspace(0, values.shape[0], blocks + 1).astype(int)
    median = np.full((blocks, values.shape[1]), np.nan)
    error = np.full_like(median, np.nan)
    for block, (a, b) in enumerate(pairwise(edges)):
        part = np.where(counted[a:b], values[a:b], np.nan)
        enough = np.isfinite(part).sum(axis=0) > (b - a) // 4
        part = part[:, enough]
        median[block, enough] = np.nanmedian(part, axis=0)
        spread = _MAD_TO_SIGMA * np.nanmedian(np.abs(part - median[block, enough]), axis=0)
        error[block, enough] = 1.2533 * spread / np.sqrt(np.isfinite(part).sum(axis=0))  # of a median
    return median, error


def _outlying(median: F8, error: F8, clip: float, least: float) -> Mask:
    """Blocks of columns that lie off what columns do, beyond ``clip`` errors and ``least``."""
    centre = np.nanmedian(median, axis=1, keepdims=True)
    spread = _MAD_TO_SIGMA * np.nanmedian(np.abs(median - centre), axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        off = np.asarray(np.abs(median - centre) > np.maximum(clip * np.hypot(error, spread), least))
    off[:, :_REACH] = off[:, -_REACH:] = False  # they have neighbours on one side only
    return off


def _spread_out(blocks: Mask, rows: int) -> Mask:
    """Give every row the verdict of its block."""
    edges = np.linspace(0, rows, blocks.shape[0] + 1).astype(int)
    return np.repeat(blocks, np.diff(edges), axis=0)


def column_offsets(image: F4, good: Mask, *, rows: int, clip: float, least: float) -> Mask:
    """Find pieces of columns with a constant added or taken away (hot columns, traps).

    Parameters
    ----------
    image : array (y, x)
        Spectra must cross columns at many places: the median over rows of a column's distance from
        its neighbours then knows nothing of them.
    good : bool array (y, x)
    rows : int
        Length of a piece.
    clip : float
        Errors of that median, the spread over columns included.
    least : float
        Smallest offset worth a flag, in units of the image.

    Returns
    -------
    bool array (y, x)
    """
    median, error = _block_medians(image - _around(image), _between(good), rows)
    return _spread_out(_outlying(median, error, clip, least), image.shape[0])


def column_response(image: F4, good: Mask, light: float, *, rows: int, clip: float, least: float) -> Mask:
    """Find pieces of columns that answer more or less to light than their neighbours do.

    Parameters
    ----------
    image : array (y, x)
        A lamp exposure whose spectra are smooth along x.
    good : bool array (y, x)
    light : float
        What the neighbours of a pixel must have for it to count, in units of the image.
    rows : int
    clip : float
    least : float
        Smallest relative error of response worth a flag.

    Returns
    -------
    bool array (y, x)
    """
    around = _around(image)
    bright = _between(good) & (around > light)
    median, error = _block_medians(np.divide(image, around, where=bright, out=np.zeros_like(image)), bright, rows)
    return _spread_out(_outlying(median, error, clip, least), image.shape[0])
