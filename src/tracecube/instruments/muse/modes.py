"""What the modes of the instrument differ in: the gap about the sodium laser, refraction."""

from __future__ import annotations

import numpy as np

from tracecube.core.fields import Meta
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame
from tracecube.core.slices import SliceTraces, SliceWavelengths
from tracecube.instruments.muse.headers import mode
from tracecube.recipes.optics.slice_map import columns_of

__all__ = ["LASER_MODES", "has_corrector", "is_narrow", "notch", "without_notch"]

_NOTCHES = {"WFM-AO-N": (5805.0, 5966.0), "WFM-AO-E": (5755.0, 6008.0), "NFM-AO-N": (5780.0, 6050.0)}
"""Angstrom that the filter against the sodium laser takes away."""

LASER_MODES = tuple(_NOTCHES)
"""Modes with the laser on."""


def notch(meta: Meta) -> tuple[float, float] | None:
    """Return the gap (Angstrom) about the sodium laser, None where there is no laser."""
    return _NOTCHES.get(mode(meta))


def is_narrow(meta: Meta) -> bool:
    """Whether it is the narrow field."""
    return mode(meta).startswith("NFM")


def has_corrector(meta: Meta) -> bool:
    """Whether the atmosphere's dispersion is corrected by the instrument, as in the narrow field."""
    return is_narrow(meta)


def without_notch(frame: Frame, traces: SliceTraces, solution: SliceWavelengths) -> Frame:
    """Return a frame whose pixels in the gap about the laser see no light."""
    gap = notch(frame.meta)
    if gap is None:
        return frame
    flags = frame.flags.copy()
    y = np.arange(frame.data.shape[0], dtype=np.float64)
    for row in np.flatnonzero((traces.dq | solution.dq) == 0):
        near = solution.wave(int(row), y, np.zeros(y.size))
        rows = np.flatnonzero((near > gap[0] - 20.0) & (near < gap[1] + 20.0))  # lines are tilted by less
        if not rows.size:
            continue
        x0, x1 = columns_of(traces, int(row), flags.shape[1], beyond=1.0)
        across = np.arange(x0, x1)[None, :] - traces.centre[row, rows][:, None]
        wave = solution.wave(int(row), rows[:, None].astype(np.float64), across)
        part = flags[rows[0] : rows[-1] + 1, x0:x1]
        part[(wave > gap[0]) & (wave < gap[1])] |= int(Flag.NOT_ILLUMINATED | Flag.NOT_MEASURED)
    return Frame(frame.data, frame.variance, flags, frame.meta)
