"""How far a dark tells the smooth current of exposures: what the bias leaves in it, light, how long it was."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.core.frame import Frame
from tracecube.instruments.muse.ccd import Channel
from tracecube.instruments.muse.headers import number
from tracecube.recipes.detector.bands import Reader

__all__ = ["DARK_SECONDS", "HIGHEST_CURRENT", "HIGHEST_GLOW", "effective_seconds", "level_error", "why_not"]

DARK_SECONDS = "DARKTIME"
"""Header card of dark models: exposure time (s) of the frames they are made of."""

HIGHEST_CURRENT = 10.0
"""electron/h; more is light, or a warm chip."""

HIGHEST_GLOW = 20.0
"""electron/h, from one place of the detector to another."""

_SHORTEST = 0.5  # of an exposure's time that a dark must last: what the bias leaves would count more than twice
_TERMS = 7  # most terms of the bias level along y


def effective_seconds(seconds: FloatArray) -> float:
    """Return the time by which a residue of each frame is divided in the mean rate of frames of equal noise.

    Examples
    --------
    >>> effective_seconds(np.array([1800.0, 1800.0]))
    1800.0
    """
    return float(np.sum(seconds**2) / np.sum(seconds))


def level_error(channels: Sequence[Channel], readers: Sequence[Reader], rate: FloatArray, hours: FloatArray) -> float:
    """Return how unsure the bias level of one frame is (electron): what is left of it is shared by all pixels.

    From the overscan's own noise, the level's most terms among its pixels; and from how unlike the quadrants' medians
    are from frame to frame, the current taken off, where there are several.

    Parameters
    ----------
    channels : sequence of Channel
    readers : sequence of Reader
        Of the same frames.
    rate : array (y, x), electron / h
        Mean of the frames.
    hours : array (n,)
    """
    own = [
        noise**2 * _TERMS / (part.overscan.shape[0] * part.overscan.shape[1])
        for channel in channels
        for part, noise in zip(channel.parts, channel.noise, strict=True)
    ]
    left = np.array([_left(*one, rate) for one in zip(channels, readers, hours, strict=True)])
    among = float(np.mean(np.var(left, axis=0, ddof=1))) if len(channels) > 1 else 0.0
    return float(np.sqrt(np.mean(own) + among))


def _left(channel: Channel, read: Reader, hours: float, rate: FloatArray) -> list[float]:
    """Return the median of each quadrant of a frame (electron), without the mean current."""
    found = []
    for part in channel.parts:
        some = [read(y, min(y + 8, part.chip.y1)) for y in range(part.chip.y0, part.chip.y1, 64)]
        data = np.concatenate([band.data for band in some])[:, part.chip.x0 : part.chip.x1]
        mean = np.concatenate([rate[y : min(y + 8, part.chip.y1)] for y in range(part.chip.y0, part.chip.y1, 64)])
        found.append(float(np.nanmedian(data - np.float32(hours) * mean[:, part.chip.x0 : part.chip.x1])))
    return found


def why_not(model: Frame, seconds: float) -> str | None:
    """Return why a dark's smooth current is not to be taken off an exposure of so many seconds; None where it is."""
    told = number(model.meta, DARK_SECONDS)
    if told is None:
        return "the dark does not tell how long its frames were (try: make it again)"
    if told < _SHORTEST * seconds:
        return (
            f"frames of the dark of {told:.0f} s are too short for an exposure of {seconds:.0f} s "
            "(try: darks at least half as long)"
        )
    current, glow = float(np.median(model.data[::7])), float(np.ptp(model.data[::7]))
    if current > HIGHEST_CURRENT or glow > HIGHEST_GLOW:
        return (
            f"the dark has {current:.1f} electron/h, {glow:.1f} from place to place: light, or a warm chip "
            "(try: leave those darks out, or use_darks=hot)"
        )
    return None
