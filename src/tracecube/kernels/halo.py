"""Light scattered over a whole detector: an image convolved with a kernel that falls as a power of distance.

The kernel is so wide that its core, a few pixels across, holds a ten-thousandth of it: the light is binned before
the convolution, and what comes out is interpolated. What the bins smear stays with each spectrum's own profile.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import spline_filter

from tracecube.kernels.compiled import compiled

__all__ = ["binned", "power_law", "refined", "scattered", "spread", "transfer"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

_EDGE = 12  # knots beyond the image: the splines' filter falls by 0.27 a knot
_FINE = 5  # places along each side of a bin at which the kernel is averaged


@lru_cache(maxsize=8)
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
    y, x = ((np.arange(n)[:, None] + inside).ravel() * bins for n in shape)
    value = 1.0 / (softening + steepness * (np.hypot(y[:, None], x) / scale) ** power)
    quarter = value.reshape(shape[0], _FINE, shape[1], _FINE).mean(axis=(1, 3))
    half = np.concatenate([quarter[:0:-1], quarter])
    mean = np.concatenate([half[:, :0:-1], half], axis=1)
    return np.asarray(mean / mean.sum())


def transfer(kernel: F8) -> NDArray[np.complex64]:
    """Return the transform of a kernel (2 y - 1, 2 x - 1), as `spread` takes it."""
    return np.asarray(rfft2(kernel.astype(np.float32), _sizes(kernel.shape)), np.complex64)


def spread(few: F4, response: NDArray[np.complex64]) -> F4:
    """Convolve binned light (y, x) with the kernel of a `transfer`."""
    rows, columns = few.shape
    sizes = _sizes((2 * rows - 1, 2 * columns - 1))
    # the ends of the convolution that wrap around meet each other, not what is kept
    full = irfft2(rfft2(few.astype(np.float32, copy=False), sizes) * response, sizes)
    return np.asarray(full[rows - 1 : 2 * rows - 1, columns - 1 : 2 * columns - 1], np.float32)


def _sizes(kernel: tuple[int, ...]) -> list[int]:
    return [next_fast_len(n, real=True) for n in kernel]


def refined(few: F4, bins: int) -> F4:
    """Interpolate an image (y, x) to pixels (y bins, x bins): cubic splines, level beyond the middle of the outer bins.

    The values are those of the bins' middles; a pixel holds ``1 / bins**2`` of them.
    """
    padded = np.pad(few.astype(np.float64), _EDGE, mode="edge")
    knots = spline_filter(padded, order=3, mode="mirror", output=np.float32)
    offset = (np.arange(bins) + 0.5) / bins - 0.5
    below = np.floor(offset)
    t = (offset - below)[:, None]
    cubic = np.hstack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6.0
    fine: F4 = _between(knots, below.astype(np.int64) + _EDGE - 1, cubic.astype(np.float32), few.shape)
    return fine


@compiled(fastmath={"reassoc", "contract", "nsz"})
def _between(knots: F4, first: NDArray[np.int64], cubic: F4, shape: tuple[int, int]) -> F4:
    """Sum four splines along x, then four along y, for each of the places of a pixel within a bin."""
    rows, columns = shape
    bins = first.size
    wide = np.empty((knots.shape[0], columns * bins), np.float32)
    for y in range(knots.shape[0]):
        for p in range(bins):
            a, b, c, d = cubic[p]
            line = knots[y, first[p] :]
            for x in range(columns):
                wide[y, x * bins + p] = a * line[x] + b * line[x + 1] + c * line[x + 2] + d * line[x + 3]
    out = np.empty((rows * bins, columns * bins), np.float32)
    scale = np.float32(1.0 / bins**2)
    for y in range(rows):
        for p in range(bins):
            a, b, c, d = cubic[p]
            at = y + first[p]
            one, two, three, four, to = wide[at], wide[at + 1], wide[at + 2], wide[at + 3], out[y * bins + p]
            for x in range(columns * bins):
                to[x] = scale * (a * one[x] + b * two[x] + c * three[x] + d * four[x])
    return out


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
    return refined(spread(binned(light, bins), transfer(kernel)), bins)


def binned(light: F4, bins: int) -> F4:
    """Sum an image (y, x) over bins."""
    rows, columns = light.shape[0] // bins, light.shape[1] // bins
    return np.asarray(light.reshape(rows, bins, columns, bins).sum(axis=(1, 3), dtype=np.float64), np.float32)
