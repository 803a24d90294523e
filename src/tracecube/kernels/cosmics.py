"""Following a cosmic ray from the pixel where it was found to where its charge ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_propagation, maximum_filter

from tracecube.kernels.compiled import compiled

__all__ = ["brightest_near", "grow_along_rows", "grow_in_residual"]

F4 = NDArray[np.float32]
Mask = NDArray[np.bool_]

_EIGHT = np.ones((3, 3), bool)
_REACH = 1  # half widths: how far a side looks for pixels that are not flagged
_RANK = 0.45  # of the sorted neighbours; with half of them on an unfollowed track it still stands among the others


def brightest_near(image: F4) -> F4:
    """Return the brightest of each pixel (y, x) and its eight neighbours."""
    return np.asarray(maximum_filter(image, 3))


def grow_in_residual(seed: Mask, significance: F4, limit: float) -> Mask:
    """Grow hits into every connected pixel above a lower limit.

    Parameters
    ----------
    seed : bool array (y, x)
    significance : array (y, x)
        (data - model) / expected noise.
    limit : float

    Returns
    -------
    bool array (y, x)
        Seeds included.
    """
    return np.asarray(binary_propagation(seed, _EIGHT, mask=seed | (significance > limit)))


def grow_along_rows(image: F4, good: Mask, seed: Mask, floor: float, half_width: int, limit: float) -> Mask:
    """Grow hits into touching pixels that stand out of their row.

    The signal of a pixel is what the nearest ``half_width`` good, not yet flagged pixels on either side
    along its row (dispersion) have, a little below their median: followed from its end, a track leaves
    one side clean, so that it does not hide in a median it has spoilt.

    Parameters
    ----------
    image : array (y, x), electron
    good, seed : bool array (y, x)
    floor : float, electron**2
        Variance of a pixel without light.
    half_width : int, px
    limit : float
        Expected standard deviations.

    Returns
    -------
    bool array (y, x)
    """
    found = np.ascontiguousarray(seed).copy()
    y, x = np.nonzero(found)
    pending = np.empty((found.size, 2), np.int32)
    pending[: y.size, 0], pending[: y.size, 1] = y, x
    pixels = np.ascontiguousarray(image, np.float32)
    _grow(pixels, np.ascontiguousarray(good), found, pending, y.size, (floor, half_width, limit))
    return found


@compiled()
def _grow(
    image: F4, good: Mask, found: Mask, pending: NDArray[np.int32], n: int, numbers: tuple[float, int, float]
) -> None:
    """Work off the list of flagged pixels whose neighbours were not yet looked at."""
    floor, half, limit = numbers
    rows, columns = image.shape
    window = np.empty(2 * half + 1, np.float32)
    at = 0
    while at < n:
        y0, x0 = pending[at]
        at += 1
        for y in range(max(0, y0 - 1), min(rows, y0 + 2)):
            for x in range(max(0, x0 - 1), min(columns, x0 + 2)):
                if found[y, x] or not good[y, x]:
                    continue
                m = 0
                for step in (-1, 1):
                    side, i = 0, x + step
                    while side < half and 0 <= i < columns and abs(i - x) <= _REACH * half:
                        if good[y, i] and not found[y, i]:
                            window[m] = image[y, i]
                            m += 1
                            side += 1
                        i += step
                signal = np.sort(window[:m])[int(_RANK * (m - 1))] if m > 0 else np.float32(0.0)
                if image[y, x] - signal > limit * np.sqrt(floor + max(signal, 0.0)):
                    found[y, x] = True
                    pending[n, 0], pending[n, 1] = y, x
                    n += 1
