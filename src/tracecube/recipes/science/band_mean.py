"""Mean contrast over a band, freed of the line-spread function.

What is measured is not the contrast c but the light of the companion over that of the star, each seen through the
line-spread function K: f = K(c s) / K s. Where the star is bright its neighbourhood counts for more, so the mean of f
over channels is not that of c: it is 2 to 4 per cent more for a companion with bands as deep as methane's. With
channels f = B c, the rows of B being K s over their sum, and c follows from f with the least curvature that f itself
asks for: second differences are Gaussian with a scatter that maximises the likelihood of f (Wahba 1985, Ann. Stat. 13,
1378). Neither level nor slope is drawn anywhere, so a companion as smooth as its star has the mean it had before.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["BandMean", "band_mean", "seen_through"]

F8 = NDArray[np.float64]

_PARTS = 5  # of a channel, within which star and line are followed
_BEND = np.geomspace(3e-3, 3.0, 31)  # scatter of second differences that is tried, over the contrast's own level
_DARK = 1e-3  # of the star's brightest channel: a channel with less light has a weight still


class BandMean(NamedTuple):
    """Mean contrast and its error; `bend` is the scatter of second differences over the contrast's level."""

    value: float
    error: float
    bend: float


def seen_through(wave: F8, star: F8, sigma: F8) -> F8:
    """Matrix (n, n) that takes contrasts in channels to those seen through the line-spread function.

    Parameters
    ----------
    wave : array (n,), Angstrom
        Evenly spaced.
    star : array (n,)
        Its light a channel.
    sigma : array (n,), Angstrom
        Width of the line-spread function; 0 for none.
    """
    n, step = wave.size, float(wave[1] - wave[0])
    fine = wave[0] - 0.5 * step + (np.arange(n * _PARTS) + 0.5) * step / _PARTS
    light = np.interp(fine, wave, np.maximum(star, _DARK * star.max()))
    width = np.maximum(np.interp(fine, wave, sigma), 0.1 * step / _PARTS)
    line = np.exp(-0.5 * ((fine[:, None] - fine) / width[:, None]) ** 2) * light
    line /= line.sum(axis=1, keepdims=True)
    return np.asarray(line.reshape(n, _PARTS, n, _PARTS).sum(axis=3).mean(axis=1), np.float64)


def band_mean(contrast: F8, covariance: F8, seen: F8, share: F8) -> BandMean:
    """Mean of the contrasts that a spectrum was before the line-spread function.

    Parameters
    ----------
    contrast : array (n,)
        NaN where unknown.
    covariance : array (n, n)
    seen : array (n, n)
        From `seen_through`.
    share : array (n,)
        Of each channel in the mean, 1 together.
    """
    used = np.isfinite(contrast)
    level = float(np.median(np.abs(contrast[used])))
    data, matrix = contrast[used] / level, seen[used]
    inverse = np.linalg.inv(covariance[np.ix_(used, used)] / level**2)
    curved = np.diff(np.eye(contrast.size), 2, axis=0)
    told, rhs = matrix.T @ inverse @ matrix, matrix.T @ inverse @ data

    def solution(bend: float) -> tuple[float, F8, F8]:
        normal = told + curved.T @ curved / bend**2
        found = np.asarray(np.linalg.solve(normal, rhs), np.float64)
        left, second = data - matrix @ found, curved @ found
        misfit = float(left @ inverse @ left + second @ second / bend**2)
        return -0.5 * (misfit + float(np.linalg.slogdet(normal)[1])) - len(curved) * np.log(bend), found, normal

    bend = max((float(one) for one in _BEND), key=lambda one: solution(one)[0])
    _, found, normal = solution(bend)
    error = float(np.sqrt(share @ np.linalg.solve(normal, share)))
    return BandMean(level * float(share @ found), level * error, bend)
