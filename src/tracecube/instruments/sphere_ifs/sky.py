"""From a raw plane of the sky to spectra of all lenslets: calibrated, moved with the night, extracted, rebinned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeGuard

import numpy as np

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import BoolArray, FloatArray, IntArray, Meta
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.headers import needed
from tracecube.core.optics import (
    LampSpectrum,
    Layout,
    LineWings,
    PixelMap,
    Throughput,
    TraceSet,
    WavelengthSolution,
)
from tracecube.core.quality import QualityNumber
from tracecube.core.spectra import Spectra
from tracecube.instruments.sphere_ifs.clear_pixels import clear_pixels
from tracecube.instruments.sphere_ifs.detector_steps import DetectorMasters
from tracecube.instruments.sphere_ifs.drift import HOUR, Drift, drift
from tracecube.instruments.sphere_ifs.exposure import calibrated, mode_of_frame, native_spectra
from tracecube.instruments.sphere_ifs.filters import passed_by
from tracecube.instruments.sphere_ifs.static_data import air_transmission
from tracecube.recipes.detector.calibrate import noise_floor
from tracecube.recipes.extract.apertures import extract_by
from tracecube.recipes.extract.grid import GridParams, on_grid
from tracecube.recipes.extract.joint import Extraction, ExtractionParams, extract, trace_matrix
from tracecube.recipes.extract.line_wings import without_wings
from tracecube.recipes.extract.trace_flags import flags_on_traces
from tracecube.recipes.optics.flat_evenness import FlatSurface, flat_surface
from tracecube.recipes.optics.lenslet_shift import Expected, Shift, moved, shift_across
from tracecube.recipes.optics.night_shift import ShiftParams, Transmission, shift_along

__all__ = ["BENT", "SLOPE", "UNEVEN", "ClearPixels", "Optics", "SkySpectra", "sky_spectra"]

UNEVEN, SLOPE, BENT = "FLATSMTH", "FLATSLOP", "FLATBENT"
"""Cards: relative rms of what is smooth in the lenslet flat, its slope in 1 / arcsec, and the rms about that."""
SHIFT_ERROR = "SHIFTEY"
"""Card: error of the light's shift along dispersion since the day, px."""

# Movement beyond this is unusual: day calibrations are taken within a day, px.
USUAL_SHIFT = 1.0
# Spreads from frame to frame beyond which an amount of a background's component is unusual.
_USUAL_REACH = 5.0
# Between day and night: shift (px), turn and stretch, one sigma; within a night the shift follows the law of drift.
_DAY_ACROSS, _DAY_TURN = 1.0, 5e-5
_NIGHT_TURN = 1e-5
_AN_HOUR = Drift(HOUR)
_EVERY = 5  # rows: enough to measure the shift
_ROUNDS, _MET = 4, 0.005  # of it at most, and the last step (px) after which it is met


@dataclass(frozen=True)
class Optics:
    """What the day says of the optics.

    Parameters
    ----------
    traces, wavelength, pixel_map, layout
        Rows alike.
    flat : Throughput
    lamp : LampSpectrum or None
        Of the IFU flat.
    wings : LineWings or None
        None where no laser told them: they stay in.
    """

    traces: TraceSet
    wavelength: WavelengthSolution
    pixel_map: PixelMap
    layout: Layout
    flat: Throughput
    lamp: LampSpectrum | None
    wings: LineWings | None = None


@dataclass(frozen=True)
class ClearPixels:
    """Which pixels tell of a background that changes.

    Parameters
    ----------
    distance : float, px
        From the nearest spectrum.
    star_radius : float, arcsec
        From the field's middle.
    """

    distance: float
    star_radius: float


@dataclass(frozen=True)
class SkySpectra:
    """Spectra of one plane.

    Parameters
    ----------
    native, channels : Spectra
        As the detector sampled them, and on the common grid.
    extraction : Extraction
    frame : Frame
    quality, caveats
    """

    native: Spectra
    channels: Spectra
    extraction: Extraction
    frame: Frame
    quality: tuple[QualityNumber, ...]
    caveats: tuple[str, ...]


