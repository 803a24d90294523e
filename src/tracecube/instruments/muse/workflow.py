"""The cascade of a MUSE night: what runs on what, and which calibrations go with it.

Most tasks run once a channel: a raw file holds 24 of them, and each is an input of its own.
"""

from __future__ import annotations

from dataclasses import replace

from tracecube.core.fields import Scalar
from tracecube.core.workflow import Association, Main, Match, Option, Task, Workflow
from tracecube.instruments.muse.associations import (
    ALL_LSF,
    ALL_TRACES,
    ALL_WAVELENGTHS,
    ASTROMETRY,
    BAD_PIXELS,
    BIAS,
    CHANNEL,
    DARK,
    FLAT,
    GEOMETRY,
    LINEARITY,
    LINES,
    TRACES,
    WAVELENGTHS,
    of_all,
)
from tracecube.instruments.muse.detector_steps import lamp_flat, master_bias, master_dark
from tracecube.instruments.muse.exposure_steps import twilight_light
from tracecube.instruments.muse.exposure_tasks import calibrating
from tracecube.instruments.muse.field_tasks import FACTORS, FIELDS, OPTIONS, factor_rules, field_tasks
from tracecube.instruments.muse.flux_steps import standard_response
from tracecube.instruments.muse.given import GIVEN_TASKS, with_given
from tracecube.instruments.muse.long_term import LONG_TERM, LONG_TERM_OPTIONS, LONG_TERM_PART
from tracecube.instruments.muse.modes import LASER_MODES
from tracecube.instruments.muse.namesakes import NAMESAKES
from tracecube.instruments.muse.optics_steps import line_spread_function, wavelength_calibration
from tracecube.instruments.muse.parts import ALSO_CALLED, PART_OF, PARTS
from tracecube.instruments.muse.raman_steps import raman_light
from tracecube.instruments.muse.sky_steps import sky_model
from tracecube.instruments.muse.twilight_steps import twilight_image

__all__ = ["workflow"]

BIASES = Task(
    name="bias",
    recipe=master_bias,
    main=Main("raw", ("BIAS",), group_by=("night", *CHANNEL)),
    associations=(BAD_PIXELS, LINEARITY),
    targets=("calibration",),
    text="structure of the bias and read noise of a channel",
)

DARKS = Task(
    name="dark",
    recipe=master_dark,
    main=Main("raw", ("DARK",), group_by=("night", *CHANNEL)),
    associations=(BIAS,),
    targets=("calibration",),
    text="hot pixels and dark current of a channel",
)

FLATS = Task(
    name="lamp_flat",
    recipe=lamp_flat,
    main=Main("raw", ("FLAT",), group_by=("night", "mode", *CHANNEL)),
    associations=(BIAS, DARK),
    targets=("calibration",),
    text="response of pixels and slices of a channel, and where the slices lie",
)

ARCS = Task(
    name="arc",
    recipe=wavelength_calibration,
    main=Main("raw", ("ARC",), group_by=("night", "mode", *CHANNEL)),
    associations=(BIAS, TRACES, LINES),
    targets=("calibration",),
    text="wavelengths of a channel, from mercury, cadmium, neon and xenon",
)

LSF_ARCS = Task(
    name="line_spread_function_arc",
    recipe=line_spread_function,
    main=Main("raw", ("ARC",), group_by=("night", "mode", *CHANNEL)),
    associations=(BIAS, replace(FLAT, ladder=TRACES.ladder), TRACES, WAVELENGTHS, LINES),
    targets=("calibration",),
    text="line-spread function of a channel, from the arcs",
)

DEDICATED_LSF = replace(
    LSF_ARCS,
    name="line_spread_function_lsf",
    main=Main("raw", ("ARC_LSF",), group_by=("night", "mode", *CHANNEL)),
    tags={"lsf": "LSF_DEDICATED"},
    text="line-spread function of a channel, from arcs taken for it",
)

TWILIGHTS = Task(
    name="sky_flat",
    recipe=twilight_light,
    main=Main("raw", ("SKYFLAT",), group_by=("night", "mode", *CHANNEL)),
    associations=(BIAS, replace(FLAT, ladder=TRACES.ladder), TRACES, WAVELENGTHS, *GEOMETRY),
    targets=("calibration",),
    tags={"twilight": "TWILIGHT", "colours": "TWILIGHT_COLOURS"},
    text="how evenly the sky lights the slices of a channel",
)


TWILIGHT_IMAGES = Task(
    name="twilight_image",
    recipe=twilight_image,
    main=Main("twilights", ("TWILIGHT",), group_by=("night", "mode")),
    associations=(
        Association("colours", ("TWILIGHT_COLOURS",), (Match(level=0, same=("night", "mode")),), maximum=None),
        *GEOMETRY,
        Association("vignetting", ("VIGNETTING_MASK",), (Match(level=0),), minimum=0),
    ),
    targets=("calibration",),
    text="how evenly the sky lights the field, all channels together, and how that changes with wavelength",
)

