"""Light that is not its amplifier's: exchanged cables, or another spectrograph, told by the places of the fibres."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.core.flags import NOT_USABLE
from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet
from tracecube.instruments.virus.ccd import HALF
from tracecube.instruments.virus.exposure import amplifiers
from tracecube.recipes.optics.fibre_fingerprint import likeness

__all__ = ["strangers"]


def strangers(frame: Frame, traces: Mapping[str, TraceSet]) -> dict[str, str]:
    """Return the amplifiers of a CCD whose light is not that of their own fibres -> a sentence that names whose.

    Parameters
    ----------
    frame : Frame
        The CCD, calibrated.
    traces : mapping of str to TraceSet
        By amplifier: of the calibrations.
    """
    found = {}
    data = np.where((frame.flags & NOT_USABLE) == 0, frame.data, np.nan)
    for amp, rows in amplifiers(frame).items():
        if amp not in traces:
            continue
        image, variance = data[rows], frame.variance[rows]
        own = likeness(image, variance, _live(traces[amp]))
        if own.same:
            continue
        whose = _whose(image, variance, amp, traces)
        found[amp] = (
            f"amplifier {amp}: its light is not that of its fibres in the calibrations"
            f" ({_told(own.scatter)} where another slit's is off by {own.strange:.2f} px); {whose}:"
            " left out (try: are cables exchanged, or does another unit stand in this slot?)"
        )
    return found


def _live(traces: TraceSet) -> FloatArray:
    return np.where((traces.dq == 0)[:, None], traces.centre, np.nan)


def _told(scatter: float) -> str:
    return f"off by {scatter:.2f} px" if np.isfinite(scatter) else "none on its traces,"


def _whose(image: FloatArray, variance: FloatArray, amp: str, traces: Mapping[str, TraceSet]) -> str:
    """Say whose light it is, if it is that of an amplifier of this CCD, as it should lie or turned by half a turn."""
    for other, one in traces.items():
        live = _live(one)
        for turned, centre in ((False, live), (True, HALF - 1 - live[::-1, ::-1])):
            if other == amp and not turned:
                continue
            like = likeness(image, variance, centre)
            if like.telling and like.same:
                return f"it is that of {other}{', turned by half a turn' if turned else ''}: amplifiers are exchanged"
    return "nor that of the other amplifier of this CCD"