def sky_spectra(  # noqa: PLR0913 - a frame and all that is known
    raw: RawFrame,
    masters: DetectorMasters,
    optics: Optics,
    extraction: ExtractionParams,
    shifts: ShiftParams,
    *,
    clear: ClearPixels | None = None,
    like: Spectra | None = None,
) -> SkySpectra:
    """Extract all lenslets of one plane.

    Parameters
    ----------
    raw : RawFrame
    masters : DetectorMasters
    optics : Optics
    extraction : ExtractionParams
    shifts : ShiftParams
    clear : ClearPixels, optional
        Which pixels tell of a background that changes.
    like : Spectra, optional
        Of the frame with satellite spots of the same night, whose shift is well known.
    """
    frame, caveats = calibrated(raw, masters, wave=optics.pixel_map.wave, clear=_clear(masters, optics, clear))
    shape = (frame.data.shape[0], frame.data.shape[1])
    expected, assumed = _expect(raw, like)
    across = _shift_across(frame, optics, extraction, expected)
    traces, wave = moved(optics.traces, optics.wavelength.wave, across, shape)
    matrix = trace_matrix(traces, shape, half_width=extraction.half_width)
    found = extract_by(frame, matrix, extraction, floor=noise_floor(frame))
    night = native_spectra(found, traces, wave, optics.wavelength)
    passed, unknown = passed_by(raw.meta, raw.name)
    shift, more = _shift_along(night, optics, across, shifts, expected, passed=passed)
    wave = moved(optics.traces, optics.wavelength.wave, shift, shape)[1]
    solution = replace(optics.wavelength, wave=np.where(np.isfinite(traces.centre), wave, np.nan))
    found, solution, kept = _without_wings(found, solution, optics.wings)
    beside = matrix.beside()
    native = native_spectra(
        found, traces, solution.wave, solution, flat=optics.flat, layout=optics.layout, beside=beside
    )
    meta = _cards(raw, frame, shift, flat_surface(optics.flat, optics.layout))
    full = _full_samples(frame, traces)
    native = replace(native, flags=native.flags | full)
    channels = on_grid(
        found,
        traces,
        solution,
        optics.flat,
        optics.layout,
        _grid(raw),
        shift=0.0,
        meta=meta,
        sample_flags=full,
        beside=beside,
    )
    return SkySpectra(
        native=replace(native, meta=meta),
        channels=channels,
        extraction=found,
        frame=frame,
        quality=(*_numbers(shift, found), *_background_numbers(frame)),
        caveats=tuple(dict.fromkeys((*caveats, *assumed, *unknown, *more, *kept))),
    )


def _clear(masters: DetectorMasters, optics: Optics, params: ClearPixels | None) -> BoolArray | None:
    """Pixels that tell of a background that changes; None where it is not known how it does."""
    best = masters.background if masters.sky is None else masters.sky
    if params is None or best is None or best.components is None:
        return None
    return clear_pixels(optics.pixel_map, optics.layout, distance=params.distance, star_radius=params.star_radius)


def _background_numbers(frame: Frame) -> tuple[QualityNumber, ...]:
    """Quality numbers of a background whose components were fitted."""
    if "BGNCOMP" not in frame.meta:
        return ()
    number = {key: needed(frame.meta, "background", key) for key in ("BGNCOMP", "BGRMSMN", "BGRMS", "BGREACH")}
    return (
        QualityNumber("BACKGROUND COMPONENTS", number["BGNCOMP"]),
        QualityNumber("BACKGROUND LEFT MEAN", number["BGRMSMN"], "electron"),
        QualityNumber("BACKGROUND LEFT", number["BGRMS"], "electron"),
        QualityNumber("BACKGROUND REACH", number["BGREACH"], "", high=_USUAL_REACH),
    )


def _grid(raw: RawFrame) -> GridParams:
    """Channels of the frame's mode."""
    low, high, count = mode_of_frame(raw).channels
    return GridParams(wave_low=low, wave_high=high, n_wave=count)


def _numbers(shift: Shift, found: Extraction) -> tuple[QualityNumber, ...]:
    """Quality numbers of a plane."""
    flagged = float(np.mean(found.outlier))
    return (
        QualityNumber("FLEXURE DX", shift.dx, "pix", -USUAL_SHIFT, USUAL_SHIFT),
        QualityNumber("FLEXURE DY", shift.dy, "pix", -USUAL_SHIFT, USUAL_SHIFT),
        QualityNumber("FLEXURE DX ERROR", shift.dx_error, "pix", high=0.02),
        QualityNumber("FLEXURE DY ERROR", shift.dy_error, "pix", high=0.1),
        QualityNumber("FLEXURE TURN", 1e3 * shift.turn, "mrad"),
        QualityNumber("FLEXURE STRETCH", 1e3 * shift.stretch, "1e-3"),
        QualityNumber("EXTRACTION CHI2", found.chi2, "", high=2.0),
        QualityNumber("EXTRACTION OUTLIERS", flagged, "", high=0.02),
        QualityNumber("GROUND LAST STEP", found.step, "", high=0.05),
    )


def _cards(raw: RawFrame, frame: Frame, shift: Shift, uneven: FlatSurface) -> Meta:
    """Header of the spectra: the raw one, noise and shift, and how uneven the flat's lamp may have been."""
    return {
        **raw.meta,
        **({UNEVEN: uneven.rms, SLOPE: uneven.slope, BENT: uneven.bent} if np.isfinite(uneven.rms) else {}),
        "ARCFILE": raw.meta.get("ARCFILE") or f"{raw.name}.fits",  # by which all that follows knows a frame
        "NOISEFLR": frame.meta["NOISEFLR"],
        "SHIFTDX": shift.dx,
        "SHIFTDY": shift.dy,
        SHIFT_ERROR: shift.dy_error,
        "SHIFTTN": shift.turn,
        "SHIFTST": shift.stretch,
    }


