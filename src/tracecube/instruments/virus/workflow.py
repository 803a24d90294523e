"""The cascade of a VIRUS night: what runs on what, and which calibrations go with it.

The unit of work is a CCD of a unit. Calibrations hold for the same unit alone: slot, spectrograph, fibre bundle and
controller must be those of the frame. The optics drift with temperature by tenths of a pixel, which every exposure
measures for itself; lamps and twilights of a week serve, darks of three weeks, unless users say otherwise.
"""

from __future__ import annotations

from tracecube.core.workflow import Association, Main, Match, Task, Window, Workflow
from tracecube.instruments.virus.detector_steps import master_dark
from tracecube.instruments.virus.field_steps import bundle_cubes, emission_lines, field_calibration
from tracecube.instruments.virus.optics_steps import trace_flat, wavelength_calibration
from tracecube.instruments.virus.science_steps import ccd_spectra, fibre_flat, sky_subtraction, twilight_spectra

__all__ = ["workflow"]

CCD = ("night", "unit", "ccd")
VERY = "of this very unit: slot, spectrograph, bundle and controller"


WINDOWS = (
    Window("dark_days", 21.0, "between zeros and darks and what they serve"),
    Window("lamp_days", 7.0, "between flats or arcs and what they serve"),
    Window("twilight_days", 7.0, "between twilights and the exposures that they serve"),
    Window("fplane_days", 30.0, "between a table of the focal plane and the observations that it serves"),
)


def _within(window: str) -> tuple[Match, ...]:
    """The same unit's, of the same night or the closest within a window."""
    return (Match(level=0, same=CCD), Match(level=1, same=("unit", "ccd"), window=window))


DARKS = Task(
    name="virus_dark",
    recipe=master_dark,
    main=Main("raw", ("ZERO", "DARK"), group_by=CCD),
    targets=("calibration",),
    text="read noise, structure, dark current and bad pixels of a CCD",
)

DARK = Association("dark", ("MASTER_DARK",), _within("dark_days"), hint=f"zeros and darks {VERY}")

TRACE = Task(
    name="virus_traces",
    recipe=trace_flat,
    main=Main("raw", ("FLAT",), group_by=CCD),
    associations=(DARK,),
    targets=("calibration",),
    text="centres, profile and scattered light of a CCD's fibres, from the continuum lamp",
)

TRACES = Association("traces", ("TRACES",), _within("lamp_days"), hint=f"flats {VERY}")

ARCS = Task(
    name="virus_wavelength",
    recipe=wavelength_calibration,
    main=Main("raw", ("ARC_HG", "ARC_CD"), group_by=CCD),
    associations=(DARK, TRACES),
    targets=("calibration",),
    text="wavelengths of a CCD's fibres, from mercury and cadmium lamps",
)

WAVELENGTH = Association("wavelength", ("WAVELENGTH",), _within("lamp_days"), hint=f"Hg and Cd arcs {VERY}")

PLACES = Association("places", ("IFUCEN",), (Match(level=0),), minimum=0, hint="IFUcen_HETDEX.txt")

TWILIGHTS = Task(
    name="virus_twilight",
    recipe=twilight_spectra,
    main=Main("raw", ("TWILIGHT",), group_by=CCD),
    associations=(DARK, TRACES, WAVELENGTH, PLACES),
    targets=("calibration",),
    tags={"twilight": "TWILIGHT_SPECTRA"},
    text="spectra of a CCD's fibres under the twilight sky",
)

FLAT = Task(
    name="virus_fibre_flat",
    recipe=fibre_flat,
    main=Main("twilight", ("TWILIGHT_SPECTRA",), group_by=("night",)),
    targets=("calibration",),
    text="relative throughput of all fibres, from the twilights of all CCDs together",
)

EXTRACT = Task(
    name="virus_spectra",
    recipe=ccd_spectra,
    main=Main("raw", ("SCIENCE",), group_by=("night", "exposure", "unit", "ccd")),
    associations=(DARK, TRACES, WAVELENGTH, PLACES),
    targets=("spectra",),
    text="spectra of all fibres of a CCD of one exposure",
)

SKY = Task(
    name="virus_sky",
    recipe=sky_subtraction,
    main=Main("fibre_spectra", ("FIBRE_SPECTRA",), group_by=("night", "exposure")),
    associations=(
        Association(
            "fibre_flat",
            ("FIBRE_FLAT",),
            (Match(level=0, same=("night",)), Match(level=1, window="twilight_days")),
            hint="twilights",
        ),
    ),
    targets=("spectra",),
    text="the sky of an exposure, taken off all its fibres",
)

OBSERVATION = (Match(level=0, same=("night", "obs")),)

FIELD = Task(
    name="virus_field",
    recipe=field_calibration,
    main=Main("sky_subtracted", ("SKY_SUBTRACTED",), group_by=("night", "obs")),
    associations=(
        Association(
            "fplane",
            ("FPLANE",),
            (Match(level=0, same=("night",)), Match(level=1, window="fplane_days"), Match(level=2)),
            hint="fplane*.txt",
        ),
        Association("catalogue", ("STAR_CATALOGUE",), (Match(level=0),), hint="a table with raMean, decMean, gApMag"),
    ),
    targets=("science",),
    text="places, seeing, brightness and flux of a field, from its own stars; spectra of its sources",
)

LINES = Task(
    name="virus_lines",
    recipe=emission_lines,
    main=Main("spectra", ("SPECTRA",)),
    associations=(Association("field", ("FIELD",), OBSERVATION), Association("sources", ("SOURCES",), OBSERVATION)),
    targets=("science",),
    text="emission lines of all bundles of a field",
)

CUBE = Task(
    name="virus_cube",
    recipe=bundle_cubes,
    main=Main("spectra", ("SPECTRA",)),
    associations=(Association("field", ("FIELD",), OBSERVATION),),
    targets=("science",),
    text="a cube of every bundle, north up",
)

workflow = Workflow(
    tasks=(DARKS, TRACE, ARCS, TWILIGHTS, FLAT, EXTRACT, SKY, FIELD, LINES, CUBE),
    default_target="science",
    windows=WINDOWS,
)
