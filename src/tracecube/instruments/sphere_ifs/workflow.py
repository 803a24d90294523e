"""The cascade of a SPHERE-IFS night: what runs on what, and which calibrations go with it.

Ladders: level 0 is the calibration plan (same night), 1 within two weeks, 2 within two months.
"""

from __future__ import annotations

from tracecube.core.workflow import Association, Main, Match, Task, Workflow
from tracecube.instruments.sphere_ifs.detector_steps import (
    broad_band_flat,
    detector_flat,
    gain,
    instrument_background,
    master_dark,
    narrow_band_flat,
    sky_background,
    static_bad_pixels,
)

__all__ = ["DETECTOR_TASKS", "SAME_NIGHT_FIRST", "workflow"]

SAME_NIGHT_FIRST = (
    Match(level=0, same=("night",)),
    Match(level=1, days=(-14.0, 14.0)),
    Match(level=2, days=(-60.0, 60.0)),
)
"""Detector and optics: they change little from night to night."""

DARKS = Association(
    "master_dark", ("MASTER_DARK",), SAME_NIGHT_FIRST, maximum=None, hint="darks (ESO DPR TYPE DARK) of any DIT"
)
DARKS_IF_ANY = Association("master_dark", ("MASTER_DARK",), SAME_NIGHT_FIRST, minimum=0, maximum=None)
BACKGROUND_IF_ANY = Association("instrument_background", ("INSTRUMENT_BACKGROUND",), SAME_NIGHT_FIRST, minimum=0)
FLAT_IF_ANY = Association("detector_flat", ("DETECTOR_FLAT",), SAME_NIGHT_FIRST, minimum=0)

DARK = Task(
    name="ifs_dark",
    recipe=master_dark,
    main=Main("raw", ("DARK",), group_by=("night", "dit")),
    targets=("calibration",),
    text="dark, read noise and hot pixels of one DIT",
)

INSTRUMENT_BACKGROUND = Task(
    name="ifs_instrument_background",
    recipe=instrument_background,
    main=Main("raw", ("BACKGROUND",), group_by=("night", "dit")),
    associations=(DARKS_IF_ANY,),
    targets=("calibration",),
    text="thermal light of the instrument",
)

SKY_BACKGROUND = Task(
    name="ifs_sky_background",
    recipe=sky_background,
    main=Main("raw", ("SKY",), group_by=("night", "dit", "mode")),
    associations=(DARKS, BACKGROUND_IF_ANY),
    targets=("calibration",),
    text="background of instrument and sky",
)


def _narrow_band(number: int) -> Task:
    """Return the task of one narrow-band lamp."""
    return Task(
        name=f"ifs_det_flat_narrow_band{number}",
        recipe=narrow_band_flat,
        main=Main("raw", ("DETFLAT",), group_by=("night", "lamp"), where={"lamp": (f"NB{number}",)}),
        associations=(DARKS,),
        targets=("calibration",),
        tags={"lamp_flat": f"MASTER_DFF_LONG{number}"},
        text=f"response of the pixels to narrow-band lamp {number}",
    )


BROAD_BAND = Task(
    name="ifs_det_flat_broad_band",
    recipe=broad_band_flat,
    main=Main("raw", ("DETFLAT",), group_by=("night", "lamp"), where={"lamp": ("BB",)}),
    associations=(DARKS,),
    targets=("calibration",),
    tags={"lamp_flat": "MASTER_DFF_LONGBB"},
    text="response of the pixels to the white lamp",
)

DETECTOR_FLAT = Task(
    name="ifs_detector_flat",
    recipe=detector_flat,
    main=Main("raw", ("DETFLAT",), group_by=("night",)),
    associations=(DARKS,),
    targets=("calibration",),
    text="response of the pixels against wavelength, from all lamps",
)

BAD_PIXELS = Task(
    name="ifs_static_bad_pixel_map",
    recipe=static_bad_pixels,
    main=Main("master_dark", ("MASTER_DARK",), group_by=("night",)),
    associations=(FLAT_IF_ANY,),
    targets=("calibration",),
    text="hot, dead and noisy pixels",
)

GAIN = Task(
    name="ifs_gain",
    recipe=gain,
    main=Main("raw", ("GAIN",), group_by=("night",), minimum=4),
    associations=(DARKS,),
    targets=("calibration",),
    text="linearity and gain, where a lamp was taken at many integration times",
)

DETECTOR_TASKS = (
    DARK,
    INSTRUMENT_BACKGROUND,
    SKY_BACKGROUND,
    *(_narrow_band(number) for number in (1, 2, 3, 4)),
    BROAD_BAND,
    DETECTOR_FLAT,
    BAD_PIXELS,
    GAIN,
)
"""What the detector needs, by the observatory's names; its science step makes what ``ifs_detector_flat`` does."""

workflow = Workflow(tasks=DETECTOR_TASKS, default_target="calibration")
