"""Exposures of one channel: over the flat, on their pixels; what the twilight says of evenness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field
from scipy.ndimage import median_filter

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray, Scalar
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.slice_colour import FieldColours, SliceColours
from tracecube.core.slice_light import SliceIllumination
from tracecube.core.slices import SliceExposure, SliceSegments, SliceTraces, SliceWavelengths
from tracecube.instruments.muse.ccd import Channel
from tracecube.instruments.muse.dark_current import why_not
from tracecube.instruments.muse.exposure import combine_lamps, open_channels, reader
from tracecube.instruments.muse.geometry import channel_of, geometry_of
from tracecube.instruments.muse.headers import exposure_time, number
from tracecube.instruments.muse.modes import without_notch
from tracecube.recipes.slices.colours import colours_along, without_colours
from tracecube.recipes.slices.evenness import evenness
from tracecube.recipes.slices.over_flat import Shift, edge_shift, over_flat, slice_ratios
from tracecube.recipes.slices.segments import cut_segments

__all__ = ["LAMP_CARD", "LEVEL_CARD", "calibrated", "preprocess", "twilight_light"]

LEVEL_CARD = "SKYLIGHT"
"""Header card: light of the twilight over that of the lamp by which exposures were divided, in the typical slice."""

LAMP_CARD = "LAMPMEAN"
"""Header card: mean of the flat over its detector, electron."""

_HOUR = 3600.0

_ROWS = 256  # that are calibrated at a time: what is thrown away again takes as much as a frame

_DIM, _UNEVEN = 0.05, 0.2  # error of a slice's brightness, and scatter among slices, that no illumination flat has
_TEMPERATURES = ("ESO INS TEMP7 VAL", "ESO INS TEMP11 VAL")
"""Header cards of the instrument's temperature, degree Celsius."""

_WARMER = 2.0  # degree: slices change by a per cent from day to night, over some four
_ILLUM_ROWS = (1500, 2600)  # the middle of the spectrum, where all slices see the same colours


class PreprocessParams(Params):
    """Numbers of the calibration of one exposure."""

    pieces: int = Field(default=8, ge=1, description="Parts of a slice whose spectra the sky is found from")
    follow_edges: bool = Field(
        default=False,
        description="Find where the slices lie from the exposure itself although there is a flat of the night",
    )


@dataclass(frozen=True, kw_only=True)
class Preprocessed(Outputs):
    """An exposure over its flat, and spectra of pieces of its slices."""

    preprocessed: SliceExposure
    segments: SliceSegments


def calibrated(channel: Channel, bias: Frame, bad: Sequence[Frame]) -> Frame:
    """Return one exposure of a channel in electrons, with the variance that neighbours in the slice tell."""
    read, shape = reader(channel, bias, bad=bad), channel.shape
    data, variance, flags = np.empty(shape, np.float32), np.empty(shape, np.float32), np.empty(shape, np.int32)
    for y0 in range(0, shape[0], _ROWS):
        own = slice(y0, min(y0 + _ROWS, shape[0]))
        band = read(own.start, own.stop)
        signal = np.maximum(median_filter(band.data, size=(1, 5), mode="nearest"), 0.0)
        data[own], variance[own], flags[own] = band.data, band.floor + signal, band.flags
    return Frame(data, variance, flags, channel.meta)


