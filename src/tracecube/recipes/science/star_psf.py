"""The star beside its mask: image against wavelength and flux, scaled to a science DIT.

Place and width of the core come from all channels together, as for satellite spots; flux follows
channel by channel; the mean profile and the light of each lenslet are kept, normalised by the same
flux, so that a companion fitted with them has its contrast to the star whatever the pattern's wings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.spatial import cKDTree

from tracecube.core.errors import BadData, NoConvergence
from tracecube.core.fields import BoolArray
from tracecube.core.flags import Flag
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.spectra import Spectra
from tracecube.core.star import StarPsf
from tracecube.recipes.science.spot_fit import Setting, SpotFit, fit_tracks
from tracecube.recipes.science.spot_windows import SpotPattern, Track, Window, lenslet_nodes, template, windows
from tracecube.recipes.science.star_centre import good_samples, track_of

__all__ = ["PsfFound", "StarPsfParams", "filter_transmission", "measure_psf"]

F8 = NDArray[np.float64]

_FULL = int(Flag.SATURATED | Flag.NON_LINEAR)
_SEVERAL = 3  # channels: a cosmic ray fills one or two


class StarPsfParams(Params):
    """How the star's image is measured."""

    diameter: float = Field(8.0, gt=0.0, description="D of lambda / D, m")
    obstruction: float = Field(0.14, ge=0.0, lt=0.9, description="central obstruction over diameter")
    reach: float = Field(1.5, gt=0.8, description="radius of the core that is fitted, lambda / D")
    extent: float = Field(8.0, gt=2.0, description="radius to which the profile is measured, lambda / D")
    bin: float = Field(0.2, gt=0.02, description="step of the profile, lambda / D")
    blend: int = Field(5, ge=1, description="channels whose profiles are averaged")
    width_error: float = Field(0.2, gt=0.0, description="expected error of the core's width, relative")
    refraction_error: float = Field(5e-3, gt=0.0, description="expected refraction, arcsec over one (ref/wave)^2")
    reference_wave: float = Field(12500.0, gt=0.0, description="wavelength at which the star's place is told, Angstrom")
    sigma: float = Field(20.0, gt=3.0, description="significance that the star needs")


@dataclass(frozen=True)
class PsfFound:
    """The star's image, its place, and how it was found.

    Parameters
    ----------
    psf : StarPsf
    fit : SpotFit
    quality : tuple of QualityNumber
    caveats : tuple of str
    """

    psf: StarPsf
    fit: SpotFit
    quality: tuple[QualityNumber, ...]
    caveats: tuple[str, ...]


def filter_transmission(track: Track, wave: F8, transmission: F8) -> F8:
    """Transmission of a filter as the channels see it: its curve blurred by the line-spread function.

    Parameters
    ----------
    track : Track
    wave, transmission : array (m,)
        Curve of the filter; Angstrom.

    Raises
    ------
    BadData
        The curve does not cover the channels.
    """
    if wave[0] > track.wave[0] or wave[-1] < track.wave[-1]:
        raise BadData("filter curve does not cover the channels", hint="give a curve from the bluest to the reddest")
    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    at = track.wave[:, None] + track.spread[:, None] * nodes
    return np.asarray(np.interp(at, wave, transmission) @ (weights / weights.sum()))


def measure_psf(
    spectra: Spectra, params: StarPsfParams, *, transmission: F8, time_ratio: float, dit: float, name: str = "spectra"
) -> PsfFound:
    """Measure the star's image and flux.

    Parameters
    ----------
    spectra : Spectra
        Of a DIT with the star beside the mask, on one wavelength grid.
    params : StarPsfParams
    transmission : array (n_wave,)
        Of the neutral density filter; 1 without.
    time_ratio : float
        Science DIT over the DIT of this frame.
    dit : float, s
        The science DIT.
    name : str
        Of the frame, for messages.

    Raises
    ------
    BadData
        No star in the field, or its core is saturated in most channels.
    NoConvergence
        The fit does not settle.
    """
    track, good = track_of(spectra, params.reference_wave), good_samples(spectra)
    pattern = SpotPattern(0.0, np.zeros(1), np.zeros(1, np.int64), params.diameter, params.obstruction)
    values = np.zeros(pattern.size)
    core = _full_core(spectra, name)
    values[:2] = _brightest(spectra, good, params.sigma, name) if core is None else core
    try:
        fit, cut, setting = _core(spectra, values, (track, pattern), params, good, name=name)
    except NoConvergence as error:
        _refuse_saturated(_saturated(spectra, values, track, pattern), name, most=0.0, why=error)
        raise
    values = fit.values
    saturated = _saturated(spectra, values, track, pattern)
    _refuse_saturated(saturated, name)
    flux = _channel_flux(fit, cut, track.wave.size)
    psf = _psf(spectra, fit, flux, setting, params, good)
    scale = time_ratio / transmission
    flags = psf.flags | np.where(saturated, int(Flag.SATURATED), 0)
    psf = replace(
        psf, flux=psf.flux * scale, variance=psf.variance * scale**2, flags=np.asarray(flags, np.int32), dit=dit
    )
    caveats: tuple[str, ...] = ()
    if saturated.any():
        caveats = (f"star saturated in {int(saturated.sum())} of {saturated.size} channels: flux there from the wings",)
    return PsfFound(psf, fit, _quality(psf, fit, values), caveats)


