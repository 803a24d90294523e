"""A level that wanders along a series: its size and its correlation length, from noisy samples.

The level is a Gaussian process of covariance a**2 exp(-|i - j| / l) (a random walk that is held back: Uhlenbeck &
Ornstein 1930, Phys. Rev. 36, 823), the samples have errors of their own beside it. Size and length are those of most
likelihood, what a few smooth terms of each series explain taken out beforehand (restricted likelihood; Patterson &
Thompson 1971, Biometrika 58, 545).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

__all__ = ["Wandering", "walk_covariance", "wandering_scale"]

F8 = NDArray[np.float64]
Wandering = tuple[F8, F8, F8, F8]
"""Places (n,), values (n,), variances (n,) and terms (n, q) of one series."""

_LENGTHS = (3.0, 6.0, 12.0, 24.0)
_SIZES = (0.0, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)  # over the typical error of a sample


def walk_covariance(places: F8, size: float, length: float) -> F8:
    """Covariance (n, n) of a wandering level between places (n,)."""
    return np.asarray(size**2 * np.exp(-np.abs(places[:, None] - places) / length))


def wandering_scale(series: Sequence[Wandering], most: float = np.inf) -> tuple[float, float]:
    """Return size, not above the ``most``, and length of the level that all series show; size 0 where they show none.

    The grid of sizes is as fine as the data of a few series can tell.
    """
    held = [one for one in series if one[0].size > one[3].shape[1] + 1]
    if not held:
        return 0.0, _LENGTHS[0]
    unit = float(np.sqrt(np.median(np.concatenate([one[2] for one in held]))))
    best = (-np.inf, 0.0, _LENGTHS[0])
    for length in _LENGTHS:
        for size in np.minimum(unit * np.array(_SIZES), most):
            best = max(best, (sum(_likelihood(one, float(size), length) for one in held), float(size), length))
    return best[1], best[2]


def _likelihood(one: Wandering, size: float, length: float) -> float:
    """Restricted log-likelihood of a series, but for a constant."""
    places, values, variance, terms = one
    factor = cho_factor(walk_covariance(places, size, length) + np.diag(variance), lower=True)
    weighted = cho_solve(factor, terms)
    normal = terms.T @ weighted
    rest = values - terms @ np.linalg.solve(normal, weighted.T @ values)
    wide = 2.0 * float(np.log(np.diag(factor[0])).sum()) + float(np.linalg.slogdet(normal)[1])
    return -0.5 * (wide + float(rest @ cho_solve(factor, rest)))