@recipe(version="14")
def preprocess(  # noqa: PLR0913 - what an exposure goes with
    *,
    raw: RawFrame,
    bias: Frame,
    dark: Frame | None,
    dark_model: Frame | None = None,
    flat: Frame,
    traces: SliceTraces,
    wavelengths: SliceWavelengths,
    geometry: RawFrame,
    illum: RawFrame | None,
    twilight: SliceIllumination | None,
    colours: FieldColours | None = None,
    params: PreprocessParams,
) -> Preprocessed:
    """Calibrate one exposure of a channel, up to light relative to the lamp on the detector's pixels.

    Where the slices lie is found from their edges in the illumination flat of the night, which also tells how bright
    each slice is relative to the flat of the day; without it in the exposure, where light of the sky fades towards
    the edges otherwise than that of the lamp and can feign a tenth of a pixel.
    """
    gain, gain_error, shift, unlit = _illumination(illum, bias, dark, flat, traces)
    frame, doubts = _opened(raw, bias, dark)
    frame, current = _without_dark(frame, dark_model, raw)
    caveats = [*doubts, *unlit, *current, *_warmth(illum, raw)]
    follow = params.follow_edges or not np.isfinite(shift.error)
    used = edge_shift(frame, traces) if follow else shift
    if twilight is None:
        caveats.append("no twilight: light along the slices is taken to be that of the lamp")
    frame = without_notch(frame, traces, wavelengths)
    data, variance, flags = over_flat(frame, flat, traces, shift=used.value, gain=gain, light=twilight)
    level = 1.0 if twilight is None else round(float(np.nanmedian(twilight.level)), 7)
    meta = {**frame.meta, LEVEL_CARD: level, LAMP_CARD: _mean_light(flat)}
    places = geometry_of(geometry, channel_of(meta, raw.name), meta)
    even = Frame(data, variance, flags, meta)
    if colours is not None:
        even = without_colours(even, traces, wavelengths, places, colours, shift=used.value)
    exposure = SliceExposure(
        data=even.data,
        variance=even.variance,
        flags=even.flags,
        aperture=traces.aperture,
        shift=np.full(len(traces.aperture), used.value),
        gain=gain,
        gain_error=gain_error,
        dq=traces.dq | wavelengths.dq,
        meta=meta,
    )
    segments = cut_segments(exposure, traces, wavelengths, places, pieces=params.pieces)
    numbers = (
        QualityNumber("TRACE SHIFT", used.value, "pix", low=-0.6, high=0.6),
        QualityNumber("TRACE SHIFT ERROR", used.error, "pix", high=0.05),
        QualityNumber("GAIN RMS", float(np.nanstd(gain)), high=0.05),
        QualityNumber("LIGHT MEDIAN", float(np.nanmedian(segments.white))),
    )
    return Preprocessed(preprocessed=exposure, segments=segments, quality=numbers, caveats=tuple(caveats))


def _warmth(illum: RawFrame | None, raw: RawFrame) -> tuple[str, ...]:
    """Say so where the illumination flat was taken at another temperature, with which slices brighten and fade."""
    if illum is None:
        return ()
    told = [(number(illum.meta, card), number(raw.meta, card)) for card in _TEMPERATURES]
    off = [one - other for one, other in told if one is not None and other is not None]
    if not off or max(map(abs, off)) <= _WARMER:
        return ()
    said = f"{illum.name}: taken {abs(off[0]):.1f} degrees {'warmer' if off[0] > 0 else 'colder'} than the exposure"
    return (f"{said}: slices are not as bright as it says; lines of the sky tell the rest",)


def _mean_light(flat: Frame) -> float:
    return round(float(np.mean(flat.data, dtype=np.float64)), 4)


def _illumination(
    illum: RawFrame | None, bias: Frame, dark: Frame | None, flat: Frame, traces: SliceTraces
) -> tuple[FloatArray, FloatArray, Shift, tuple[str, ...]]:
    """Return brightness of slices with its error, and their shift, that an illumination flat tells, and its doubts."""
    count = len(traces.aperture)
    untold = np.ones(count), np.zeros(count), Shift(0.0, float("inf"))
    if illum is None:
        return *untold, ("no illumination flat: slices are as bright as in the flat of the day",)
    try:
        lamp, doubts = _opened(illum, bias, dark)
    except BadData as error:
        why = error.hint
    else:
        gain, noise = _gains(lamp, flat, traces)
        if float(np.median(np.abs(noise))) < _DIM and float(np.std(gain)) < _UNEVEN:
            return gain, noise, edge_shift(lamp, traces), doubts
        why = f"{illum.name}: its slices are not lit as those of the flat: was the lamp off?"
    return *untold, (f"the illumination flat can not be used: slices are as bright as in the flat of the day ({why})",)


def _opened(raw: RawFrame, bias: Frame, dark: Frame | None) -> tuple[Frame, tuple[str, ...]]:
    """Return an exposure in electrons, and what is wrong with it."""
    channels, doubts = open_channels([raw])
    return calibrated(channels[0], bias, () if dark is None else (dark,)), doubts


