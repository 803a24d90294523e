"""Pieces of slices that have lines of their own: faint gas far from an object, where its continuum is not seen.

Such a piece is as faint as the sky, and its line would stand in the sky's spectrum, a little in each piece and all of
it where the object is bright.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d, percentile_filter, uniform_filter1d
from scipy.spatial import cKDTree

from tracecube.core.fields import BoolArray, FloatArray
from tracecube.recipes.slices.continuity import Columns

__all__ = ["clearest_line", "next_faintest", "pieces_with_lines"]

_LINE = np.exp(-0.5 * (np.arange(-3, 4) / 1.1) ** 2)  # of samples: a line of 2.6
_SMOOTH = 151  # samples of what is taken for continuum
_LOW, _AROUND = 20.0, 151  # per cent and samples: the sky between its lines
_QUIET = 1.3  # of that: where the sky is brighter, its own lines are
_MOST = 4.0  # standard deviations that a sample counts: a line is in several, a hit in one
_FEWEST = 500  # samples that tell
_LEAST = 0.2  # of the typical weight: where a spectrum fades its errors are the least sure, and nothing faint is seen
_CLEAR = 4.5  # standard deviations of a line: of a hundred pieces of sky alone, one has such
_BESIDE = 1.6  # pieces along a slice, slices across: those next to a piece
_BLANK = 3.0  # scatters of blank pieces: brighter ones hold light of objects
_TOGETHER = 2  # pieces beside one with clear lines of their own, which then has fainter ones


def clearest_line(flux: FloatArray, weight: FloatArray, sky: FloatArray) -> float:
    """Return by how many standard deviations the clearest line between those of the sky stands out of a spectrum.

    Parameters
    ----------
    flux, sky : array (k,)
        Light of a piece, and of the sky in its slice.
    weight : array (k,)
        Inverse variance; 0 for what does not count.
    """
    known: NDArray[np.bool_] = weight > 0
    known &= weight > _LEAST * (float(np.median(weight[known])) if known.any() else 0.0)
    if known.sum() < _FEWEST:
        return 0.0
    left = np.where(known, flux - sky, 0.0)
    share = np.maximum(uniform_filter1d(known.astype(np.float64), _SMOOTH), 1e-9)
    left = np.where(known, left - uniform_filter1d(left, _SMOOTH) / share, 0.0)
    left = np.minimum(left, _MOST / np.sqrt(np.where(known, weight, 1.0)))
    base = percentile_filter(sky, _LOW, size=_AROUND, mode="nearest")
    quiet = known & (sky < _QUIET * base)
    power = convolve1d(np.where(known, weight, 0.0), _LINE**2, mode="constant")
    signal = convolve1d(left * np.where(known, weight, 0.0), _LINE, mode="constant")
    return float(np.max(np.where(quiet & (power > 0), signal / np.sqrt(np.maximum(power, 1e-300)), 0.0)))


def pieces_with_lines(clearest: FloatArray, where: Columns, x: FloatArray) -> BoolArray:
    """Return which pieces have lines of their own, or lie among such: gas fades slowly, hits stand alone.

    Neighbours are those of the field: numbers along a slice may run against it.

    Parameters
    ----------
    clearest : array (n,)
        Standard deviations of the clearest line; NaN for a piece that is not asked for.
    where : Columns
    x : array (n,), arcsec
        Along slices; NaN for a piece without a place.
    """
    lit = np.nan_to_num(clearest, nan=0.0) > _CLEAR
    places = np.stack([x / _pitch(where.slice, x), where.place], axis=1).astype(np.float64) / _BESIDE
    placed = np.flatnonzero(np.isfinite(places).all(axis=1))
    around = np.zeros(lit.size, int)
    if lit[placed].any():
        at = places[placed]
        found = cKDTree(at[lit[placed]]).query_ball_point(at, 1.0, p=np.inf, return_length=True)
        around[placed] = found - lit[placed]
    return np.asarray(lit | (around >= _TOGETHER))


def next_faintest(white: FloatArray, blank: BoolArray, lit: BoolArray) -> BoolArray:
    """Return which pieces take the place of blank ones with lines: the next faintest, no brighter than blank ones.

    Parameters
    ----------
    white : array (n,)
        Brightness of pieces; NaN for a piece of which it is not known.
    blank, lit : bool array (n,)
        Pieces taken for sky; pieces with lines of their own. The very faintest, below all blank ones, stay out.
    """
    usual = white[blank & ~lit]
    middle = np.median(usual)
    most = middle + _BLANK * 1.4826 * np.median(np.abs(usual - middle))
    free = np.isfinite(white) & ~lit & ~blank & (white >= np.min(white[blank])) & (white <= most)
    chosen = np.flatnonzero(free)[np.argsort(white[free], kind="stable")][: int((lit & blank).sum())]
    made = np.zeros(white.size, bool)
    made[chosen] = True
    return made


def _pitch(slice_: NDArray[np.integer], x: FloatArray) -> float:
    """Return the distance of pieces next to each other in a slice, in units of x; NaN where none is told."""
    order = np.lexsort((x, slice_))
    gaps = np.diff(x[order])[np.diff(slice_[order]) == 0]
    return float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else float("nan")
