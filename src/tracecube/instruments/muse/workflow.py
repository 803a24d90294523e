"""The cascade of a MUSE night: what runs on what, and which calibrations go with it.

Most tasks run once a channel: a raw file holds 24 of them, and each is an input of its own.
"""

from __future__ import annotations

from tracecube.core.workflow import Association, Main, Match, Option, Task, Workflow
from tracecube.instruments.muse.detector_steps import lamp_flat, master_bias, master_dark
from tracecube.instruments.muse.exposure_steps import preprocess, twilight_light
from tracecube.instruments.muse.field_tasks import FACTORS, FIELDS, OPTIONS, factor_rules, field_tasks
from tracecube.instruments.muse.flux_steps import standard_response
from tracecube.instruments.muse.optics_steps import line_spread_function, wavelength_calibration
from tracecube.instruments.muse.sky_steps import sky_model

__all__ = ["workflow"]

_CHANNEL = ("readout", "detector")


def near(*same: str, days: float = 1.0) -> tuple[Match, ...]:
    """Return the ladder of a daily calibration: of the night, of a day around, of a month, of any time."""
    return (
        Match(level=0, same=("night", *same)),
        Match(level=0, same=same, days=(-days, days)),
        Match(level=1, same=same, days=(-30.0, 30.0)),
        Match(level=3, same=same),
    )


BIASES = Task(
    name="bias",
    recipe=master_bias,
    main=Main("raw", ("BIAS",), group_by=("night", *_CHANNEL)),
    targets=("calibration",),
    text="structure of the bias and read noise of a channel",
)

BIAS = Association("bias", ("MASTER_BIAS",), near(*_CHANNEL), hint="biases of this channel")

DARKS = Task(
    name="dark",
    recipe=master_dark,
    main=Main("raw", ("DARK",), group_by=("night", *_CHANNEL)),
    associations=(BIAS,),
    targets=("calibration",),
    text="hot pixels and dark current of a channel",
)

USE_DARKS = Option("use_darks", ("yes", "no"), "whether hot pixels are those of the darks too")

DARK = Association("dark", ("MASTER_DARK",), near(*_CHANNEL, days=60.0), minimum=0, when={"use_darks": ("yes",)})

FLATS = Task(
    name="lamp_flat",
    recipe=lamp_flat,
    main=Main("raw", ("FLAT",), group_by=("night", "mode", *_CHANNEL)),
    associations=(BIAS, DARK),
    targets=("calibration",),
    text="response of pixels and slices of a channel, and where the slices lie",
)

TRACES = Association("traces", ("TRACES",), near("mode", *_CHANNEL), hint="lamp flats of this channel")

LINES = Association("line_catalog", ("LINE_CATALOG",), (Match(level=0),), hint="LINE_CATALOG of the observatory")

ARCS = Task(
    name="arc",
    recipe=wavelength_calibration,
    main=Main("raw", ("ARC",), group_by=("night", "mode", *_CHANNEL)),
    associations=(BIAS, TRACES, LINES),
    targets=("calibration",),
    text="wavelengths of a channel, from mercury, cadmium, neon and xenon",
)

FLAT = Association("flat", ("MASTER_FLAT",), near("mode", *_CHANNEL), hint="lamp flats of this channel")

WAVELENGTHS = Association("wavelengths", ("WAVELENGTHS",), near("mode", *_CHANNEL), hint="arcs of this channel")

LSF_ARCS = Task(
    name="line_spread_function_arc",
    recipe=line_spread_function,
    main=Main("raw", ("ARC",), group_by=("night", "mode", *_CHANNEL)),
    associations=(BIAS, FLAT, TRACES, WAVELENGTHS, LINES),
    targets=("calibration",),
    text="line-spread function of a channel, from the arcs",
)

GEOMETRY = Association("geometry", ("GEOMETRY_TABLE",), (Match(level=0),), hint="GEOMETRY_TABLE of the observatory")

TWILIGHTS = Task(
    name="sky_flat",
    recipe=twilight_light,
    main=Main("raw", ("SKYFLAT",), group_by=("night", "mode", *_CHANNEL)),
    associations=(BIAS, FLAT, TRACES, WAVELENGTHS, GEOMETRY),
    targets=("calibration",),
    tags={"twilight": "TWILIGHT"},
    text="how evenly the sky lights the slices of a channel",
)

TWILIGHT = Association("twilight", ("TWILIGHT",), near("mode", *_CHANNEL, days=7.0), minimum=0)

ILLUM = Association(
    "illum",
    ("ILLUM",),
    (
        Match(level=0, same=("mode", *_CHANNEL), days=(-0.1, 0.1)),
        Match(level=1, same=("night", "mode", *_CHANNEL)),
    ),
    minimum=0,
)