def _full_samples(frame: Frame, traces: TraceSet) -> IntArray:
    """Flags (n, m) of samples whose core is saturated or beyond the linear range by light, not by a bad pixel."""
    full = int(Flag.SATURATED | Flag.NON_LINEAR)
    fault = NOT_USABLE & ~full
    return flags_on_traces(np.where(frame.flags & fault, 0, frame.flags).astype(np.int32), traces, full)


def _shift_across(frame: Frame, optics: Optics, extraction: ExtractionParams, expected: Expected) -> Shift:
    """Measure how far the light has moved across dispersion since the day, from some rows of the detector."""
    shape = (frame.data.shape[0], frame.data.shape[1])
    shift, few = expected.shift, extraction.model_copy(update={"passes": 2, "scatter_pieces": 0})
    thin = _every_row(frame)
    for _ in range(_ROUNDS):
        traces = moved(optics.traces, optics.wavelength.wave, shift, shape)[0]
        matrix, slope = (
            trace_matrix(traces, shape, half_width=extraction.half_width, derivative=d, every=_EVERY)
            for d in (False, True)
        )
        found = extract(thin, matrix, few, floor=noise_floor(frame))
        last, shift = shift.dx, shift_across(thin, matrix, slope, found, traces, now=shift, expected=expected)
        if abs(shift.dx - last) < _MET:
            break
    return shift


def _without_wings(
    found: Extraction, solution: WavelengthSolution, wings: LineWings | None
) -> tuple[Extraction, WavelengthSolution, tuple[str, ...]]:
    """Take the wings of lines along dispersion off; the line-spread function is the core then."""
    if wings is None:
        return found, solution, ("no frame of lasers tells the wings of lines along dispersion: they stay in spectra",)
    core = np.where(np.isfinite(solution.wave), np.interp(solution.wave, wings.wave, wings.core), np.nan)
    return without_wings(found, solution.wave, wings), replace(solution, lsf_sigma=core), ()


def _tells(like: Spectra | None) -> TypeGuard[Spectra]:
    """Whether the frame with satellite spots is there and says where its light was."""
    return like is not None and isinstance(like.meta.get("SHIFTDX"), float)


def _expect(raw: RawFrame, like: Spectra | None) -> tuple[Expected, tuple[str, ...]]:
    """What the frame with satellite spots says of this one, and what was assumed of the time between."""
    drifting = drift(raw.meta, like.meta, raw.name) if _tells(like) else _AN_HOUR
    return _expected(like, drifting), drifting.caveats


def _expected(like: Spectra | None, drifting: Drift = _AN_HOUR) -> Expected:
    """What the frame with satellite spots says of another: the light drifts by little, the less the sooner."""
    if not _tells(like):
        return Expected(Shift(), _DAY_ACROSS, np.inf, _DAY_TURN)
    dx, dy, turn, stretch = (needed(like.meta, "frame with spots", f"SHIFT{key}") for key in ("DX", "DY", "TN", "ST"))
    base = like.meta.get(SHIFT_ERROR)
    known = float(base) if isinstance(base, float) else 0.0
    return Expected(Shift(dx, dy, turn, stretch), drifting.sigma, drifting.sigma, _NIGHT_TURN, known)


def _shift_along(  # noqa: PLR0913 - a spectrum, and all that is known of it
    night: Spectra,
    optics: Optics,
    across: Shift,
    shifts: ShiftParams,
    expected: Expected,
    *,
    passed: Transmission | None = None,
) -> tuple[Shift, tuple[str, ...]]:
    """Add how far the light has moved along dispersion; where that is not known, what was expected is taken visibly."""
    known = np.isfinite(expected.along)
    # what moved across dispersion beyond the drift may have moved along it as well
    drifted = float(np.hypot(expected.along, across.dx - expected.shift.dx))
    instead = f"that of the frame with satellite spots, {expected.shift.dy:.2f} px," if known else "0"
    alone = float(np.hypot(drifted, expected.base)) if known else _DAY_ACROSS
    across = replace(across, dy=expected.shift.dy, dy_error=alone)
    if optics.lamp is None:
        return across, (f"no spectrum of the white lamp: the shift along dispersion is not known, {instead} is taken",)
    lsf = float(np.nanmedian(optics.wavelength.lsf_sigma))
    try:
        dy, error = shift_along(night, optics.lamp, air_transmission(), shifts, lsf=lsf, passed=passed)
    except NoConvergence as failure:
        return across, (f"the shift along dispersion is not known, {instead} is taken: {failure}",)
    trust = error**-2, drifted**-2
    dy = (dy * trust[0] + expected.shift.dy * trust[1]) / sum(trust)
    # the frame before fails where this one does: what it leaves open is not made less by both
    return replace(across, dy=dy, dy_error=float(np.hypot(sum(trust) ** -0.5, expected.base))), ()


def _every_row(frame: Frame) -> Frame:
    """Keep the rows that thinned traces are on; the others hold no light."""
    keep = np.zeros(frame.data.shape[0], bool)
    keep[::_EVERY] = True
    data: FloatArray = np.where(keep[:, None], frame.data, np.nan)
    return replace(frame, data=data)
