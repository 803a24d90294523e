"""A product as an observatory's own pipeline lays it out, for programs that read those files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from tracecube.core.fields import Meta, Scalar

__all__ = [
    "CardValue",
    "Cards",
    "ForeignFile",
    "ForeignGroup",
    "ForeignStream",
    "ForeignTable",
    "Form",
    "GatheredForm",
    "JobForm",
    "Plane",
    "dicd_head",
]

CardValue = Scalar | tuple[Scalar, str]
Cards = Mapping[str, CardValue]
"""Header cards: a value, or a value with its comment."""


@dataclass(frozen=True)
class Plane:
    """An image extension, or a column of a table.

    Parameters
    ----------
    name : str
    values : array
        An image (y, x), a cube (wave, y, x) or a column (n_rows,).
    unit, text : str
    cards : mapping of str to scalar or (scalar, comment)
        Of an image extension.
    """

    name: str
    values: NDArray[Any]
    unit: str = ""
    text: str = ""
    cards: Cards = field(default_factory=dict)


@dataclass(frozen=True)
class ForeignTable:
    """A table extension, with cards of its own."""

    name: str
    columns: tuple[Plane, ...]
    cards: Cards = field(default_factory=dict)


@dataclass(frozen=True)
class ForeignFile:
    """What stands in one file.

    Parameters
    ----------
    planes : tuple of Plane
        In order; the first one lies in the primary unit, under the header, unless there is ``primary``.
    tables : tuple of ForeignTable
        After the planes.
    meta : mapping
        Header cards that the product carries along.
    cards : mapping of str to scalar or (scalar, comment)
        Over those of ``meta``.
    axes : bool
        All planes carry the axes that ``meta`` holds.
    primary : str or None
        Name of a primary unit without data; all planes are then extensions. Empty for one without a name.
    """

    planes: tuple[Plane, ...]
    tables: tuple[ForeignTable, ...] = ()
    meta: Meta = field(default_factory=dict)
    cards: Cards = field(default_factory=dict)
    axes: bool = False
    primary: str | None = None


def dicd_head(category: str, recipe: str, meta: Meta, raw_tags: Mapping[str, str], **more: CardValue) -> Cards:
    """Return the cards that products have after ESO's data interface control document: category, recipe, raw frames.

    Parameters
    ----------
    category, recipe : str
        Of the product, and the observatory's recipe of the same purpose.
    meta : mapping
        Header of our product, which names its main inputs (``RAWi``, ``RAWiTAG``).
    raw_tags : mapping of str to str
        Tag of a raw frame -> the observatory's category.
    **more
        Further cards.
    """
    cards: dict[str, CardValue] = {"ESO PRO CATG": category, "ESO PRO TYPE": "REDUCED"}
    cards |= {"ESO PRO SCIENCE": "SCIENCE" in category, "ESO PRO REC1 ID": (recipe, "recipe of the same purpose")}
    cards["ESO PRO REC1 PIPE ID"] = "tracecube"
    number = 1
    while f"RAW{number}TAG" in meta:
        tag = raw_tags.get(str(meta[f"RAW{number}TAG"]))
        if tag is not None:
            cards[f"ESO PRO REC1 RAW{number} NAME"] = f"{meta[f'RAW{number}']}.fits"
            cards[f"ESO PRO REC1 RAW{number} CATG"] = tag
        number += 1
    return {**cards, **more}


@dataclass(frozen=True)
class Form:
    """One kind of file of an observatory, and how it is made of our products.

    Parameters
    ----------
    category : str
        The observatory's name of the kind; file names end with it.
    tag : str
        Of the product that it holds: one file each.
    noun : type
        Class of that product.
    arrange : callable
        ``(product, **beside) -> ForeignFile``; raises `TracecubeError` where it cannot.
    beside : mapping of str to (str or tuple of str, type)
        Argument of ``arrange`` -> tag, or any of several tags, and class of a product that it needs besides: one of the
        same job, else the one that went into it, else one made from it. The class `RawFrame` stands for a raw file that
        went into it.
    numbers_of : str
        Which of these holds the quality numbers of the file; empty where the product itself does.
    """

    category: str
    tag: str
    noun: type
    arrange: Callable[..., ForeignFile]
    beside: Mapping[str, tuple[str | tuple[str, ...], type]] = field(default_factory=dict)
    numbers_of: str = ""

    def tags(self, argument: str) -> tuple[str, ...]:
        """Return the tags that what stands beside may have."""
        tag, _ = self.beside[argument]
        return (tag,) if isinstance(tag, str) else tag


@dataclass(frozen=True)
class JobForm:
    """One kind of file that is made of what a product was made of: it tells more than the product.

    Parameters
    ----------
    category : str
        The observatory's name of the kind; file names end with it.
    tag : str
        Of the product: one file each.
    tasks : tuple of str
        Only products of these tasks.
    arrange : callable
        ``(params, **given) -> ForeignFile``: parameters and inputs of the recipe as when the product was made, inputs
        of a kind read when they are wanted; raises `TracecubeError` where it cannot.
    """

    category: str
    tag: str
    tasks: tuple[str, ...]
    arrange: Callable[..., ForeignFile]


@dataclass(frozen=True)
class ForeignGroup:
    """A noun, as a group of an HDF5 file."""

    name: str
    noun: Any


@dataclass(frozen=True)
class ForeignStream:
    """What stands in one HDF5 file, a piece at a time: the file may be larger than the memory.

    Parameters
    ----------
    pieces : iterator of ForeignTable or ForeignGroup
        Tables of the same name are rows of one.
    attributes : mapping
        Of the file.
    """

    pieces: Iterator[ForeignTable | ForeignGroup]
    attributes: Meta = field(default_factory=dict)


@dataclass(frozen=True)
class GatheredForm:
    """A file that many products go into: those of an observation or a night.

    Parameters
    ----------
    category : str
    parts : mapping of str to (str, type)
        Argument of ``arrange`` -> tag and class of products. Without a product of the first there is no file.
    arrange : callable
        ``(key, **parts) -> ForeignFile or ForeignStream``: the values of ``by``, and an iterable of nouns for each
        part, read one at a time as it is gone through; raises `TracecubeError` where it cannot.
    by : tuple of str
        Keys of the setup whose values products of one file share.
        Files of no night (without it here) lie beside the nights' folders and hold products of all nights.
    name : callable
        ``(key) -> name of the file``, with its suffix.
    split : bool
        ``arrange`` gives many files, one after the other: an iterator of ``(key, ForeignFile)``.
    """

    category: str
    parts: Mapping[str, tuple[str, type]]
    arrange: Callable[..., Any]
    by: tuple[str, ...]
    name: Callable[[Mapping[str, Scalar]], str]
    split: bool = False

    @property
    def tag(self) -> str:
        """Of the products without which there is no file."""
        return next(iter(self.parts.values()))[0]

    def key(self, setup: Mapping[str, Scalar]) -> Mapping[str, Scalar]:
        """Values of ``by`` of a product."""
        return {name: setup.get(name) for name in self.by}

    def gathered(self, key: Mapping[str, Scalar], setup: Mapping[str, Scalar]) -> bool:
        """Whether a product goes into the file: it has no other value of any key. A calibration may lack some."""
        return all(setup.get(name) in {None, value} for name, value in key.items())

    def arranged(
        self, key: Mapping[str, Scalar], parts: Mapping[str, Iterable[Any]]
    ) -> Iterator[tuple[Mapping[str, Scalar], ForeignFile | ForeignStream]]:
        """Call ``arrange``: files by the key that names them."""
        made = self.arrange(key, **parts)
        yield from made if self.split else ((key, made),)
