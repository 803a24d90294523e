"""The cascade of a VIRUS night: what runs on what, and which calibrations go with it.

The unit of work is a CCD of a unit, then a bundle of fibres in all exposures of an observation. Of the whole field are
throughputs, sky, astrometry and the zero point of the flux, which are found from little. Calibrations hold for the
same unit alone: slot, spectrograph, fibre bundle and controller must be those of the frame. The optics drift with
temperature by tenths of a pixel, which every exposure measures for itself; lamps and twilights of a week serve, darks
of three weeks, unless users say otherwise.
"""

from __future__ import annotations

from dataclasses import replace

from tracecube.core.workflow import Association, Main, Match, Option, Task, Window, Workflow
from tracecube.instruments.virus.detector_steps import master_dark
from tracecube.instruments.virus.field_steps import (
    bundle_cube,
    bundle_lines,
    bundle_stars,
    calibrated_spectra,
    emission_lines,
    field_calibration,
    flux_scale,
)
from tracecube.instruments.virus.lamp_steps import lamp_flat, lamp_spectra
from tracecube.instruments.virus.optics_steps import trace_flat, trace_twilight, wavelength_calibration
from tracecube.instruments.virus.science_steps import (
    bundle_spectra,
    ccd_spectra,
    exposure_sky,
    fibre_flat,
    twilight_spectra,
)
from tracecube.instruments.virus.target_steps import injected_source, target_spectra

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

TWILIGHT_TRACE = Task(
    name="virus_twilight_traces",
    recipe=trace_twilight,
    main=Main("raw", ("TWILIGHT",), group_by=CCD),
    associations=(DARK,),
    tags={"traces": "TWILIGHT_TRACES"},
    text="the same from twilights, where there is no lamp or users say so (option `traces`)",
)

TRACE_BY = Option("traces", ("lamp", "twilight"), "the light that fibres are traced on; without a lamp, the twilight's")
_ON_TWILIGHT = Match(level=2, same=("unit", "ccd"), window="twilight_days", tags=("TWILIGHT_TRACES",))
_ON_LAMP = tuple(replace(one, tags=("TRACES",)) for one in _within("lamp_days"))

TRACES = (
    Association(
        "traces",
        ("TRACES", "TWILIGHT_TRACES"),
        (*_ON_LAMP, _ON_TWILIGHT),
        hint=f"flats, or twilights, {VERY}",
        when={"traces": ("lamp",)},
    ),
    Association(
        "traces",
        ("TWILIGHT_TRACES",),
        (replace(_ON_TWILIGHT, level=0),),
        hint=f"twilights {VERY}",
        when={"traces": ("twilight",)},
    ),
)

ARCS = Task(
    name="virus_wavelength",
    recipe=wavelength_calibration,
    main=Main("raw", ("ARC_HG", "ARC_CD"), group_by=CCD),
    associations=(DARK, *TRACES),
    targets=("calibration",),
    text="wavelengths of a CCD's fibres, from mercury and cadmium lamps",
)

WAVELENGTH = Association("wavelength", ("WAVELENGTH",), _within("lamp_days"), hint=f"Hg and Cd arcs {VERY}")

PLACES = Association("places", ("IFUCEN",), (Match(level=0),), minimum=0, hint="IFUcen_HETDEX.txt")