def _without_dark(frame: Frame, model: Frame | None, raw: RawFrame) -> tuple[Frame, tuple[str, ...]]:
    """Return an exposure without the smooth dark current, where a dark tells it; else why it stays in."""
    if model is None:
        return frame, ("no smooth dark current is taken off: it stays in",)
    seconds = exposure_time(raw.meta, raw.name)
    doubt = why_not(model, seconds)
    if doubt:
        return frame, (f"the smooth dark current stays in, hot pixels count: {doubt}",)
    share = np.float32(seconds / _HOUR)
    clean = Frame(frame.data - share * model.data, frame.variance + share**2 * model.variance, frame.flags, frame.meta)
    return clean, ()


class TwilightParams(Params):
    """Numbers of the twilight."""

    lowest: float = Field(default=5000.0, gt=0, alias="lambdamin", description="Shortest wavelength that counts, A")
    highest: float = Field(default=9000.0, gt=0, alias="lambdamax", description="Longest wavelength that counts, A")
    step: float = Field(
        default=250.0, gt=50.0, alias="dlambda", description="Width of a range of wavelengths in which colours count, A"
    )


@dataclass(frozen=True, kw_only=True)
class Twilight(Outputs):
    """How evenly the sky lights the slices of a channel, relative to the lamp: on average, and by wavelength."""

    twilight: SliceIllumination
    colours: SliceColours


@recipe(version="7")
def twilight_light(  # noqa: PLR0913 - what the twilight goes with
    *,
    raw: Sequence[RawFrame],
    bias: Frame,
    flat: Frame,
    traces: SliceTraces,
    wavelengths: SliceWavelengths,
    geometry: RawFrame,
    params: TwilightParams,
) -> Twilight:
    """Measure light along every slice under the twilight sky over that of the lamp.

    The shape along a slice is kept as it is; the mean of each slice is drawn to a smooth function of place, since
    single slices brighten and fade with temperature. Where the flat was taken through the filter against the laser,
    its gap does not count.
    """
    channels, notes = open_channels(raw)
    found = combine_lamps(channels, bias, clip=5.0, tolerance=0.02)
    frame = Frame(found.data, found.variance, found.flags, channels[0].meta)
    shift = edge_shift(frame, traces)
    ones = np.ones(len(traces.aperture))
    data, variance, flags = over_flat(frame, flat, traces, shift=shift.value, gain=ones, light=None)
    cards: dict[str, Scalar] = {LAMP_CARD: _mean_light(flat)}
    # the flat may be one of the laser, with the filter against it
    gap = without_notch(Frame(data, variance, flags, flat.meta), traces, wavelengths)
    over = Frame(data, variance, gap.flags, {**frame.meta, **cards})
    places = geometry_of(geometry, channel_of(frame.meta, channels[0].raw.name), frame.meta)
    band = params.lowest, params.highest
    light = evenness(over, traces, wavelengths, places, shift=shift.value, band=band)
    colours = colours_along(over, traces, wavelengths, shift=shift.value, band=band, step=params.step)
    numbers = (
        QualityNumber("TRACE SHIFT", shift.value, "pix", low=-0.6, high=0.6),
        QualityNumber("SLICE RMS", float(np.nanstd(light.measured / light.level)), high=0.05),
        QualityNumber("LIGHT LEVEL", float(np.nanmedian(light.level))),
        QualityNumber("LIGHT ERROR", float(np.nanmedian(light.error / light.ratio)), high=0.01),
    )
    return Twilight(twilight=light, colours=colours, quality=numbers, caveats=(*notes, *found.notes))


def _gains(lamp: Frame, flat: Frame, traces: SliceTraces) -> tuple[FloatArray, FloatArray]:
    """Return brightness of each slice in the illumination flat relative to the flat, 1 on average over the channel."""
    ratio, error = slice_ratios(lamp, flat, traces, _ILLUM_ROWS)
    mean = float(np.nanmean(ratio))
    return np.nan_to_num(ratio / mean, nan=1.0), np.nan_to_num(error / mean, nan=1.0)