def _brightest(spectra: Spectra, good: BoolArray, sigma: float, name: str) -> F8:
    """Place of the brightest source: mean over channels and seven lenslets."""
    placed = np.flatnonzero(np.isfinite(spectra.x) & np.isfinite(spectra.y))
    points = np.column_stack([spectra.x[placed], spectra.y[placed]]).astype(float)
    weight = np.where(good[placed], 1.0, 0.0)
    light = np.where(good[placed], spectra.flux[placed], 0.0).sum(axis=1) / np.maximum(weight.sum(axis=1), 1.0)
    _, near = cKDTree(points).query(points, k=7)
    # The median of the seven survives a hot lenslet; a star is wider than that.
    smooth = np.median(light[near], axis=1)
    level = np.median(smooth)
    noise = 1.4826 * float(np.median(np.abs(smooth - level)))
    best = int(np.argmax(smooth))
    if not smooth[best] - level > sigma * max(noise, 1e-30):
        raise BadData(f"{name}: no star in the field", hint="is it an OBJECT,FLUX frame, with the star off the mask?")
    inside = near[best]
    share = np.maximum(light[inside] - level, 0.0)
    return np.asarray(share @ points[inside] / max(float(share.sum()), 1e-30))


def _full_core(spectra: Spectra, name: str) -> F8 | None:
    """Place (2,) of the lenslets that are saturated or not linear in several channels, None where there are none.

    The brightest usable lenslet beside a saturated core is not the star's place.

    Raises
    ------
    BadData
        Saturated in most channels.
    """
    full = (spectra.flags & _FULL) != 0
    inside = (full.sum(axis=1) >= _SEVERAL) & np.isfinite(spectra.x) & np.isfinite(spectra.y)
    if not inside.any():
        return None
    _refuse_saturated(np.asarray(full[inside].any(axis=0)), name)
    return np.array([np.median(spectra.x[inside]), np.median(spectra.y[inside])], float)


def _refuse_saturated(channels: BoolArray, name: str, *, most: float = 0.5, why: NoConvergence | None = None) -> None:
    """Refuse a star that is saturated in more than a share of the channels (n_wave,)."""
    if channels.sum() > most * channels.size:
        raise BadData(
            f"{name}: the star is saturated in {int(channels.sum())} of {channels.size} channels",
            hint="take a flux frame with a shorter DIT or a denser neutral density filter",
        ) from why


def _saturated(spectra: Spectra, values: F8, track: Track, pattern: SpotPattern) -> BoolArray:
    """Channels with saturated or non-linear light within lambda / D of the star, array (n_wave,)."""
    radius = np.hypot(spectra.x - values[0], spectra.y - values[1])
    core = radius[:, None] < pattern.resolution(track.wave)
    return np.asarray((core & ((spectra.flags & _FULL) != 0)).any(axis=0))


def _core(
    spectra: Spectra,
    values: F8,
    where: tuple[Track, SpotPattern],
    params: StarPsfParams,
    good: BoolArray,
    *,
    name: str,
) -> tuple[SpotFit, list[Window], Setting]:
    """Fit place and width of the core in all channels together."""
    track, pattern = where
    nodes, area = lenslet_nodes(spectra)
    # Radius and turn mean nothing for a star at the centre of its own pattern: they are held.
    spread = np.array([1.0, 1.0, params.refraction_error, params.refraction_error, params.width_error, 1e-6, 1e-6])
    setting = Setting(track, pattern, nodes, area, np.zeros(pattern.size), spread, clip=6.0)
    for _ in range(2):
        cut = windows(spectra, values, track, pattern, reach=params.reach, good=good)
        if len(cut) < 0.5 * track.wave.size:
            raise BadData(
                f"{name}: the star's core is bad or off the field in {track.wave.size - len(cut)} of "
                f"{track.wave.size} channels",
                hint="is the flux frame saturated? take one with a shorter DIT or a denser filter",
            )
        fit = fit_tracks(cut, values, setting, name=name)
        values = fit.values
    return fit, cut, setting


def _channel_flux(fit: SpotFit, cut: list[Window], count: int) -> tuple[F8, F8]:
    """Flux of each channel and its variance, NaN where the core was not measured."""
    flux, variance = np.full(count, np.nan), np.full(count, np.nan)
    for part, window in zip(fit.parts, cut, strict=True):
        flux[window.channel], variance[window.channel] = part.flux, part.flux_variance
    return flux, variance


