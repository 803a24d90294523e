"""Exposures whose halo is not that of the others: the loop was open, or the star slipped off its mask.

Speckles of a sequence are learnt from all of its exposures, and one bad exposure spoils them for all. Each exposure is
held against the median of all, scaled to its brightness; what is left, in units of its noise, tells which are odd.
They then count as much as their own scatter allows.
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
    level = np.median(np.log(found), axis=0)
    above = level - np.median(level)
    spread = 1.4826 * float(np.median(np.abs(above)))
    odd = above > max(np.log(_LEAST), _OUTLIER * spread)
    return np.where(odd, np.exp(above), 1.0)


def _left(flux: F8, weight: F8) -> F8:
    """Variance (n_time,) of what is left of a channel (n_time, n) in units of its noise, the middle of the lenslets."""
    usual = np.median(flux, axis=0)
    gain = (weight * flux) @ usual / np.maximum(weight @ usual**2, 1e-300)
    off = np.abs(flux - gain[:, None] * usual) * np.sqrt(weight)
    return np.asarray(np.maximum((1.4826 * np.median(off, axis=1)) ** 2, 1e-3))


def even_exposures(sequence: StarSequence) -> tuple[StarSequence, F8]:
    """Return the sequence with odd exposures weighing as little as they tell, and their factors (n_time,)."""
    factor = odd_factors(sequence)
    if (factor == 1.0).all():
        return sequence, factor
    weight = sequence.weight / factor[:, None, None].astype(sequence.weight.dtype)
    return replace(sequence, weight=weight), factor
