"""What is watched over the years: gain and linearity of the outputs, throughput against the photodiode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field
from scipy.ndimage import uniform_filter1d

from tracecube.core.detector import Section
from tracecube.core.errors import BadData
from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.outputs import LinearityLevel, OutputLinearity
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.slices import SliceTraces, SliceWavelengths
from tracecube.core.throughput import DiodeThroughput
from tracecube.instruments.muse.ccd import Channel
from tracecube.instruments.muse.detector_steps import SLICES
from tracecube.instruments.muse.exposure import combine_lamps, open_channels
from tracecube.instruments.muse.headers import exposure_time, needed, start_mjd
from tracecube.instruments.muse.headers import text as card_text
from tracecube.instruments.muse.references import filter_curve
from tracecube.recipes.detector.photon_transfer import TransferParams, box_numbers, solve_outputs
from tracecube.recipes.optics.slice_map import columns_of, lit_pixels

__all__ = ["diode_throughput", "linearity_and_gain", "linearity_level"]

_ELECTRON = 1.602176634e-19  # coulomb
_DIODE = "ESO INS AMPL2"
_SPACING = 2  # every second box along a slice is looked at: two thousand are enough


_SOFT = 2.0  # px over which the light of a slice fades at its edges
_WIDTHS = (60.0, 100.0)  # px, of runs of light that are slices


@dataclass(frozen=True)
class _Boxes:
    """Rows and columns (n, p) of the pixels of every box, its output and its number (n,)."""

    rows: IntArray
    columns: IntArray
    output: IntArray
    number: IntArray


class LevelParams(Params):
    """Numbers of the boxes."""

    high: int = Field(default=50, ge=8, alias="ybox", description="Rows of a box")
    inside: float = Field(default=3.0, ge=0, alias="xgap", description="Pixels from a slice's edges that are left out")


@dataclass(frozen=True, kw_only=True)
class LevelOut(Outputs):
    """Light and noise in boxes."""

    linearity_level: LinearityLevel


@recipe(version="1")
def linearity_level(*, raw: Sequence[RawFrame], bias: Frame, params: LevelParams) -> LevelOut:
    """Measure light and noise in boxes along the slices, in the exposures of one length of one channel."""
    channels, notes = open_channels(raw)
    seen = [_counts(channel, bias) for channel in channels]
    boxes = _boxes(channels[0], seen[0][0], params)
    at = boxes.rows, boxes.columns
    blocks = [np.where(good[at], data[at].astype(np.float64), np.nan) for data, good in seen]
    known = np.all([np.isfinite(block).mean(axis=1) > 0.8 for block in blocks], axis=0)
    if not known.any():
        raise BadData(f"{channels[0].raw.name}: no box is free of saturation", hint="take shorter exposures")
    found = box_numbers([block[known] for block in blocks])
    level = LinearityLevel(
        output=boxes.output[known],
        box=boxes.number[known],
        signal=found.signal,
        signal_error=found.error,
        noise=found.noise,
        count=found.count.astype(np.int32),
        seconds=exposure_time(channels[0].raw.meta, channels[0].raw.name),
        mjd=start_mjd(channels[0].raw.meta, channels[0].raw.name),
        meta=channels[0].meta,
    )
    flux = [float(np.nanmedian(block)) for block in blocks]
    numbers = (
        QualityNumber("COUNTS MIN", float(found.signal.min()), "adu"),
        QualityNumber("COUNTS MAX", float(found.signal.max()), "adu"),
        QualityNumber("NUM BOXES", float(known.sum())),
        QualityNumber("LAMP FLICKER", float(np.std(flux) / np.mean(flux)), high=0.01),
    )
    return LevelOut(linearity_level=level, quality=numbers, caveats=notes)


def _boxes(channel: Channel, light: FloatArray, params: LevelParams) -> _Boxes:
    """Return the boxes inside all slices, which are found by their own light in blocks of rows.

    Slices are told by their order: a block in which not all are seen has no box.

    Raises
    ------
    BadData
        No block has all slices.
    """
    high, wide = channel.shape
    offset = np.arange(params.high)[:, None]
    rows, columns, outputs, numbers = [], [], [], []
    for block, y0 in enumerate(range(0, high - params.high + 1, _SPACING * params.high)):
        middle, width = _lit_runs(np.median(light[y0 : y0 + params.high], axis=0))
        if middle.size != SLICES:
            continue
        half = int(0.5 * float(np.median(width)) - params.inside - _SOFT)
        for number, x0 in enumerate(middle):
            x = x0 + np.arange(-half, half + 1)
            part = next((one for one in channel.parts if _holds(one.chip, y0, y0 + params.high, x[0], x[-1] + 1)), None)
            if part is not None and x[-1] < wide:
                rows.append(np.broadcast_to(y0 + offset, (params.high, x.size)).ravel())
                columns.append(np.broadcast_to(x, (params.high, x.size)).ravel())
                outputs.append(part.output)
                numbers.append(block * SLICES + number)
    if not rows:
        raise BadData(f"{channel.raw.name}: not all slices are lit", hint="was the lamp on? Take longer exposures")
    least = min(one.size for one in rows)  # slices of a block are as wide as each other, blocks nearly
    return _Boxes(
        np.stack([one[:least] for one in rows]), np.stack([one[:least] for one in columns]),
        np.array(outputs, np.int32), np.array(numbers, np.int32),
    )  # fmt: skip


def _lit_runs(profile: FloatArray) -> tuple[np.ndarray, FloatArray]:
    """Return middle (px) and width (px) of the runs of lit columns that are as wide as slices."""
    smooth = uniform_filter1d(np.asarray(profile, np.float64), 3)
    lit = np.concatenate([[False], smooth > 0.5 * np.percentile(smooth, 75), [False]])
    edges = np.flatnonzero(np.diff(lit.astype(int)))
    first, last = edges[::2], edges[1::2]
    width = (last - first).astype(np.float64)
    wide = (width > _WIDTHS[0]) & (width < _WIDTHS[1])
    return ((first + last - 1) // 2)[wide], width[wide]


def _holds(chip: Section, y0: int, y1: int, x0: int, x1: int) -> bool:
    return bool(chip.y0 <= y0 and y1 <= chip.y1 and chip.x0 <= x0 and x1 <= chip.x1)


def _counts(channel: Channel, bias: Frame) -> tuple[FloatArray, BoolArray]:
    """Return adu above the bias (y, x), and which pixels can be used."""
    data, flags = channel.rows(0, channel.shape[0])
    data = data - bias.data
    for part in channel.parts:
        part.chip.of(data)[:] /= np.float32(part.gain)
    return data, (flags | bias.flags) & NOT_USABLE == 0


@dataclass(frozen=True, kw_only=True)
class LinearityOut(Outputs):
    """Gain and linearity of the outputs of a channel."""

    nonlinearity_gain: OutputLinearity


@recipe(version="3")
def linearity_and_gain(*, levels: Sequence[LinearityLevel], params: TransferParams) -> LinearityOut:
    """Find gain, read noise and linearity of each output from exposures of many lengths."""
    found = solve_outputs(list(levels), params)
    numbers: list[QualityNumber] = []
    for i, output in enumerate(found.output):
        told = float(found.meta.get(f"ESO DET OUT{output} GAIN") or np.nan)
        near = {"low": 0.97 * told, "high": 1.03 * told} if np.isfinite(told) else {}
        numbers += [
            QualityNumber(f"GAIN {output}", float(found.gain[i]), "electron/adu", **near),
            QualityNumber(f"GAIN ERROR {output}", float(found.gain_error[i]), "electron/adu"),
            QualityNumber(f"READ NOISE {output}", float(found.noise[i]), "electron"),
            QualityNumber(f"NONLINEARITY {output}", float(found.coefficient[i].sum()), high=0.05, low=-0.05),
            QualityNumber(f"NONLINEARITY ERROR {output}", float(np.sqrt(found.covariance[i].sum()))),
        ]
    numbers.append(QualityNumber("LAMP FLICKER", float(np.std(found.level_light)), high=0.02))
    untold = ", ".join(str(output) for output in found.output[~np.isfinite(found.noise)])
    caveats = (f"outputs {untold}: noise against light does not tell the read noise",) if untold else ()
    return LinearityOut(nonlinearity_gain=found, quality=tuple(numbers), caveats=caveats)


class ThroughputParams(Params):
    """Numbers of the throughput."""

    beam: float = Field(default=1.1, gt=0, alias="fbeam", description="Widening of the beam up to the photodiode")


@dataclass(frozen=True, kw_only=True)
class ThroughputOut(Outputs):
    """Light of a channel against the current of the photodiode."""

    throughput: DiodeThroughput


@recipe(version="3")
def diode_throughput(  # noqa: PLR0913 - what the light is seen through
    *,
    raw: Sequence[RawFrame],
    bias: Frame,
    traces: SliceTraces,
    wavelengths: SliceWavelengths,
    filter_list: RawFrame,
    params: ThroughputParams,
) -> ThroughputOut:
    """Compare the light of the lamp in each slice, in the band of the photodiode's filter, with the diode's current.

    The number is electrons on the detector for one electron of the diode; the diode's own efficiency is not in it.
    """
    channels, notes = open_channels(raw)
    combined = combine_lamps(channels, bias, clip=5.0, tolerance=0.02)
    channels = [channels[i] for i in combined.kept]
    curve = filter_curve(filter_list, card_text(channels[0].raw.meta, f"{_DIODE} FILTER"))
    seconds = np.array([exposure_time(one.raw.meta, one.raw.name) for one in channels])
    current = np.array([needed(one.raw.meta, one.raw.name, f"{_DIODE} CURR") for one in channels]) * 1e-3  # A
    expected = float(np.mean(current * seconds)) / _ELECTRON / params.beam**2
    if expected <= 0:
        raise BadData(f"{channels[0].raw.name}: no current of the photodiode", hint=f"look at {_DIODE} CURR")
    light, noise = _slice_light(combined.data, combined.variance, combined.flags, traces, wavelengths, curve)
    told = combined.scale / (current * seconds)  # lamp and current rise and fall together
    spread = float(np.std(told / told.mean()) / np.sqrt(max(len(channels) - 1, 1)))
    alone = () if len(channels) > 1 else ("one exposure: how well the photodiode tells its light is not known",)
    found = DiodeThroughput(
        aperture=traces.aperture,
        ratio=light / expected,
        error=np.hypot(np.sqrt(noise) / expected, light / expected * spread),
        dq=np.where(np.isfinite(light), 0, int(Flag.NOT_MEASURED)).astype(np.int32),
        total=float(np.nansum(light)) / expected,
        total_error=float(np.hypot(np.sqrt(np.nansum(noise)), np.nansum(light) * spread)) / expected,
        meta=channels[0].meta,
    )
    numbers = (
        QualityNumber("AMPL PHOTONS", float(np.nansum(light))),
        QualityNumber("AMPL THRU2", found.total),
        QualityNumber("AMPL THRU2ERR", found.total_error),
        QualityNumber("AMPL CURRENT", float(current.mean() * 1e3), "mA"),
        QualityNumber("LAMP DRIFT", float(np.std(combined.scale)), high=0.05),
    )
    return ThroughputOut(throughput=found, quality=numbers, caveats=(*notes, *combined.notes, *alone))


def _slice_light(  # noqa: PLR0913 - an image, and what its pixels see
    data: FloatArray,
    variance: FloatArray,
    flags: np.ndarray,
    traces: SliceTraces,
    solution: SliceWavelengths,
    curve: tuple[FloatArray, FloatArray],
) -> tuple[FloatArray, FloatArray]:
    """Return the light of each slice through a filter, and its variance; bad pixels are filled by their rows' mean."""
    light, noise = (np.full(len(traces.aperture), np.nan) for _ in range(2))
    y = np.arange(data.shape[0], dtype=np.float64)[:, None]
    for row in np.flatnonzero((traces.dq | solution.dq) == 0):
        x0, x1 = columns_of(traces, int(row), data.shape[1])
        across = np.arange(x0, x1)[None, :] - traces.centre[row][:, None]
        through = np.interp(solution.wave(int(row), y, across), *curve, left=0.0, right=0.0)
        inside = np.abs(across) <= 0.5 * (traces.right - traces.left)[row][:, None]
        good = lit_pixels(flags[:, x0:x1], traces, int(row), across)
        share = inside.sum(axis=1) / np.maximum(good.sum(axis=1), 1)
        weight = np.where(good, through * share[:, None], 0.0)
        light[row] = float(np.sum(weight * data[:, x0:x1]))
        noise[row] = float(np.sum(weight**2 * variance[:, x0:x1]))
    return light, noise
