"""Which wavelength falls where: arc lamps of one channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import FloatArray, Meta
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.optics import PixelMap
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.slices import SliceLsf, SliceTraces, SliceWavelengths
from tracecube.instruments.muse.arc_lines import LAMPS, law, line_list
from tracecube.instruments.muse.ccd import Channel
from tracecube.instruments.muse.exposure import combine_lamps, open_channels, reader
from tracecube.instruments.muse.headers import lamps
from tracecube.instruments.muse.lamp_check import SHIFT, of_lamp
from tracecube.recipes.optics.slice_lines import LampLines, LineSamples, first_guess, measure_lines
from tracecube.recipes.optics.slice_lsf import LsfParams, measure_lsf
from tracecube.recipes.optics.slice_map import pixel_map
from tracecube.recipes.optics.slice_wavelength import Solution, WavelengthParams, solve_wavelengths

__all__ = ["line_spread_function", "wavelength_calibration"]

_ROWS = 512  # that are read at a time
_EVERY, _LEAK = 16, 500.0  # rows that tell of continuous light; electron, whose noise is that of eight read-outs


class ArcParams(WavelengthParams):
    """Numbers of the wavelength calibration."""

    pixel_map: bool = True


@dataclass(frozen=True, kw_only=True)
class Arcs(Outputs):
    """Wavelength solution of a channel, and the map that follows from it."""

    wavelengths: SliceWavelengths
    pixel_map: PixelMap | None


@recipe(version="8")
def wavelength_calibration(
    *, raw: Sequence[RawFrame], bias: Frame, traces: SliceTraces, line_catalog: RawFrame, params: ArcParams
) -> Arcs:
    """Solve for the wavelengths of a channel with its arc lamps.

    Lines are told apart by the pattern of each lamp, measured in every column, and fitted in all slices at once, with
    the errors of the line list among the unknowns. A lamp may be missing: a caveat says so.
    """
    lines = line_list(line_catalog)
    means, absent, notes = _by_lamp(raw, bias, dark=True, lines=lines)
    frames = {lamp: one.frame for lamp, one in means.items()}
    meta = next(iter(frames.values())).meta
    guess = first_guess(frames, traces, lines, law, shift=SHIFT)
    parts = [
        measure_lines(means[one.lamp].frame, means[one.lamp].count, traces, one, guess, least=params.least)
        for one in lines
        if one.lamp in means
    ]
    samples = LineSamples(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(LineSamples)))
    first = np.cumsum([0, *(one.wave.size for one in lines)])
    wave, line = np.concatenate([one.wave for one in lines]), samples.line + first[samples.lamp]
    del frames, means  # before the map, which takes as much
    rows = bias.data.shape[0]
    scale = (0.5 * (rows - 1), 0.5 * (rows - 1), 0.5 * float(np.nanmedian(traces.right - traces.left)))
    found = solve_wavelengths(samples, wave, line, len(traces.aperture), scale, params)
    solution = _noun(found, samples, wave, line, scale, meta)
    caveats = [f"no lamp {name}: the wavelengths rest on the others" for name in absent]
    lost = solution.aperture[found.dq != 0]
    if lost.size:
        caveats.append(f"slices {', '.join(map(str, lost))}: no wavelength solution")
    return Arcs(
        wavelengths=solution,
        pixel_map=pixel_map(traces, solution, bias.data.shape) if params.pixel_map else None,
        quality=_numbers(found, samples, lines),
        caveats=(*notes, *caveats),
    )


@dataclass(frozen=True, kw_only=True)
class Lsf(Outputs):
    """Line-spread function of a channel."""

    lsf: SliceLsf


@recipe(version="6")
def line_spread_function(  # noqa: PLR0913 - what the lines are seen through
    *,
    raw: Sequence[RawFrame],
    bias: Frame,
    flat: Frame,
    traces: SliceTraces,
    wavelengths: SliceWavelengths,
    line_catalog: RawFrame,
    params: LsfParams,
) -> Lsf:
    """Measure the line-spread function of every slice of a channel, of any shape, with its change along wavelength."""
    lines = line_list(line_catalog)
    means, absent, notes = _by_lamp(raw, bias, lines=lines)
    frames = {lamp: one.frame for lamp, one in means.items()}
    lsf, rms = measure_lsf(frames, flat, traces, wavelengths, lines, params)
    caveats = [f"no lamp {name}: the line-spread function rests on the others" for name in absent]
    if lsf.dq.any():
        caveats.append(f"slices {', '.join(map(str, lsf.aperture[lsf.dq != 0]))}: no line-spread function")
    numbers = (
        QualityNumber("LSF FWHM", float(np.nanmedian(lsf.fwhm)), "Angstrom", low=2.0, high=3.5),
        QualityNumber("LSF FWHM RMS", float(np.nanstd(np.nanmedian(lsf.fwhm, axis=1))), "Angstrom"),
        QualityNumber("LSF RMS", float(np.nanmedian(rms)), high=0.05),
        QualityNumber("NUM LOST SLICES", float(np.count_nonzero(lsf.dq)), high=0.0),
    )
    return Lsf(lsf=lsf, quality=numbers, caveats=(*notes, *caveats))


@dataclass(frozen=True)
class _LampMean:
    """Mean of a lamp's exposures, and of how many."""

    frame: Frame
    count: int


