"""Text: what is written for programs that read no FITS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tracecube.core.fields import Meta, meta

__all__ = ["TextFile"]


@dataclass(frozen=True)
class TextFile:
    """A product in a text form that others have laid down; its file is the text and nothing else.

    Parameters
    ----------
    text : str
        Written as UTF-8, line ends as they are.
    meta : mapping
        Not part of the file: what should stand there is in ``text``.
    name : str
        Name of the file without its ending, where those who read it expect one; empty for the usual name of a product.
    """

    suffix: ClassVar[str] = ".txt"

    text: str
    meta: Meta = meta()
    name: str = ""
