"""What the detectors add: bias structure and read noise, dark current and hot pixels; how pixels respond to light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray, Scalar
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.outputs import OutputLinearity
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.slices import SliceTraces
from tracecube.instruments.muse.ccd import Channel, Quadrant, noise_card
from tracecube.instruments.muse.dark_current import (
    DARK_SECONDS,
    HIGHEST_CURRENT,
    HIGHEST_GLOW,
    effective_seconds,
    level_error,
)
from tracecube.instruments.muse.exposure import combine_lamps, open_channels, reader
from tracecube.instruments.muse.known_pixels import linearity_cards, listed_flags
from tracecube.kernels.combine import ROUNDING, clipped_moments, combine_stack
from tracecube.kernels.pattern import fixed_pattern
from tracecube.recipes.detector.bands import combine_bands
from tracecube.recipes.detector.dark_model import DarkModel, model_dark
from tracecube.recipes.optics.slice_traces import TraceParams, trace_slices

__all__ = ["SLICES", "lamp_flat", "master_bias", "master_dark"]

SLICES = 48
"""Slices on each detector."""

_HOUR = 3600.0
_FEWEST = 2  # biases that tell hits from noise
_LIT, _EVERY = 5.0, 16  # adu above the overscan that no bias has, and rows that tell


class BiasParams(Params):
    """Numbers of the master bias."""

    clip: float = Field(default=5.0, gt=0, alias="hsigma", description="Read noises beyond which a sample is hit")
    hot: float = Field(
        default=20.0, gt=0, alias="hisigmabadpix", description="Read noises above its neighbours beyond which: hot"
    )


class DarkParams(Params):
    """Numbers of the master dark."""

    clip: float = Field(default=5.0, gt=0, alias="hsigma", description="Expected noises beyond which a sample is hit")
    hot: float = Field(
        default=5.0, gt=0, alias="hotsigma", description="Expected noises above the typical pixel beyond which: hot"
    )
    order: int = Field(default=4, ge=0, le=8, description="Degree along each axis of the smooth dark current")


class FlatParams(TraceParams):
    """Numbers of the lamp flat and of tracing slices in it."""

    hit: float = Field(default=5.0, gt=0, alias="hsigma", description="Expected noises beyond which a sample is hit")
    tolerance: float = Field(default=0.01, ge=0, description="Share of the light by which exposures may differ besides")


@dataclass(frozen=True, kw_only=True)
class Bias(Outputs):
    """Structure of the bias about its level (electron)."""

    master_bias: Frame


@dataclass(frozen=True, kw_only=True)
class Dark(Outputs):
    """Dark current (electron / hour) and hot pixels."""

    master_dark: Frame
    dark_model: Frame


@dataclass(frozen=True, kw_only=True)
class Flat(Outputs):
    """Light of the continuum lamps (electron of the mean exposure), and where the slices lie."""

    master_flat: Frame
    traces: SliceTraces


@recipe(version="6")
def master_bias(
    *,
    raw: Sequence[RawFrame],
    bad_pixels: RawFrame | None = None,
    linearity: OutputLinearity | None = None,
    params: BiasParams,
) -> Bias:
    """Combine the biases of one channel.

    What is known of the read-out goes with them to all exposures: pixels that the observatory lists as bad, gain and
    linearity of the outputs.

    The level of each exposure follows its own overscan; what is left in common is kept: rows, columns, and of single
    pixels as much as the frames agree on (see `tracecube.kernels.pattern`). The read noise of each output is that
    of differences between exposures. A read-out that is dead in some exposures is that of the others.
    """
    channels, notes = open_channels(raw)
    channels, lit = _unlit(channels)
    notes = (*notes, *lit)
    if len(channels) < _FEWEST:
        raise BadData(
            f"{channels[0].raw.name}: one bias cannot tell hits from noise", hint="take at least three biases"
        )
    shape = channels[0].shape
    data, variance = np.empty(shape, np.float32), np.empty(shape, np.float32)
    flags = np.zeros(shape, np.int32)
    cards: dict[str, Scalar] = {}
    numbers = [QualityNumber("N FRAMES", float(len(channels)), low=3.0)]
    for i, part in enumerate(channels[0].parts):
        alive = [channel for channel in channels if part.output not in channel.dead]
        dead = len(alive) < _FEWEST
        stack = _levelled(channels if dead else alive, i)
        noise = _noise(stack) or ROUNDING * part.gain
        mean, _, _ = combine_stack(
            stack, np.broadcast_to(np.float32(noise**2), stack.shape), np.ones(stack.shape, bool), clip=params.clip
        )
        known = fixed_pattern(stack, mean, noise)
        part.chip.of(data)[:], part.chip.of(variance)[:] = known.image, known.variance
        part.chip.of(flags)[_above_neighbours(mean) > params.hot * noise] = int(Flag.HOT_PIXEL)
        if dead:
            part.chip.of(flags)[:] |= int(Flag.BAD_PIXEL)
        cards[noise_card(part.output)] = round(noise, 4)
        numbers += _bias_numbers(channels if dead else alive, i, noise, known.share)
    if bad_pixels is not None:
        detector = str(channels[0].raw.meta.get("DETECTOR"))
        flags |= listed_flags(bad_pixels, detector, channels[0].parts, shape)
    if linearity is not None:
        cards |= linearity_cards(linearity)
    numbers.append(QualityNumber("NUM BADPIXELS", float(np.count_nonzero(flags)), high=0.02 * flags.size))
    return Bias(
        master_bias=Frame(data, variance, flags, {**channels[0].meta, **cards}), quality=tuple(numbers), caveats=notes
    )


def _unlit(channels: Sequence[Channel]) -> tuple[list[Channel], tuple[str, ...]]:
    """Return the biases without light that the darker half of them has not, and which are left out."""
    light = np.array([_light(one) for one in channels])
    limit = _LIT + 3.0 * float(np.sort(light)[(light.size - 1) // 2])
    kept = [one for one, value in zip(channels, light, strict=True) if value <= limit]
    return kept, tuple(
        f"{one.raw.name}: {value:.0f} adu above its overscan, unlike the other biases: light? It is left out"
        for one, value in zip(channels, light, strict=True)
        if value > limit
    )


def _light(channel: Channel) -> float:
    """By how much a quadrant of a bias departs from its level, the worst of them (adu)."""
    alive = [at for at, part in enumerate(channel.parts) if part.output not in channel.dead]
    off = [
        np.median(channel.parts[at].data.of(channel.counts)[::_EVERY] - channel.levels[at][::_EVERY, None])
        for at in alive
    ]
    return float(np.max(np.abs(off)))


def _levelled(channels: Sequence[Channel], index: int) -> FloatArray:
    """Return one quadrant of all exposures (n, y, x), electron above its level."""
    stack = []
    for channel in channels:
        part = channel.parts[index]
        level = channel.levels[index].astype(np.float32)
        stack.append((part.data.of(channel.counts) - level[:, None]) * np.float32(part.gain))
    return np.stack(stack)


def _noise(stack: FloatArray) -> float:
    """Read noise of a sample, from the differences of neighbouring exposures."""
    steps = [clipped_moments(a - b)[1] for a, b in zip(stack[1:], stack[:-1], strict=True)]
    return float(np.sqrt(np.mean(np.square(steps)) / 2.0))


def _above_neighbours(mean: FloatArray) -> FloatArray:
    """By how much each pixel stands out of the median of its row's neighbours."""
    a, b, c, d = (np.roll(mean, shift, axis=1) for shift in (-2, -1, 1, 2))
    low, high = np.maximum(np.minimum(a, b), np.minimum(c, d)), np.minimum(np.maximum(a, b), np.maximum(c, d))
    return np.asarray(mean - np.float32(0.5) * (low + high))