def _psf(
    spectra: Spectra, fit: SpotFit, light: tuple[F8, F8], setting: Setting, params: StarPsfParams, good: BoolArray
) -> StarPsf:
    """Profile and the light of each lenslet over the flux; the flux itself as measured, unscaled."""
    flux, variance = light
    track = setting.track
    bend = track.refraction(track.wave)
    at = fit.values[0] + fit.values[2] * bend, fit.values[1] + fit.values[3] * bend
    unit = setting.pattern.resolution(track.wave)
    distance = np.hypot(spectra.x[:, None] - at[0], spectra.y[:, None] - at[1]) / unit
    level = _level(spectra, good & (distance > params.extent) & (distance < 2.0 * params.extent))
    inside = np.flatnonzero((distance < params.extent).any(axis=1))
    known = good[inside] & np.isfinite(flux)
    share = np.where(known, (spectra.flux[inside] - level) / flux, np.nan).T
    spread = np.where(known, spectra.variance[inside] / flux**2, np.nan).T
    place = np.asarray(spectra.x[inside], float), np.asarray(spectra.y[inside], float)
    residual = share - _pattern(setting, fit.values, place)
    radius = params.bin * (np.arange(int(np.ceil(params.extent / params.bin))) + 0.5)
    extra, error = _rings(distance[inside].T, residual, spread, radius, params.blend)
    line = [(at[0][k] + radius * unit[k], np.full(radius.size, at[1][k])) for k in range(unit.size)]
    profile = np.concatenate([_pattern(setting, fit.values, v, k) for k, v in enumerate(line)]) + extra
    density = setting.area / unit[:, None] ** 2
    return StarPsf(
        wave=track.wave,
        flux=flux,
        variance=variance,
        flags=np.asarray(np.where(np.isfinite(flux), 0, int(Flag.NOT_MEASURED)), np.int32),
        radius=radius,
        profile=profile / density,
        profile_variance=error / density**2,
        x=spectra.x[inside] - fit.values[0],
        y=spectra.y[inside] - fit.values[1],
        share=share,
        share_variance=spread,
        dit=float("nan"),
        width=float(np.exp(fit.values[4])),
        at_x=float(fit.values[0]),
        at_y=float(fit.values[1]),
        meta=spectra.meta,
    )


def _level(spectra: Spectra, far: BoolArray) -> F8:
    """Light far from the star in each channel, array (n_wave,); 0 where nothing is known of it."""
    level = np.zeros(far.shape[1])
    for k in range(far.shape[1]):
        if far[:, k].any():
            level[k] = np.median(spectra.flux[far[:, k], k])
    return level


def _pattern(setting: Setting, values: F8, place: tuple[F8, F8], channel: int | None = None) -> F8:
    """Share of the flux that lenslets at places collect by the fitted pattern, array (n_wave or 1, n)."""
    channels = range(setting.track.wave.size) if channel is None else [channel]
    empty = np.zeros(place[0].size)
    rows = [
        template(
            values, Window(0, k, *place, empty, empty), setting.track, setting.pattern, setting.nodes, area=setting.area
        )
        for k in channels
    ]
    return np.stack([share for share, _ in rows])


def _rings(distance: F8, residual: F8, spread: F8, radius: NDArray[np.floating[Any]], blend: int) -> tuple[F8, F8]:
    """Mean of what the pattern leaves, in rings, channels averaged with their neighbours: value and variance.

    A ring without lenslets (there are few in the core) takes the nearest ring's.
    """
    step, half = float(radius[1] - radius[0]), blend // 2
    ring = np.minimum((distance / step).astype(int), radius.size)
    known = np.isfinite(residual) & np.isfinite(spread)
    sums = np.zeros((3, residual.shape[0], radius.size + 1))
    for k in range(residual.shape[0]):
        for i, values in enumerate((np.ones_like(residual[k]), residual[k], spread[k])):
            sums[i, k] = np.bincount(ring[k][known[k]], values[known[k]], radius.size + 1)
    rows = [slice(max(0, k - half), k + half + 1) for k in range(residual.shape[0])]
    number, total, noise = (np.stack([part[r].sum(axis=0)[:-1] for r in rows]) for part in sums)
    mean, variance = np.zeros(number.shape), np.full(number.shape, np.nan)
    for k in range(number.shape[0]):
        some = number[k] > 0
        if some.any():
            mean[k] = np.interp(radius, radius[some], (total[k] / np.maximum(number[k], 1.0))[some])
            variance[k] = np.interp(radius, radius[some], (noise[k] / np.maximum(number[k], 1.0) ** 2)[some])
    return mean, variance


def _quality(psf: StarPsf, fit: SpotFit, values: F8) -> tuple[QualityNumber, ...]:
    """Numbers to judge the frame by."""
    ring = 2.0 * np.pi * psf.radius * (psf.radius[1] - psf.radius[0])
    inside = np.nansum(np.nan_to_num(psf.profile) * ring, axis=1)
    with np.errstate(invalid="ignore"):
        significance = float(np.nanmedian(psf.flux / np.sqrt(psf.variance)))
    return (
        QualityNumber("STAR X", 1e3 * float(values[0]), "mas"),
        QualityNumber("STAR Y", 1e3 * float(values[1]), "mas"),
        QualityNumber("PSF WIDTH", psf.width, "", 0.8, 1.3),
        QualityNumber("PSF SHAPE ERROR", fit.model_error, "", high=0.15),
        QualityNumber("PSF LIGHT IN PROFILE", float(np.nanmedian(inside)), "", 0.7, 2.0),
        QualityNumber("STAR FLUX SNR", significance, "", low=30.0),
    )
