"""Which points lie inside a polygon."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["inside_polygon"]

F8 = NDArray[np.float64]


def inside_polygon(x: F8, y: F8, corners: F8) -> NDArray[np.bool_]:
    """Whether points lie inside a polygon, by the even-odd rule.

    A ray from the point towards rising x crosses the outline an odd number of times (Shimrat 1962, CACM 5, 434).

    Parameters
    ----------
    x, y : array (n,)
    corners : array (c, 2)
        In order around the outline, which closes itself and may cross itself.

    Returns
    -------
    bool array (n,)

    Examples
    --------
    >>> square = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]])
    >>> inside_polygon(np.array([1.0, 3.0]), np.array([1.0, 1.0]), square)
    array([ True, False])
    """
    points = np.asarray(x, dtype=float)[:, None], np.asarray(y, dtype=float)[:, None]
    x0, y0 = np.asarray(corners, dtype=float).T
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    spans = (y0 > points[1]) != (y1 > points[1])
    rise = np.where(y1 == y0, 1.0, y1 - y0)
    crossing = x0 + (points[1] - y0) * (x1 - x0) / rise
    return np.asarray(np.count_nonzero(spans & (points[0] < crossing), axis=1) % 2 == 1)
