"""The one table of sample flags, shared by every instrument and every product.

A flagged sample keeps its value and gets zero weight; 0 means good.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntFlag
from types import MappingProxyType

__all__ = ["MEANING", "NOT_USABLE", "Flag"]


class Flag(IntFlag):
    """Bits of every ``DQ`` plane and column (int32).

    Examples
    --------
    >>> int(Flag.COSMIC_RAY | Flag.SATURATED)
    12
    """

    BAD_PIXEL = 1
    HOT_PIXEL = 2
    SATURATED = 4
    COSMIC_RAY = 8
    NON_LINEAR = 16
    NOT_ILLUMINATED = 32
    NOT_MEASURED = 64
    LINE_CORE = 128
    LOW_THROUGHPUT = 256
    OUTLIER = 512
    ASTROMETRY = 1024
    USER = 2048
    EXTRAPOLATED = 4096


NOT_USABLE = int(
    Flag.BAD_PIXEL | Flag.HOT_PIXEL | Flag.SATURATED | Flag.COSMIC_RAY | Flag.NOT_MEASURED | Flag.OUTLIER | Flag.USER
)
"""Bits that give a detector pixel zero weight in every fit."""

MEANING: Mapping[Flag, str] = MappingProxyType(
    {
        Flag.BAD_PIXEL: "dead or otherwise bad detector pixel",
        Flag.HOT_PIXEL: "hot detector pixel",
        Flag.SATURATED: "above the saturation level",
        Flag.COSMIC_RAY: "hit by a cosmic ray",
        Flag.NON_LINEAR: "outside the linear range of the detector",
        Flag.NOT_ILLUMINATED: "outside the illuminated area",
        Flag.NOT_MEASURED: "interpolated, or not measured at all",
        Flag.LINE_CORE: "core of a sky or telluric line",
        Flag.LOW_THROUGHPUT: "aperture or wavelength of low throughput",
        Flag.OUTLIER: "rejected by the extraction as an outlier",
        Flag.ASTROMETRY: "place on the sky not trusted",
        Flag.USER: "masked by the user",
        Flag.EXTRAPOLATED: "beyond the range that the calibration covers",
    }
)
"""Each bit in words, for the documentation and the report."""
