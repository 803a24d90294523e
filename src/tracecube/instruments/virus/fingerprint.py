"""Light that is not its amplifier's: exchanged cables, or another spectrograph, told by the places of the fibres."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet
from tracecube.instruments.virus.ccd import HALF
from tracecube.instruments.virus.on_traces import OnTraces, live_centres, on_traces
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
    for one in on_traces(frame, traces):
        own = likeness(one.image, one.variance, one.centre)
        if own.same:
            continue
        found[one.amp] = (
            f"amplifier {one.amp}: its light is not that of its fibres in the calibrations"
            f" ({_told(own.scatter)} where another slit's is off by {own.strange:.2f} px); {_whose(one, traces)}:"
            " left out (try: are cables exchanged, or does another unit stand in this slot?)"
        )
    return found


def _told(scatter: float) -> str:
    return f"off by {scatter:.2f} px" if np.isfinite(scatter) else "none on its traces,"


def _whose(seen: OnTraces, traces: Mapping[str, TraceSet]) -> str:
    """Say whose light it is, if it is that of an amplifier of this CCD, as it should lie or turned by half a turn."""
    for other, one in traces.items():
        live = live_centres(one)
        for turned, centre in ((False, live), (True, HALF - 1 - live[::-1, ::-1])):
            if other == seen.amp and not turned:
                continue
            like = likeness(seen.image, seen.variance, centre)
            if like.telling and like.same:
                return f"it is that of {other}{', turned by half a turn' if turned else ''}: amplifiers are exchanged"
    return "nor that of the other amplifier of this CCD"
