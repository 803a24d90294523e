"""The cascade of a SED Machine night: what runs on what, and which calibrations go with it.

Ladders: level 0 is the calibration plan (same night), 1 within two weeks, 2 within two months, 3
whatever there is. A level that has no rung is not acceptable: traces of another night are, with
flexure measured anyway; an arc of last year is not.
"""

from __future__ import annotations

from tracecube.core.workflow import Association, Main, Match, Task, Workflow
from tracecube.instruments.sedm.detector_steps import master_bias, static_badpix
from tracecube.instruments.sedm.ifu_steps import ifu
from tracecube.instruments.sedm.optics_steps import lenslet_flat, trace_domes, wavelength_calibration
from tracecube.instruments.sedm.star_steps import extract_star, flux_calibration, response
from tracecube.instruments.sedm.type_steps import classify

__all__ = ["SAME_EXPOSURE", "SAME_NIGHT_FIRST", "SAME_READOUT_FIRST", "workflow"]

SAME_NIGHT_FIRST = (
    Match(level=0, same=("night",)),
    Match(level=1, days=(-14.0, 14.0)),
    Match(level=2, days=(-60.0, 60.0)),
)
"""Optics: they move by little from night to night."""

SAME_READOUT_FIRST = (
    Match(level=0, same=("night", "speed", "generation")),
    Match(level=1, same=("speed", "generation"), days=(-14.0, 14.0)),
    Match(level=2, same=("speed", "generation"), days=(-60.0, 60.0)),
)
"""Electronics: never of another camera or speed."""

SAME_EXPOSURE = (Match(level=0, same=("night", "raw")),)
"""What was found of the same raw frame."""

BIAS = Task(
    name="bias",
    recipe=master_bias,
    main=Main("raw", ("BIAS",), group_by=("night", "speed", "generation"), minimum=2),
    targets=("calibration",),
    text="master bias and read noise of a readout mode",
)

MASTER_BIAS = Association(
    "master_bias", ("MASTER_BIAS",), SAME_READOUT_FIRST, hint="at least 2 biases (EXPTIME 0) at this readout speed"
)
STATIC_BADPIX = Association(
    "static_badpix", ("STATIC_BADPIX",), SAME_READOUT_FIRST, minimum=0, hint="domes, arcs or a twilight"
)
TRACES = Association("traces", ("TRACES",), SAME_NIGHT_FIRST, hint="dome flats")
WAVELENGTH = Association("wavelength", ("WAVELENGTH",), SAME_NIGHT_FIRST, hint="Hg, Cd or Xe arcs")
LAYOUT = Association("layout", ("LAYOUT",), SAME_NIGHT_FIRST, hint="dome flats")
DOME = Association("master_dome", ("MASTER_DOME",), SAME_NIGHT_FIRST, hint="dome flats")
FLAT = Association("lenslet_flat", ("LENSLET_FLAT",), SAME_NIGHT_FIRST, hint="dome flats and arcs")
TWILIGHT = Association("twilight", ("TWILIGHT",), SAME_NIGHT_FIRST[:1], minimum=0, maximum=None)

BADPIX = Task(
    name="static_badpix",
    recipe=static_badpix,
    main=Main(
        "raw", ("DOME", "ARC_HG", "ARC_CD", "ARC_XE", "TWILIGHT"), group_by=("night", "speed", "generation"), minimum=2
    ),
    associations=(MASTER_BIAS,),
    targets=("calibration",),
    text="hot pixels and bad columns of a readout mode",
)

DOMES = Task(
    name="traces",
    recipe=trace_domes,
    main=Main("raw", ("DOME",), group_by=("night", "speed", "generation")),
    associations=(MASTER_BIAS,),
    targets=("calibration",),
    text="where the light of each lenslet falls, from the dome flats",
)

ARCS = Task(
    name="wavelength_calibration",
    recipe=wavelength_calibration,
    main=Main("raw", ("ARC_HG", "ARC_CD", "ARC_XE"), group_by=("night", "speed", "generation")),
    associations=(MASTER_BIAS, TRACES),
    targets=("calibration",),
    text="wavelengths of all spectra, from the arc lamps",
)

LENSLETS = Task(
    name="lenslet_flat",
    recipe=lenslet_flat,
    main=Main("master_dome", ("MASTER_DOME",)),
    associations=(TWILIGHT, MASTER_BIAS, TRACES, WAVELENGTH, LAYOUT),
    targets=("calibration",),
    text="relative throughput of the lenslets, from dome and twilight",
)

IFU = Task(
    name="ifu",
    recipe=ifu,
    main=Main("raw", ("SCIENCE", "STANDARD")),
    associations=(MASTER_BIAS, STATIC_BADPIX, DOME, TRACES, WAVELENGTH, FLAT, LAYOUT),
    targets=("spectra",),
    text="spectra of all lenslets and cube of one exposure",
)

GUIDER = Association("guider", ("GUIDER",), (Match(level=0, during=True),), minimum=0, maximum=None)
CATALOGUE = Association("catalogue", ("STAR_CATALOGUE",), (Match(level=0),), minimum=0)
STANDARDS = Association("standards", ("STANDARD_TARGET",), SAME_NIGHT_FIRST[:1], minimum=0, maximum=None)
VERDICT = Association("target", ("TARGET", "STANDARD_TARGET"), SAME_EXPOSURE, minimum=0)
RESPONSE = Association("response", ("RESPONSE",), SAME_NIGHT_FIRST, hint="a standard star (OBJECT STD-...)")

STANDARD_STARS = Task(
    name="extract_standard",
    recipe=extract_star,
    main=Main("spectra", ("SPECTRA",), where={"raw_tag": ("STANDARD",)}),
    associations=(GUIDER, CATALOGUE),
    targets=("uncalibrated",),
    tags={"target": "STANDARD_TARGET"},
    text="spectrum of a standard star in electrons, and how guider and spectrograph are aligned",
)

STARS = Task(
    name="extract_star",
    recipe=extract_star,
    main=Main("spectra", ("SPECTRA",), where={"raw_tag": ("SCIENCE",)}),
    associations=(GUIDER, CATALOGUE, STANDARDS),
    targets=("uncalibrated", "science"),
    text="spectrum of a target in electrons, with its quality code",
)

NIGHT_RESPONSE = Task(
    name="response",
    recipe=response,
    main=Main("spectrum_uncal", ("SPECTRUM_UNCAL",), group_by=("night",), where={"raw_tag": ("STANDARD",)}),
    targets=("calibration",),
    text="electrons per erg, from all standards of a night together",
)

FLUXCAL = Task(
    name="fluxcal",
    recipe=flux_calibration,
    main=Main("spectrum_uncal", ("SPECTRUM_UNCAL",)),
    associations=(RESPONSE,),
    targets=("calibrated",),
    text="spectrum above the atmosphere",
)

CLASSIFY = Task(
    name="classify",
    recipe=classify,
    main=Main("spectrum", ("SPECTRUM",)),
    associations=(VERDICT,),
    targets=("science",),
    text="type, redshift and age of a target, and the text form of its spectrum",
)

workflow = Workflow(
    tasks=(BIAS, BADPIX, DOMES, ARCS, LENSLETS, IFU, STANDARD_STARS, STARS, NIGHT_RESPONSE, FLUXCAL, CLASSIFY),
    default_target="science",
)