TWILIGHTS = Task(
    name="virus_twilight",
    recipe=twilight_spectra,
    main=Main("raw", ("TWILIGHT",), group_by=CCD),
    associations=(DARK, *TRACES, WAVELENGTH, PLACES),
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

LAMPS = Task(
    name="virus_lamp",
    recipe=lamp_spectra,
    main=Main("raw", ("FLAT",), group_by=CCD),
    associations=(DARK, *TRACES, WAVELENGTH, PLACES),
    targets=("calibration",),
    tags={"lamp": "LAMP_SPECTRA"},
    text="spectra of a CCD's fibres under the continuum lamp, for nights without twilight",
)

LAMP_FLAT = Task(
    name="virus_lamp_flat",
    recipe=lamp_flat,
    main=Main("lamp", ("LAMP_SPECTRA",), group_by=("night",)),
    targets=("calibration",),
    tags={"fibre_flat": "LAMP_FIBRE_FLAT"},
    text="relative throughput of all fibres under the continuum lamp, for nights without twilight",
)

EXTRACT = Task(
    name="virus_spectra",
    recipe=ccd_spectra,
    main=Main("raw", ("SCIENCE",), group_by=("night", "exposure", "unit", "ccd")),
    associations=(DARK, *TRACES, WAVELENGTH, PLACES),
    targets=("spectra",),
    text="spectra of all fibres of a CCD of one exposure",
)

FIBRE_FLAT = Association(
    "fibre_flat",
    ("FIBRE_FLAT", "LAMP_FIBRE_FLAT"),
    (
        Match(level=0, same=("night",), tags=("FIBRE_FLAT",)),
        Match(level=1, window="twilight_days", tags=("FIBRE_FLAT",)),
        Match(level=2, same=("night",), tags=("LAMP_FIBRE_FLAT",)),
        Match(level=3, window="lamp_days", tags=("LAMP_FIBRE_FLAT",)),
    ),
    hint="twilights, or flats",
)

SKY = Task(
    name="virus_sky",
    recipe=exposure_sky,
    main=Main("fibre_spectra", ("FIBRE_SPECTRA",), group_by=("night", "exposure")),
    associations=(FIBRE_FLAT,),
    targets=("spectra",),
    text="the sky of an exposure, from all its fibres together",
)

OBSERVATION = (Match(level=0, same=("night", "obs")),)
BUNDLE = (Match(level=0, same=("night", "obs", "unit")),)

BUNDLE_SPECTRA = Task(
    name="virus_bundle",
    recipe=bundle_spectra,
    main=Main("fibre_spectra", ("FIBRE_SPECTRA",), group_by=("night", "obs", "unit")),
    associations=(Association("sky", ("SKY",), OBSERVATION, maximum=None), FIBRE_FLAT),
    targets=("spectra",),
    text="spectra of a bundle in all exposures, less the sky",
)

FPLANE = Association(
    "fplane",
    ("FPLANE",),
    (Match(level=0, same=("night",)), Match(level=1, window="fplane_days"), Match(level=2)),
    hint="fplane*.txt",
)

CATALOGUE = Association(
    "catalogue", ("STAR_CATALOGUE",), (Match(level=0),), hint="a table with raMean, decMean, gApMag"
)

FIELD = Task(
    name="virus_field",
    recipe=field_calibration,
    main=Main("fibre_bands", ("FIBRE_BANDS",), group_by=("night", "obs")),
    associations=(FPLANE, CATALOGUE),
    targets=("science",),
    text="places, seeing and brightness of a field, from its own stars",
)

IN_FIELD = Association("field", ("FIELD",), OBSERVATION)

STARS = Task(
    name="virus_stars",
    recipe=bundle_stars,
    main=Main("sky_subtracted", ("SKY_SUBTRACTED",)),
    associations=(Association("fibre_bands", ("FIBRE_BANDS",), BUNDLE), IN_FIELD, FPLANE, CATALOGUE),
    targets=("science",),
    text="places, light and spectra of a bundle's stars",
)

FLUX = Task(
    name="virus_flux",
    recipe=flux_scale,
    main=Main("bundle_stars", ("BUNDLE_STARS",), group_by=("night", "obs")),
    targets=("science",),
    text="the zero point of the flux, and the table of all sources",
)

CALIBRATED = Task(
    name="virus_calibrated",
    recipe=calibrated_spectra,
    main=Main("sky_subtracted", ("SKY_SUBTRACTED",)),
    associations=(
        IN_FIELD,
        Association("flux_scale", ("FLUX_SCALE",), OBSERVATION),
        Association("bundle_stars", ("BUNDLE_STARS",), BUNDLE),
        FPLANE,
    ),
    targets=("science",),
    text="spectra of a bundle's fibres and sources in flux, with their places",
)

IN_SOURCES = Association("sources", ("SOURCES",), OBSERVATION)

BUNDLE_LINES = Task(
    name="virus_bundle_lines",
    recipe=bundle_lines,
    main=Main("spectra", ("SPECTRA",)),
    associations=(IN_FIELD, IN_SOURCES),
    targets=("science",),
    text="emission lines of a bundle",
)

LINES = Task(
    name="virus_lines",
    recipe=emission_lines,
    main=Main("bundle_lines", ("BUNDLE_LINES",), group_by=("night", "obs")),
    targets=("science",),
    text="emission lines of all bundles of a field in one catalogue",
)

CUBE = Task(
    name="virus_cube",
    recipe=bundle_cube,
    main=Main("spectra", ("SPECTRA",)),
    associations=(IN_FIELD,),
    targets=("science",),
    text="a cube of a bundle, north up",
)

TARGET = Task(
    name="virus_target",
    recipe=target_spectra,
    main=Main("spectra", ("SPECTRA",), group_by=("night", "obs")),
    associations=(IN_FIELD, IN_SOURCES),
    text="spectra of point sources at places that are asked for, neighbours solved for together",
)

INJECT = Task(
    name="virus_inject",
    recipe=injected_source,
    main=Main("spectra", ("SPECTRA",), group_by=("night", "obs")),
    associations=(
        IN_FIELD,
        Association("model", ("SOURCE_MODEL",), (Match(level=0),), hint="a table with the columns wave and flux"),
    ),
    targets=("injected",),
    tags={"injected": "INJECTED_SPECTRA"},
    text="a simulated source of a given spectrum in the fibres",
)

INJECTED_LINES = Task(
    name="virus_injected_lines",
    recipe=bundle_lines,
    main=Main("spectra", ("INJECTED_SPECTRA",)),
    associations=(IN_FIELD, IN_SOURCES),
    targets=("injected",),
    tags={"bundle_lines": "INJECTED_LINES"},
    text="emission lines of the bundle with the simulated source",
)

INJECTED_CUBE = Task(
    name="virus_injected_cube",
    recipe=bundle_cube,
    main=Main("spectra", ("INJECTED_SPECTRA",)),
    associations=(IN_FIELD,),
    targets=("injected",),
    tags={"cube": "INJECTED_CUBE"},
    text="the cube of the bundle with the simulated source",
)

workflow = Workflow(
    tasks=(
        DARKS,
        TRACE,
        TWILIGHT_TRACE,
        ARCS,
        TWILIGHTS,
        FLAT,
        LAMPS,
        LAMP_FLAT,
        EXTRACT,
        SKY,
        BUNDLE_SPECTRA,
        FIELD,
        STARS,
        FLUX,
        CALIBRATED,
        BUNDLE_LINES,
        LINES,
        CUBE,
        TARGET,
        INJECT,
        INJECTED_LINES,
        INJECTED_CUBE,
    ),
    default_target="science",
    windows=WINDOWS,
    options=(TRACE_BY,),
)
