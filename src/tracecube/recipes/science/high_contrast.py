"""Companions of a star: search, joint fit, spectra with covariance, and how faint one would be seen.

One signature for all methods (classical ADI, spectral deconvolution, principal components along time
or wavelength or both): they differ in the speckle model alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tracecube.core.companions import ContrastCurve
from tracecube.core.errors import NoConvergence
from tracecube.core.params import Params
from tracecube.kernels.few_samples import few_sample_threshold
from tracecube.recipes.science.band_mean import band_mean, seen_through
from tracecube.recipes.science.companion_fit import (
    FittedCompanion,
    Noise,
    cleaned,
    fit_companion,
    near,
    noise_at,
    without,
)
from tracecube.recipes.science.companion_search import SearchMap, SearchParams, brightest_peak, search_map
from tracecube.recipes.science.speckle_learning import LearntSpeckles, SpeckleParams, learn_speckles
from tracecube.recipes.science.star_sequence import StarSequence

__all__ = ["Companion", "HighContrastParams", "Surroundings", "contrast_curve", "in_band", "measured", "surroundings"]

F8 = NDArray[np.float64]


class HighContrastParams(Params):
    """How companions are searched and measured."""

    speckles: SpeckleParams = Field(SpeckleParams(), description="how speckles are told from companions")
    search: SearchParams = Field(SearchParams(), description="how companions are looked for")
    refits: int = Field(
        1, ge=1, le=5, description="rounds in which all companions are fitted with each other taken off"
    )
    band: float = Field(
        0.3,
        ge=0.0,
        lt=1.0,
        description="share of the largest throughput from which a channel is in the band that contrasts are means of",
    )
    wavefront: float = Field(
        850.0,
        ge=0.0,
        description="error of the wavefront, Angstrom: what the halo has of a star's light is none that the instrument "
        "keeps back",
    )
    injected: float = Field(3.0, gt=0.0, description="contrast of injected companions over the detection limit")


@dataclass(frozen=True)
class Companion:
    """A companion with its errors.

    Parameters
    ----------
    fitted : FittedCompanion
    covariance : array (n_wave, n_wave)
        Of the contrasts, from places at the same distance; the error of the star's flux is not in it.
    place_covariance : array (2, 2), arcsec**2
    contrast, contrast_error : float
        Mean over the band, freed of the line-spread function; the error holds that of the star's flux in each channel.
    snr : float
    """

    fitted: FittedCompanion
    covariance: F8
    place_covariance: F8
    contrast: float
    contrast_error: float
    snr: float


@dataclass(frozen=True)
class Surroundings:
    """What was found around a star.

    Parameters
    ----------
    companions : tuple of Companion
        The most significant first, then from outside inwards.
    raw, clean : SearchMap
        With all companions in it, and with none.
    learnt : LearntSpeckles
        From data without companions; its own data have none either.
    caveats : tuple of str
    taken : tuple of FittedCompanion
        What was taken off these data: the companions, and candidates that were left out in the end.
    """

    companions: tuple[Companion, ...]
    raw: SearchMap
    clean: SearchMap
    learnt: LearntSpeckles
    caveats: tuple[str, ...]
    taken: tuple[FittedCompanion, ...] = ()


def surroundings(sequence: StarSequence, params: HighContrastParams) -> Surroundings:
    """Find and measure the companions of a star.

    The most significant place is fitted and taken off, and the rest searched again, until nothing is left
    above the threshold. Then the speckle model is learnt anew from what is left, and every companion is
    fitted with the others taken off, in rounds.
    """
    learnt = learn_speckles(sequence, params.speckles)
    first = current = search_map(learnt, params.search)
    fitted: list[FittedCompanion] = []
    caveats: list[str] = []
    while len(fitted) < params.search.largest:
        peak = brightest_peak(current, params.search.sigma)
        if peak is None:
            break
        try:
            new = fit_companion(cleaned(learnt, fitted), peak[0], peak[1])
        except NoConvergence as failure:
            caveats.append(f"a place of significance {peak[2]:.1f} is not taken for a source: {failure}")
            break
        if any(np.hypot(new.east - o.east, new.north - o.north) < 0.5 * sequence.unit[0] for o in fitted):
            caveats.append(
                f"light left beside the source at {1e3 * new.separation:.0f} mas: its image is not the star's"
            )
            break
        fitted.append(new)
        current = search_map(cleaned(learnt, fitted), params.search, earlier=first)
    else:
        caveats.append(f"{len(fitted)} companions found, no more looked for: raise 'largest'")
    if fitted:
        rest = without(sequence, fitted)
        plane = learnt.model.plane
        del learnt  # hundreds of megabytes
        learnt = learn_speckles(sequence, params.speckles, clean=rest, plane=plane)
        del rest
        fitted, lost = _refitted(params, learnt, fitted)
        caveats += lost
    empty = cleaned(learnt, fitted)
    clean = search_map(empty, params.search, earlier=first)
    inside = in_band(sequence, params.band, wavefront=params.wavefront)
    found = [measured(sequence, one, empty, fitted, inside) for one in fitted]
    kept = [one for one in found if one.snr > _threshold(clean, one, params.search.sigma)]
    if len(kept) < len(found):
        caveats.append(f"{len(found) - len(kept)} candidates are not significant once their noise is known: left out")
    return Surroundings(_in_order(kept), first, clean, empty, tuple(caveats), tuple(fitted))


def _in_order(found: list[Companion]) -> tuple[Companion, ...]:
    """Companions in the order of discovery: the most significant, then from outside inwards.

    The way of HR 8799 b, c, d and e: speckles give way from outside.
    """
    ranked = sorted(found, key=lambda one: -one.snr)
    return (*ranked[:1], *sorted(ranked[1:], key=lambda one: -one.fitted.separation))


def _refitted(
    params: HighContrastParams, learnt: LearntSpeckles, fitted: list[FittedCompanion]
) -> tuple[list[FittedCompanion], list[str]]:
    """Fit each companion without the others, in rounds; one that has no place any more was none: a caveat says so."""
    caveats: list[str] = []
    for _ in range(params.refits):
        waiting = list(fitted)
        kept: list[FittedCompanion] = []
        while waiting:
            one = waiting.pop(0)
            try:
                others = cleaned(learnt, [*kept, *waiting])
                kept.append(fit_companion(others, one.east, one.north, spectrum=one.contrast))
            except NoConvergence as failure:
                where = f"{1e3 * one.separation:.0f} mas"
                caveats.append(f"a candidate at {where} is none once speckles are learnt without it: {failure.what}")
        fitted = kept
    return fitted, caveats


def _threshold(clean: SearchMap, one: Companion, sigma: float) -> float:
    elements = np.interp(one.fitted.separation, clean.separation, clean.elements)
    return float(few_sample_threshold(np.array([elements]), sigma)[0])


def measured(
    sequence: StarSequence,
    fitted: FittedCompanion,
    empty: LearntSpeckles,
    everyone: list[FittedCompanion],
    band: NDArray[np.bool_],
) -> Companion:
    """Give a companion its errors, from places at the same distance from the star.

    Parameters
    ----------
    empty : LearntSpeckles
        Of data from which all companions are taken off.
    everyone : list of FittedCompanion
    band : bool array (n_wave,)
        From `in_band`.
    """
    back = empty.model.transpose(empty.residual, empty.sequence.weight)
    places = np.array([(o.east, o.north) for o in everyone])
    noise = noise_at(fitted, empty, back, places)
    covariance = _covariance(fitted, noise)
    inside = fitted.used & band
    share = np.where(inside, 1.0 / np.count_nonzero(inside), 0.0)
    few = np.sqrt(1.0 + 1.0 / noise.elements)
    star = sequence.light_covariance(fitted.contrast)
    seen = seen_through(sequence.wave, sequence.light, sequence.lsf_sigma)
    mean = band_mean(fitted.contrast, few**2 * covariance + star, seen, share)
    spread = few * np.sqrt(np.mean(fitted.mean(noise.spectra) ** 2))
    return Companion(
        fitted=fitted,
        covariance=covariance,
        place_covariance=_place_covariance(fitted, noise) * few**2,
        contrast=mean.value,
        contrast_error=mean.error,
        snr=float(fitted.mean(fitted.contrast[None])[0] / spread),
    )


def in_band(sequence: StarSequence, share: float, *, wavefront: float = 0.0) -> NDArray[np.bool_]:
    """Channels (n_wave,) whose throughput is more than a share of the largest.

    Throughput is what is seen of the star over the photons it sends, which in the near infrared fall about as
    wave**-3 for any star (Rayleigh & Jeans): a mean contrast does not depend on the star's colour. What is seen is the
    core, which has less of the light the bluer it is: with the wavefront's error (Angstrom) exp(-(2 pi w / wave)**2).
    """
    core = np.exp(-((2.0 * np.pi * wavefront / sequence.wave) ** 2))
    throughput = sequence.light * (sequence.wave / sequence.wave[0]) ** 3 / core
    return np.asarray(throughput > share * throughput.max())


def _place_covariance(fitted: FittedCompanion, noise: Noise) -> F8:
    """Covariance of east and north, from the shifts that empty places would give."""
    out, along = np.mean(noise.moves**2, axis=0)
    e, n = fitted.east / fitted.separation, fitted.north / fitted.separation
    turn = np.array([[e, n], [n, -e]])
    return np.asarray(turn.T @ np.diag([out, along]) @ turn)


def _covariance(fitted: FittedCompanion, noise: Noise) -> F8:
    """Covariance of the contrasts: scatter of the empty places, held up by the weights' own where those are few.

    Shrinkage towards a target (Ledoit & Wolf 2004, J. Multivar. Anal. 88, 365), its share that of the
    number of channels in the number of places.
    """
    used = np.ix_(fitted.used, fitted.used)
    places = noise.spectra[:, fitted.used]
    scatter = places.T @ places / places.shape[0]
    expected = np.linalg.inv(fitted.normal[used])
    expected *= np.mean(np.diag(scatter) / np.diag(expected))
    share = scatter.shape[0] / (scatter.shape[0] + noise.elements)
    found = np.zeros(fitted.normal.shape)
    found[used] = (1.0 - share) * scatter + share * expected
    return found


def contrast_curve(found: Surroundings, sequence: StarSequence, params: HighContrastParams) -> ContrastCurve:
    """How faint a companion would still be found, checked with injected ones.

    Companions ``injected`` times brighter than the limit are painted into the data without companions,
    one at each distance and each at another angle; the speckle model is learnt anew, and what is found
    of them is the throughput.
    """
    clean = found.clean
    limit = few_sample_threshold(clean.elements, params.search.sigma) * clean.sigma
    angle = 2.399963 * np.arange(limit.size)  # golden angle: neighbours in distance are far from each other
    east, north = clean.separation * np.sin(angle), clean.separation * np.cos(angle)
    light = np.where(sequence.light > 0, 1.0, 0.0)
    flux = sequence.image(east, north, params.injected * limit[:, None] * light)
    flux += without(sequence, [c.fitted for c in found.companions]).flux
    flux[sequence.weight <= 0] = 0.0
    again = learn_speckles(replace(sequence, flux=flux), params.speckles, plane=found.learnt.model.plane)
    del flux
    more = np.zeros(limit.size)
    for sign, one in ((1.0, again), (-1.0, found.learnt)):
        back = one.model.transpose(one.residual, one.sequence.weight)
        more += sign * one.sequence.under(east, north, back).sum(axis=1)
    whole = np.array([_weight(again, e, n) for e, n in zip(east, north, strict=True)])
    return ContrastCurve(
        separation=clean.separation,
        contrast=limit,
        sigma=clean.sigma,
        throughput=more / (whole * params.injected * limit),
        signal=clean.signal,
        elements=clean.elements,
    )


def _weight(learnt: LearntSpeckles, east: float, north: float) -> float:
    """Weight of a source of flat contrast, speckles solved for."""
    rows = near(learnt.sequence, east, north)
    sequence, model = learnt.sequence.only(rows), learnt.model.only(rows)
    light = np.where(sequence.light > 0, 1.0, 0.0)
    left = model.apply(sequence.image(np.array([east]), np.array([north]), light[None]))
    whole = float(np.vdot(left, sequence.weight * left))
    return whole if whole > 0.0 else np.nan
