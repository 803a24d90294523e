"""Light scattered over a whole detector: an image convolved with a kernel that falls as a power of distance.

The kernel is so wide that its core, a few pixels across, holds a ten-thousandth of it: the light is binned before
the convolution, and what comes out is interpolated. What the bins smear stays with each spectrum's own profile.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import zoom

__all__ = ["power_law", "scattered"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

_FINE = 5  # places along each side of a bin at which the kernel is averaged


def power_law(
    shape: tuple[int, int], bins: int, *, softening: float, steepness: float, scale: float, power: float
) -> F8:
    """Kernel ``1 / (softening + steepness (r / scale)**power)``, the mean over each bin.

    Parameters
    ----------
    shape : (int, int)
        Bins of the image (y, x); the kernel reaches over all of it.
    bins : int, px
        Side of a bin.
    softening, steepness, scale, power : float
        ``scale`` in px.

    Returns
    -------
    array (2 y - 1, 2 x - 1)
        Its sum over bins is normalised so that ``scattered`` of unit light sums to about 1 over a plane of the
        kernel's own size.

    Examples
    --------
    >>> kernel = power_law((20, 10), 4, softening=0.5, steepness=2.0, scale=1.5, power=1.0)
    >>> kernel.shape, round(float(kernel.sum()), 6)
    ((39, 19), 1.0)
    """
    inside = (np.arange(_FINE) + 0.5) / _FINE - 0.5
    y, x = ((np.arange(1 - n, n)[:, None] + inside).ravel() * bins for n in shape)
    value = 1.0 / (softening + steepness * (np.hypot(y[:, None], x) / scale) ** power)
    mean = value.reshape(2 * shape[0] - 1, _FINE, 2 * shape[1] - 1, _FINE).mean(axis=(1, 3))
    return np.asarray(mean / mean.sum())


def scattered(light: F4, kernel: F8, bins: int) -> F4:
    """Convolve an image with a kernel of `power_law`.

    Parameters
    ----------
    light : array (y, x), electron
        Sides are multiples of ``bins``.
    kernel : array (2 y / bins - 1, 2 x / bins - 1)
    bins : int

    Returns
    -------
    array (y, x), electron a pixel
    """
    rows, columns = light.shape[0] // bins, light.shape[1] // bins
    few = light.reshape(rows, bins, columns, bins).sum(axis=(1, 3), dtype=np.float64)
    size = [next_fast_len(3 * n - 2, real=True) for n in (rows, columns)]
    full = irfft2(rfft2(few, size) * rfft2(kernel, size), size)
    smooth = full[rows - 1 : 2 * rows - 1, columns - 1 : 2 * columns - 1] / bins**2
    return np.asarray(zoom(smooth, bins, order=3, mode="nearest", grid_mode=True), np.float32)
