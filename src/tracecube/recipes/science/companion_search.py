"""Where companions may be: the flux and significance of a source at every place of a fine grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tracecube.core.fields import BoolArray
from tracecube.core.params import Params
from tracecube.kernels.few_samples import few_sample_threshold, resolution_elements
from tracecube.recipes.science.speckle_learning import LearntSpeckles
from tracecube.recipes.science.star_sequence import StarSequence

__all__ = ["SearchMap", "SearchParams", "brightest_peak", "kept_signal", "search_map"]

F8 = NDArray[np.float64]


SIGNAL_RINGS = 8  # distances at which the model's share is measured: it changes slowly with distance


class SearchParams(Params):
    """How companions are looked for."""

    core: float = Field(1.25, gt=0.5, description="radius of the part of an image that is searched with, lambda / D")
    grid: float = Field(11e-3, gt=1e-3, description="step of the detection map, arcsec: finer than a lenslet")
    sigma: float = Field(5.0, gt=3.0, description="significance a candidate needs, as rare as this of a Gaussian")
    largest: int = Field(9, ge=1, description="companions looked for at most")
    inner: float = Field(0.10, gt=0.0, description="inner radius of the map, arcsec")
    coverage: float = Field(0.8, gt=0.0, le=1.0, description="share of a source's light that must be measured")


WHOLE, BRIGHT = 0.95, 10.0
"""Share of the usual samples, and significance, from which a place counts that its own photons make noisy."""


@dataclass(frozen=True)
class SearchMap:
    """A source of flat contrast at every place.

    Parameters
    ----------
    line : array (m,), arcsec
        Offsets of the grid, the same northwards and eastwards.
    contrast, snr : array (m, m)
        North first. NaN where not measured.
    separation, sigma, elements : array (n_ring,)
        Scatter of the contrast at a distance from the star, and independent places it comes from.
    signal : array (n_ring,)
        Share of a source's weight that the speckle model leaves.
    full : array (n_place,)
        Weight of a source at the places of the grid in the field, before the speckle model.
    weights : str
        Hash of the samples' weights, from which ``full`` follows.
    """

    line: F8
    contrast: F8
    snr: F8
    separation: F8
    sigma: F8
    elements: F8
    signal: F8
    full: F8
    weights: str

    def threshold(self, sigma: float) -> F8:
        """Return how large ``snr`` must be at each place of the grid."""
        radius = np.hypot(*np.meshgrid(self.line, self.line))
        return np.asarray(np.interp(radius, self.separation, few_sample_threshold(self.elements, sigma)))


def search_map(learnt: LearntSpeckles, params: SearchParams, *, earlier: SearchMap | None = None) -> SearchMap:
    """Make the map of a sequence.

    Parameters
    ----------
    learnt : LearntSpeckles
    params : SearchParams
    earlier : SearchMap, optional
        Of the same sequence and parameters, before sources were taken off: what the speckle model leaves of a source
        is taken from it.
    """
    sequence = learnt.sequence
    line, inside, rings = _grid(sequence, params)
    north, east = (line[i] for i in np.nonzero(inside))
    back = learnt.model.transpose(learnt.residual, sequence.weight)
    core = sequence.core(params.core)
    seen = core.under(east, north, back).sum(axis=1)
    del back  # as large as the data
    weights = sha256(np.ascontiguousarray(sequence.weight).data).hexdigest()
    if earlier is not None and earlier.weights == weights:
        full = earlier.full
    else:
        full = _squared(core).under(east, north, sequence.weight).sum(axis=1)
    if earlier is None:
        some = rings[:: max(1, rings.size // SIGNAL_RINGS)]
        signal = np.interp(rings, some, kept_signal(learnt, some, params.core))
    else:
        signal = earlier.signal
    radius = np.hypot(east, north)
    known = full > params.coverage * _usual(radius, full, rings)
    contrast = seen / np.maximum(full * np.interp(radius, rings, signal), 1e-300)
    sigma, elements = _scatter(sequence, radius, np.where(known, contrast, np.nan) * np.sqrt(full), rings)
    known |= _bright(sequence, core, (east, north, radius), rings) & (
        contrast * np.sqrt(full) > BRIGHT * np.interp(radius, rings, sigma)
    )
    contrast = np.where(known, contrast, np.nan)
    sigma_here = np.interp(radius, rings, sigma) / np.sqrt(np.where(known, full, np.nan))
    maps = np.full((2, *inside.shape), np.nan)
    maps[:, inside] = contrast, contrast / sigma_here
    typical = sigma / np.sqrt(_usual(rings, full, rings, at=radius))
    return SearchMap(line, maps[0], maps[1], rings, typical, elements, signal, full, weights)


def brightest_peak(found: SearchMap, sigma: float) -> tuple[float, float, float] | None:
    """East, north (arcsec) and significance of the most significant place above the threshold, or None."""
    over = np.where(np.isfinite(found.snr), found.snr / found.threshold(sigma), -np.inf)
    j, i = np.unravel_index(int(np.argmax(over)), over.shape)
    if not over[j, i] > 1.0:
        return None
    return float(found.line[i]), float(found.line[j]), float(found.snr[j, i])


def kept_signal(learnt: LearntSpeckles, rings: F8, core: float) -> F8:
    """Share of a source's weight (in its core) that the speckle model leaves, at distances (n_ring,) from the star.

    Sources are painted at several angles, far enough from each other not to meet while the field turns.
    """
    sequence = learnt.sequence
    number = max(1, int(360.0 / (sequence.rotation + 40.0)))
    angle = 2.0 * np.pi * (np.arange(number) + 0.5) / number
    light = np.where(sequence.light > 0, 1.0, 0.0)
    kept = np.ones(rings.size)
    for r in range(rings.size):
        separation = float(rings[r])
        east, north = separation * np.sin(angle), separation * np.cos(angle)
        flat = np.broadcast_to(light, (number, light.size))
        left = sequence.image(
            east, north, flat
        )  # one array of the data's size, overwritten: there are gigabytes of data
        left = learnt.model.transpose(learnt.model.apply(left, out=left), sequence.weight, out=left)
        whole = seen = 0.0
        for t, (one, weight) in enumerate(zip(left, sequence.weight, strict=True)):
            inner = sequence.exposure(t).core(core).image(east, north, flat)[0]
            whole += float(np.sum(inner * weight * inner, dtype=float))
            seen += float(np.sum(inner * one, dtype=float))
        if whole > 0.0:
            kept[r] = max(seen / whole, 1e-3)
    return kept


def _grid(sequence: StarSequence, params: SearchParams) -> tuple[F8, BoolArray, F8]:
    """Offsets, places of the grid in the field, and radii of the rings."""
    outer = float(sequence.radius.max())
    half = int(outer / params.grid)
    line = np.asarray(params.grid * np.arange(-half, half + 1), float)
    radius = np.hypot(*np.meshgrid(line, line))
    # Where a quarter of the circle is outside the field there is no ring to compare with.
    reach = float(np.quantile(sequence.radius, 0.9))
    step = 1.5 * float(np.median(sequence.unit))
    rings = np.arange(params.inner, reach, step)
    return line, (radius >= params.inner) & (radius <= reach), rings


def _squared(sequence: StarSequence) -> StarSequence:
    """Return the sequence with the squares of a source's light in place of the light."""
    squared = sequence.profile._replace(share=sequence.profile.share**2)
    return replace(sequence, profile=squared, brightness=sequence.brightness**2)


