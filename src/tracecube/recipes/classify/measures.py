"""Redshift and age of a type that is settled, with their errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.kernels.log_spectrum import STEP
from tracecube.recipes.classify import posterior
from tracecube.recipes.classify.library import Templates
from tracecube.recipes.classify.matches import peak
from tracecube.recipes.classify.networks import Learnt

__all__ = ["Measures", "measured"]

_MOST = 12  # templates that are asked
_PEAK = 4  # steps about the most probable redshift that belong to it
_SOFT = 4.0  # score by which a template counts e times less
_LEAST_AGE = 1.5  # day: templates' own ages are known no better
_SURE = 0.1  # probability of a peak below which its error is not made larger still


@dataclass(frozen=True)
class Measures:
    """Redshift and age with errors; the age is NaN where no template has one."""

    z: float
    z_error: float
    age: float
    age_error: float


def measured(
    spread: FloatArray,
    score: FloatArray,
    rows: list[tuple[int, int]],
    held: Templates,
    learnt: Learnt,
    *,
    known: bool,
) -> Measures:
    """Measure redshift and age.

    Parameters
    ----------
    spread : array (m,)
        Probability of each redshift, for the type.
    score : array (n, m)
        Of all templates.
    rows : list of (int, int)
        Best templates of the type with their shifts, one of an object, best first.
    held : Templates
    learnt : Learnt
        For the scales of the errors.
    known : bool
        The redshift was given: templates do not move it.
    """
    asked = rows[:_MOST]
    heights = np.array([score[row, shift] for row, shift in asked])
    weight = np.exp((heights - heights.max()) / _SOFT) if asked else np.zeros(0)
    fine = np.array([peak(score[row], shift) for row, shift in asked])
    z, z_error = _redshift(spread, np.zeros(0) if known else fine, weight, learnt)
    return Measures(z, z_error, *_age(np.array([held.age[row] for row, _ in asked]), weight, learnt))


def _redshift(spread: FloatArray, fine: FloatArray, weight: FloatArray, learnt: Learnt) -> tuple[float, float]:
    """Return the redshift, mean of the posterior's peak and of the best templates' places, and its error."""
    shifts = posterior.SHIFTS[: spread.size]
    near = np.abs(shifts - int(spread.argmax())) <= _PEAK
    share = spread[near] / spread[near].sum()
    places = shifts[near] * STEP
    mean = float((share * places).sum())
    width = float(np.sqrt((share * (places - mean) ** 2).sum() + STEP**2 / 12.0))
    if fine.size:
        mean = 0.5 * (mean + float((weight * fine).sum() / weight.sum()) * STEP)
    error = float(np.hypot(learnt.z_scale * width, learnt.z_floor)) * float(np.exp(mean))
    return float(np.expm1(mean)), error / max(float(spread[near].sum() / spread.sum()), _SURE)


def _age(ages: FloatArray, weight: FloatArray, learnt: Learnt) -> tuple[float, float]:
    """Return the weighted median of the best templates' ages, and their scatter about it."""
    told = np.isfinite(ages)
    if not told.any():
        return np.nan, np.nan
    order = np.argsort(ages[told])
    value, share = ages[told][order], weight[told][order]
    middle = float(np.interp(0.5, (np.cumsum(share) - 0.5 * share) / share.sum(), value))
    scatter = float(np.sqrt((share * (value - middle) ** 2).sum() / share.sum() + _LEAST_AGE**2))
    return middle, learnt.age_scale * scatter
