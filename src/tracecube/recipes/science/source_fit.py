"""What is fitted to find a point source: the source with its sky, neighbouring stars, and the light of a galaxy.

Which of them there are the frame says: stars put at empty places tell which sky leaves least, and residuals that go
together tell of light that the sky is no model of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import NoConvergence
from tracecube.recipes.science.chromatic_fit import (
    ChromaticFit,
    Geometry,
    Prior,
    Setting,
    fit_source,
    fractions,
    slice_solution,
)
from tracecube.recipes.science.extended import ExtendedLight, NoLight
from tracecube.recipes.science.flux_by_wavelength import solve
from tracecube.recipes.science.host import Host, fit_host, leaves_light
from tracecube.recipes.science.level_error import Look, Structure, colour_weights, structure_of
from tracecube.recipes.science.neighbours import find_neighbours, neighbour_columns, with_neighbours
from tracecube.recipes.science.scene import Scene, Track, make_slices, sky_surface

__all__ = ["Choices", "Field", "Fitted", "fit_scene", "fit_with_sky", "setting_of", "stacked", "stands_out"]

F8 = NDArray[np.float64]
# Of the scatter of stars at empty places, from which a curved sky is worth its noise: both see the same places, so
# that their ratio is better known than either, but with thirty of them not to less than a few per cent.
_BETTER = 0.9
# Of the scatter of smooth light, from which a peak of it is no error of the flat: of a hundred seeing discs in a field
# one is as bright as 4 sigma in one field of a hundred. A small galaxy scatters little over a field.
_COMPACT = 4.0
_PROFILE = 0.05  # of the source's peak: less may be what the profile leaves of a bright star, and no galaxy


@dataclass(frozen=True)
class Choices:
    """How to extract.

    Parameters
    ----------
    radius : float, arcsec
        Of the region about a source alone: wide, so that sky and halo are told apart.
    host_radius : float, arcsec
        Of the region in which smooth light is fitted.
    sky_degree : int
        Highest degree of the sky over the region: 1 is a plane, the most where smooth light is fitted, and what is
        taken where stars put at empty places come out better with it.
    fit_low, fit_high : float, Angstrom
        Range in which place and shape are fitted.
    slices : int
    clip : float
        Samples that deviate by more sigma are given up, once.
    extended : bool
        Look for smooth light around the source.
    host_detail : float, arcsec
        Of a galaxy, that is followed.
    pictures : int
        Pictures of different colour that make up the smooth light.
    minimum_gain : float
        Decrease of chi2, a free amplitude, from which smooth light is believed.
    minimum_share : float
        Scatter of the smooth light over the source's peak, from which it matters.
    minimum_sky_share : float
        Scatter of the smooth light over the sky, from which it is more than an error of the flat.
    minimum_neighbour : float
        Flux of a neighbouring star over the source's, from which it is fitted too.
    blue, red : float, Angstrom
        The colour whose error is stated is the flux below the one over that above the other, in the range of the fit.
    """

    radius: float
    host_radius: float
    sky_degree: int
    fit_low: float
    fit_high: float
    slices: int
    clip: float
    extended: bool
    host_detail: float
    pictures: int
    minimum_gain: float
    minimum_share: float
    minimum_sky_share: float
    minimum_neighbour: float
    blue: float
    red: float


class Field(NamedTuple):
    """The whole field, and those of its lenslets that may be used for the source."""

    scene: Scene
    region: Scene


class Fitted(NamedTuple):
    """A fit and what it was made with: setting, neighbours (p, 2), their cores (n,), and how it looked.

    ``prior`` is the one it was fitted with; ``others`` gives the columns (m, c, n) of neighbours in a setting along a
    track; ``ends`` are wavelengths, those of `Choices.blue` and ``red``; ``untold`` says that the light of a galaxy
    could not be fitted.
    """

    setting: Setting
    prior: Prior
    neighbours: F8
    core: NDArray[np.bool_]
    fit: ChromaticFit
    extended: ExtendedLight | None
    radius: float
    degree: int
    others: Callable[[Setting, Track], F8]
    ends: tuple[float, float]
    untold: bool = False


def fit_scene(whole: Field, track: Track, prior: Prior, choices: Choices, halos: F8) -> tuple[Fitted, Structure]:
    """Fit the source, with the sky that leaves least in stars put at empty places, and with smooth light if any."""
    plane = fit_with_sky(whole, track, prior, choices, min(choices.sky_degree, 1))
    # A curved sky would take the light of a galaxy for its own.
    untold = False
    if choices.extended and leaves_light(plane.setting, plane.fit):
        narrow = setting_of(whole, track, prior, choices, choices.host_radius, min(choices.sky_degree, 1))
        host = None
        try:
            host = _with_host(narrow, prior, choices)
        except NoConvergence:
            untold = True
        if host is not None:
            # Places about a galaxy are not empty: its light would pass for structure of the frame.
            return _of_host(host, plane, choices), Structure(float("nan"), float("nan"), 0)
    field = setting_of(Field(whole.scene, whole.scene), track, prior, choices, np.inf, 0)
    structure = _structure(field, prior, plane)
    if len(halos) and structure.power > 1.0:
        prior = prior.with_halo_held(structure.power)
        plane = fit_with_sky(whole, track, prior, choices, plane.degree)
        structure = _structure(field, prior, plane)
    found = plane
    if choices.sky_degree > plane.degree:
        curved = fit_with_sky(whole, track, prior, choices, choices.sky_degree)
        other = _structure(field, prior, curved)
        if not other.whole > _BETTER * structure.whole:  # nor where neither could be measured
            found, structure = curved, other
    return found._replace(untold=untold), structure


def _of_host(host: Host, plane: Fitted, choices: Choices) -> Fitted:
    """Return a fit with a host galaxy; stars in its light are part of it."""
    alone = np.zeros(host.setting.scene.x.size, dtype=bool)

    def none(seen: Setting, along: Track) -> F8:
        return np.empty((along.east.size, 0, seen.scene.x.size))

    nobody = plane.neighbours[:0]
    told = (host.setting, plane.prior, nobody, alone, host.fit, host.extended)
    return Fitted(*told, choices.host_radius, plane.degree, none, plane.ends)


def fit_with_sky(field: Field, track: Track, prior: Prior, choices: Choices, degree: int) -> Fitted:
    """Fit source, sky of a degree, and neighbouring stars."""
    setting = setting_of(field, track, prior, choices, choices.radius, degree)
    places = find_neighbours(setting, prior, minimum_share=choices.minimum_neighbour)
    setting, core = with_neighbours(setting, prior, places)
    fit = fit_source(setting, prior, clip=choices.clip)

    def others(seen: Setting, along: Track) -> F8:
        return neighbour_columns(seen, along, prior, places)

    ends = (choices.blue, choices.red)
    return Fitted(setting, prior, places, core, fit, None, choices.radius, degree, others, ends)


def _structure(field: Setting, prior: Prior, found: Fitted) -> Structure:
    """Structure of the frame once the sources found are taken off."""
    setting, fit = found.setting, found.fit
    amplitude = slice_solution(setting.slices, fit.weight, setting.columns(fit.values))
    track = field.slices.track
    light = amplitude[:, :1] * field.share(fit.values)
    others = found.others(field, track)
    end = 1 + setting.surface + others.shape[1]
    light += np.einsum("kp,kpn->kn", amplitude[:, 1 + setting.surface : end], others)
    kept = (fit.weight > 0) & (setting.slices.weight > 0)
    ratio = np.where(kept, setting.slices.weight / np.where(kept, fit.weight, 1.0), np.nan)
    excess = np.where(kept.any(axis=1), np.nanmin(np.where(kept, ratio, np.inf), axis=1), 1.0)
    sources = np.vstack([fit.values[:2], found.neighbours])
    look = Look(
        radius=found.radius,
        degree=found.degree,
        excess=excess,
        photons=_photons(setting, fit, amplitude[:, 0]),
        sources=sources,
        colour=colour_weights(setting.slices.wave, amplitude[:, 0], *found.ends),
    )
    clean = replace(field, slices=replace(field.slices, flux=field.slices.flux - light))
    return structure_of(clean, prior, fit, amplitude[:, 0], look=look)


def _photons(setting: Setting, fit: ChromaticFit, amplitude: F8) -> F8:
    """Variance (k,) that a unit of the source's light brings to a lenslet, from those it is brightest in."""
    own = amplitude[:, None] * setting.share(fit.values)
    weight = setting.slices.weight
    variance = np.where(weight > 0, 1.0 / np.where(weight > 0, weight, 1.0), np.nan)
    bright = (own > 0.3 * own.max(axis=1, keepdims=True)) & (weight > 0)
    extra = np.where(bright, variance - np.nanmedian(variance, axis=1, keepdims=True), 0.0).sum(axis=1)
    return np.asarray(np.maximum(extra, 0.0) / np.maximum(np.where(bright, own, 0.0).sum(axis=1), 1e-300))


