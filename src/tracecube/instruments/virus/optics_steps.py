"""Where the light of each fibre falls, and at which wavelength: from lamps, CCD by CCD."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import FloatArray, IntArray, Meta
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.optics import PixelMap, TraceSet, WavelengthSolution
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.several import PixelMaps, TraceSets, WavelengthSolutions
from tracecube.instruments.virus.headers import needed
from tracecube.instruments.virus.parameters import TracesParams, WavelengthsParams

if TYPE_CHECKING:
    from tracecube.instruments.virus.extraction import AmplifierLight
    from tracecube.recipes.optics.fibre_lines import FibreArc

__all__ = ["trace_flat", "trace_twilight", "wavelength_calibration"]

LAMPS = {"ARC_HG": "Hg", "ARC_CD": "Cd"}
_MOST_WEAK = 2.0e4  # pixels of an amplifier, 2 per cent
HALF_SPACING = 4.0  # px: a pixel belongs to the nearest fibre within this


@dataclass(frozen=True, kw_only=True)
class Traced(Outputs):
    """Traces of a CCD's amplifiers."""

    traces: TraceSets
    master_flat: Frame | None = None


@dataclass(frozen=True, kw_only=True)
class Wavelengths(Outputs):
    """Wavelengths of a CCD's fibres, and the same as maps of the amplifiers."""

    wavelength: WavelengthSolutions
    pixel_map: PixelMaps
    master_arc: Frame | None = None


def _name(meta: Meta, amp: str) -> str:
    """Return the detector's name in products: slot and amplifier."""
    return f"{int(needed(meta, 'lamp', 'IFUSLOT')):03d}{amp}"


@recipe(version="10")
def trace_flat(*, raw: Sequence[RawFrame], dark: Frame, params: TracesParams) -> Traced:
    """Find the fibres of a CCD on the continuum lamp: centres, profile, scattered light; dead fibres are flagged.

    Fibres without light are put where their neighbours say, and carry a flag, as do samples on columns that lose
    charge. A dead amplifier is named.
    """
    return _traced(raw, dark, params, even=True)


@recipe(version="3")
def trace_twilight(*, raw: Sequence[RawFrame], dark: Frame, params: TracesParams) -> Traced:
    """Find the fibres of a CCD on twilights, where there is no continuum lamp, or users trust the sky's light more.

    The Sun's lines hide which columns lose charge: none is flagged.
    """
    return _traced(raw, dark, params, even=False)


def _traced(raw: Sequence[RawFrame], dark: Frame, params: TracesParams, *, even: bool) -> Traced:
    """Return the traces of a CCD on the mean of frames whose light is ``even`` along the spectrum, or is not."""
    from tracecube.instruments.virus.ccd import HALF, HALVES  # noqa: PLC0415 - brings scipy
    from tracecube.instruments.virus.exposure import combined, side_of  # noqa: PLC0415
    from tracecube.recipes.detector.weak_columns import flag_samples, weak_columns  # noqa: PLC0415
    from tracecube.recipes.optics.fibre_traces import trace_fibres  # noqa: PLC0415

    flat, caveats = combined(raw, dark)
    found = trace_fibres(flat, params.tracing())
    names = HALVES[side_of(flat.meta)]
    weak = weak_columns(flat, params.weak()) if even else np.zeros(flat.data.shape, bool)
    parts, numbers = {}, []
    for number, (amp, part) in enumerate(zip(names, found.traces, strict=True)):
        if part is None:
            continue
        rows = slice(HALF * number, HALF * (number + 1))
        flags = flag_samples(weak[rows], part.centre, params.weak())
        parts[_name(flat.meta, amp)] = replace(part, sample_dq=part.sample_dq | flags)
        if even:
            numbers.append(
                QualityNumber(f"WEAK PIXELS {amp}", float(np.count_nonzero(weak[rows])), "", high=_MOST_WEAK)
            )
    halo = found.halo
    meta = {**flat.meta, "SCATAMP": halo.amplitude, "SCATPOW": halo.power}
    return Traced(
        traces=TraceSets(parts=parts, meta=meta),
        master_flat=flat if params.keep else None,
        quality=(*found.quality, *numbers),
        caveats=(*caveats, *found.caveats),
    )


