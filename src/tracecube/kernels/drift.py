"""How a level drifts from row to row, told from its noisy measurements: the Wiener filter of a power law.

The drift of electronics is red (its power falls with frequency as some power), the noise of the measurements white and
known. The law is fitted to the series' own cosine transform by maximum likelihood (Whittle 1953), which tells how far
each frequency is to be believed; what the filter leaves unknown is the error of the drift.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, idct

__all__ = ["wiener_drift"]

F8 = NDArray[np.float64]

_SLOPES = np.arange(0.5, 4.01, 0.25)  # of the power against frequency: flicker noise 1, a random walk 2
_ROUNDS = 30


def wiener_drift(series: F8, noise: float) -> tuple[F8, float]:
    """Return the drift (n,) of a level and its error, one standard deviation of a typical sample.

    Parameters
    ----------
    series : array (n,)
        Measured levels.
    noise : float
        White noise of one of them, one standard deviation.
    """
    n = series.size
    modes = dct(np.asarray(series, float), norm="ortho")
    power = _power_law(modes[1:] ** 2, noise**2)
    share = np.concatenate([[1.0], power / (power + noise**2)])
    drift = idct(share * modes, norm="ortho")
    return np.asarray(drift), float(np.sqrt((share * noise**2).sum() / n))


def _power_law(found: F8, white: float) -> F8:
    """Most likely c k**-slope (n - 1,) of a drift, beside white noise, from the squares of its modes."""
    k = np.arange(1, found.size + 1)
    best, most = np.zeros(found.size), -float(np.sum(np.log(white) + found / white))
    for slope in _SLOPES:
        shape = k**-slope
        size = max(float(np.mean(found[:3] / shape[:3])), 1e-12 * white)
        for _ in range(_ROUNDS):  # scoring: the weighted excess of power over noise
            expected = size * shape + white
            weight = (shape / expected) ** 2
            size = max(float((weight * (found - white) / shape).sum() / weight.sum()), 1e-12 * white)
        expected = size * shape + white
        likely = -float(np.sum(np.log(expected) + found / expected))
        if likely > most:
            best, most = size * shape, likely
    return best
