"""Spectra of the fibres of one CCD: both amplifiers inverted at once, with this exposure's own shift."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet
from tracecube.core.several import TraceSets
from tracecube.instruments.virus.ccd import HALVES
from tracecube.instruments.virus.exposure import amplifiers, side_of
from tracecube.instruments.virus.fingerprint import strangers
from tracecube.instruments.virus.parameters import ExposureParams
from tracecube.instruments.virus.unlit import unlit
from tracecube.recipes.extract.fibres import FibreExtraction, extract_fibres
from tracecube.recipes.optics.fibre_scatter import Halo

__all__ = ["AmplifierLight", "extract_ccd"]


@dataclass(frozen=True)
class AmplifierLight:
    """Spectra of one amplifier's fibres, electrons a column, as of `FibreExtraction`.

    ``traces`` are those of the calibration moved by ``shift`` (px, across dispersion); fibres without light are NaN.
    A fibre whose aperture differs from its fit is flagged in the table of traces.
    """

    amp: str
    traces: TraceSet
    flux: FloatArray
    variance: FloatArray
    blend: FloatArray
    chi2: FloatArray
    box: FloatArray
    flags: IntArray
    shift: float
    shift_error: float


def extract_ccd(
    frame: Frame, traces: TraceSets, params: ExposureParams, *, lines: bool = False
) -> tuple[list[AmplifierLight], FibreExtraction, tuple[str, ...]]:
    """Extract the spectra of every amplifier that was read and traced.

    Parameters
    ----------
    frame : Frame
        The CCD, calibrated.
    traces : TraceSets
        With the scattered light's amplitude and power on cards SCATAMP and SCATPOW.
    params : ExposureParams
    lines : bool
        The light is that of a few lines: too few columns to tell by whether it is these fibres'.

    Returns
    -------
    list of AmplifierLight
    FibreExtraction
    caveats : tuple of str
        One for each amplifier that is left out, or whose light does not fall on the traces: its samples are flagged.
    """
    read = amplifiers(frame)
    caveats: list[str] = []
    by_amp = {name[-2:]: part for name, part in traces.parts.items()}
    names = HALVES[side_of(frame.meta)]
    strange = {} if lines else strangers(frame, by_amp)
    strange |= unlit(frame, {amp: part for amp, part in by_amp.items() if amp not in strange})
    sequence = [by_amp.get(amp) if amp in read and amp not in strange else None for amp in names]
    caveats += strange.values()
    caveats += [f"amplifier {amp}: no traces: left out" for amp in read if amp not in by_amp]
    if all(one is None for one in sequence):
        raise BadData("no amplifier of this CCD is left", hint="; ".join(caveats) or "see its flats")
    found = extract_fibres(frame, sequence, _halo(traces), params.extraction())
    lights: list[AmplifierLight] = []
    most = params.extraction().differ
    for k, (amp, own) in enumerate(zip(names, sequence, strict=True)):
        if own is None:
            continue
        lights.append(_light(amp, _checked(own, found.differ[k], most), k, found))
        if abs(lights[-1].shift) > params.reach:
            caveats.append(
                f"amplifier {amp}: its light lies {lights[-1].shift:+.2f} px off the traces: flagged"
                " (try: take flats closer in time)"
            )
            lights[-1] = replace(lights[-1], flags=lights[-1].flags | int(Flag.BAD_PIXEL))
    return lights, found, tuple(caveats)


def _halo(traces: TraceSets) -> Halo:
    """Return the scattered light that the traces' frame told of."""
    amplitude, power = traces.meta.get("SCATAMP"), traces.meta.get("SCATPOW")
    if not isinstance(amplitude, int | float) or not isinstance(power, int | float):
        raise BadData("traces without the card SCATAMP or SCATPOW", hint="make the traces again")
    return Halo(float(amplitude), 0.0, float(power), np.zeros(2), np.zeros(2), 1.0)


def _checked(traces: TraceSet, differ: FloatArray | None, most: float) -> TraceSet:
    """Flag the fibres whose aperture differs from the fit."""
    odd = np.abs(np.nan_to_num(np.asarray(differ))) > most
    return replace(traces, dq=(traces.dq | np.where(odd, int(Flag.OUTLIER), 0)).astype(np.int32))


def _light(amp: str, traces: TraceSet, k: int, found: FibreExtraction) -> AmplifierLight:
    """Take one amplifier out of what was found."""
    move = found.move[k]
    parts = (found.flux[k], found.variance[k], found.blend[k], found.chi2[k], found.box[k])
    flux, variance, blend, chi2, box = (np.asarray(part) for part in parts)
    shift = 0.0 if move is None else float(move.value[0])
    error = 0.0 if move is None else float(move.error[0])
    usable = ((traces.dq & ~int(Flag.OUTLIER)) == 0)[:, None]
    flags = np.asarray(found.flags[k], np.int32) | np.where(usable, traces.sample_dq, 0)
    live = np.where(usable, traces.centre + shift, np.nan)
    return AmplifierLight(amp, replace(traces, centre=live), flux, variance, blend, chi2, box, flags, shift, error)