def _bright(sequence: StarSequence, core: StarSequence, at: tuple[F8, F8, F8], rings: F8) -> BoolArray:
    """Places (n_place,) east, north and off the star where samples are whole, however low their weight.

    A bright source's own photons lower its weight; that nothing of it is lost is told by even weights.
    """
    level = np.empty_like(sequence.weight)
    for one, weight in zip(level, sequence.weight, strict=True):
        some = (weight > 0).any(axis=1, keepdims=True)
        usual = np.nanmedian(np.where(weight > 0, weight, np.where(some, np.nan, 0.0)), axis=1, keepdims=True)
        one[:] = np.where(weight > 0, usual, 0.0)
    even = _squared(core).under(at[0], at[1], level).sum(axis=1)
    return np.asarray(even > WHOLE * _usual(at[2], even, rings))


def _usual(radius: F8, full: F8, rings: F8, *, at: F8 | None = None) -> F8:
    """Median weight of a source at the distance of each place (or, with ``at``, of each ring)."""
    where = radius if at is None else at
    which = np.argmin(np.abs(where[:, None] - rings), axis=1)
    middle = np.array([np.median(full[which == r]) if np.any(which == r) else np.nan for r in range(rings.size)])
    known = np.isfinite(middle)
    return np.asarray(np.interp(radius, rings[known], middle[known]))


def _scatter(sequence: StarSequence, radius: F8, values: F8, rings: F8) -> tuple[F8, F8]:
    """Scatter of values in rings and the independent places it comes from.

    Median of the absolute deviations from zero: speckles' tails make it larger in the next step, by
    the threshold of few samples, not here.
    """
    size = float(np.median(sequence.unit))
    width = 2.0 * size
    sigma, share = np.full(rings.size, np.nan), np.zeros(rings.size)
    for r, ring in enumerate(rings):
        near = np.abs(radius - ring) < 0.5 * width
        some = near & np.isfinite(values)
        if np.count_nonzero(some) >= 20:
            kept = values[some]
            for _ in range(3):  # companions not yet known do not belong to the noise
                spread = float(np.std(kept))
                within = np.abs(values[some]) < 4.0 * spread
                if not within.any():
                    break  # a halo that nothing was taken off of: all of it counts as noise
                kept = values[some][within]
            sigma[r], share[r] = max(spread, 1.4826 * float(np.median(np.abs(kept)))), some.sum() / near.sum()
    known = np.isfinite(sigma)
    elements = resolution_elements(rings, size, width) * share
    return np.interp(rings, rings[known], sigma[known]), np.maximum(elements, 2.0)
