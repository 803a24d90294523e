"""The same noun of several detectors in one file: extension names carry the detector, ``047LL.DATA``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tracecube.core.fields import Meta, meta
from tracecube.core.optics import PixelMap, TraceSet, WavelengthSolution

__all__ = ["PixelMaps", "Several", "TraceSets", "WavelengthSolutions"]


@dataclass(frozen=True)
class Several:
    """One noun a detector. Cards that are fields of the parts are the same for all of them.

    Parameters
    ----------
    parts : mapping of str to noun
        By name of the detector; each of class ``part``.
    """

    part: ClassVar[type]
    parts: Mapping[str, Any]
    meta: Meta = meta()


@dataclass(frozen=True)
class TraceSets(Several):
    """Traces by detector."""

    part: ClassVar[type] = TraceSet


@dataclass(frozen=True)
class WavelengthSolutions(Several):
    """Wavelength solutions by detector."""

    part: ClassVar[type] = WavelengthSolution


@dataclass(frozen=True)
class PixelMaps(Several):
    """Pixel maps by detector."""

    part: ClassVar[type] = PixelMap
