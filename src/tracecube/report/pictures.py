"""Pictures of products, drawn only when a product of theirs changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from tracecube.archive.records import ProductRecord
from tracecube.core.errors import TracecubeError
from tracecube.core.fields import Scalar
from tracecube.io import holds, read_product
from tracecube.report.figures.style import png

__all__ = ["Picture", "PictureKind", "Source", "draw_all"]

Names = Mapping[tuple[str, str], str]
_HEAD = 1024  # bytes of a picture, in which its comment stands

DRAWING = "9"
"""Changes when a figure function draws the same product differently."""


@dataclass(frozen=True)
class Source:
    """What one argument of a figure function is read from.

    Parameters
    ----------
    tags : tuple of str
        The first of them that there is a product of counts, if it holds the noun: instruments differ in what they
        keep under a tag. Of several products with one tag the last.
    noun : type
    needed : bool
        There is no picture without it; else the argument is None.
    many : bool
        The argument is the sequence of all products of the tag, or of the first ``most`` of them.
    cards : mapping of str to scalar
        What the header of the product must say.
    having : tuple of str
        Cards that it must have, whatever they say.
    """

    tags: tuple[str, ...]
    noun: type
    needed: bool = True
    many: bool = False
    cards: Mapping[str, Scalar] = field(default_factory=dict)
    most: int | None = None
    having: tuple[str, ...] = ()

    def among(self, made: Sequence[ProductRecord]) -> list[ProductRecord]:
        """Return the products to read, none if there are none."""
        fit = [p for p in made if all(p.header.get(key) == value for key, value in self.cards.items())]
        fit = [p for p in fit if all(p.header.get(key) is not None for key in self.having)]
        for tag in self.tags:
            found = [product for product in fit if product.tag == tag]
            if found and holds(found[-1].path, self.noun):
                return found[: self.most] if self.many else found[-1:]
        return []

    def read(self, products: Sequence[ProductRecord]) -> Any:
        """Return the argument."""
        nouns: list[Any] = [read_product(product.path, self.noun) for product in products]
        return nouns if self.many else next(iter(nouns), None)


@dataclass(frozen=True)
class PictureKind:
    """A kind of picture and the products it is drawn from.

    Parameters
    ----------
    name, title : str
        Part of the file name, and words over the picture.
    text : str
        What is seen, and how a good one looks.
    sources : tuple of Source
        One argument each of ``draw``.
    draw : callable
    named : str
        Card whose value is the name of the file, where people know pictures by their names.
    """

    name: str
    title: str
    text: str
    sources: tuple[Source, ...]
    draw: Callable[..., Figure]
    named: str = ""

    def file(self, digest: str, products: Sequence[ProductRecord], names: Names) -> str:
        """Return the name of a picture's file."""
        told = [str(made.header[self.named]) for made in products if made.header.get(self.named)] if self.named else []
        for made in products:
            pattern = names.get((made.instrument, self.name))
            if pattern and made.night:
                told.append(pattern.format(date=made.night.replace("-", "")))
        return f"{told[0].replace('/', '-')}.png" if told else f"{self.name}-{digest}.png"


@dataclass(frozen=True)
class Picture:
    """A picture as the page shows it: its file beside the page, or why there is none."""

    title: str
    text: str
    file: str
    problem: str = ""


def draw_all(
    folder: Path, kinds: Sequence[PictureKind], made: Sequence[ProductRecord], names: Names | None = None
) -> list[Picture]:
    """Draw the pictures that these products allow, and return them.

    Parameters
    ----------
    folder : Path
        Where the pictures are kept, by the content they show.
    kinds : sequence of PictureKind
    made : sequence of ProductRecord
        Products of one night, one exposure or one target.
    names : mapping of (instrument, kind) to str, optional
        Names by which an observatory knows pictures; ``{date}`` is the night, YYYYMMDD.
    """
    found = []
    for kind in kinds:
        chosen = [source.among(made) for source in kind.sources]
        if all(products for source, products in zip(kind.sources, chosen, strict=True) if source.needed):
            found.append(_picture(folder, kind, chosen, names or {}))
    return found


def _picture(folder: Path, kind: PictureKind, chosen: Sequence[Sequence[ProductRecord]], names: Names) -> Picture:
    """Return a picture, drawn now unless one of the same content is there."""
    content = "".join("".join(product.sha256 for product in products) or "-" for products in chosen)
    digest = hashlib.sha256(f"{DRAWING}{kind.name}{content}".encode()).hexdigest()[:16]
    path = folder / kind.file(digest, [product for products in chosen for product in products], names)
    if not _shows(path, digest):
        try:
            nouns = [source.read(products) for source, products in zip(kind.sources, chosen, strict=True)]
        except TracecubeError as error:
            return Picture(kind.title, kind.text, "", str(error))
        try:
            _store(path, kind.draw(*nouns), digest)
        except Exception as error:  # noqa: BLE001 - one picture must not cost the page of a night; the page says it
            return Picture(kind.title, kind.text, "", f"not drawn: {type(error).__name__}: {error}")
    return Picture(kind.title, kind.text, path.name)


def _shows(path: Path, digest: str) -> bool:
    """Whether a picture is there and of this content, which its name or its beginning says."""
    if digest in path.name:
        return path.exists()
    try:
        with path.open("rb") as file:
            return digest.encode() in file.read(_HEAD)
    except FileNotFoundError:
        return False


def _store(path: Path, figure: Any, digest: str) -> None:
    """Write a picture so that none is ever seen half."""
    part = path.with_suffix(".part")
    part.write_bytes(png(figure, digest))
    part.replace(path)
