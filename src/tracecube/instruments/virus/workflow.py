"""The cascade of a VIRUS night: what runs on what, and which calibrations go with it.

The unit of work is a CCD of a unit. Calibrations hold for the same unit alone: slot, spectrograph, fibre bundle and
controller must be those of the frame. The optics drift with temperature by tenths of a pixel, which every exposure
measures for itself; lamps and twilights of a week serve, darks of three weeks.
"""

from __future__ import annotations

from tracecube.core.workflow import Association, Main, Match, Task, Workflow
from tracecube.instruments.virus.detector_steps import master_dark

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

workflow = Workflow(tasks=(DARKS,), default_target="calibration")
