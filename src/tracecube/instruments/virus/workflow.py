"""The cascade of a VIRUS night: what runs on what, and which calibrations go with it.

The unit of work is a CCD of a unit, then a bundle of fibres in all exposures of an observation. Of the whole field are
throughputs, sky, astrometry and the zero point of the flux, which are found from little. Calibrations hold for the
same unit alone: slot, spectrograph, fibre bundle and controller must be those of the frame. The optics drift with
temperature by tenths of a pixel, which every exposure measures for itself; lamps and twilights of a week serve, darks
of three weeks.
"""

from __future__ import annotations

from tracecube.core.workflow import Association, Main, Match, Task, Workflow
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
from tracecube.instruments.virus.optics_steps import trace_flat, wavelength_calibration
from tracecube.instruments.virus.science_steps import (
    bundle_spectra,
    ccd_spectra,
    exposure_sky,
    fibre_flat,
    twilight_spectra,
)

__all__ = ["workflow"]

CCD = ("night", "unit", "ccd")


def _within(days: float) -> tuple[Match, ...]:
    """The same unit's, of the same night or within a window."""
    return (
        Match(level=0, same=CCD),
        Match(level=1, same=("unit", "ccd"), days=(-days, days)),
    )


DARKS = Task(
    name="virus_dark",
    recipe=master_dark,
    main=Main("raw", ("ZERO", "DARK"), group_by=CCD),
    targets=("calibration",),
    text="read noise, structure, dark current and bad pixels of a CCD",
)

DARK = Association("dark", ("MASTER_DARK",), _within(21.0), hint="zeros and darks of this very unit")

TRACE = Task(
    name="virus_traces",
    recipe=trace_flat,
    main=Main("raw", ("FLAT",), group_by=CCD),
    associations=(DARK,),
    targets=("calibration",),
    text="centres, profile and scattered light of a CCD's fibres, from the continuum lamp",
)

TRACES = Association("traces", ("TRACES",), _within(7.0), hint="flats of this very unit")

ARCS = Task(
    name="virus_wavelength",
    recipe=wavelength_calibration,
    main=Main("raw", ("ARC_HG", "ARC_CD"), group_by=CCD),
    associations=(DARK, TRACES),
    targets=("calibration",),
    text="wavelengths of a CCD's fibres, from mercury and cadmium lamps",
)

WAVELENGTH = Association("wavelength", ("WAVELENGTH",), _within(7.0), hint="Hg and Cd arcs of this very unit")

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

FIBRE_FLAT = Association(
    "fibre_flat",
    ("FIBRE_FLAT",),
    (Match(level=0, same=("night",)), Match(level=1, days=(-7.0, 7.0))),
    hint="twilights",
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
    (Match(level=0, same=("night",)), Match(level=1, days=(-30.0, 30.0)), Match(level=2)),
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

BUNDLE_LINES = Task(
    name="virus_bundle_lines",
    recipe=bundle_lines,
    main=Main("spectra", ("SPECTRA",)),
    associations=(IN_FIELD, Association("sources", ("SOURCES",), OBSERVATION)),
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

workflow = Workflow(
    tasks=(
        DARKS,
        TRACE,
        ARCS,
        TWILIGHTS,
        FLAT,
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
    ),
    default_target="science",
)
