"""From templates' scores and networks' energies to probabilities of kind and redshift."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import FloatArray, IntArray
from tracecube.kernels.log_spectrum import STEP
from tracecube.recipes.classify.kinds import CLASS_OF, CLASSES, KINDS
from tracecube.recipes.classify.library import Templates
from tracecube.recipes.classify.networks import Learnt

__all__ = [
    "CALIBRATED",
    "GRID",
    "SHIFTS",
    "TYPICAL",
    "by_kind",
    "by_object",
    "calibrated",
    "probabilities",
    "reach",
    "z_prior",
]

SHIFTS: NDArray[np.int64] = np.arange(int(np.log(1.38) / STEP) + 1)
"""Bins of log wavelength by which spectra are moved: redshifts 0 to 0.38."""
GRID: FloatArray = np.expm1(SHIFTS * STEP)
"""Redshift of each shift."""

TYPICAL, CALIBRATED = 20.0, (5.0, 100.0)
"""Signal to noise about which the calibration is written, and its range."""

_STEP_ERROR = 0.0015  # of 1 + z: a known redshift falls between two steps


def reach(most: float) -> int:
    """Return how many shifts it takes to a redshift, and a few more for what lies about it.

    Examples
    --------
    >>> reach(0.0), reach(0.38) == SHIFTS.size
    (4, True)
    """
    return min(SHIFTS.size, int(np.log1p(most) / STEP) + 4)


def by_object(score: FloatArray, held: Templates, left_out: IntArray) -> FloatArray:
    """Return the score (objects, m) of the best template of each object; that of objects left out is 0."""
    best = np.maximum.reduceat(score, held.first, axis=0)
    best[left_out] = 0.0
    return best


def by_kind(best: FloatArray, held: Templates) -> FloatArray:
    """Return the score (kinds, m) of the best object of each kind."""
    kind = held.kind[held.first]
    return np.stack([best[kind == k].max(0) for k in range(len(KINDS))])


def z_prior(redshift: float | None, error: float, least: float, most: float) -> FloatArray:
    """Return the log weight (m,) of each redshift: even within limits, or about one that is known."""
    if redshift is None:
        inside = (least - 1e-9 <= GRID) & (most + 1e-9 >= GRID)
        inside[np.abs(GRID - 0.5 * (least + most)).argmin()] |= not inside.any()  # limits closer than the grid is fine
        return np.where(inside, 0.0, -np.inf)
    away = np.log1p(GRID) - np.log1p(redshift)
    return np.asarray(-0.5 * (away / np.hypot(error, _STEP_ERROR)) ** 2)


def probabilities(energy: FloatArray, score: FloatArray, prior: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the probability (kinds, m) of each kind at each redshift.

    Parameters
    ----------
    energy : array (m, kinds)
    score : array (kinds, m)
    prior : array (m,)
    weights : array (2,)
    """
    log = weights[0] * energy.T + weights[1] * score + prior
    made = np.exp(log - log.max())
    return np.asarray(made / made.sum())


def calibrated(
    joint: FloatArray, learnt: Learnt, snr: float, *, known: bool, shares: FloatArray | None = None
) -> FloatArray:
    """Return probabilities (kinds, m) whose sums over the classes are what they say.

    Parameters
    ----------
    joint : array (kinds, m)
    learnt : Learnt
    snr : float
        Signal to noise a sample.
    known : bool
        The redshift was.
    shares : array (classes,) or None
        Of the classes among what is observed; None for alike.
    """
    each = joint.sum(1)
    total = np.array([each[k == CLASS_OF].sum() for k in range(len(CLASSES))])
    slope, change = learnt.slope[int(known)]
    slope = slope + change * np.log(np.clip(snr, *CALIBRATED) / TYPICAL)
    log = slope * np.log(np.maximum(total, 1e-12)) + learnt.offset[int(known)]
    if shares is not None:
        log = log + np.log(shares)
    made = np.exp(log - log.max())
    made /= made.sum()
    return np.asarray(joint * (made / np.maximum(total, 1e-300))[CLASS_OF][:, None])