def setting_of(field: Field, track: Track, prior: Prior, choices: Choices, radius: float, degree: int) -> Setting:
    """Cut out a region and average it over slices."""
    geometry = Geometry.of(field.scene)
    region = field.region.near(prior.mean[0], prior.mean[1], radius)
    sky = sky_surface(region.x - prior.mean[0], region.y - prior.mean[1], degree)
    light = _rough_spectrum(region, track, prior, geometry, sky)
    slices = make_slices(region, track, light, low=choices.fit_low, high=choices.fit_high, number=choices.slices)
    return Setting(slices, region, geometry, np.broadcast_to(sky, (slices.wave.size, *sky.shape)), len(sky))


def _rough_spectrum(region: Scene, track: Track, prior: Prior, geometry: Geometry, sky: F8) -> F8:
    """Spectrum with the shape of the prior, smoothed: the weight of wavelengths within a slice."""
    share = fractions(prior.mean, track, region.x, region.y, geometry)
    flux = np.nan_to_num(solve(region, stacked(share, sky, None)).flux)
    kernel = np.ones(9) / 9.0
    smooth = np.convolve(np.pad(flux, 4, mode="edge"), kernel, mode="valid")
    return np.asarray(np.maximum(smooth, 0.1 * np.median(np.abs(smooth)) + 1e-30))


