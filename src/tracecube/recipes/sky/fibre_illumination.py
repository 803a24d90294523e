"""How an exposure illuminates its fibres: a level for each bundle, one gradient, and which fibres see the sky alone.

A bundle's level is that of its empty fibres, which are not picked: levels of all fibres are a mixture of none and of
any light (`kernels/empty_level.py`), less what a model of extended sources explains (`extended_light.py`). Where many
bundles were read, their levels lie on a smooth surface over the focal plane but for a scatter that they tell
themselves; a bundle whose emptiest fibres stand above it is filled with light, and takes its level from the others.
With few bundles nothing tells a filled bundle from a brighter sky.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.kernels.empty_level import empty_level
from tracecube.recipes.sky.extended_light import MISS, extended_light
from tracecube.recipes.sky.sky_fibres import SkyFibres

__all__ = ["HALF_BUNDLE", "Illumination", "illumination"]

HALF_BUNDLE = 25.0  # arcsec: scale of the places in a bundle
_HALF_FIELD = 500.0  # arcsec: scale of the places in the focal plane
_ROUNDS = 3  # of ground and extended light
_TURNS = 40  # steps of the search for the ground while they change
_PLANE, _CURVED = 8, 16  # bundles from which a plane, and a curved surface, is drawn through their levels
_FILLED = 4.0  # errors above the surface at which a bundle is filled with light


class Illumination(NamedTuple):
    """Illumination of all fibres of an exposure, detectors one after the other.

    Parameters
    ----------
    light, error : array (n,)
        Brightness of the empty sky over the model, and its error.
    blank : bool array (n,)
        Fibres that see the sky alone, as far as their noise tells.
    slots : int array (k,)
    level, level_error : array (k,)
        Of each bundle, in its middle.
    filled : bool array (k,)
        Bundles without an empty fibre, whose level is that of the others.
    slope : array (2,), 1/arcsec
    scatter : float
        Of fibres beyond their errors: that of their throughputs.
    beside : array (n,)
        Light of extended sources and wings in each fibre, by the model of them, in units of ``light``.
    wings : array (n,)
        Light of stars' wings in it.
    steep : array (n, 2), 1/arcsec
        How the extended light changes with place, over ``light``.
    owner : int array (n,)
        Which of ``slots`` each fibre belongs to.
    """

    light: FloatArray
    error: FloatArray
    blank: BoolArray
    slots: IntArray
    level: FloatArray
    level_error: FloatArray
    filled: BoolArray
    slope: FloatArray
    scatter: float
    beside: FloatArray
    wings: FloatArray
    steep: FloatArray
    owner: IntArray


def illumination(
    fibres: Sequence[SkyFibres],
    levels: tuple[FloatArray, FloatArray],
    places: Mapping[int, tuple[float, float]],
    *,
    slope: float,
    cut: tuple[float, float],
    least: int,
    turns: int = 300,
) -> Illumination:
    """Fit the illumination to levels of all fibres.

    Parameters
    ----------
    fibres : sequence of SkyFibres
    levels : (array (n,), array (n,))
        Brightness of each fibre over the model, NaN where it is not known, and its error.
    places : mapping
        Places of bundles in the focal plane, arcsec; a bundle that is not in it stands for itself.
    slope : float, 1/arcsec
        Gradient that is expected of the illumination.
    cut : (float, float)
        Errors from the ground up to which a fibre is blank, either way: noise alone is then as often above as below;
        and below it beyond which a fibre has failed.
    least : int
        Fibres that are taken for blank though none is: those nearest to the ground.
    turns : int
        Steps of the search for the ground, at most.
    """
    ratio, error = levels[0].astype(np.float64), levels[1].astype(np.float64)
    slots, owner = np.unique(np.concatenate([one.slot for one in fibres]), return_inverse=True)
    at = np.stack([np.concatenate([getattr(one, axis) for one in fibres]) for axis in "xy"], axis=1)
    known = np.isfinite(ratio) & np.isfinite(error)
    level = np.where(known, ratio, np.nan)
    precision = np.full(2, 1.0 / (slope * HALF_BUNDLE) ** 2)
    unsure, beside, wings, doubt = error, np.zeros(ratio.size), np.zeros(ratio.size), np.zeros(slots.size)
    steep = np.zeros((ratio.size, 2))
    for _ in range(_ROUNDS):
        found = empty_level(level - beside, unsure, owner, at / HALF_BUNDLE, precision, low=cut[1], turns=_TURNS)
        ground, sigma = found.level[owner] + at / HALF_BUNDLE @ found.terms, np.hypot(error, found.scatter)
        for k in range(slots.size):
            own = np.flatnonzero((owner == k) & known)
            extended = extended_light(ratio[own], sigma[own], at[own], ground[own], slope)
            beside[own], wings[own], steep[own], doubt[k] = extended
        unsure = np.hypot(error, MISS * beside)
    found = empty_level(level - beside, unsure, owner, at / HALF_BUNDLE, precision, low=cut[1], turns=turns)
    level, level_error, filled = _smoothed(slots, found.level, np.hypot(found.error, doubt), places)
    light = level[owner] + at / HALF_BUNDLE @ found.terms
    spread = np.sqrt(level_error[owner] ** 2 + np.einsum("nq,qr,nr->n", at, found.covariance, at) / HALF_BUNDLE**2)
    blank = _blank((ratio - light) / np.hypot(error, found.scatter), known & ~filled[owner], cut[0], least)
    gradient = found.terms / HALF_BUNDLE
    about = (slots, level, level_error, filled, gradient, found.scatter)
    return Illumination(light, spread, blank, *about, beside, wings, steep, owner)


def _blank(away: FloatArray, known: BoolArray, cut: float, least: int) -> BoolArray:
    """Return which fibres are within the cut, or the nearest to the ground where these are too few."""
    far = np.where(known, np.abs(away), np.inf)
    blank = far < cut
    if blank.sum() < least:
        blank[np.argsort(far)[: min(least, int(known.sum()))]] = True
    return np.asarray(blank)


def _smoothed(
    slots: IntArray, level: FloatArray, error: FloatArray, places: Mapping[int, tuple[float, float]]
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Draw bundles' levels to a smooth surface by the errors of both; those above it are filled with light."""
    known = np.isfinite(level)
    typical = float(np.median(level[known])) if known.any() else 1.0
    filled = np.zeros(slots.size, bool)
    placed = np.array([int(slot) in places for slot in slots])
    if (placed & known).sum() < _PLANE:
        return np.where(known, level, typical), np.where(known, error, np.inf), filled
    u, v = (np.array([places.get(int(slot), (0.0, 0.0)) for slot in slots]) / _HALF_FIELD).T
    terms = [np.ones(u.size), u, v]
    if (placed & known).sum() >= _CURVED:
        terms += [u * u, u * v, v * v]
    design = np.stack(terms, axis=1)
    scatter = 0.0
    for _ in range(20):
        use = placed & known & ~filled
        weight = np.where(use, 1.0 / (np.where(known, error, 1.0) ** 2 + scatter**2), 0.0)
        covariance = np.linalg.pinv((design * weight[:, None]).T @ design, hermitian=True)
        surface = design @ (covariance @ ((design * weight[:, None]).T @ np.where(known, level, 0.0)))
        rest = np.where(known, level, 0.0) - surface
        scatter = _scatter(rest[use], error[use], design.shape[1])
        lifted = placed & known & (rest > _FILLED * np.hypot(np.where(known, error, 0.0), scatter))
        if (lifted == filled).all():
            break
        filled = lifted
    unsure = np.sqrt(scatter**2 + np.einsum("nq,qr,nr->n", design, covariance, design))
    own = np.where(known & ~filled, 1.0 / np.where(known, error, 1.0) ** 2, 0.0)
    drawn = np.where(placed, 1.0 / np.maximum(unsure, 1e-9) ** 2, 0.0)
    total = own + drawn
    value = np.where(
        total > 0, (own * np.where(known, level, 0.0) + drawn * surface) / np.maximum(total, 1e-300), typical
    )
    return value, np.where(total > 0, np.maximum(total, 1e-300) ** -0.5, np.inf), filled


def _scatter(rest: FloatArray, error: FloatArray, terms: int) -> float:
    """Scatter beyond the errors that makes chi-square that of as many degrees of freedom; by the median, robustly."""
    freedom = max(rest.size - terms, 1)
    excess = float(np.median(rest**2)) / 0.4549 * rest.size / freedom - float(np.median(error**2))
    return float(np.sqrt(max(excess, 0.0)))
