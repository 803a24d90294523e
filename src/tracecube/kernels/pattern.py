"""The fixed pattern of a bias: rows, columns, and only as much of single pixels as is really there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["FixedPattern", "fixed_pattern"]

F4 = NDArray[np.float32]

_CLIP = 4.0  # noises beyond which a pixel does not count for rows, columns and the pattern's variance
_KEEP = 5.0  # noises beyond which a pixel's own value is believed as it is (hot pixels)


class FixedPattern(NamedTuple):
    """A pattern and how well it is known.

    Parameters
    ----------
    image : array (y, x)
    variance : array (y, x)
    share : float
        Weight that single pixels' own means got: 0 when they are all noise, 1 when none is.
    """

    image: F4
    variance: F4
    share: float


def fixed_pattern(stack: F4, mean: F4, noise: float) -> FixedPattern:
    """Shrink a mean of n frames towards its rows and columns, by what the frames have in common.

    Read noise is independent from frame to frame, the pattern is not. With P the covariance between
    frames of what rows and columns leave over, and N / n the noise of the mean, the best linear
    estimate of a pixel (Wiener) is rows + columns + w * residual, w = P / (P + N / n), and its variance
    P N / n / (P + N / n).

    Parameters
    ----------
    stack : array (n, y, x)
        Frames on one level, n >= 2.
    mean : array (y, x)
        Their robust mean.
    noise : float
        Standard deviation of a sample.
    """
    n = len(stack)
    structure = _rows_and_columns(mean, _CLIP * noise / n**0.5)
    limit = _CLIP * noise
    left = [np.clip(frame - structure, -limit, limit) for frame in stack]
    pairs = [float(np.mean(a * b, dtype=np.float64)) for i, a in enumerate(left) for b in left[:i]]
    pattern, noise_of_mean = max(float(np.mean(pairs)), 0.0), noise**2 / n
    share = pattern / (pattern + noise_of_mean) if noise > 0.0 else 0.0  # counts that never change are all structure
    residual = mean - structure
    own = np.abs(residual) > _KEEP * np.sqrt(pattern + noise_of_mean)
    image = structure + np.where(own, residual, share * residual)
    known = noise_of_mean * (share + sum(1.0 / length for length in mean.shape))
    return FixedPattern(image.astype(np.float32), np.where(own, noise_of_mean, known).astype(np.float32), share)


def _rows_and_columns(mean: F4, limit: float) -> F4:
    """Model an image as one value a row and one a column (y, x)."""
    rows = np.median(mean, axis=1, keepdims=True)
    columns = np.zeros((1, mean.shape[1]), np.float32)
    for _ in range(3):  # each clipped mean makes the other's clip sharper; rows and columns are nearly orthogonal
        rows = rows + _clipped_mean(mean - rows - columns, limit, 1)
        columns = columns + _clipped_mean(mean - rows - columns, limit, 0)
    return np.asarray(rows + columns, np.float32)


def _clipped_mean(image: F4, limit: float, axis: int) -> F4:
    """Mean along an axis of values cut at +-limit: symmetric, so unbiased for noise; hits count little."""
    mean = np.mean(np.clip(image, -limit, limit), axis=axis, keepdims=True, dtype=np.float64)
    return np.asarray(mean, np.float32)
