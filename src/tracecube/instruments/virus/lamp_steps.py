"""Throughputs of fibres from the continuum lamp, for nights without twilight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tracecube.core.fibres import FibreSpectra
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.several import TraceSets, WavelengthSolutions
from tracecube.instruments.virus.parameters import ExposureParams
from tracecube.instruments.virus.science_steps import FibreFlat, frame_spectra
from tracecube.recipes.sky.fibre_throughput import ThroughputParams, fit_throughput

__all__ = ["lamp_flat", "lamp_spectra"]

UNDER_LAMP = (
    "no twilight: throughputs of fibres are those under the lamp, which lights them otherwise than the sky does"
    " (try: take twilights of these very units)"
)


@dataclass(frozen=True, kw_only=True)
class Lamp(Outputs):
    """Spectra of a CCD's fibres under the continuum lamp."""

    lamp: FibreSpectra


@recipe(version="1")
def lamp_spectra(
    *,
    raw: Sequence[RawFrame],
    dark: Frame,
    traces: TraceSets,
    wavelength: WavelengthSolutions,
    places: RawFrame | None,
    params: ExposureParams,
) -> Lamp:
    """Extract all fibres of a CCD from the mean of the continuum lamp's exposures, at the wavelengths of the arcs."""
    from tracecube.instruments.virus.exposure import combined  # noqa: PLC0415 - brings numba

    frame, caveats = combined(raw, dark)
    made, numbers, notes = frame_spectra(frame, traces, wavelength, places, params, lines=())
    return Lamp(lamp=made, quality=numbers, caveats=(*caveats, *notes))


@recipe(version="1")
def lamp_flat(*, lamp: Sequence[FibreSpectra], params: ThroughputParams) -> FibreFlat:
    """Measure the relative throughput of all fibres under the continuum lamp, where there is no twilight.

    The lamp lights the field and the fibres' ends otherwise than the sky does; illumination of the field is found with
    the sky of each exposure all the same, that of single fibres is not.
    """
    found, numbers = fit_throughput(lamp, params, lines=False)
    return FibreFlat(fibre_flat=found, quality=numbers, caveats=(UNDER_LAMP,))
