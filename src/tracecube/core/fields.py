"""How the fields of a noun lie in a file: one declaration, read by ``io`` and by the documentation.

A noun is a frozen dataclass whose array fields say where they are stored::

    @dataclass(frozen=True)
    class Frame:
        data: FloatArray = image("DATA", unit="electron")

Four places exist: an image extension, a table column, a ragged table of samples, a header card.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "PER_PRODUCT",
    "BoolArray",
    "FloatArray",
    "HasMeta",
    "IntArray",
    "Meta",
    "Place",
    "Scalar",
    "TextArray",
    "card",
    "column",
    "image",
    "meta",
    "place",
    "places",
    "samples",
    "suffix_of",
]

Scalar = str | int | float | bool | None
FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.integer[Any]]
BoolArray = NDArray[np.bool_]
TextArray = NDArray[np.str_]
Meta = Mapping[str, Scalar]
"""Header cards without the structural ones; keys as in FITS, values plain Python scalars."""


class HasMeta(Protocol):
    """Whatever has a header."""

    @property
    def meta(self) -> Meta:
        """Header cards."""
        ...


PER_PRODUCT = re.compile(r"PRODTAG|PRODSHA|PROVKEY|RECIPE|RECIVER|(RAW|CAL)\d+\w*|(\w+ )?QC .*")
"""Cards of one product alone: what descends from it does not inherit them (full match)."""

_NONE: Any = object()


@dataclass(frozen=True)
class Place:
    """Where a field of a noun is stored.

    Parameters
    ----------
    kind : {"image", "column", "samples", "card"}
    hdu : str
        Extension name; empty for a card of the primary header.
    name : str
        Column or card name; empty for an image.
    unit : str
    text : str
        One line for the header comment and the data-model page.
    axes : bool
        The image carries the celestial and spectral axes (and BUNIT) that ``meta`` holds.
    """

    kind: str
    hdu: str
    name: str = ""
    unit: str = ""
    text: str = ""
    axes: bool = False


def _declare(place: Place, default: Any) -> Any:
    if default is _NONE:
        return field(metadata={"place": place})
    return field(default=default, metadata={"place": place})


def image(hdu: str, *, unit: str = "", text: str = "", axes: bool = False, default: Any = _NONE) -> Any:
    """Declare an array stored as image extension ``hdu``, with the axes that ``meta`` holds if ``axes``."""
    return _declare(Place("image", hdu, "", unit, text, axes), default)


def column(table: str, name: str, *, unit: str = "", text: str = "", default: Any = _NONE) -> Any:
    """Declare an array (n_rows, ...) stored as column ``name`` of ``table``."""
    return _declare(Place("column", table, name, unit, text), default)


def samples(table: str, name: str, *, unit: str = "", text: str = "", default: Any = _NONE) -> Any:
    """Declare an array (aperture, along) stored as a long table of its measured samples.

    The noun must have fields ``aperture`` (n,) and ``start`` (n,), the detector pixel of the first
    sample. The table has columns ``aperture`` and ``pixel`` besides; samples whose first such field
    is NaN are left out of the file, and come back as NaN (0 for integers).
    """
    return _declare(Place("samples", table, name, unit, text), default)


def card(key: str, *, unit: str = "", text: str = "", default: Any = _NONE) -> Any:
    """Declare a scalar stored as header card ``key``."""
    return _declare(Place("card", "", key, unit, text), default)


def meta() -> Any:
    """Declare the header cards that the noun carries along (the raw header it descends from)."""
    return field(default_factory=lambda: MappingProxyType({}))


def place(item: Field[Any]) -> Place | None:
    """Return the place of a dataclass field, None for ``meta``."""
    found = item.metadata.get("place")
    return found if isinstance(found, Place) else None


def places(noun: type) -> dict[str, Place]:
    """Return field name -> place for all stored fields of a noun, in order."""
    return {f.name: p for f in fields(noun) if (p := place(f)) is not None}


def suffix_of(noun: type) -> str:
    """Return how the names of a noun's files end: ``.fits``, unless its class attribute ``suffix`` says otherwise."""
    return str(getattr(noun, "suffix", ".fits"))
