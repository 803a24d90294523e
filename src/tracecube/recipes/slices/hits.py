"""Cosmic rays in slices, once the sky is off: pixels that neither neighbours along nor across dispersion explain."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation, median_filter

from tracecube.core.fields import BoolArray, FloatArray

__all__ = ["find_hits"]

_ALONG, _ACROSS = 11, 5  # pixels of the medians
_SHARE = 0.3  # of the light around: what a sharp source may add to a pixel beyond its neighbours' median
_GROW = 0.5  # of the limit: neighbours of a hit that stand out by as much belong to it


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
    filled = np.where(good, data, 0.0)
    noise = np.sqrt(np.where(good, variance, np.inf))
    along = median_filter(filled, size=(_ALONG, 1), mode="nearest")
    across = median_filter(filled, size=(1, _ACROSS), mode="nearest")
    around = np.maximum(along, across)
    excess = filled - around
    threshold = limit * noise + _SHARE * np.maximum(around, 0.0)
    core: BoolArray = np.asarray(good & (excess > threshold))
    if not core.any():
        return core
    beside = binary_dilation(core, structure=np.ones((3, 3), bool))
    return np.asarray(core | (good & beside & (excess > _GROW * threshold)))
