"""One exposure of the sky: calibrated, freed of cosmic rays, placed on the traces, extracted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import find_objects, label

from tracecube.core.flags import Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.optics import TraceSet
from tracecube.core.pixels import BadPixels
from tracecube.instruments.sedm.detectors import detector
from tracecube.recipes.detector.calibrate import calibrate_frame, noise_floor
from tracecube.recipes.detector.cosmics import flag_cosmics, flag_residual_cosmics
from tracecube.recipes.extract.apertures import extract_by
from tracecube.recipes.extract.joint import Extraction, ExtractionParams, extract, trace_matrix
from tracecube.recipes.optics.flexure import coarse_shift, shift_across

__all__ = ["Exposed", "extract_shifted", "measure_exposure"]

# The shift across dispersion is good when a turn changes it by less than this, px.
CONVERGED = 0.003
TURNS = 6
# Columns that the shift is measured on: every so many, which leaves its error below 0.001 px.
EVERY = 8
# A hit that is longer than this along dispersion is a spectrum, px: muons at grazing incidence are rarer than those.
LONGEST_HIT = 30


@dataclass(frozen=True)
class Exposed:
    """An exposure on the night's traces.

    Parameters
    ----------
    frame : Frame
        Calibrated, with cosmic rays flagged.
    extraction : Extraction
    shift, error : float, px
        Flexure across dispersion.
    """

    frame: Frame
    extraction: Extraction
    shift: float
    error: float


def measure_exposure(
    raw: RawFrame,
    bias: Frame,
    lasting: Sequence[Frame | BadPixels],
    traces: TraceSet,
    params: ExtractionParams,
    *,
    reach: float = 2.5,
    cosmic_exptime: float = 10.0,
) -> Exposed:
    """Calibrate an exposure, measure its flexure across dispersion, and flag its cosmic rays.

    Parameters
    ----------
    raw : RawFrame
    bias : Frame
    lasting : sequence of Frame or BadPixels
        Calibration frames whose bad pixels hold here too.
    traces : TraceSet
    params : ExtractionParams
    reach : float, px
    cosmic_exptime : float, s
        Shorter exposures are not searched for cosmic rays.
    """
    frame = calibrate_frame(raw, bias, detector=detector(raw.meta, raw.name), bad=lasting)
    floor = noise_floor(frame)
    searched = raw.number("EXPTIME") >= cosmic_exptime
    if searched:
        frame = flag_cosmics(frame, floor=floor, axis=traces.axis)
    shift, error = _shift_across(frame, traces, params, coarse_shift(frame, traces, reach))
    matrix = trace_matrix(traces, frame.data.shape, half_width=params.half_width, shift=(0.0, shift))
    extraction = extract(frame, matrix, params.model_copy(update={"passes": 2}), floor=floor)
    if searched:
        frame = _flag_residual(frame, extraction, floor, axis=traces.axis)
    return Exposed(frame, extraction, shift, error)


def _shift_across(frame: Frame, traces: TraceSet, params: ExtractionParams, shift: float) -> tuple[float, float]:
    """Shift across dispersion and its error, px, from every so many columns; starts from a coarse one."""
    quick, floor = params.model_copy(update={"passes": 2}), noise_floor(frame)
    error = np.inf
    for _ in range(TURNS):
        matrix, slope = (
            trace_matrix(
                traces,
                frame.data.shape,
                half_width=params.half_width,
                shift=(0.0, shift),
                every=EVERY,
                derivative=derivative,
            )
            for derivative in (False, True)
        )
        extraction = extract(frame, matrix, quick, floor=floor)
        step, error = shift_across(frame, extraction, matrix, slope)
        shift += float(np.clip(step, -1.0, 1.0))
        if abs(step) < CONVERGED:
            break
    return shift, float(error)


def _flag_residual(frame: Frame, extraction: Extraction, floor: float, *, axis: int) -> Frame:
    """Flag what the model leaves over, but not streaks along dispersion: spectra that no trace was found for.

    Lenslets whose red end lies beyond the detector's edge show too little of the dome's light to be
    traced; moonlight shows them.
    """
    found = flag_residual_cosmics(frame, extraction.model, floor=floor)
    new = ((found.flags & Flag.COSMIC_RAY) != 0) & ((frame.flags & Flag.COSMIC_RAY) == 0)
    groups, _ = label(new, np.ones((3, 3)))
    boxes = find_objects(groups)
    flags = found.flags.copy()
    for number, box in enumerate(boxes, start=1):
        if box[axis].stop - box[axis].start > LONGEST_HIT:
            flags[box][groups[box] == number] &= ~int(Flag.COSMIC_RAY)
    return replace(found, flags=flags)


def extract_shifted(
    frame: Frame, traces: TraceSet, params: ExtractionParams, shift: tuple[float, float]
) -> tuple[Frame, Extraction]:
    """Extract with the light's full shift; hits that only the final model shows are flagged, and left out."""
    floor = noise_floor(frame)
    matrix = trace_matrix(traces, frame.data.shape, half_width=params.half_width, shift=shift)
    extraction = extract(frame, matrix, params.model_copy(update={"passes": 2}), floor=floor)
    before = int(np.count_nonzero(frame.flags & Flag.COSMIC_RAY))
    frame = _flag_residual(frame, extraction, floor, axis=traces.axis)
    if int(np.count_nonzero(frame.flags & Flag.COSMIC_RAY)) > before:
        known = replace(frame, variance=(floor + np.maximum(extraction.model, 0.0)).astype(np.float32))
        extraction = extract(known, matrix, params.model_copy(update={"passes": 1}), floor=floor)
    if params.method != "joint":
        extraction = extract_by(frame, matrix, params, floor=floor)
    return frame, extraction