@dataclass(frozen=True)
class _Means:
    """Mean exposures by lamp, exposures that show another lamp than their header tells, what is lost, and doubts."""

    means: dict[int, _LampMean]
    strangers: dict[int, list[RawFrame]]
    lost: list[str]
    notes: list[str]


def _by_lamp(
    raw: Sequence[RawFrame], bias: Frame, *, dark: bool = False, lines: Sequence[LampLines] = ()
) -> tuple[Mapping[int, _LampMean], list[str], list[str]]:
    """Return mean exposures by lamp, absent lamps, and what is left out, in words.

    One lamp's exposures lie in memory at a time. Their variance is that of pixels without light if ``dark``: that of
    lines follows from their fits. By ``lines`` of all lamps those exposures are told whose header names another lamp
    than the one that shone: they stand for that lamp where there are no others.
    """
    groups, notes = _lit(raw)
    if not groups:
        raise BadData(
            f"{min(frame.name for frame in raw)}: no arc lamp alone is on (ESO INS LAMPi ST and SHUTi ST)",
            hint="; ".join(["take arcs one lamp at a time, or repair the cards", *notes]),
        )
    floors: dict[int, FloatArray] | None = {} if dark else None
    told = _means(groups, bias, floors, lines)
    wanted = {lamp: own for lamp, own in told.strangers.items() if lamp not in told.means}
    more = _means(wanted, bias, floors, ())
    means = {**told.means, **more.means}
    if not means:
        raise BadData("no exposure of this channel can be used", hint="; ".join([*told.lost, *more.lost]))
    return (
        means,
        [name for number, name in enumerate(LAMPS) if number not in means],
        [*told.lost, *more.lost, *notes, *told.notes, *more.notes],
    )


def _means(
    groups: Mapping[int, Sequence[RawFrame]],
    bias: Frame,
    floors: dict[int, FloatArray] | None,
    lines: Sequence[LampLines],
) -> _Means:
    made = _Means({}, {}, [], [])
    for lamp, exposures in groups.items():
        try:
            _put_mean(made, lamp, exposures, bias, floors, lines)
        except BadData as error:
            made.lost.append(f"{LAMPS[lamp]}: {error}")
    return made


def _put_mean(  # noqa: PLR0913 - what goes into a mean
    made: _Means,
    lamp: int,
    exposures: Sequence[RawFrame],
    bias: Frame,
    floors: dict[int, FloatArray] | None,
    lines: Sequence[LampLines],
) -> None:
    """Put the mean of one lamp's exposures to the others; pixels are gone when it returns."""
    members, doubts = open_channels(exposures)
    members, others, said = of_lamp(members, lamp, lines)
    made.notes.extend([*doubts, *said])
    for one, raw in others:
        made.strangers.setdefault(one, []).append(raw)
    if not members:
        raise BadData(f"no exposure shows lines of {LAMPS[lamp]}", hint="repair the lamp cards of the arcs")
    made.means[lamp], more = _mean_of(members, bias, floors)
    made.notes.extend([*more, *_leak(made.means[lamp].frame, lamp)])


