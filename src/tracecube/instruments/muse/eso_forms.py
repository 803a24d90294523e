"""What all files in ESO's layout have in common: their heads, their axes, and how a kind of file is declared."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

from tracecube.core.fields import Meta, Scalar
from tracecube.core.foreign import Cards, CardValue, ForeignFile, ForeignTable, Form, Plane, dicd_head
from tracecube.instruments.muse.classify import RAW_TAGS

__all__ = ["AXIS", "axes_of", "form", "head", "table_file"]

AXIS = re.compile(r"(CTYPE|CUNIT|CRVAL|CRPIX)\d|CD\d_\d|SPECSYS|RADESYS")
"""Cards of the axes of a cube or image."""

_RAW = {tag: tag for tag in RAW_TAGS}


def head(category: str, recipe: str, meta: Meta, **more: CardValue) -> Cards:
    """Return the cards of a product: its category, the recipe of the same purpose, raw frames, and further ones."""
    return {**dicd_head(category, recipe, meta, _RAW, **more), "ESO PRO TECH": "IFU"}


def axes_of(meta: Meta) -> dict[str, Scalar]:
    """Return the cards of the axes."""
    return {key: value for key, value in meta.items() if AXIS.fullmatch(key)}


def table_file(name: str, columns: tuple[Plane, ...], meta: Meta, cards: Cards, *, primary: str = "") -> ForeignFile:
    """Lay out one table under a primary unit without data."""
    return ForeignFile((), (ForeignTable(name, columns),), meta, cards, primary=primary)


def form(
    arrange: Callable[..., ForeignFile],
    noun: type,
    tag: str,
    category: str,
    recipe: str,
    beside: Mapping[str, tuple[str | tuple[str, ...], type]] | None = None,
) -> Form:
    """Declare a kind of file; ``arrange`` is called with category, recipe, the product and what stands beside it."""
    return Form(category, tag, noun, partial(arrange, category, recipe), beside or {})
