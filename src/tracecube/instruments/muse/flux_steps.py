"""Response of telescope and instrument, from standard stars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray, Meta
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.slice_flux import SliceResponse, Telluric
from tracecube.core.slices import SliceExposure, SliceSegments, SliceTraces, SliceWavelengths
from tracecube.instruments.muse.exposure_steps import LEVEL_CARD
from tracecube.instruments.muse.geometry import WIDE_SPAXEL, channel_of, geometry_of, spaxel
from tracecube.instruments.muse.headers import LAST_WAVELENGTH, first_wavelength, mode, needed
from tracecube.instruments.muse.lit import lit_cards
from tracecube.instruments.muse.modes import is_narrow
from tracecube.instruments.muse.of_detector import closest_by_detector
from tracecube.instruments.muse.pointing import Pointing, pointing_of, refraction
from tracecube.instruments.muse.references import extinction_curve, extinction_notes, standard_star, telluric_bands
from tracecube.instruments.muse.star_place import check_throughput, expected_place, star_place
from tracecube.kernels.atmosphere import extinction_transmission
from tracecube.recipes.slices.circle_flux import circle_spectrum
from tracecube.recipes.slices.lamp import lamp_spectrum
from tracecube.recipes.slices.response import smooth_response, transmission
from tracecube.recipes.slices.star_checks import Neighbour, neighbour_of, saturated_near, seen_share
from tracecube.recipes.slices.star_flux import StarPixels, StarShape, fit_shape, near_star, star_spectrum
from tracecube.recipes.slices.star_slices import SliceBrightness, brightness_near

__all__ = ["standard_response", "throughput"]

_REACH = 6.0  # arcsec about the star that is looked at; half of it in the narrow field
_COARSE, _FINE = 12.5, 1.25  # Angstrom, bins of the response and of the bands
_BEYOND = 100.0  # Angstrom of the response beyond the first wavelength of the mode
_APERTURE, _CORE = 3.2, 1.2  # arcsec about the star: that its light is summed in, and that saturates first
_INSIDE = 0.6  # share of the reach that an aperture may fill: the sky about it is measured in the rest
_SEEN, _BESIDE = 0.97, 0.005  # shares of the star's light: with less of it, or more beside it, people should look
_AREA = 483250.7  # cm2, of the telescope


class ResponseParams(Params):
    """Numbers of the response."""

    aperture: float | None = Field(
        default=None,
        gt=0.5,
        description="Radius in which the star's light is summed, arcsec; untold 3.2, in the narrow field 1.8",
    )
    profile: Literal["auto", "moffat", "circle"] = Field(
        default="auto", alias="profile", description="How: by its shape, within a circle, or that in the narrow field"
    )
    select: Literal["distance", "flux"] = Field(
        default="distance", description="Which star: the one near the standard's coordinates, or the brightest of all"
    )


@dataclass(frozen=True, kw_only=True)
class ResponseOut(Outputs):
    """Response and bands of the atmosphere."""

    response: SliceResponse
    telluric: Telluric


@recipe(version="24")
def standard_response(  # noqa: PLR0913 - what a star goes with
    *,
    exposures: Sequence[SliceExposure],
    segments: Sequence[SliceSegments],
    traces: Sequence[SliceTraces],
    wavelengths: Sequence[SliceWavelengths],
    flats: Sequence[Frame],
    geometry: RawFrame,
    std_flux_table: RawFrame | None,
    extinct_table: RawFrame | None,
    telluric_regions: RawFrame | None = None,
    params: ResponseParams,
) -> ResponseOut:
    """Measure the response with one exposure of a standard star.

    The star is the brightest piece near where it should be; its shape is fitted in wide bands at once, and its light
    summed in an aperture over its share there. Brightness of slices beyond the illumination flat is that of the sky
    beside it.
    """
    first = exposures[0].meta
    pointing = pointing_of(first, "standard star")
    names = [str(first.get(key) or "") for key in ("ESO OBS TARG NAME", "OBJECT")]
    star = standard_star(std_flux_table, pointing.ra, pointing.dec, names)
    place, which = star_place(segments, expected_place(pointing, star.ra, star.dec), params.select)
    slices = brightness_near(segments, place[1])
    side = spaxel(first)
    pixels, lamp = _collect(exposures, traces, wavelengths, flats, geometry, pointing, place, slices)
    shape = fit_shape(pixels, side, first=place, scale=side[0] / WIDE_SPAXEL if is_narrow(first) else 1.0)
    air = pointing.mean_airmass
    radius, cut = _aperture(params, narrow=is_narrow(first))
    grids = {}
    for step in (_COARSE, _FINE):
        edges = np.arange(first_wavelength(mode(first)) - _BEYOND, LAST_WAVELENGTH + step, step)
        wave = 0.5 * (edges[1:] + edges[:-1])
        flux, variance = _light(pixels, shape, side, edges, radius, circle=_by_circle(params, first))
        above = np.interp(wave, star.wave, star.flux, left=np.nan, right=np.nan)
        scale = pointing.exptime * above * extinction_transmission(wave, *extinction_curve(extinct_table), air)
        grids[step] = wave, flux / scale, variance / scale**2
    wave, measured, variance = grids[_COARSE]
    absorbed = telluric_bands(telluric_regions)
    curve = smooth_response(wave, measured, variance, bands=absorbed)
    fine, measured_fine, variance_fine = grids[_FINE]
    smooth = np.interp(fine, wave, np.nan_to_num(curve.value))
    bands, bands_error = transmission(fine, measured_fine, variance_fine, smooth, air, bands=absorbed)
    beside = None if is_narrow(first) else neighbour_of(pixels, shape, side)
    checks, doubts = _checked(exposures, traces, geometry, shape, (beside, radius))
    told = {**first, **lit_cards([one.meta for one in exposures])}
    response = _noun(wave, curve.value, curve.error, measured, curve.used, np.interp(wave, *lamp), shape, told)
    check_throughput(throughput(wave, response.response, 7000.0))
    return ResponseOut(
        response=response,
        telluric=Telluric(wave=fine, transmission=bands, error=bands_error, airmass=air, meta=first),
        quality=(*_numbers(response, shape, curve.value, measured, curve.used), *checks, *_of_slices(slices)),
        caveats=(*pointing.caveats, *star.caveats, *which, *extinction_notes(extinct_table), *cut, *doubts),
    )


def _of_slices(slices: SliceBrightness) -> tuple[QualityNumber, ...]:
    """Return how unlike slices are in the star's exposure, and how well that is known of one of them."""
    return (
        QualityNumber("STAR SLICE GAIN RMS", float(np.std(slices.value)), high=0.05),
        QualityNumber("STAR SLICE GAIN ERROR", min(float(np.median(slices.error)), 1.0), high=0.01),
    )