def _leak(frame: Frame, lamp: int) -> tuple[str, ...]:
    """Say so where light that is not of lines falls on the detector: most pixels lie between lines."""
    ground = float(np.median(frame.data[::_EVERY]))
    if ground < _LEAK:
        return ()
    said = (
        f"{LAMPS[lamp]}: continuous light of {ground:.0f} electron between its lines: was another lamp on, or the dome"
    )
    return (f"{said} lit? Lines are measured above it, with its noise",)


def _mean_of(
    members: Sequence[Channel], bias: Frame, floors: dict[int, FloatArray] | None
) -> tuple[_LampMean, tuple[str, ...]]:
    """Return the mean of one lamp's exposures, and doubts; with variances without light (by number of exposures)."""
    found = combine_lamps(members, bias, clip=5.0, tolerance=0.02)
    variance, count = found.variance, len(found.kept)
    if floors is not None:
        if count not in floors:
            _put_floor(variance, members[:count], bias)
            floors[count] = variance
        variance = floors[count]
    return _LampMean(Frame(found.data, variance, found.flags, members[0].meta), count), found.notes


def _lit(raw: Sequence[RawFrame]) -> tuple[Mapping[int, list[RawFrame]], list[str]]:
    """Return exposures in which one lamp alone shines, by lamp, and what is wrong with the others."""
    groups: dict[int, list[RawFrame]] = {}
    notes: list[str] = []
    for frame in sorted(raw, key=lambda frame: frame.name):
        lit = [name for name in lamps(frame.meta) if name in LAMPS]
        if len(lit) == 1:
            groups.setdefault(LAMPS.index(lit[0]), []).append(frame)
        else:
            what = f"lamps {' and '.join(lit)} shine together" if lit else "no arc lamp shines"
            notes.append(f"{frame.name}: {what}: it is left out")
    return groups, notes


def _put_floor(variance: FloatArray, members: Sequence[Channel], bias: Frame) -> None:
    """Write the variance of a mean's pixels without light (in place): alike for all lamps of as many exposures."""
    read = reader(members[0], bias)
    for y0 in range(0, variance.shape[0], _ROWS):
        own = slice(y0, min(y0 + _ROWS, variance.shape[0]))
        floor = read(own.start, own.stop).floor - bias.variance[own]
        variance[own] = floor / len(members) + bias.variance[own]


def _noun(
    found: Solution,
    samples: LineSamples,
    wave: FloatArray,
    line: np.ndarray,
    scale: tuple[float, float, float],
    meta: Meta,
) -> SliceWavelengths:
    if not np.isfinite(found.rms).any():
        raise MissingInput("no wavelength solution in any slice", hint="look at the arc frames")
    middle, half, reach = scale
    return SliceWavelengths(
        aperture=np.arange(1, len(found.rms) + 1, dtype=np.int32),
        dq=found.dq,
        coefficient=found.coefficient,
        covariance=found.covariance,
        rms=found.rms,
        line_aperture=samples.slice + 1,
        line_wave=wave[line],
        line_lamp=samples.lamp,
        line_pixel=samples.along,
        line_residual=found.residual,
        line_error=found.error,
        line_used=found.used.astype(np.int32),
        list_wave=wave,
        list_offset=found.offset,
        list_error=found.offset_error,
        middle=middle,
        half=half,
        reach=reach,
        medium="AWAV",
        meta=meta,
    )


def _numbers(found: Solution, samples: LineSamples, lines: Sequence[LampLines]) -> tuple[QualityNumber, ...]:
    used = found.used
    each = np.array([len(np.unique(samples.line[used & (samples.slice == row)])) for row in range(len(found.rms))])
    return (
        QualityNumber("WAVE RMS", float(np.nanmedian(found.rms)), "Angstrom", high=0.05),
        QualityNumber("WAVE RMS MAX", float(np.nanmax(found.rms)), "Angstrom", high=0.1),
        QualityNumber("LINE LIST ERROR", found.list_error, "Angstrom", high=0.05),
        QualityNumber("LINES LISTED", float(sum(one.usable.sum() for one in lines))),
        QualityNumber("LINES FIT MIN", float(each.min()), low=20.0),
        QualityNumber("LINES FIT MEDIAN", float(np.median(each)), low=30.0),
        QualityNumber("LINE WIDTH", 2.3548 * float(np.median(samples.sigma[used])), "pix", low=1.4, high=3.0),
        QualityNumber("NUM LOST SLICES", float(np.count_nonzero(found.dq)), high=0.0),
    )
