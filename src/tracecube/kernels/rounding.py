"""Level and noise of samples that were rounded to steps not small against their noise.

Means of many integrations are stored as whole counts; where the noise left is below half a step, the mean of the
rounded samples is not the mean (by up to 0.1 step at a noise of a quarter) and their scatter is not the
noise. Both follow from a Gaussian and rounding (Sheppard 1898 is the limit of large noise).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

__all__ = ["COARSE", "rounded_levels"]

F8 = NDArray[np.float64]
Index = NDArray[np.integer]

COARSE = 0.6  # steps of scatter (rounding included) above which rounded means are off by less than 0.005 step

_SIGMAS = np.geomspace(0.04, 1.0, 60)  # steps
_PLACES = np.linspace(-0.5, 0.5, 201)  # of the true level between two steps
_FAR = 8  # steps that the sums over rounded values reach


def _moments(sigma: float) -> tuple[F8, F8]:
    """Mean and variance of round(x), x Gaussian about each of `_PLACES`."""
    k = np.arange(-_FAR, _FAR + 1)[:, None]
    share = ndtr((k + 0.5 - _PLACES) / sigma) - ndtr((k - 0.5 - _PLACES) / sigma)
    mean = (k * share).sum(axis=0)
    return mean, (k * k * share).sum(axis=0) - mean**2


def rounded_levels(values: F8, group: Index, n: int, step: float) -> tuple[F8, float]:
    """Return the level of each group of rounded samples and the noise common to all, rounding taken out.

    Parameters
    ----------
    values : array (m,)
        Whole multiples of ``step``, hits left out.
    group : int array (m,)
        Which of ``n`` groups a sample belongs to; none is empty.
    n : int
    step : float
    """
    count = np.bincount(group, minlength=n)
    mean = np.bincount(group, values / step, minlength=n) / count
    variance = np.bincount(group, (values / step) ** 2, minlength=n) / count - mean**2
    scatter = float((variance * count).sum() / count.sum())
    whole = np.round(mean)
    expected = np.empty(_SIGMAS.size)
    levels = np.empty((_SIGMAS.size, n))
    for i, sigma in enumerate(_SIGMAS):
        mean_at, variance_at = _moments(float(sigma))
        levels[i] = np.interp(mean - whole, mean_at, _PLACES)
        expected[i] = (np.interp(levels[i], _PLACES, variance_at) * count).sum() / count.sum()
    # the expected scatter grows with the noise but where levels sit on the border of two steps
    expected = np.maximum.accumulate(expected)
    sigma = float(np.interp(scatter, expected, _SIGMAS))
    mean_at, _ = _moments(sigma)
    level = np.interp(mean - whole, mean_at, _PLACES) + whole
    return level * step, sigma * step
