"""Pixels that never tell the truth: columns with an offset or another response, hot pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from pydantic import Field

from tracecube.core.fields import BoolArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import Frame
from tracecube.core.params import Params
from tracecube.core.pixels import BadPixels
from tracecube.kernels import columns

__all__ = [
    "BadPixelParams",
    "bad_pixels_of",
    "flag_column_offsets",
    "flag_column_response",
    "flag_hot_pixels",
    "static_bad_pixels",
]

_KEPT = int(Flag.BAD_PIXEL | Flag.HOT_PIXEL | Flag.USER)


class BadPixelParams(Params):
    """Numbers of the search for bad columns."""

    rows: int = Field(default=256, ge=32, description="Length (px) of the pieces of a column that are judged together")
    clip: float = Field(default=6.0, gt=0, description="Errors by which a piece must differ from its neighbours")
    offset: float = Field(default=2.0, gt=0, description="Smallest offset worth a flag, electron")
    response: float = Field(default=0.03, gt=0, description="Smallest relative error of response worth a flag")
    light: float = Field(default=100.0, gt=0, description="Lamp light (electron) that a pixel needs to be judged")


def flag_column_offsets(frame: Frame, *, params: BadPixelParams | None = None) -> Frame:
    """Flag pieces of columns that hold too much or too little charge in this exposure.

    Parameters
    ----------
    frame : Frame
        One exposure; the spectra must be many, and short against the frame.
    params : BadPixelParams
    """
    params = params or BadPixelParams()
    good = frame.flags & int(NOT_USABLE | Flag.NOT_ILLUMINATED) == 0
    bad = columns.column_offsets(frame.data, good, rows=params.rows, clip=params.clip, least=params.offset)
    return _flagged(frame, bad, Flag.BAD_PIXEL)


def flag_column_response(frame: Frame, *, params: BadPixelParams | None = None) -> Frame:
    """Flag pieces of columns that answer otherwise to light than their neighbours; from a lamp with a smooth spectrum.

    Parameters
    ----------
    frame : Frame
        Dispersion along x, so that neighbouring columns see nearly the same light.
    params : BadPixelParams
    """
    params = params or BadPixelParams()
    good = frame.flags & int(NOT_USABLE | Flag.NOT_ILLUMINATED) == 0
    bad = columns.column_response(
        frame.data, good, params.light, rows=params.rows, clip=params.clip, least=params.response
    )
    return _flagged(frame, bad, Flag.BAD_PIXEL)


def flag_hot_pixels(frames: Sequence[Frame], *, minimum: int = 3) -> BoolArray:
    """Find pixels that look hit by a cosmic ray again and again.

    Parameters
    ----------
    frames : sequence of Frame
        Exposures of different scenes, cosmic rays flagged.
    minimum : int
        Exposures in which the same pixel must be flagged: by chance two coincide on a few pixels a
        night, three on none.

    Returns
    -------
    bool array (y, x)
    """
    times = np.zeros(frames[0].flags.shape, np.int16)
    for frame in frames:
        times += frame.flags & int(Flag.COSMIC_RAY) != 0
    return np.asarray(times >= minimum)


def static_bad_pixels(scenes: Sequence[Frame], *, smooth: Frame | None = None, minimum: int = 2) -> BadPixels:
    """Map the pixels that no exposure may use, from calibration frames.

    Parameters
    ----------
    scenes : sequence of Frame
        One frame of each lamp, combined and with cosmic rays flagged. What looks like a hit in lamps of
        different spectra is a hot pixel; lines of one lamp alone may look so, always in the same place.
    smooth : Frame, optional
        The one of a lamp with a smooth spectrum: it shows columns that answer otherwise to light.
    minimum : int
        Lamps in which a hot pixel must show. Combined frames hold few hits, so two coincide nowhere.

    Returns
    -------
    BadPixels
        Also of what all scenes agree on: columns with an offset.
    """
    flags = np.where(flag_hot_pixels(scenes, minimum=minimum), int(Flag.HOT_PIXEL), 0).astype(np.int32)
    flags |= np.bitwise_and.reduce([frame.flags & _KEPT for frame in scenes])
    if smooth is not None:
        flags |= flag_column_response(smooth).flags & int(Flag.BAD_PIXEL)
    return BadPixels(flags, scenes[0].meta)


def bad_pixels_of(frames: Sequence[Frame | BadPixels]) -> np.ndarray:
    """Gather the lasting flags (bad, hot, user) of calibration frames, int32 (y, x)."""
    flags = np.zeros(frames[0].flags.shape, np.int32)
    for frame in frames:
        flags |= frame.flags & _KEPT
    return flags


def _flagged(frame: Frame, bad: BoolArray, bit: Flag) -> Frame:
    """Return the frame with a bit set."""
    return replace(frame, flags=np.where(bad, frame.flags | int(bit), frame.flags).astype(np.int32))
