"""Where the slices of a channel lie in the field, from the observatory's table."""

from __future__ import annotations

import numpy as np

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import FloatArray, IntArray, Meta
from tracecube.core.frame import RawFrame
from tracecube.core.slices import SliceGeometry
from tracecube.instruments.muse.headers import mode

__all__ = ["SKY_SLICES", "WIDE_SPAXEL", "channel_of", "geometry_of", "nominal_places", "spaxel"]

WIDE_SPAXEL = 0.2
"""Arcsec, side of a spaxel of the wide field, for which lengths in spaxels and arcsec of recipes are given."""

_SPAXEL = {"WFM": (WIDE_SPAXEL, WIDE_SPAXEL), "NFM": (0.02519, 0.02542)}
"""Nominal size (arcsec, along and across slices) of a spaxel by field (instrument's user manual)."""


SKY_SLICES = (
    9, 8, 1, 10, 7, 2, 11, 6, 3, 12, 5, 4, 21, 20, 13, 22, 19, 14, 23, 18, 15, 24, 17, 16,
    33, 32, 25, 34, 31, 26, 35, 30, 27, 36, 29, 28, 45, 44, 37, 46, 43, 38, 47, 42, 39, 48, 41, 40,
)  # fmt: skip
"""Number on the sky of each slice of a detector, in its order there: four stacks of twelve."""

_STACKS = (113.1, 37.7, -37.7, -113.1)  # spaxels to the west: four slices of 75 and their gaps fill 300
_CHANNEL_HEIGHT = 12.03  # spaxels: 24 channels share 288


def nominal_places(channel: IntArray, aperture: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return where slices lie by design, spaxels of the wide field from its centre: to the west, and to the north.

    Parameters
    ----------
    channel, aperture : int array (n,)
        Number of the channel and of the slice on its detector, both from 1.
    """
    sky = np.asarray(SKY_SLICES)[np.asarray(aperture) - 1] - 1
    x = np.asarray(_STACKS)[sky // 12]
    return x, (12.5 - np.asarray(channel)) * _CHANNEL_HEIGHT + 5.5 - sky % 12


def channel_of(meta: Meta, name: str) -> int:
    """Return the number of a channel, 1 to 24, from the name of its detector.

    Raises
    ------
    MissingInput
        The header does not tell it.
    """
    text = str(meta.get("DETECTOR") or "")
    if text.startswith("CHAN") and text[4:].isdigit():
        return int(text[4:])
    raise MissingInput(f"{name}: its channel is not known", hint="make the product again from the raw file")


def spaxel(meta: Meta) -> tuple[float, float]:
    """Return the size of a spaxel (arcsec) along and across the slices.

    Raises
    ------
    BadData
        A mode that is not known.
    """
    found = _SPAXEL.get(mode(meta)[:3])
    if found is None:
        raise BadData(f"INS MODE {mode(meta)!r} is neither WFM nor NFM", hint="repair the card ESO INS MODE")
    return found


def geometry_of(table: RawFrame, channel: int, meta: Meta) -> SliceGeometry:
    """Return the geometry of one channel.

    Parameters
    ----------
    table : RawFrame
        GEOMETRY_TABLE: columns SubField, SliceCCD, x, y (spaxels), angle (degree), width (spaxels).
    channel : int
    meta : Meta
        Header of the exposure, for the size of a spaxel.

    Raises
    ------
    BadData
        Columns are missing, or the channel's 48 slices.
    """
    names = ("SubField", "SliceCCD", "x", "y", "angle", "width")
    columns = table.table(*names)
    own = np.flatnonzero(np.asarray(columns["SubField"]) == channel)
    own = own[np.argsort(np.asarray(columns["SliceCCD"])[own])]
    if len(own) != 48:
        raise BadData(f"{table.name}: {len(own)} slices of channel {channel}, 48 are needed", hint="use another table")
    along, across = spaxel(meta)
    get = {name: np.asarray(columns[name], np.float64)[own] for name in names}
    return SliceGeometry(
        aperture=get["SliceCCD"].astype(np.int32),
        x=get["x"] * along,
        y=get["y"] * across,
        angle=get["angle"],
        width=get["width"] * along,
        dq=np.zeros(48, np.int32),
        meta=meta,
    )
