"""The one table of sample flags, shared by every instrument and every product.

A flagged sample keeps its value and gets zero weight; 0 means good.
"""

from __future__ import annotations

from enum import IntFlag

__all__ = ["NOT_USABLE", "Flag"]


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
    Flag.BAD_PIXEL
    | Flag.HOT_PIXEL
    | Flag.SATURATED
    | Flag.COSMIC_RAY
    | Flag.NOT_MEASURED
    | Flag.OUTLIER
    | Flag.USER
)
"""Bits that give a detector pixel zero weight in every fit."""
