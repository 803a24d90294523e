"""The cascade of a SED Machine night: what runs on what, and which calibrations go with it.

Ladders: level 0 is the calibration plan (same night), 1 within two weeks, 2 within two months, 3
whatever there is. A level that has no rung is not acceptable: traces of another night are, with
flexure measured anyway; an arc of last year is not.
"""

from __future__ import annotations

from tracecube.core.workflow import Main, Match, Task, Workflow
from tracecube.instruments.sedm.steps import master_bias

__all__ = ["SAME_NIGHT_FIRST", "SAME_READOUT_FIRST", "workflow"]

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

BIAS = Task(
    name="bias",
    recipe=master_bias,
    main=Main("raw", ("BIAS",), group_by=("night", "speed", "generation"), minimum=2),
    targets=("calibration",),
    text="master bias and read noise of a readout mode",
)

workflow = Workflow(tasks=(BIAS,), default_target="science")
