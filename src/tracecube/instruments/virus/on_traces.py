"""Images of a CCD's amplifiers beside the traces that their calibrations have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.core.flags import NOT_USABLE
from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet
from tracecube.instruments.virus.exposure import amplifiers

__all__ = ["OnTraces", "live_centres", "on_traces"]


class OnTraces(NamedTuple):
    """One amplifier: its name, image (y, x; electron, NaN where nothing is known), variance, and fibres (n, x; px)."""

    amp: str
    image: FloatArray
    variance: FloatArray
    centre: FloatArray


def on_traces(frame: Frame, traces: Mapping[str, TraceSet]) -> Iterator[OnTraces]:
    """Yield the amplifiers of a CCD that were read and have traces.

    Parameters
    ----------
    frame : Frame
        The CCD, calibrated.
    traces : mapping of str to TraceSet
        By amplifier: of the calibrations.
    """
    data = np.where((frame.flags & NOT_USABLE) == 0, frame.data, np.nan)
    for amp, rows in amplifiers(frame).items():
        if amp in traces:
            yield OnTraces(amp, data[rows], frame.variance[rows], live_centres(traces[amp]))


def live_centres(traces: TraceSet) -> FloatArray:
    """Return the centres of fibres (n, x; px), NaN for those that are dead."""
    return np.where((traces.dq == 0)[:, None], traces.centre, np.nan)
