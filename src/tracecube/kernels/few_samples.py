"""Significance where few independent samples tell the noise (Mawet et al. 2014, ApJ 792, 97)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["few_sample_threshold", "resolution_elements"]

F8 = NDArray[np.float64]


def resolution_elements(separation: F8, size: float, width: float) -> F8:
    """Independent places in a ring about a star.

    Parameters
    ----------
    separation : array (n,)
        Radius of the ring.
    size, width : float
        Of a resolution element, and of the ring; same unit.

    Examples
    --------
    >>> resolution_elements(np.array([1.0]), 0.1, 0.2).round(1).tolist()
    [125.7]
    """
    return np.asarray(2.0 * np.pi * np.asarray(separation, float) / size * max(width / size, 1.0))


def few_sample_threshold(elements: F8, sigma: float = 5.0) -> F8:
    """How many times the measured scatter a signal must be to be as rare as ``sigma`` of a Gaussian.

    Student's t with one degree of freedom less than there are elements, and the error of their mean
    (their eq. 9).

    Examples
    --------
    >>> few_sample_threshold(np.array([6.0, 40.0, 1e6])).round(2).tolist()
    [34.4, 6.04, 5.0]
    """
    from scipy.stats import norm, t  # noqa: PLC0415 - slow to import

    n = np.maximum(np.asarray(elements, float), 2.0)
    return np.asarray(t.isf(norm.sf(sigma), n - 1.0) * np.sqrt(1.0 + 1.0 / n))
