"""Text products: the bytes of the text, no more; their content hash is that of the file."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.text import TextFile

__all__ = ["is_text", "read_text", "text_hash", "write_text"]


def is_text(path: Path | str) -> bool:
    """Whether a file name is that of a text product.

    Examples
    --------
    >>> is_text("x_NOTE.txt"), is_text("x_SPECTRUM.fits")
    (True, False)
    """
    return Path(path).suffix == TextFile.suffix


def write_text(path: Path | str, noun: TextFile) -> str:
    """Write a text, whole and synced to the disk, and return its sha256.

    Raises
    ------
    BadData
        Half a surrogate pair, which UTF-8 cannot hold.
    """
    try:
        content = noun.text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadData(f"{path}: a text that UTF-8 cannot hold ({error})", hint="leave that character out") from error
    with Path(path).open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return hashlib.sha256(content).hexdigest()


def read_text(path: Path | str) -> TextFile:
    """Read a text product.

    Raises
    ------
    BadData
        Not UTF-8.
    MissingInput
        No such file.
    """
    try:
        return TextFile(_content(path).decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadData(f"{path}: not a whole TextFile ({error})", hint="make the product again") from error


def text_hash(path: Path | str) -> str:
    """Return the content hash of a text product; it has no checksum of its own to be held against.

    Raises
    ------
    MissingInput
        No such file.
    """
    return hashlib.sha256(_content(path)).hexdigest()


def _content(path: Path | str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise MissingInput(f"{path}: no such product", hint="run `tracecube reduce` again: it is made anew") from error