def _bias_numbers(channels: Sequence[Channel], index: int, noise: float, share: float) -> list[QualityNumber]:
    """Quality numbers of one output; its noise is compared with the header's."""
    part: Quadrant = channels[0].parts[index]
    levels = [float(channel.levels[index].mean()) for channel in channels]
    told = part.noise
    known = {"low": 0.9 * told, "high": 1.1 * told} if np.isfinite(told) else {}
    return [
        QualityNumber(f"READ NOISE {part.output}", noise, "electron", **known),
        QualityNumber(f"GAIN {part.output}", part.gain, "electron/adu"),
        QualityNumber(f"BIAS LEVEL {part.output}", float(np.mean(levels)), "adu"),
        QualityNumber(f"BIAS DRIFT {part.output}", float(np.std(levels)), "adu"),
        QualityNumber(f"PIXEL PATTERN {part.output}", share),
    ]


@recipe(version="5")
def master_dark(*, raw: Sequence[RawFrame], bias: Frame, params: DarkParams) -> Dark:
    """Combine the darks of one channel; what stands out of the typical pixel is hot.

    Electrons per hour. The current of a cold chip is far below the noise of a pixel, and a surface through all of them
    is not: a quarter of an electron in 600 s is 1.2 per cent of the dark sky, and each slice has its own throughput.
    The surface is no better known than the bias level of a frame, which all pixels share.
    """
    channels, notes = open_channels(raw)
    shape = channels[0].shape
    seconds = np.array([channel.raw.number("EXPTIME") for channel in channels])
    readers = [reader(channel, bias) for channel in channels]
    found = combine_bands(readers, shape, scale=seconds / _HOUR, clip=params.clip)
    middle, scatter, _ = clipped_moments(found.data)
    noise = np.sqrt(found.variance)
    hot = found.data - middle > params.hot * np.maximum(noise, scatter)
    flags = found.flags | np.where(hot, int(Flag.HOT_PIXEL), 0)
    numbers: tuple[QualityNumber, ...] = (
        QualityNumber("DARK CURRENT", middle, "electron/h", high=HIGHEST_CURRENT),
        QualityNumber("NUM HOTPIXELS", float(hot.sum()), high=0.01 * hot.size),
        QualityNumber("REJECTED", found.rejected / found.data.size / len(channels)),
        QualityNumber("N FRAMES", float(len(channels))),
    )
    meta = {**channels[0].meta, "BUNIT": "electron/h"}
    smooth = model_dark(found.data, found.variance, flags & NOT_USABLE == 0, order=params.order)
    lasted, level = effective_seconds(seconds), level_error(channels, readers, found.data, seconds / _HOUR)
    shared = np.float32((level * _HOUR / lasted) ** 2)
    numbers = (
        *numbers,
        QualityNumber("DARK MODEL CHI2", smooth.chi2),
        QualityNumber("DARK LEVEL ERROR", level, "electron"),
        _glow(smooth),
    )
    return Dark(
        master_dark=Frame(found.data, found.variance, flags.astype(np.int32), meta),
        dark_model=Frame(
            smooth.data, smooth.variance + shared, flags.astype(np.int32), {**meta, DARK_SECONDS: round(lasted, 3)}
        ),
        quality=numbers,
        caveats=notes,
    )