@recipe(version="7")
def wavelength_calibration(
    *, raw: Sequence[RawFrame], dark: Frame, traces: TraceSets, params: WavelengthsParams
) -> Wavelengths:
    """Solve for the wavelength of every fibre of a CCD from mercury and cadmium lamps, both amplifiers in one surface.

    A lamp that is missing is named in a caveat; the solution rests on the other.
    """
    from tracecube.instruments.virus.arc_lines import ARC_LINES  # noqa: PLC0415
    from tracecube.recipes.optics.fibre_wavelength import fit_fibre_wavelengths  # noqa: PLC0415

    lamps, lights, means, notes = _lamps(raw, dark, traces, params)
    amps = list(lights)
    half, place = _places([lights[amp].traces for amp in amps], amps)
    found, numbers, remarks = fit_fibre_wavelengths(lamps, ARC_LINES, half, place, params)
    solutions, maps = {}, {}
    meta = {**min(raw, key=lambda frame: frame.name).meta}
    for amp, solution in zip(amps, found, strict=True):
        name = _name(meta, amp)
        solutions[name], maps[name] = solution, _map(lights[amp].traces, solution)
    shifts = tuple(
        QualityNumber(f"FLEXURE DY {amp}", light.shift, "pix", low=-1.0, high=1.0) for amp, light in lights.items()
    )
    return Wavelengths(
        wavelength=WavelengthSolutions(parts=solutions, meta=meta),
        pixel_map=PixelMaps(parts=maps, meta=meta),
        master_arc=_sum(means) if params.keep else None,
        quality=(*numbers, *shifts),
        caveats=(*notes, *remarks),
    )


def _lamps(
    raw: Sequence[RawFrame], dark: Frame, traces: TraceSets, params: WavelengthsParams
) -> tuple[dict[str, FibreArc], dict[str, AmplifierLight], list[Frame], list[str]]:
    """Extract every lamp; the amplifiers that all lamps have, one above the other; and the mean exposures."""
    from tracecube.instruments.virus.exposure import combined  # noqa: PLC0415 - brings numba
    from tracecube.instruments.virus.extraction import extract_ccd  # noqa: PLC0415
    from tracecube.recipes.optics.fibre_lines import FibreArc  # noqa: PLC0415

    by_lamp: dict[str, dict[str, AmplifierLight]] = {}
    notes: list[str] = []
    means: list[Frame] = []
    for tag, lamp in LAMPS.items():
        frames = [frame for frame in raw if frame.tag == tag]
        if not frames:
            continue
        try:
            frame, caveats = combined(frames, dark)
            light, _, refused = extract_ccd(frame, traces, params, lines=True)
        except BadData as error:
            notes.append(f"{lamp} arcs not used: {error}")
            continue
        notes += [*caveats, *refused]
        means.append(frame)
        by_lamp[lamp] = {one.amp: one for one in light}
    if not by_lamp:
        raise MissingInput("wavelengths: no arc lamp gave light", hint="; ".join(notes) or "take Hg and Cd arcs")
    first = next(iter(by_lamp.values()))
    amps = [amp for amp in first if all(amp in lights for lights in by_lamp.values())]
    if not amps:
        raise MissingInput("wavelengths: no amplifier was read with all lamps", hint="; ".join(notes) or "take arcs")
    lamps = {
        lamp: FibreArc(
            np.concatenate([lights[amp].flux for amp in amps]),
            np.concatenate([lights[amp].variance for amp in amps]),
            np.concatenate([lights[amp].flags for amp in amps]),
        )
        for lamp, lights in by_lamp.items()
    }
    return lamps, {amp: first[amp] for amp in amps}, means, notes


def _sum(frames: list[Frame]) -> Frame:
    """Return the light of all lamps together."""
    data, variance = (np.sum([getattr(frame, name) for frame in frames], axis=0) for name in ("data", "variance"))
    return Frame(data, variance, np.bitwise_or.reduce([frame.flags for frame in frames]), frames[0].meta)


def _places(traces: list[TraceSet], amps: list[str]) -> tuple[IntArray, FloatArray]:
    """Return amplifier (0, 1) and row of the CCD of every fibre, in the middle of its spectrum."""
    from tracecube.instruments.virus.ccd import HALF, HALVES  # noqa: PLC0415

    middle = traces[0].centre.shape[1] // 2
    places, half = [], []
    for number, (amp, one) in enumerate(zip(amps, traces, strict=True)):
        row = np.arange(one.aperture.size)
        known = np.isfinite(one.centre[:, middle])
        centre = np.interp(row, row[known], one.centre[known, middle])
        places.append(HALF * HALVES[amp[0]].index(amp) + centre)
        half.append(np.full(row.size, number))
    return np.concatenate(half), np.concatenate(places)


def _map(traces: TraceSet, solution: WavelengthSolution) -> PixelMap:
    """Return wavelengths on the pixels of live fibres."""
    from tracecube.instruments.virus.ccd import HALF  # noqa: PLC0415
    from tracecube.recipes.optics.wavelength import pixel_map  # noqa: PLC0415

    dead = (traces.dq != 0)[:, None]
    lit = replace(solution, wave=np.where(dead, np.nan, solution.wave))
    return pixel_map(traces, lit, (HALF, HALF), half_width=HALF_SPACING)
