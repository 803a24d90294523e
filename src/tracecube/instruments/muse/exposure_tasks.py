"""Tasks that all kinds of exposures share."""

from __future__ import annotations

from tracecube.core.workflow import Main, Task
from tracecube.instruments.muse.associations import (
    BIAS,
    COLOURS,
    DARK,
    DARK_MODEL,
    FLAT,
    GEOMETRY,
    ILLUM,
    TRACES,
    TWILIGHT,
    WAVELENGTHS,
)
from tracecube.instruments.muse.exposure_steps import preprocess

__all__ = ["calibrating"]


def calibrating(name: str, tag: str, text: str, *, target: str = "", subworkflow: str = "") -> Task:
    """Return the task that calibrates the exposures of one kind, a channel at a time."""
    return Task(
        name=name,
        recipe=preprocess,
        main=Main("raw", (tag,)),
        associations=(BIAS, DARK, DARK_MODEL, FLAT, TRACES, WAVELENGTHS, *GEOMETRY, ILLUM, TWILIGHT, COLOURS),
        targets=(target,) if target else (),
        subworkflow=subworkflow,
        tags={"preprocessed": f"CALIBRATED_{tag}", "segments": f"SEGMENTS_{tag}"},
        text=text,
    )