def _glow(smooth: DarkModel) -> QualityNumber:
    """By how much the dark current differs over the detector."""
    return QualityNumber("DARK GLOW", float(np.ptp(smooth.data)), "electron/h", high=HIGHEST_GLOW)


@recipe(version="5")
def lamp_flat(*, raw: Sequence[RawFrame], bias: Frame, dark: Frame | None, params: FlatParams) -> Flat:
    """Combine the continuum-lamp exposures of one channel, and trace the slices in them.

    The flat keeps the lamp's spectrum and all that the light met on its way: what is divided by it is known relative
    to the lamp, with no throughput of slices and pixels left. Of a dark, only the hot pixels are used.
    """
    channels, notes = open_channels(raw)
    found = combine_lamps(
        channels, bias, clip=params.hit, tolerance=params.tolerance, bad=() if dark is None else (dark,)
    )
    meta = {**channels[0].meta, "NCOMBINE": int(found.scale.size)}
    frame = Frame(found.data, found.variance, found.flags, meta)
    traced = trace_slices(frame, count=SLICES, params=params)
    traces = traced.traces
    width = np.nanmean(traces.right - traces.left, axis=1)
    gap = (traces.left[1:] - traces.right[:-1])[:, traces.left.shape[1] // 2]
    numbers = (
        QualityNumber("TRACE RMS", float(np.sqrt(np.nanmean(traces.error**2))), "pix", high=0.01),
        QualityNumber("TRACE SCATTER", float(np.nanmedian(traced.scatter)), "pix", high=0.05),
        QualityNumber("TRACE WIDTHS MEAN", float(np.nanmean(width)), "pix", low=70.0, high=84.0),
        QualityNumber("TRACE GAPS MIN", float(np.nanmin(gap)), "pix", low=3.0),
        QualityNumber("TRACE SLOPE MAX", float(np.nanmax(traced.slope)), "pix/pix", high=0.02),
        QualityNumber("FLAT LEVEL", float(np.median(found.data[::7])), "electron"),
        QualityNumber("LAMP DRIFT", float(np.std(found.scale)), high=0.05),
        QualityNumber("REJECTED", found.rejected / found.data.size / found.scale.size, high=1e-3),
    )
    return Flat(master_flat=frame, traces=traces, quality=numbers, caveats=(*notes, *found.notes, *traced.caveats))
