"""Afternoon calibrations of the optics: traces, wavelengths, lenslet flat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tracecube.core.errors import MissingInput, TracecubeError
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.optics import Layout, PixelMap, Throughput, TraceSet, WavelengthSolution
from tracecube.core.recipe import Outputs, recipe
from tracecube.instruments.sedm.detectors import detector
from tracecube.instruments.sedm.parameters import FlatParams, TracesParams, WavelengthsParams

if TYPE_CHECKING:
    from tracecube.recipes.extract.joint import Extraction

__all__ = ["lenslet_flat", "trace_domes", "wavelength_calibration"]

# Lamp of an arc frame by its tag.
LAMPS = {"ARC_HG": "Hg", "ARC_CD": "Cd", "ARC_XE": "Xe"}
# A detector pixel belongs to the nearest trace within half the distance of traces, px.
HALF_TRACE = 3.0


@dataclass(frozen=True, kw_only=True)
class Traced(Outputs):
    """Traces, the lenslets' places on the sky, and the combined dome flat."""

    traces: TraceSet
    layout: Layout
    master_dome: Frame


@dataclass(frozen=True, kw_only=True)
class Wavelengths(Outputs):
    """Wavelength solution, and the same as a map of the detector."""

    wavelength: WavelengthSolution
    pixel_map: PixelMap


@dataclass(frozen=True, kw_only=True)
class Flat(Outputs):
    """Relative throughput of the lenslets."""

    lenslet_flat: Throughput


@recipe(version="2")
def trace_domes(*, raw: Sequence[RawFrame], master_bias: Frame, params: TracesParams) -> Traced:
    """Find the spectra of all lenslets in the dome flats: centres, widths, profile, hexagonal indices.

    The dome frames are combined and traced by a joint fit of all spectra; the lattice of lenslets
    tells spectra from ghosts, and gives each its place on the sky. A frame that is saturated or no
    picture of the detector is left out, with a caveat.
    """
    from tracecube.instruments.sedm.guess import SEDM_TRACES  # noqa: PLC0415 - brings numba
    from tracecube.instruments.sedm.layout import sedm_layout  # noqa: PLC0415
    from tracecube.recipes.detector.combine import combine_usable  # noqa: PLC0415
    from tracecube.recipes.optics.traces import trace_apertures  # noqa: PLC0415

    first = min(raw, key=lambda frame: frame.name)
    chip = detector(first.meta, first.name)
    dome, refused = combine_usable(raw, master_bias, detector=chip)
    traced = trace_apertures(dome, SEDM_TRACES, params=params.tracing())
    return Traced(
        traces=traced.traces,
        layout=sedm_layout(traced),
        master_dome=dome,
        quality=traced.quality,
        caveats=(*refused, *traced.caveats),
    )


@recipe(version="3")
def wavelength_calibration(
    *, raw: Sequence[RawFrame], master_bias: Frame, traces: TraceSet, params: WavelengthsParams
) -> Wavelengths:
    """Solve for the wavelength of every trace sample from the arc lamps, with one model of the field.

    Arc spectra are extracted jointly; lines are recognised in the mean of all lenslets, measured in
    each, and fitted with a universal prism law, smooth field terms and two numbers a lenslet. A lamp
    that is missing or dark is named in a caveat; the solution rests on the others.
    """
    from tracecube.instruments.sedm.static_data import arc_lines, dispersion_guess  # noqa: PLC0415 - brings numba
    from tracecube.recipes.optics.arcs import ArcSpectra  # noqa: PLC0415
    from tracecube.recipes.optics.wavelength import fit_wavelengths, pixel_map  # noqa: PLC0415

    arcs, refused = {}, []
    for tag, lamp in LAMPS.items():
        frames = [frame for frame in raw if frame.tag == tag]
        if frames:
            try:
                spectra, left_out = _extract_lamp(frames, master_bias, traces, params)
            except TracecubeError as error:
                refused.append(f"{lamp} arcs not used: {error}")
                continue
            arcs[lamp] = ArcSpectra(spectra.flux, spectra.variance)
            refused += left_out
    if not arcs:
        raise MissingInput("wavelength calibration: no arc lamp gave light", hint="; ".join(refused) or "take arcs")
    solution, numbers, caveats = fit_wavelengths(arcs, traces, arc_lines(), dispersion_guess(), params.fitting())
    shape = raw[0].data.shape
    return Wavelengths(
        wavelength=solution,
        pixel_map=pixel_map(traces, solution, (shape[0], shape[1]), half_width=HALF_TRACE),
        quality=numbers,
        caveats=(*refused, *caveats),
    )


def _extract_lamp(
    frames: Sequence[RawFrame], master_bias: Frame, traces: TraceSet, params: WavelengthsParams
) -> tuple[Extraction, tuple[str, ...]]:
    """Combine and extract the frames of one lamp; tell which were left out."""
    from tracecube.recipes.detector.calibrate import noise_floor  # noqa: PLC0415 - brings numba
    from tracecube.recipes.detector.combine import combine_usable  # noqa: PLC0415
    from tracecube.recipes.extract.apertures import extract_by  # noqa: PLC0415
    from tracecube.recipes.extract.joint import trace_matrix  # noqa: PLC0415

    first = min(frames, key=lambda frame: frame.name)
    chip = detector(first.meta, first.name)
    lamp, refused = combine_usable(frames, master_bias, detector=chip)
    extraction = params.extraction()
    matrix = trace_matrix(traces, lamp.data.shape, half_width=extraction.half_width)
    return extract_by(lamp, matrix, extraction, floor=noise_floor(lamp)), refused


@recipe(version="2")
def lenslet_flat(
    *,
    master_dome: Frame,
    twilight: Sequence[RawFrame],
    master_bias: Frame,
    traces: TraceSet,
    wavelength: WavelengthSolution,
    layout: Layout,
    params: FlatParams,
) -> Flat:
    """Measure the relative throughput of every lenslet against wavelength.

    The dome gives it up to the lamp's illumination of the field, the first good frame of a
    twilight sky takes that off. Without one the dome's illumination stays in, and a caveat says so.
    """
    from tracecube.instruments.sedm.exposure import measure_exposure  # noqa: PLC0415 - brings numba
    from tracecube.recipes.detector.calibrate import noise_floor  # noqa: PLC0415
    from tracecube.recipes.extract.apertures import extract_by  # noqa: PLC0415
    from tracecube.recipes.extract.joint import trace_matrix  # noqa: PLC0415
    from tracecube.recipes.optics.throughput import illumination, relative_throughput  # noqa: PLC0415

    extraction = params.extraction()
    matrix = trace_matrix(traces, master_dome.data.shape, half_width=extraction.half_width)
    dome = extract_by(master_dome, matrix, extraction, floor=noise_floor(master_dome))
    flat, numbers = relative_throughput(dome, wavelength, params.flat())
    caveats: list[str] = []
    for frame in sorted(twilight, key=lambda frame: frame.name):
        try:
            sky = measure_exposure(frame, master_bias, (master_dome,), traces, extraction)
            flat, more = illumination(sky.extraction, wavelength, flat, layout, params.flat(), shift=0.0, dome=dome)
        except TracecubeError as error:
            caveats.append(f"twilight not used: {error}")
            continue
        numbers = (*numbers, *more)
        break
    else:
        caveats.append("no twilight frame: the dome's illumination of the field is not corrected")
    return Flat(lenslet_flat=replace(flat, meta=master_dome.meta), quality=numbers, caveats=tuple(caveats))