def _light(  # noqa: PLR0913 - a star, and how it is summed
    pixels: StarPixels,
    shape: StarShape,
    side: tuple[float, float],
    edges: FloatArray,
    reach: float,
    *,
    circle: bool,
) -> tuple[FloatArray, FloatArray]:
    """Return the star's light in wavelength bins, and its variance: by its shape, or within a circle."""
    if circle:
        return circle_spectrum(pixels, (shape.x, shape.y), side, edges, reach=reach)
    return star_spectrum(pixels, shape, side, edges, reach=reach)


def _by_circle(params: ResponseParams, meta: Meta) -> bool:
    return params.profile == "circle" or (params.profile == "auto" and is_narrow(meta))


def _aperture(params: ResponseParams, *, narrow: bool) -> tuple[float, tuple[str, ...]]:
    """Return the radius in which light is summed (arcsec), and a caveat where it is not the one that was asked for."""
    most = _INSIDE * _reach(narrow=narrow)
    if params.aperture is None:
        return min(_APERTURE, most), ()
    if params.aperture > most:
        return most, (f"aperture={params.aperture:g} arcsec is cut to {most:g}: beyond, the sky is measured",)
    return params.aperture, ()


def _reach(*, narrow: bool) -> float:
    return 0.5 * _REACH if narrow else _REACH


