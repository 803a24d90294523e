"""Tasks of months rather than nights: geometry, monitoring; and the choices that go with them."""

from __future__ import annotations

from dataclasses import replace

from tracecube.core.workflow import Association, Main, Match, Namesake, Option, Task
from tracecube.instruments.muse.associations import (
    ALL_TRACES,
    ALL_WAVELENGTHS,
    BAD_PIXELS,
    BIAS,
    CHANNEL,
    FLAT,
    GEOMETRY,
    LINES,
    TRACES,
    WAVELENGTHS,
    near,
)
from tracecube.instruments.muse.astrometry_steps import astrometry
from tracecube.instruments.muse.detector_steps import master_bias
from tracecube.instruments.muse.exposure_tasks import calibrating
from tracecube.instruments.muse.geometry_steps import channel_geometry, field_geometry, mask_light
from tracecube.instruments.muse.monitoring_steps import diode_throughput, linearity_and_gain, linearity_level

__all__ = ["LONG_TERM", "LONG_TERM_OPTIONS", "LONG_TERM_PART"]

_PART = "monitoring_and_long_term_calibs"
LONG_TERM_PART = {_PART: "geometry and monitoring of the instrument, made once in a while"}

LONG_TERM_OPTIONS = (
    Option("lsfmode", ("any", "lsf", "arc", "static"), "which line-spread function is used where there are several"),
    Option("recompute_geometry", ("no", "yes"), "whether a geometry made of MASK exposures takes the table's place"),
    Option("recompute_astrometry", ("no", "yes"), "whether ASTROMETRY exposures take the place of ASTROMETRY_WCS"),
    Option("use_linearity", ("no", "yes"), "whether gain and linearity made of LINGAIN frames take the headers' place"),
    Option("use_darks", ("yes", "hot", "no"), "whether of darks hot pixels and current count, hot pixels, or nothing"),
    Option("use_skyflats", ("yes", "no"), "whether the twilight tells how evenly the sky lights the slices"),
)

_IN_LEVELS = {
    "xborder": "boxes that leave the detector are left out",
    "fluxtol": "set linearity_and_gain.fluxtol",
}

_IN_GAIN = {
    "ybox": "set linearity_level.ybox",
    "xgap": "set linearity_level.xgap",
    "signal*": "boxes are weighed by their errors; ctsmax is the brightest",
    "gainlimit": "read noise and gain are fitted together",
    "gainsigma": "set sigma",
    "ctsmin": "boxes are weighed by their errors; ctsmax is the brightest",
    "ctsbin": "boxes are weighed by their errors, not binned",
    "linear*": "the polynomial is 1 at no light",
}

MASKS = Task(
    name="geometry_light",
    recipe=mask_light,
    main=Main("raw", ("MASK",)),
    associations=(BIAS, FLAT, TRACES, WAVELENGTHS, LINES),
    subworkflow=_PART,
    text="light along the slices of a channel through pinholes, in one step of the mask",
)

CHANNELS = Task(
    name="geometry_channel",
    recipe=channel_geometry,
    main=Main("masks", ("MASK_LIGHT",), group_by=("night", "mode", *CHANNEL), minimum=5),
    subworkflow=_PART,
    text="slices of a channel on the grid of pinholes",
)

GEOMETRIES = Task(
    name="geometry",
    recipe=field_geometry,
    main=Main("channels", ("CHANNEL_GEOMETRY",), group_by=("night", "mode")),
    subworkflow=_PART,
    namesake=Namesake(
        "muse_geometry",
        {
            "sigma": "lines are those of the catalogue that stand alone, each weighed by its light",
            "centroid": "the grid of pinholes is fitted to all steps at once",
        },
    ),
    text="where the slices of all channels lie in the field",
)

LEVEL_BIASES = Task(
    name="linearity_bias",
    recipe=master_bias,
    main=Main("raw", ("LINGAIN_LAMP_OFF",), group_by=("night", *CHANNEL), minimum=2),
    associations=(BAD_PIXELS,),
    subworkflow=_PART,
    tags={"master_bias": "LINEARITY_BIAS"},
    text="bias beside the linearity frames of a channel",
)

LEVELS = Task(
    name="linearity_level",
    recipe=linearity_level,
    main=Main("raw", ("LINGAIN_LAMP_ON",), group_by=("night", "seconds", *CHANNEL), minimum=2),
    associations=(
        Association(
            "bias",
            ("LINEARITY_BIAS",),
            (Match(level=0, same=("night", *CHANNEL)), Match(level=1, same=CHANNEL, days=(-30.0, 30.0))),
            hint="LINGAIN_LAMP_OFF of this channel",
        ),
    ),
    subworkflow=_PART,
    namesake=Namesake("muse_lingain", _IN_LEVELS),
    text="light and noise along the slices of a channel, in exposures of one length",
)

LINEARITIES = Task(
    name="linearity_and_gain",
    recipe=linearity_and_gain,
    main=Main("levels", ("LINEARITY_LEVEL",), group_by=("night", *CHANNEL), minimum=3),
    subworkflow=_PART,
    namesake=Namesake("muse_lingain", _IN_GAIN),
    text="gain, read noise and linearity of the outputs of a channel",
)

THROUGHPUTS = Task(
    name="throughput",
    recipe=diode_throughput,
    main=Main("raw", ("AMPL",), group_by=("night", "mode", *CHANNEL)),
    associations=(
        BIAS,
        replace(TRACES, ladder=near(*CHANNEL, days=30.0)),
        replace(WAVELENGTHS, ladder=near(*CHANNEL, days=30.0)),
        Association("filter_list", ("FILTER_LIST",), (Match(level=0),), hint="FILTER_LIST with the diode's filter"),
    ),
    subworkflow=_PART,
    namesake=Namesake(
        "muse_ampl",
        {
            "temp": "light is counted in the band of the filter; no spectrum of the lamp is assumed",
            "save*": "the throughput of each slice is always kept",
        },
    ),
    text="light of a channel against the current of the photodiode",
)

ASTROMETRY_EXPOSURES = calibrating(
    "preprocess_astrometry", "ASTROMETRY", "an astrometric field over the flat, on its pixels", subworkflow=_PART
)

ASTROMETRIES = Task(
    name="astrometry",
    recipe=astrometry,
    main=Main("exposures", ("CALIBRATED_ASTROMETRY",), group_by=("night", "mode", "exposure")),
    associations=(
        ALL_TRACES,
        ALL_WAVELENGTHS,
        *GEOMETRY,
        Association(
            "astrometry_reference",
            ("ASTROMETRY_REFERENCE",),
            (Match(level=0),),
            hint="ASTROMETRY_REFERENCE, the stars of the field",
        ),
    ),
    subworkflow=_PART,
    namesake=Namesake(
        "muse_astrometry",
        {
            "centroid": "all stars share one Moffat function, fitted to the columns of slices",
            "niter": "stars that do not fit are given up until none is left",
            "rejsigma": "stars that do not fit are given up by the scatter of the others",
            "rotcenter": "the centre is measured",
            "lambdaref": "refraction is taken off for 7000 A",
            "darcheck": "refraction is taken off by theory",
        },
    ),
    text="scale, turn and centre of the field, from stars whose places are known",
)

LONG_TERM = (
    MASKS,
    CHANNELS,
    GEOMETRIES,
    LEVEL_BIASES,
    LEVELS,
    LINEARITIES,
    THROUGHPUTS,
    ASTROMETRY_EXPOSURES,
    ASTROMETRIES,
)
