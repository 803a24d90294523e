"""Combining exposures: rejection against what the noise allows, never against the scatter of three numbers.

The scatter of a few samples says little: of three frames, one hit by a cosmic ray inflates its own
limit. Here a sample is outlying when it is further from the typical one than ``clip`` times its
own expected noise, which read noise and signal give beforehand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["clipped_moments", "combine_stack", "relative_scale", "typical"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Standard deviation of a Gaussian over half its 16-84 per cent width is 1; over the median absolute
# deviation it is 1.4826.
_MAD_TO_SIGMA = 1.4826
_ENOUGH = 1_000_003  # samples: the deviation of a million is known to 0.07 per cent; a prime, lest columns be skipped


def clipped_moments(values: NDArray[np.floating], *, clip: float = 4.0, rounds: int = 20) -> tuple[float, float, int]:
    """Return mean, standard deviation and number of the samples (n,) within ``clip`` deviations.

    Starts from median and median absolute deviation; the deviation is corrected for the tails that
    were cut from a Gaussian.

    Parameters
    ----------
    values : array (n,)
    XX
    clip : float
    rounds : int

    Returns
    -------
    mean, sigma : float
    n : int
    """
    x = np.asarray(values).ravel()
    x = np.asarray(x[:: -(-x.size // _ENOUGH)], np.float64)
    centre = float(np.median(x))
    sigma = max(_MAD_TO_SIGMA * float(np.median(np.abs(x - centre))), 1.0 if _integral(x) else 0.0)
    count = -1
    for _ in range(rounds):
        kept = x[np.abs(x - centre) <= clip * sigma]
        if kept.size == count:
            break
        count = kept.size
        centre = float(kept.mean())
        sigma = float(kept.std()) / _cut_gaussian(clip)
    return centre, sigma, count


def _integral(x: F8) -> bool:
    """Whether all samples are whole numbers, as raw counts are."""
    return bool(np.all(x == np.round(x)))


def _cut_gaussian(clip: float) -> float:
    """Standard deviation of a unit Gaussian cut at +-clip."""
    t = np.linspace(-clip, clip, 2001)
    p = np.exp(-0.5 * t**2)
    return float(np.sqrt(np.sum(p * t**2) / np.sum(p)))


def typical(stack: NDArray[np.floating], good: Mask) -> F4:
    """Return the typical sample of each pixel: the median of three or more, the lower of two.

    Parameters
    ----------
    stack : array (n, ...)
    good : bool array (n, ...)

    Returns
    -------
    array (...)
        NaN where no sample is good. Light only ever adds to a pixel of two frames, so there the
        lower one is the safer.
    """
    ordered = np.sort(np.where(good, stack, np.inf), axis=0)
    n = good.sum(axis=0)
    low = np.take_along_axis(ordered, np.maximum((n - 1) // 2, 0)[None], axis=0)[0]
    high = np.take_along_axis(ordered, np.maximum(n // 2, 0)[None].clip(max=len(stack) - 1), axis=0)[0]
    high = np.where(n <= 2, low, high)
    with np.errstate(invalid="ignore"):
        return np.where(n > 0, 0.5 * (low + high), np.nan).astype(np.float32)


def combine_stack(
    stack: NDArray[np.floating], variance: NDArray[np.floating], good: Mask, *, clip: float, tolerance: float = 0.0
) -> tuple[F4, F4, Mask]:
    """Return the weighted mean of n exposures with outliers rejected.

    Parameters
    ----------
    stack : array (n, y, x)
        Exposures on one scale.
    variance : array (n, y, x)
        Expected noise of each sample, from a model of the signal, not from the sample.
    good : bool array (n, y, x)
        Samples that may count.
    clip : float
        Expected standard deviations from the typical sample beyond which one is an outlier.
    tolerance : float
        Share of the signal by which exposures may differ besides (flexure, flicker of a lamp).

    Returns
    -------
    mean : array (y, x)
        NaN where no sample was good.
    variance : array (y, x)
    outlier : bool array (n, y, x)
    """
    middle = typical(stack, good)
    n = good.sum(axis=0)
    # noise of the typical sample itself, over that of one: of one sample, or of a median (large n)
    own = np.where(n <= 2, 1.0, 0.5 * np.pi / np.maximum(n, 1)).astype(np.float32)
    limit = clip * np.sqrt(variance * (1.0 + own)) + tolerance * np.abs(middle)
    with np.errstate(invalid="ignore"):
        outlier = good & (np.abs(stack - middle) > limit)
    weight = np.where(good & ~outlier, 1.0 / variance, 0.0)
    total = weight.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(weight > 0, weight * stack, 0.0).sum(axis=0) / total
        return mean.astype(np.float32), (1.0 / total).astype(np.float32), outlier


def relative_scale(image: NDArray[np.floating], reference: NDArray[np.floating], bright: Mask) -> float:
    """Return by how much an exposure is brighter than a reference, from the bright pixels of both.

    The ratio of sums is unbiased where a mean of ratios is not; pixels whose own ratio lies far off
    (hits, defects) are left out by their distance from the median ratio.

    Raises
    ------
    ValueError
        No bright pixel.
    """
    if not bright.any():
        raise ValueError("no bright pixel to compare")
    a, b = np.asarray(image[bright], np.float64), np.asarray(reference[bright], np.float64)
    ratio = a / b
    middle = float(np.median(ratio))
    spread = _MAD_TO_SIGMA * float(np.median(np.abs(ratio - middle)))
    kept = np.abs(ratio - middle) <= 5.0 * spread
    return float(a[kept].sum() / b[kept].sum())
