"""Combining exposures: rejection against what the noise allows, never against the scatter of three numbers.

The scatter of a few samples says little: of three frames, one hit by a cosmic ray inflates its own
limit. Here a sample is outlying when it is further from the typical one than ``clip`` times its
own expected noise, which read noise and signal give beforehand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled

__all__ = ["ROUNDING", "clipped_moments", "combine_stack", "relative_scale", "typical"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
Mask = NDArray[np.bool_]

ROUNDING = 12.0**-0.5
"""Standard deviation of rounding to whole counts, adu: all that is unknown of counts that never change."""

_MAD_TO_SIGMA = 1.4826  # standard deviation of a Gaussian over its median absolute deviation
_FEW = 200  # samples that are sooner sorted by insertion, as timed
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
    flat = np.ascontiguousarray(stack, np.result_type(stack, np.float32)).reshape(len(stack), -1)
    found = np.empty(flat.shape[1], flat.dtype)
    _typical(flat, np.ascontiguousarray(good).reshape(flat.shape), found)
    return found.astype(np.float32).reshape(stack.shape[1:])


@compiled()
def _middle(ordered: NDArray[np.floating], n: int) -> float:
    """Sort the first ``n`` samples in place; their median, the lower of two, NaN of none."""
    if n > _FEW:
        ordered[:n] = np.sort(ordered[:n])
    for i in range(1, n if n <= _FEW else 0):
        value, k = ordered[i], i
        while k > 0 and ordered[k - 1] > value:
            ordered[k] = ordered[k - 1]
            k -= 1
        ordered[k] = value
    if n == 0:
        return np.nan
    high = ordered[n // 2 if n > 2 else 0]  # noqa: PLR2004 - of two
    middle: float = (ordered[(n - 1) // 2] + high) / 2
    return middle


@compiled()
def _typical(stack: NDArray[np.floating], good: Mask, found: NDArray[np.floating]) -> None:
    """Pixel by pixel."""
    ordered = np.empty(len(stack), stack.dtype)
    for p in range(stack.shape[1]):
        n = 0
        for i in range(len(stack)):
            if good[i, p]:
                ordered[n] = stack[i, p]
                n += 1
        found[p] = _middle(ordered, n)


def combine_stack(
    stack: NDArray[np.floating], variance: NDArray[np.floating], good: Mask, *, clip: float, tolerance: float = 0.0
) -> tuple[F4, F4, Mask]:
    """Return the weighted mean of n exposures with outliers rejected.

    Parameters
    ----------
    stack : array (n, y, x)
        Exposures on one scale.
    variance : array (n, y, x)
        Expected noise of each sample, from a model of the signal, not from the sample. Without any, it is not known
        how well a sample is: it has no weight.
    good : bool array (n, y, x)
        Samples that may count.
    clip : float
        Expected standard deviations from the typical sample beyond which one is an outlier.
    tolerance : float
        Share of the signal by which exposures may differ besides (flexure, flicker of a lamp).

    Returns
    -------
    mean : array (y, x)
        NaN where no sample has weight.
    variance : array (y, x)
        Infinite there.
    outlier : bool array (n, y, x)
    """
    kind = np.result_type(stack, variance, np.float32)
    shaped = stack, np.broadcast_to(variance, stack.shape)
    flat, noise = (np.ascontiguousarray(one, kind).reshape(len(stack), -1) for one in shaped)
    mean, spread = np.empty(flat.shape[1], np.float32), np.empty(flat.shape[1], np.float32)
    outlier = np.zeros(flat.shape, np.bool_)
    sound = np.ascontiguousarray(good).reshape(flat.shape)
    _combine(flat, noise, sound, (float(clip), float(tolerance)), mean, spread, outlier)
    return mean.reshape(stack.shape[1:]), spread.reshape(stack.shape[1:]), outlier.reshape(stack.shape)


@compiled()
def _combine(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    stack: NDArray[np.floating],
    variance: NDArray[np.floating],
    good: Mask,
    rules: tuple[float, float],
    mean: F4,
    spread: F4,
    outlier: Mask,
) -> None:
    """Pixel by pixel."""
    ordered = np.empty(len(stack), stack.dtype)
    for p in range(stack.shape[1]):
        n = 0
        for i in range(len(stack)):
            if good[i, p]:
                ordered[n] = stack[i, p]
                n += 1
        middle = _middle(ordered, n)
        # noise of the typical sample itself, over that of one: of one sample, or of a median (large n)
        own = 1.0 if n <= 2 else 0.5 * np.pi / n  # noqa: PLR2004 - the median of two is the lower one
        total, weight = 0.0, 0.0
        for i in range(len(stack)):
            limit = rules[0] * np.sqrt(variance[i, p] * (1.0 + own)) + rules[1] * abs(middle)
            if good[i, p] and abs(stack[i, p] - middle) > limit:
                outlier[i, p] = True
            elif good[i, p] and variance[i, p] > 0.0:
                weight += 1.0 / variance[i, p]
                total += stack[i, p] / variance[i, p]
        mean[p] = total / weight if weight > 0.0 else np.nan
        spread[p] = 1.0 / weight if weight > 0.0 else np.inf


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
