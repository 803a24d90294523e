"""How many lines noise makes: maxima of the significance counted on its negative side, and scaled by theory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from tracecube.recipes.science.line_map import LineMap

__all__ = ["FITTED", "RASTER_LOSS", "FalseLines", "count_false", "maxima"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
Mask = NDArray[np.bool_]

# The maximum of the raster lies below that of the field by at most this factor.
RASTER_LOSS = 0.8
# What a maximum over two places and a wavelength adds to the square of the significance.
FITTED = 3.0
# Levels on the negative map between which minima are counted and compared with theory.
_NEGATIVE = (3.8, 5.2)


class FalseLines(NamedTuple):
    """Expected numbers of lines that noise makes.

    Parameters
    ----------
    theory : float
        Of the least signal-to-noise of the catalogue, maxima that are merged to a line counted apart.
    lines : float
        The same, of lines, by how many minima there are.
    five : float
        Of signal-to-noise 5 and more.
    """

    theory: float
    lines: float
    five: float


def count_false(
    found: LineMap, blank: Mask, share: float, *, threshold: float, merged: tuple[float, float]
) -> FalseLines:
    """Count what noise makes.

    Parameters
    ----------
    blank : bool array (g, y, x)
        Where the significance is that of noise.
    share : float
        Of what is searched, over which ``found`` states its volume.
    threshold : float
        Least signal-to-noise of the catalogue.
    merged : (float, float)
        Maxima this near (samples of wavelength, of place) are one line.
    """
    level, five = np.hypot(threshold, np.sqrt(FITTED)), np.hypot(5.0, np.sqrt(FITTED))
    places = _apart(maxima(-found.sn, blank, RASTER_LOSS * _NEGATIVE[0]), merged)
    minima = _vertices(-found.sn, places)
    inside = int(np.sum((minima >= _NEGATIVE[0]) & (minima < _NEGATIVE[1])))
    # How many lines noise makes, over what theory says: maxima that are merged are counted apart by theory.
    per_line = inside / max(share * (found.expected(_NEGATIVE[0]) - found.expected(_NEGATIVE[1])), 1e-9)
    theory = share * found.expected(float(level))
    return FalseLines(theory, per_line * theory, per_line * share * found.expected(float(five)))


def maxima(sn: NDArray[np.float32], usable: Mask, floor: float) -> I8:
    """Local maxima above ``floor``, (k, 3), highest first."""
    high = np.where(usable, sn, -np.inf)
    top = (high >= floor) & (high == maximum_filter(high, size=3, mode="constant", cval=-np.inf))
    places = np.argwhere(top)
    return np.asarray(places[np.argsort(-high[top], kind="stable")])


def _vertices(sn: NDArray[np.float32], places: I8) -> F8:
    """Heights of the parabolas through maxima of the raster and the samples beside them along each axis."""
    top = sn[tuple(places.T)].astype(np.float64)
    height = top.copy()
    for axis in range(3):
        step = np.zeros(3, int)
        step[axis] = 1
        last = np.array(sn.shape) - 1
        ahead, behind = (sn[tuple(np.clip(places + way, 0, last).T)].astype(np.float64) for way in (step, -step))
        bend = np.maximum(2.0 * top - ahead - behind, 1e-6)
        height += np.clip((ahead - behind) ** 2 / (8.0 * bend), 0.0, 0.125 * bend)
    return np.asarray(height)


def _apart(places: I8, merged: tuple[float, float]) -> I8:
    """Maxima, highest first, without those that a higher one would be merged with as the same line."""
    kept: list[I8] = []
    for place in places:
        offset = np.abs(np.array(kept).reshape(-1, 3) - place)
        near = (offset[:, 0] < merged[0]) & (np.hypot(offset[:, 1], offset[:, 2]) < merged[1])
        if not near.any():
            kept.append(place)
    return np.array(kept, dtype=np.int64).reshape(-1, 3)
