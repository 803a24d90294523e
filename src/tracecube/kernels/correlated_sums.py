"""Noise of sums over samples of a grid whose neighbours are correlated."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["noise_factor"]


def noise_factor(
    offset: NDArray[np.integer[Any]], correlation: NDArray[np.floating[Any]], box: tuple[int, ...]
) -> float:
    """Return by what the noise of a sum over a box exceeds the root of the sum of its variances.

    Of n_1 n_2 ... samples of equal variance: F^2 = sum_o prod_k (1 - |o_k| / n_k) rho(o), over all offsets o and 0.

    Parameters
    ----------
    offset : int array (m, k)
        Of pairs, each once: the opposite offset has the same correlation.
    correlation : array (m,)
    box : tuple of int
        Samples along each of the k axes.

    Examples
    --------
    >>> import numpy as np
    >>> round(noise_factor(np.array([[0, 1]]), np.array([0.5]), (1, 2)) ** 2, 9)
    1.5
    """
    if not len(offset):
        return 1.0
    share = np.clip(1.0 - np.abs(np.asarray(offset, np.float64)) / np.asarray(box, np.float64), 0.0, None).prod(axis=1)
    return float(np.sqrt(max(1.0 + 2.0 * float((share * np.asarray(correlation)).sum()), 0.0)))
