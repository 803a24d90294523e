"""Smooth pictures of the signal along dispersion, from neighbours that nothing has spoilt."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled

__all__ = ["expected_signal", "running_median", "running_median_oracle"]

F4 = NDArray[np.float32]
Mask = NDArray[np.bool_]

_BRIGHT = 5.0  # noise floors above which four neighbours tell the signal better than a long median
_LONG = 7  # half width (px) of the long median: more than a line's (sigma 1.1 px), less than a spectrum changes over


def running_median(image: F4, good: Mask, half_width: int) -> F4:
    """Return the median of the good pixels within ``half_width`` along each row.

    Parameters
    ----------
    image : array (y, x)
    good : bool array (y, x)
    half_width : int, px
        The window shrinks at the ends of a row.

    Returns
    -------
    array (y, x)
        NaN where the window has no good pixel.
    """
    out = np.empty(image.shape, np.float32)
    _running_median(np.ascontiguousarray(image, np.float32), np.ascontiguousarray(good), half_width, out)
    return out


def running_median_oracle(image: F4, good: Mask, half_width: int) -> F4:
    """Plain twin of `running_median`."""
    out = np.full(image.shape, np.nan, np.float32)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            near = slice(max(0, x - half_width), x + half_width + 1)
            kept = image[y, near][good[y, near]]
            if kept.size:
                out[y, x] = np.median(kept)
    return out


def expected_signal(image: F4, good: Mask, floor: float) -> F4:
    """Return what the neighbours of each pixel say of its signal; never the pixel itself where it is bright.

    Where the signal stands out, a cubic through the four nearest pixels along the row predicts it
    (exact for a smooth spectrum, 18 per cent low on the peak of a line of 1.1 px); elsewhere, and
    beside bad pixels, a median over `_LONG` pixels on either side.

    Parameters
    ----------
    image : array (y, x)
        Dispersion along x.
    good : bool array (y, x)
    floor : float
        Standard deviation of a pixel without light.

    Returns
    -------
    array (y, x)
        Not negative; 0 where no neighbour is good.
    """
    smooth = np.maximum(np.nan_to_num(running_median(image, good, _LONG)), 0.0)
    near = (4.0 * (image[:, 1:-3] + image[:, 3:-1]) - (image[:, :-4] + image[:, 4:])) / 6.0
    known = good[:, 1:-3] & good[:, 3:-1] & good[:, :-4] & good[:, 4:] & (near > _BRIGHT * floor)
    smooth[:, 2:-2][known] = near[known]
    return np.asarray(smooth, np.float32)


@compiled()
def _running_median(image: F4, good: Mask, half: int, out: F4) -> None:
    """Keep the window's values in order; one leaves, one enters at each step."""
    rows, columns = image.shape
    window = np.empty(2 * half + 1, np.float32)
    for y in range(rows):
        n = 0
        for x in range(-half, columns):
            enter, leave = x + half, x - half - 1
            if leave >= 0 and good[y, leave]:
                i = np.searchsorted(window[:n], image[y, leave])
                for j in range(i, n - 1):
                    window[j] = window[j + 1]
                n -= 1
            if enter < columns and good[y, enter]:
                value = image[y, enter]
                i = n
                while i > 0 and window[i - 1] > value:
                    window[i] = window[i - 1]
                    i -= 1
                window[i] = value
                n += 1
            if x >= 0:
                out[y, x] = np.nan if n == 0 else 0.5 * (window[(n - 1) // 2] + window[n // 2])