STANDARDS = calibrating("preprocess_standard", "STD", "a standard star over the flat, on its pixels", target="response")
SKIES = calibrating("preprocess_sky", "SKY", "an exposure of the sky over the flat, on its pixels", target="sky")
OBJECTS = calibrating("preprocess_science", "OBJECT", "an exposure over the flat, on its pixels", target="science")

SKY_LINES = Association("sky_lines", ("SKY_LINES",), (Match(level=0),), minimum=0, hint="SKY_LINES of the observatory")


SKY_MASKS = Association("masks", ("USER_SKY_MASK",), (Match(level=0),), minimum=0, maximum=None)
SKY_EXPOSURE = Association(
    "sky_exposure",
    ("SKY_SKY",),
    (
        Match(level=0, same=("night", "mode")),
        Match(level=1, same=("mode",), days=(-1.0, 1.0)),
    ),
    minimum=0,
    when={"skysubtraction": ("auto", "model", "subtract-model")},
)
SKYSUBTRACTION = Option(
    "skysubtraction",
    ("auto", "own", "model", "subtract-model", "simple", "none"),
    "whose sky is subtracted: own, or where objects fill the field that of the closest SKY with lines refitted (model)",
    sets={"science_sky": "method"},
)


def _skies(name: str, tag: str, target: str, **params: Scalar) -> Task:
    """Return the task that fits the sky of the exposures of one kind."""
    return Task(
        name=name,
        recipe=sky_model,
        main=Main("segments", (f"SEGMENTS_{tag}",), group_by=("night", "exposure")),
        associations=(SKY_LINES, SKY_MASKS, *ASTROMETRY, *((SKY_EXPOSURE,) if tag == "OBJECT" else ())),
        targets=(target,),
        tags={"sky": f"SKY_{tag}"},
        params=params,
        text="spectrum of the sky, and brightness and shift of each slice, from all channels of an exposure",
    )


SKY_OF_SKY = _skies("sky", "SKY", "sky", fraction=0.75, method="own")
SKY_OF_OBJECT = _skies("science_sky", "OBJECT", "science")


def _of_exposure(argument: str, tag: str, *, several: bool = True) -> Association:
    """Return what was made of the same exposure."""
    return Association(argument, (tag,), (Match(level=0, same=("night", "exposure")),), maximum=None if several else 1)


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
        of_all("flats", "MASTER_FLAT", hint="lamp flats of all channels", flat=True),
        *GEOMETRY,
        STD_TABLE,
        EXTINCTION,
        Association("telluric_regions", ("TELLURIC_REGIONS",), (Match(level=0),), minimum=0),
    ),
    targets=("response",),
    text="response, and bands of the atmosphere, from a standard star",
)

_RESPONSE = (
    Match(level=0, same=("night", "mode")),
    Match(level=1, same=("mode",), days=(-3.0, 3.0)),
    Match(level=2, same=("mode",), days=(-30.0, 30.0)),
)

RAMAN = Task(
    name="raman",
    recipe=raman_light,
    main=Main("segments", ("SEGMENTS_OBJECT",), group_by=("night", "exposure"), where={"mode": LASER_MODES}),
    associations=(
        _of_exposure("sky", "SKY_OBJECT", several=False),
        Association("raman_lines", ("RAMAN_LINES",), (Match(level=0),), hint="RAMAN_LINES of the observatory"),
        *ALL_LSF,
    ),
    text="lines of the laser that the air scatters, over the field",
)


def _cube_rules(kind: str) -> tuple[Association, ...]:
    """Return what the cube of an exposure is made with."""
    return (
        _of_exposure("sky", f"SKY_{kind}", several=False),
        replace(_of_exposure("raman", "RAMAN", several=False), minimum=0),
        ALL_TRACES,
        ALL_WAVELENGTHS,
        *GEOMETRY,
        *ASTROMETRY,
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
        DEDICATED_LSF,
        TWILIGHTS,
        TWILIGHT_IMAGES,
        STANDARDS,
        RESPONSES,
        SKIES,
        SKY_OF_SKY,
        OBJECTS,
        SKY_OF_OBJECT,
        *FACTORS,
        RAMAN,
        *field_tasks(_cube_rules),
        *LONG_TERM,
    ),
    default_target="science",
    subworkflows={**PARTS, **LONG_TERM_PART},
    options=(*OPTIONS, *LONG_TERM_OPTIONS, SKYSUBTRACTION),
    fields=FIELDS,
)
_NAMED = [
    replace(
        task,
        namesake=NAMESAKES.get(task.name, task.namesake),
        subworkflow=PART_OF.get(task.name, task.subworkflow),
        targets=(*task.targets, *ALSO_CALLED.get(task.name, ())),
    )
    for task in with_given(workflow.tasks)
]
workflow = replace(workflow, tasks=(*_NAMED, *GIVEN_TASKS))