def _collect(  # noqa: PLR0913, PLR0917 - what a star goes with
    exposures: Sequence[SliceExposure],
    traces: Sequence[SliceTraces],
    wavelengths: Sequence[SliceWavelengths],
    flats: Sequence[Frame],
    geometry: RawFrame,
    pointing: Pointing,
    place: tuple[float, float],
    slices: SliceBrightness,
) -> tuple[StarPixels, tuple[FloatArray, FloatArray]]:
    """Return the pixels about the star in all detectors, and the spectrum of the lamp in the first of these."""
    first_meta = exposures[0].meta
    trace_of = closest_by_detector(traces, first_meta, "traces")
    wave_of = closest_by_detector(wavelengths, first_meta, "wavelengths")
    reach = _reach(narrow=is_narrow(exposures[0].meta))
    parts: list[StarPixels] = []
    for exposure in exposures:
        name = str(exposure.meta.get("DETECTOR"))
        places = geometry_of(geometry, channel_of(exposure.meta, name), exposure.meta)
        if np.nanmin(np.abs(places.y - place[1])) > reach:
            continue
        trace, solution = traces[trace_of[name]], wavelengths[wave_of[name]]
        gain = slices.of(name, trace.aperture)
        found = near_star(
            exposure,
            trace,
            solution,
            places,
            lambda wave: refraction(pointing, wave),
            place=place,
            reach=reach,
            gain=gain,
        )
        if found.value.size:
            parts.append(found)
    if not parts:
        raise BadData("no pixel about the star is good", hint="look at the exposure of the standard star")
    names = ("value", "variance", "x", "y", "wave")
    pixels = StarPixels(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
    # electrons are those of the first detector, whichever sees the star: as the observatory has it
    of = closest_by_detector(exposures, first_meta, "exposure")
    flat_of = closest_by_detector(flats, first_meta, "lamp flat")
    known = sorted(set(of.detectors) & set(flat_of.detectors))
    if not known:
        raise BadData("no flat is of a detector of the exposure", hint="look at what goes with it: `tracecube why`")
    first = known[0]
    flat = flats[flat_of[first]]
    wave, light = lamp_spectrum(flat, traces[trace_of[first]], wavelengths[wave_of[first]])
    return pixels, (wave, light * (needed(exposures[of[first]].meta, first, LEVEL_CARD)))


def _checked(
    exposures: Sequence[SliceExposure],
    traces: Sequence[SliceTraces],
    geometry: RawFrame,
    shape: StarShape,
    light: tuple[Neighbour | None, float],
) -> tuple[list[QualityNumber], list[str]]:
    """Return how far the star can be trusted, in numbers and in words; halos of corrected stars are too wide."""
    beside, aperture = light
    trace_of, full, near = closest_by_detector(traces, exposures[0].meta, "traces"), 0, []
    for exposure in exposures:
        name = str(exposure.meta.get("DETECTOR"))
        places = geometry_of(geometry, channel_of(exposure.meta, name), exposure.meta)
        if np.nanmin(np.abs(places.y - shape.y)) < _REACH:
            near.append(places)
            full += saturated_near(exposure, traces[trace_of[name]], places, y=shape.y, reach=_CORE)
    checks = [
        QualityNumber("STAR OFFSET", float(np.hypot(shape.x, shape.y)), "arcsec"),
        QualityNumber("NUM SATURATED", float(full), high=0.0),
    ]
    doubts = [f"{full} pixels about the standard star are saturated: they are left out"] if full else []
    if beside is None:
        return checks, doubts
    share = seen_share(shape, near, spaxel(exposures[0].meta)[1], reach=aperture)
    if share < _SEEN:
        doubts.append(f"the standard star stands at the edge: {100.0 * share:.0f} per cent of its light is seen")
    if beside.share > max(_BESIDE, 5.0 * beside.error):
        doubts.append(
            f"other light beside the standard star: {100.0 * beside.share:.1f} per cent of it in one patch, "
            f"{beside.distance:.1f} arcsec away"
        )
    checks += [
        QualityNumber("STAR SHARE", share, low=_SEEN),
        QualityNumber("STAR NEIGHBOUR", beside.share, high=_BESIDE),
    ]
    return checks, doubts


def _noun(  # noqa: PLR0913, PLR0917 - all that was measured
    wave: FloatArray,
    value: FloatArray,
    error: FloatArray,
    measured: FloatArray,
    used: np.ndarray,
    lamp: FloatArray,
    shape: StarShape,
    meta: Meta,
) -> SliceResponse:
    known = np.isfinite(value)
    safe = np.where(known, value, 1.0)
    return SliceResponse(
        wave=wave,
        response=np.where(known, 2.5 * np.log10(safe * lamp), np.nan),
        error=np.where(known, 1.0857 * error / safe, np.nan),
        ratio=value,
        ratio_error=error,
        lamp=lamp,
        measured=measured,
        used=used.astype(np.int32),
        fwhm=shape.fwhm,
        meta=meta,
    )


def _numbers(
    response: SliceResponse, shape: StarShape, value: FloatArray, measured: FloatArray, used: np.ndarray
) -> tuple[QualityNumber, ...]:
    left = (measured / value - 1.0)[used]
    waves = (5000.0, 7000.0, 8000.0, 9000.0)
    return (
        QualityNumber("STAR FWHM", shape.fwhm, "arcsec", high=2.5),
        QualityNumber("STAR BETA", shape.beta),
        QualityNumber("RESPONSE RMS", float(np.std(left)), high=0.03),
        *(QualityNumber(f"THRUPUT{w:.0f}", throughput(response.wave, response.response, w)) for w in waves),
    )


def throughput(wave: FloatArray, response: FloatArray, at: float) -> float:
    """Return the share of photons at a wavelength (Angstrom) that become electrons, of a response (mag)."""
    value = float(np.interp(at, wave, response))
    photons = _AREA * at / 1.98644586e-8  # h c, erg Angstrom
    return float(10.0 ** (0.4 * value) / photons)