def _exposures(name: str, tag: str, target: str, text: str) -> Task:
    """Return the task that calibrates the exposures of one kind, a channel at a time."""
    return Task(
        name=name,
        recipe=preprocess,
        main=Main("raw", (tag,)),
        associations=(BIAS, DARK, FLAT, TRACES, WAVELENGTHS, GEOMETRY, ILLUM, TWILIGHT),
        targets=(target,),
        tags={"preprocessed": f"CALIBRATED_{tag}", "segments": f"SEGMENTS_{tag}"},
        text=text,
    )


STANDARDS = _exposures("preprocess_standard", "STD", "response", "a standard star over the flat, on its pixels")
SKIES = _exposures("preprocess_sky", "SKY", "sky", "an exposure of the sky over the flat, on its pixels")
OBJECTS = _exposures("preprocess_science", "OBJECT", "science", "an exposure over the flat, on its pixels")

SKY_LINES = Association("sky_lines", ("SKY_LINES",), (Match(level=0),), minimum=0, hint="SKY_LINES of the observatory")


def _skies(name: str, tag: str, target: str) -> Task:
    """Return the task that fits the sky of the exposures of one kind."""
    return Task(
        name=name,
        recipe=sky_model,
        main=Main("segments", (f"SEGMENTS_{tag}",), group_by=("night", "exposure")),
        associations=(SKY_LINES,),
        targets=(target,),
        tags={"sky": f"SKY_{tag}"},
        text="spectrum of the sky, and brightness and shift of each slice, from all channels of an exposure",
    )


SKY_OF_SKY = _skies("sky", "SKY", "sky")
SKY_OF_OBJECT = _skies("science_sky", "OBJECT", "science")


def _all(argument: str, tag: str, *same: str, hint: str = "") -> Association:
    """Return the products of one kind of all channels."""
    ladder = (
        Match(level=0, same=("night", *same)),
        Match(level=1, same=same, days=(-30.0, 30.0)),
    )
    return Association(argument, (tag,), ladder, maximum=None, hint=hint)


def _of_exposure(argument: str, tag: str, *, several: bool = True) -> Association:
    """Return what was made of the same exposure."""
    return Association(argument, (tag,), (Match(level=0, same=("night", "exposure")),), maximum=None if several else 1)


ALL_TRACES = _all("traces", "TRACES", "mode", hint="lamp flats of all channels")
ALL_WAVELENGTHS = _all("wavelengths", "WAVELENGTHS", "mode", hint="arcs of all channels")
STD_TABLE = Association("std_flux_table", ("STD_FLUX_TABLE",), (Match(level=0),), minimum=0)
EXTINCTION = Association("extinct_table", ("EXTINCT_TABLE",), (Match(level=0),), minimum=0)

RESPONSES = Task(
    name="response",
    recipe=standard_response,
    main=Main("exposures", ("CALIBRATED_STD",), group_by=("night", "exposure")),
    associations=(
        _of_exposure("segments", "SEGMENTS_STD"),
        ALL_TRACES,
        ALL_WAVELENGTHS,
        _all("flats", "MASTER_FLAT", "mode", hint="lamp flats of all channels"),
        GEOMETRY,
        STD_TABLE,
        EXTINCTION,
    ),
    targets=("response",),
    text="response, and bands of the atmosphere, from a standard star",
)

_RESPONSE = (
    Match(level=0, same=("night", "mode")),
    Match(level=1, same=("mode",), days=(-3.0, 3.0)),
    Match(level=2, same=("mode",), days=(-30.0, 30.0)),
)


def _cube_rules(kind: str) -> tuple[Association, ...]:
    """Return what the cube of an exposure is made with."""
    return (
        _of_exposure("sky", f"SKY_{kind}", several=False),
        ALL_TRACES,
        ALL_WAVELENGTHS,
        GEOMETRY,
        Association("response", ("RESPONSE",), _RESPONSE, hint="a standard star"),
        Association(
            "telluric",
            ("TELLURIC",),
            _RESPONSE,
            minimum=0,
            hint="a standard star",
            when={"telluric_correction": ("yes",)},
        ),
        EXTINCTION,
        *factor_rules(kind),
    )


workflow = Workflow(
    tasks=(
        BIASES,
        DARKS,
        FLATS,
        ARCS,
        LSF_ARCS,
        TWILIGHTS,
        STANDARDS,
        RESPONSES,
        SKIES,
        SKY_OF_SKY,
        OBJECTS,
        SKY_OF_OBJECT,
        *FACTORS,
        *field_tasks(_cube_rules),
    ),
    default_target="science",
    options=(*OPTIONS, USE_DARKS),
    fields=FIELDS,
)
