"""Cosmic rays in slices, once the sky is off: pixels that neither neighbours along nor across dispersion explain."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import BoolArray, FloatArray

__all__ = ["find_hits"]

F4 = NDArray[np.float32]

_ALONG, _ACROSS = 5, 2  # pixels on either side that the medians hold
_SHARE = 0.3  # of the light around: what a sharp source may add to a pixel beyond its neighbours' median
_GROW = 0.5  # of the limit: neighbours of a hit that stand out by as much belong to it
_SURELY = 0.5  # of the limit above zero: less than that no hit is, for light around is not that negative


def find_hits(data: FloatArray, variance: FloatArray, good: BoolArray, *, limit: float) -> BoolArray:
    """Return which pixels of a slice were hit.

    A hit stands out of the median along dispersion and of that across it: stars are smooth along, lines across.

    Parameters
    ----------
    data : array (y, x)
        Without the sky; dispersion along y.
    variance : array (y, x)
    good : bool array (y, x)
    limit : float
        Standard deviations by which it stands out of both.
    """
    filled = np.where(good, data, 0.0).astype(np.float32)
    noise = np.sqrt(np.where(good, variance, np.inf)).astype(np.float32)
    hit = np.zeros(data.shape, bool)
    _mark(filled, noise, limit, hit)
    return hit


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _excess(filled: F4, noise: F4, y: int, x: int, limit: float) -> float:
    """Return by how many thresholds a pixel stands out of the medians around it; beyond the edge the edge goes on."""
    rows, columns = filled.shape
    along, across = np.empty(2 * _ALONG + 1, np.float32), np.empty(2 * _ACROSS + 1, np.float32)
    for k in range(along.size):
        along[k] = filled[min(max(y + k - _ALONG, 0), rows - 1), x]
    for k in range(across.size):
        across[k] = filled[y, min(max(x + k - _ACROSS, 0), columns - 1)]
    around = max(float(np.median(along)), float(np.median(across)))
    return float((filled[y, x] - around) / (limit * noise[y, x] + _SHARE * max(around, 0.0)))


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _mark(filled: F4, noise: F4, limit: float, hit: BoolArray) -> None:
    """Mark hits (in place), and those of their neighbours that belong to them; bad pixels have infinite noise."""
    rows, columns = filled.shape
    for y in range(rows):
        for x in range(columns):
            if not filled[y, x] > _SURELY * limit * noise[y, x] or not _excess(filled, noise, y, x, limit) > 1.0:
                continue
            hit[y, x] = True
            for j in range(max(y - 1, 0), min(y + 2, rows)):
                for i in range(max(x - 1, 0), min(x + 2, columns)):
                    if not hit[j, i] and np.isfinite(noise[j, i]) and _excess(filled, noise, j, i, limit) > _GROW:
                        hit[j, i] = True
