"""Exposures whose halo is not that of the others: the loop was open, or the star slipped off its mask.

Speckles of a sequence are learnt from all of its exposures, and one bad exposure spoils them for all. Each exposure is
held against the median of all, scaled to its brightness; what is left, in units of its noise, tells which are odd,
where it is as much more in light, too: a long exposure among short ones has less noise, not another halo. They then
count as much as their own scatter allows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tracecube.recipes.science.star_sequence import StarSequence

__all__ = ["even_exposures", "odd_factors"]

F8 = NDArray[np.float64]

INNER, OUTER = 0.12, 0.70  # arcsec: beyond the mask's edge, and where the whole circle is in the field
_EVERY = 3  # channels: they tell the same
_FEWEST = 4  # exposures: of three no one can say which is odd
_LEAST = 4.0  # times the usual variance: speckles that change with time alone stay below
_OUTLIER = 5.0  # spreads of the exposures' variances
_LENSLETS = 300


def odd_factors(sequence: StarSequence) -> F8:
    """Return by how much the variance of each exposure is above what is usual, array (n_time,); 1 where it is not."""
    times = len(sequence.flux)
    inside = (sequence.radius > INNER) & (sequence.radius < OUTER)
    if times < _FEWEST:
        return np.ones(times)
    found = []
    for k in range(0, sequence.wave.size, _EVERY):
        known = inside & (sequence.weight[:, k] > 0).all(axis=0)
        if np.count_nonzero(known) >= _LENSLETS:
            found.append(_left(*(np.asarray(one[:, k, known], float) for one in (sequence.flux, sequence.weight))))
    if not found:
        return np.ones(times)
    noises, lights = (_above(np.array(one)) for one in zip(*found, strict=True))
    odd = (noises > _limit(noises)) & (lights > _limit(lights))
    return np.where(odd, np.exp(noises), 1.0)


def _above(variances: F8) -> F8:
    """Return ln of variances (n_channel, n_time) over what is usual, array (n_time,)."""
    level = np.median(np.log(variances), axis=0)
    return np.asarray(level - np.median(level))


def _limit(above: F8) -> float:
    """Return from where on an exposure is odd."""
    return max(float(np.log(_LEAST)), _OUTLIER * 1.4826 * float(np.median(np.abs(above))))


def _left(flux: F8, weight: F8) -> tuple[F8, F8]:
    """Variance (n_time,) of what is left of a channel (n_time, n), the middle of the lenslets.

    In units of its noise, and over the square of the exposure's brightness.
    """
    usual = np.median(flux, axis=0)
    gain = (weight * flux) @ usual / np.maximum(weight @ usual**2, 1e-300)
    off = np.abs(flux - gain[:, None] * usual)
    bright = np.maximum(np.abs(gain), 1e-6) * np.median(np.abs(usual))
    noises = np.maximum((1.4826 * np.median(off * np.sqrt(weight), axis=1)) ** 2, 1e-3)
    return noises, np.maximum((1.4826 * np.median(off, axis=1) / np.maximum(bright, 1e-300)) ** 2, 1e-12)


def even_exposures(sequence: StarSequence) -> tuple[StarSequence, F8]:
    """Return the sequence with odd exposures weighing as little as they tell, and their factors (n_time,)."""
    factor = odd_factors(sequence)
    if (factor == 1.0).all():
        return sequence, factor
    weight = sequence.weight / factor[:, None, None].astype(sequence.weight.dtype)
    return replace(sequence, weight=weight), factor
