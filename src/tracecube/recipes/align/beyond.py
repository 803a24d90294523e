"""Light of stars beyond the edge of an image, from what is seen of them.

Where images are blurred to be compared, light from beyond the edge belongs to what comes out within it. A star that the
edge cuts is continued by its own circular Moffat profile; everything else goes on as it was at the edge.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, maximum_filter
from scipy.optimize import least_squares

from tracecube.core.fields import BoolArray

__all__ = ["continued"]

F8 = NDArray[np.float64]

_NEAR = 10.0  # px from the edge within which a star's light beyond it matters
_EVEN = 2.0  # px, sigma by which other light at the edge is smoothed
_APART = 7  # px between stars
_BRIGHT = 50.0  # noises of the brightest pixel
_MOST = 30  # stars
_AROUND = 8.0  # px about a star that tell of its profile
_FEWEST = 40  # pixels for that
_NARROW, _WIDE = 1.0, 12.0  # px, radius of the profile
_FLAT, _STEEP = 1.5, 6.0  # its power
_OFF = 2.0  # px from the brightest pixel to the middle


def continued(data: F8, variance: F8, known: BoolArray, level: float) -> F8:
    """Return the image continued to where it is not known: stars as stars, other light as at the edge.

    Parameters
    ----------
    data, variance : array (y, x)
    known : bool array (y, x)
    level : float
        Light of a blank place.
    """
    if known.all() or not known.any():
        return np.where(known, data, level)
    y, x = np.mgrid[: data.shape[0], : data.shape[1]].astype(np.float64)
    stars = np.zeros_like(y)
    for at in _stars(data, variance, known, level):
        found = _profile(data, variance, known, at, level)
        if found is not None:
            stars += found[0] * _moffat(np.hypot(y - found[1], x - found[2]), *found[3:])
    rest = gaussian_filter(np.where(known, data - stars - level, 0.0), _EVEN)
    share = gaussian_filter(known.astype(np.float64), _EVEN)
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    edge = np.divide(rest, share, out=np.zeros_like(rest), where=share > 0)[tuple(nearest)]
    return np.where(known, data, level + stars + edge)


def _moffat(far: F8, radius: float, power: float) -> F8:
    return np.asarray((1.0 + (far / radius) ** 2) ** -power)


def _stars(data: F8, variance: F8, known: BoolArray, level: float) -> list[tuple[int, int]]:
    """Return the brightest pixels of stars near the edge, the brightest star first."""
    light = gaussian_filter(np.where(known, data - level, 0.0), 1.0)
    noise = np.sqrt(np.where(known, variance, np.inf))
    edge = distance_transform_edt(np.pad(known, 1))[1:-1, 1:-1]
    peak = (light == maximum_filter(light, size=_APART)) & (light > _BRIGHT * noise) & (edge < _NEAR) & known
    at = np.argwhere(peak)
    order = np.argsort(-light[peak], kind="stable")[:_MOST]
    return [(int(row), int(column)) for row, column in at[order]]


def _profile(
    data: F8, variance: F8, known: BoolArray, at: tuple[int, int], level: float
) -> tuple[float, float, float, float, float] | None:
    """Return height, middle (y, x), radius and power of a star's profile; None where it is no star's."""
    y, x = np.mgrid[: data.shape[0], : data.shape[1]]
    use = known & (np.hypot(y - at[0], x - at[1]) < _AROUND)
    if np.count_nonzero(use) < _FEWEST:
        return None
    rows, columns, light, noise = y[use], x[use], data[use] - level, np.sqrt(variance[use])
    top = float(data[at] - level)

    def off(value: F8) -> F8:
        far = np.hypot(rows - at[0] - value[1], columns - at[1] - value[2])
        return np.asarray((top * value[0] * _moffat(far, value[3], value[4]) + top * value[5] - light) / noise)

    low = [0.3, -_OFF, -_OFF, _NARROW, _FLAT, -1.0]
    high = [3.0, _OFF, _OFF, _WIDE, _STEEP, 1.0]
    fit = least_squares(off, [1.0, 0.0, 0.0, 3.0, 2.5, 0.0], bounds=(low, high), max_nfev=60)
    value = fit.x
    if not fit.success or np.any(np.abs(value[1:3]) > 0.99 * _OFF) or not _NARROW < value[3] < 0.99 * _WIDE:
        return None
    return top * float(value[0]), at[0] + float(value[1]), at[1] + float(value[2]), float(value[3]), float(value[4])
