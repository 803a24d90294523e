"""Long-term calibrations, as simple as they come."""

from __future__ import annotations

import numpy as np

from tracecube.core.field_wcs import FieldWcs
from tracecube.core.slice_field import FieldGeometry
from tracecube.instruments.muse.geometry import SKY_SLICES, nominal_places

NONE = np.zeros(0)
META = {"ESO INS MODE": "WFM-NOAO-N", "DETECTOR": "CHAN07", "INSTRUME": "MUSE"}


def wcs(scale: float = 1.001) -> FieldWcs:
    """A field of one scale; the telescope points at (2, -1) spaxels."""
    cd = scale * 0.2 / 3600.0
    return FieldWcs(*(NONE,) * 9, NONE.astype(int), -cd, 0.0, 0.0, cd, 2.0, -1.0, *(0.0,) * 6, 4)


def field(channel: int = 7) -> FieldGeometry:
    """The slices of one channel where they should be."""
    sub, ccd = np.full(48, channel, np.int32), np.arange(1, 49, dtype=np.int32)
    x, y = nominal_places(sub, ccd)
    flat = np.full(48, 0.01)
    sky = np.asarray(SKY_SLICES, np.int32)
    return FieldGeometry(
        sub, ccd, sky, x, y, 0.0 * x, 75.2 + 0.0 * x, flat, flat, flat, flat, x, y, x, x, sky * 0, META
    )
