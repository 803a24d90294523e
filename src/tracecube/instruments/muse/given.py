"""Tasks that take products of ESO's pipeline, and which of our inputs these take the place of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tracecube.core.recipe import Recipe
from tracecube.core.workflow import Association, Instead, Main, Match, Task
from tracecube.instruments.muse.associations import (
    BAD_PIXELS,
    CHANNEL,
    GEOMETRY,
    LINEARITY,
    OPTICS,
    TRACES,
    TWILIGHT,
    WAVELENGTHS,
    in_mode,
    near,
)
from tracecube.instruments.muse.field_tasks import FIELD_GROUP, FILTERS
from tracecube.instruments.muse.given_fields import given_cube, given_cube_aligned, given_image
from tracecube.instruments.muse.given_pixels import given_pixels
from tracecube.instruments.muse.given_reduced import given_reduced, given_reduced_aligned
from tracecube.instruments.muse.given_steps import (
    given_bias,
    given_dark,
    given_flat,
    given_response,
    given_telluric,
    given_traces,
    given_waves,
)
from tracecube.instruments.muse.given_twilight import given_field_colours, given_twilight

__all__ = ["GIVEN_TASKS", "with_given"]

_LEVEL = 1  # of what was made by another pipeline: good for science, but not our own


def _near(tag: str, *same: str) -> dict[str, Instead]:
    return {tag: Instead((f"GIVEN_{tag}",), Match(level=_LEVEL, same=same), key="detector")}


_INSTEAD = {
    **_near("MASTER_BIAS", "detector"),
    **_near("MASTER_DARK", "detector"),
    **_near("MASTER_FLAT", "mode", "detector"),
    **_near("TRACES", *OPTICS, "detector"),
    **_near("WAVELENGTHS", *OPTICS, "detector"),
    **_near("TWILIGHT", *OPTICS, "detector"),
    **_near("FIELD_COLOURS", *OPTICS),
    **_near("RESPONSE", "mode"),
    **_near("TELLURIC", "mode"),
}
"""Tag of our product -> what takes its place."""


def with_given(tasks: Sequence[Task]) -> tuple[Task, ...]:
    """Return the tasks with what is given in the place of what we would make."""
    return tuple(replace(task, associations=tuple(_rule(rule) for rule in task.associations)) for task in tasks)


def _rule(rule: Association) -> Association:
    """Return a rule that takes what is given first; one for all channels asks for no particular one."""
    found = next((_INSTEAD[tag] for tag in rule.tags if tag in _INSTEAD), None)
    if found is None:
        return rule
    if rule.maximum is None:
        same = tuple(key for key in found.match.same if key != "detector")
        found = replace(found, match=replace(found.match, same=same))
    return replace(rule, tags=(*rule.tags, *found.tags), instead=found)


def _whenever(*same: str) -> tuple[Match, ...]:
    return (Match(level=0, same=("night", *same)), Match(level=0, same=same))


def _one(argument: str, tag: str) -> Association:
    return _rule(Association(argument, (tag,), in_mode(_whenever, *CHANNEL)))


def _all(argument: str, tag: str) -> Association:
    return _rule(Association(argument, (tag,), near("mode") if tag == "MASTER_FLAT" else in_mode(near), maximum=None))


def _task(name: str, tag: str, output: str, recipe: Recipe, text: str, *rules: Association) -> Task:
    """Return the task that takes one kind of product."""
    return Task(
        name=name,
        recipe=recipe,
        main=Main("raw", (f"ESO_{tag}",)),
        associations=rules,
        tags={output: f"GIVEN_{tag if output == 'frame' else output.upper()}"},
        text=text,
    )


def _pixels(tag: str) -> Task:
    """Return the task that takes the pixel tables of one kind of exposures, one a channel."""
    return Task(
        name=f"given_pixels_{tag.lower()}",
        recipe=given_pixels,
        main=Main("raw", (f"ESO_PIXTABLE_{tag}",)),
        associations=(_rule(TRACES), _rule(WAVELENGTHS), *GEOMETRY, _rule(TWILIGHT)),
        tags={"preprocessed": f"CALIBRATED_{tag}", "segments": f"SEGMENTS_{tag}"},
        text="an exposure on its pixels, of the observatory's pipeline",
    )


GIVEN_TASKS = (
    *(_pixels(tag) for tag in ("STD", "SKY", "OBJECT", "ASTROMETRY")),
    _task(
        "given_bias",
        "MASTER_BIAS",
        "frame",
        given_bias,
        "master bias of the observatory's pipeline",
        BAD_PIXELS,
        LINEARITY,
    ),
    _task("given_dark", "MASTER_DARK", "frame", given_dark, "master dark of the observatory's pipeline"),
    _task("given_flat", "MASTER_FLAT", "frame", given_flat, "lamp flat of the observatory's pipeline"),
    _task(
        "given_traces",
        "TRACE_TABLE",
        "traces",
        given_traces,
        "traces of the observatory's pipeline",
        _one("flat", "MASTER_FLAT"),
    ),
    _task(
        "given_wavelengths",
        "WAVECAL_TABLE",
        "wavelengths",
        given_waves,
        "wavelengths of the observatory's pipeline",
        _one("traces", "TRACES"),
    ),
    _task(
        "given_twilight",
        "TWILIGHT_CUBE",
        "twilight",
        given_twilight,
        "light of the twilight along slices by the observatory's pipeline",
        _one("flat", "MASTER_FLAT"),
        _one("traces", "TRACES"),
        *GEOMETRY,
    ),
    Task(
        name="given_field_colours",
        recipe=given_field_colours,
        main=Main("raw", ("ESO_TWILIGHT_CUBE",), group_by=("mode", "template")),
        tags={"field_colours": "GIVEN_FIELD_COLOURS"},
        text="light of the twilight over the field by wavelength, by the observatory's pipeline",
    ),
    _task(
        "given_response",
        "STD_RESPONSE",
        "response",
        given_response,
        "response by the observatory's pipeline",
        _all("flats", "MASTER_FLAT"),
        _all("traces", "TRACES"),
        _all("wavelengths", "WAVELENGTHS"),
        replace(_all("twilights", "TWILIGHT"), minimum=0, when=TWILIGHT.when),  # as exposures
        Association("exposures", ("CALIBRATED_OBJECT", "CALIBRATED_SKY"), near("mode"), minimum=0, maximum=None),
    ),
    _task("given_telluric", "STD_TELLURIC", "telluric", given_telluric, "bands of the atmosphere by the observatory"),
    Task(
        name="given_image",
        recipe=given_image,
        main=Main("raw", ("ESO_IMAGE_FOV",)),
        tags={"image_fov": "IMAGE_FOV"},
        text="image of an exposure by the observatory's pipeline",
    ),
    Task(
        name="given_cube",
        recipe=given_cube,
        main=Main("raw", ("ESO_DATACUBE_FINAL",)),
        tags={"cube": "GIVEN_CUBE", "image_fov": "IMAGE_FOV"},
        text="cube of an exposure by the observatory's pipeline",
    ),
    Task(
        name="given_reduced",
        recipe=given_reduced,
        main=Main("raw", ("ESO_PIXTABLE_REDUCED",)),
        associations=(FILTERS,),
        targets=("science",),
        tags={"cube": "CUBE", "image_fov": "IMAGE_FOV", "filter_images": "IMAGE_FOV_FILTER"},
        text="cube of an exposure from pixels that the observatory's pipeline calibrated",
    ),
    Task(
        name="given_reduced_aligned",
        recipe=given_reduced_aligned,
        main=Main("raw", ("ESO_PIXTABLE_REDUCED",)),
        associations=(Association("offsets", ("OFFSETS",), (Match(level=0, same=FIELD_GROUP),)),),
        tags={"cube": "CUBE_ALIGNED"},
        text="cube on the grid of its field from pixels that the observatory's pipeline calibrated",
    ),
    Task(
        name="given_cube_aligned",
        recipe=given_cube_aligned,
        main=Main("cube", ("GIVEN_CUBE",)),
        associations=(Association("offsets", ("OFFSETS",), (Match(level=0, same=FIELD_GROUP),)),),
        tags={"cube": "CUBE_ALIGNED"},
        text="cube of the observatory's pipeline on the grid of its field, resampled once more",
    ),
)