def stacked(share: F8, sky: F8, pictures: F8 | None) -> F8:
    """Columns of the linear problem at each wavelength, array (m, c, n)."""
    rows = [share[:, None, :], np.broadcast_to(sky, (share.shape[0], *sky.shape))]
    return np.asarray(np.concatenate(rows if pictures is None else [*rows, pictures], axis=1))


def _with_host(setting: Setting, prior: Prior, choices: Choices) -> Host | None:
    """Fit source and host galaxy together; None if there is no such light."""
    try:
        host = fit_host(setting, prior, detail=choices.host_detail, pictures=choices.pictures, clip=choices.clip)
    except NoLight:
        return None
    setting, fit, extended = host.setting, host.fit, host.extended
    share, pictures = setting.share(fit.values), extended.in_slices(setting, fit.values)
    found = slice_solution(setting.slices, fit.weight, setting.columns(fit.values, pictures))
    peak = float(np.mean(found[:, 0] * share.max(axis=1)))
    light = np.mean(np.einsum("ka,kan->kn", found[:, 1 + setting.sky.shape[1] :], pictures), axis=0)
    real = extended.gain > choices.minimum_gain * extended.freedom
    return host if real and stands_out(light, peak, float(np.mean(found[:, 1])), choices) else None


def stands_out(light: F8, peak: float, sky: float, choices: Choices) -> bool:
    """Whether smooth light (n,) is more than errors of flat and profile: over the field, or in a peak.

    Parameters
    ----------
    light : array (n,)
        In the lenslets.
    peak, sky : float
        Brightness of the source at its peak, and of the sky.
    choices : Choices
    """
    bright, top = float(np.std(light)), float(np.ptp(light))
    if top > _PROFILE * peak:
        bright = max(bright, top / _COMPACT)
    return bright > max(choices.minimum_share * peak, choices.minimum_sky_share * sky)
