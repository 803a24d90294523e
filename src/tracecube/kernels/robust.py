"""Averages that know what was not measured: NaN is left out, and comes back where nothing is left."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["known_mean", "known_median"]

F8 = NDArray[np.float64]
Any8 = NDArray[np.floating[Any]]


def known_median(values: Any8, *, axis: int) -> F8:
    """Median along an axis of a 2-D array over its finite values.

    Examples
    --------
    >>> known_median(np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]]), axis=1)
    array([ 2., nan])
    """
    rows = np.asarray(values, float) if axis == 1 else np.asarray(values, float).T
    known = np.isfinite(rows)
    result = np.full(rows.shape[0], np.nan)
    any_known = known.any(axis=1)
    result[any_known] = np.nanmedian(np.where(known, rows, np.nan)[any_known], axis=1)
    return result


def known_mean(values: Any8, *, axis: int) -> F8:
    """Mean along an axis of a 2-D array over its finite values.

    Examples
    --------
    >>> known_mean(np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]]), axis=1)
    array([ 2., nan])
    """
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))
