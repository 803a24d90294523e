"""Spectra of the fibres of one CCD: each amplifier's traces, moved as the light has moved, inverted at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tracecube.core.errors import BadData, TracecubeError
from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.flags import NOT_USABLE
from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet
from tracecube.core.several import TraceSets
from tracecube.instruments.virus.exposure import amplifiers
from tracecube.instruments.virus.parameters import ExposureParams
from tracecube.recipes.extract.joint import Extraction, extract, trace_matrix
from tracecube.recipes.optics.flexure import shift_across

__all__ = ["AmplifierLight", "extract_amplifiers", "part_of"]

_EVERY = 8  # columns: enough to tell the shift of a whole amplifier to 0.001 px
_CONVERGED = 0.001  # px
_TURNS = 8
_NEAR = 2.0  # px: a sample whose light lost a pixel this close to its centre is flagged


@dataclass(frozen=True)
class AmplifierLight:
    """Spectra of one amplifier's fibres.

    Parameters
    ----------
    amp : str
    traces : TraceSet
        Where the light was, this exposure's shift included.
    extraction : Extraction
    hit : bool array (n, m)
        Samples that lost a pixel near their centre to a hit.
    shift, shift_error : float, px
        Across dispersion, since the traces were measured.
    """

    amp: str
    traces: TraceSet
    extraction: Extraction
    hit: BoolArray
    shift: float
    shift_error: float


def part_of(frame: Frame, rows: slice) -> Frame:
    """Return the rows of one amplifier, with its own noise floor."""
    variance = frame.variance[rows]
    good = np.isfinite(variance)
    meta = {**frame.meta, "NOISEFLR": float(np.median(variance[good]))}
    return Frame(frame.data[rows], variance, frame.flags[rows], meta)


def extract_amplifiers(
    frame: Frame, traces: TraceSets, params: ExposureParams, *, still: bool = False
) -> tuple[list[AmplifierLight], tuple[str, ...]]:
    """Extract the spectra of every amplifier that was read and traced.

    Parameters
    ----------
    frame : Frame
        The CCD, calibrated.
    traces : TraceSets
    params : ExposureParams
    still : bool
        The frame is that of the traces: do not look for a shift.

    Returns
    -------
    list of AmplifierLight
    caveats : tuple of str
        One for each amplifier whose light does not fall on the traces, which is left out.
    """
    found, caveats = [], []
    by_amp = {name[-2:]: part for name, part in traces.parts.items()}
    for amp, rows in amplifiers(frame).items():
        if amp not in by_amp:
            caveats.append(f"amplifier {amp}: no traces: left out")
            continue
        try:
            found.append(_amplifier(amp, part_of(frame, rows), by_amp[amp], params, still=still))
        except TracecubeError as error:
            caveats.append(f"amplifier {amp} left out: {error}")
    if not found:
        raise BadData("no amplifier of this CCD gives spectra", hint="; ".join(caveats))
    return found, tuple(caveats)


def _amplifier(amp: str, frame: Frame, traces: TraceSet, params: ExposureParams, *, still: bool) -> AmplifierLight:
    """Measure the shift of one amplifier's light, and extract it."""
    lit = replace(traces, centre=np.where((traces.dq == 0)[:, None], traces.centre, np.nan))
    floor = float(frame.meta["NOISEFLR"])  # type: ignore[arg-type]
    shift, error = (0.0, 0.0) if still else _shift(frame, lit, params, floor)
    matrix = trace_matrix(lit, frame.data.shape, half_width=params.half_width, shift=(0.0, shift))
    extraction = extract(_seen(frame, floor), matrix, params, floor=floor)
    moved = replace(lit, centre=lit.centre + shift)
    return AmplifierLight(amp, moved, extraction, _hits(extraction.outlier, moved.centre), shift, error)


def _seen(frame: Frame, floor: float) -> Frame:
    """Return the frame with a first guess of its variance: the light along the row, hits left out."""
    good = (frame.flags & NOT_USABLE == 0) & np.isfinite(frame.data)
    data = np.where(good, frame.data, 0.0)
    middle = np.median(np.stack([np.roll(data, k, axis=1) for k in (-2, -1, 0, 1, 2)]), axis=0)
    return replace(frame, variance=(floor + np.maximum(middle, 0.0)).astype(np.float32))


def _shift(frame: Frame, traces: TraceSet, params: ExposureParams, floor: float) -> tuple[float, float]:
    """Return the shift across dispersion and its error, px.

    Raises
    ------
    BadData
        It is larger than any drift: these are not this amplifier's traces.
    """
    quick, shift, error = params.model_copy(update={"passes": 2}), 0.0, np.inf
    seen = _seen(frame, floor)
    for _ in range(_TURNS):
        matrix, slope = (
            trace_matrix(
                traces, frame.data.shape, half_width=params.half_width, shift=(0.0, shift), every=_EVERY, derivative=d
            )
            for d in (False, True)
        )
        step, error = shift_across(seen, extract(seen, matrix, quick, floor=floor), matrix, slope)
        shift += float(np.clip(step, -0.7, 0.7))
        if abs(shift) > params.reach:
            raise BadData(
                f"the light lies {shift:+.1f} px off the traces",
                hint="are two amplifiers exchanged, or the traces another unit's?",
            )
        if abs(step) < _CONVERGED:
            break
    return shift, float(error)


def _hits(outlier: BoolArray, centre: FloatArray) -> BoolArray:
    """Return which samples (n, m) lost a pixel near their centre."""
    hit = np.zeros(centre.shape, bool)
    known = np.isfinite(centre)
    middle = np.where(known, centre, 0.0)
    column = np.arange(centre.shape[1])[None]
    for k in range(-2, 4):
        row = np.floor(middle).astype(int) + k
        near = known & (np.abs(row - middle) <= _NEAR) & (row >= 0) & (row < outlier.shape[0])
        hit |= near & outlier[np.clip(row, 0, outlier.shape[0] - 1), column]
    return hit
