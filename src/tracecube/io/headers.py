"""Headers without pixels: what a night's folder holds, at thousands of files a second.

The structure of the whole file is checked on the way: a file that is shorter than its headers
promise is found without reading a pixel.
"""

from __future__ import annotations

import gzip
import io
import math
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, cast

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import Scalar
from tracecube.io.cards import CARD, STRUCTURAL, parse_cards
from tracecube.io.columns import TEXT_SUFFIX, read_columns
from tracecube.io.members import open_file

__all__ = ["BLOCK", "FITS_SUFFIXES", "TABLE_SUFFIXES", "HeaderUnit", "bare_name", "header_units", "read_header"]

BLOCK = 2880
"""Bytes in a FITS block."""

FITS_SUFFIXES = (".fits.fz", ".fits.gz", ".fits", ".fit", ".fts")
TABLE_SUFFIXES = (".ecsv", ".csv", ".txt")

_END = b"END".ljust(CARD)
_PRINTABLE = bytes(code if 0x20 <= code <= 0x7E else ord("?") for code in range(256))  # all that a header may hold
_GUESS = 6 * BLOCK  # read at once: two small headers or one of 216 cards
_DAMAGED = "fetch or copy the file again, or leave it out"


@dataclass(frozen=True)
class HeaderUnit:
    """One header and the extent of its data.

    Parameters
    ----------
    text : str
        The cards before END.
    start, data_start : int, byte
        Where the header and its data unit begin in the (uncompressed) file.
    size : int, byte
        Size of the data unit without its padding.
    """

    text: str
    start: int
    data_start: int
    size: int

    @property
    def stop(self) -> int:
        """Where the next header begins."""
        return self.data_start + -(-self.size // BLOCK) * BLOCK

    @cached_property
    def cards(self) -> dict[str, Scalar]:
        """Every valued card."""
        return parse_cards(self.text)

    @property
    def name(self) -> str:
        """Extension name, empty for a nameless image or a tile-compressed one that was nameless."""
        name = str(self.cards.get("EXTNAME") or "")
        return "" if name == "COMPRESSED_IMAGE" else name

    @property
    def is_image(self) -> bool:
        """Whether the unit holds pixels (of more than zero size), compressed or not."""
        plain = self.text.startswith(("SIMPLE", "XTENSION= 'IMAGE"))
        return self.size > 0 and (plain or self.cards.get("ZIMAGE") is True)


def bare_name(path: Path | str) -> str:
    """Return a file's name without folder, ``.fits`` and compression.

    Examples
    --------
    >>> bare_name("raw/ifu20210421_10_47_05.fits.fz")
    'ifu20210421_10_47_05'
    """
    name = Path(path).name
    for suffix in (*FITS_SUFFIXES, *TABLE_SUFFIXES):
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name


def read_header(path: Path | str, *, extension: str | None = None) -> dict[str, Scalar]:
    """Return the cards that describe the observation.

    Those of the primary header, completed by those of the first image where the primary has no
    data of its own; without the cards that describe the file. Where images have names, ``EXTENSIONS``
    gives them, with blanks between; ``UNITNAME`` is that of a primary unit without data. A table in text form gives
    ``FILETYPE`` and ``COLUMNS``, one of columns between blanks its ``TITLE`` too.

    Parameters
    ----------
    path : Path
        A file ``.fits``, ``.fits.fz``, ``.fits.gz``, ``.csv``, ``.ecsv`` or ``.txt``, or such a member of an
        archive.
    extension : str, optional
        The image whose cards are to complete the primary's; the first by default. Images "A.DATA", "A.STAT" are
        those of an extension "A".

    Returns
    -------
    dict of str to scalar
        Keys without the word HIERARCH; None for a card without a value.

    Raises
    ------
    BadData
        Not such a file, no such image, no END card, or shorter than its headers promise.
    MissingInput
        No such file.
    """
    path = Path(path)
    try:
        if path.name.endswith(TABLE_SUFFIXES):
            return _table_header(path)
        if not path.name.endswith(FITS_SUFFIXES):
            raise BadData(f"{path}: not a FITS file nor a table by its name", hint=f"expected one of {FITS_SUFFIXES}")
        units = list(header_units(path))
    except FileNotFoundError as error:
        raise MissingInput(f"{path}: no such file", hint="was it moved since the folder was read?") from error
    except OSError as error:
        raise BadData(
            f"{path}: cannot be read ({error.strerror})", hint="look at its permissions and its disk"
        ) from error
    cards = units[0].cards
    images = [unit for unit in units[1:] if unit.is_image]
    if extension is not None:
        cards = {**_named(images, extension, path).cards, **cards}
    elif units[0].size == 0 and images:
        cards = {**images[0].cards, **cards}
    names = [unit.name for unit in images if unit.name]
    if names and extension is None:
        cards = {**cards, "EXTENSIONS": " ".join(names)}
    if units[0].size == 0 and units[0].name and extension is None:
        cards = {**cards, "UNITNAME": units[0].name}
    return {key: value for key, value in cards.items() if not STRUCTURAL.fullmatch(key)}


def _named(images: list[HeaderUnit], extension: str, path: Path) -> HeaderUnit:
    """Return the image of this name."""
    for unit in images:
        if unit.name == extension or unit.name.startswith(f"{extension}."):
            return unit
    raise BadData(f"{path}: no image {extension}", hint=f"it has {', '.join(unit.name for unit in images) or 'none'}")


def header_units(path: Path | str) -> Iterator[HeaderUnit]:
    """Yield the headers of a FITS file, in order; of a ``.gz`` up to its first image without a name.

    Raises
    ------
    BadData
        As `read_header`.
    """
    path = Path(path)
    if path.name.endswith(".gz"):
        yield from _gzipped_units(path)
        return
    with open_file(path) as file:
        total = file.seek(0, os.SEEK_END)
        for unit in _units(file, path):
            if total < unit.data_start + unit.size:
                raise _too_short(path, total, unit.data_start + unit.size)
            yield unit


def _units(file: IO[bytes], path: Path) -> Iterator[HeaderUnit]:
    """Walk over the header units of an open file."""
    start = 0
    while True:
        file.seek(start)
        block = file.read(_GUESS)
        expected = b"XTENSION" if start else b"SIMPLE  ="
        if not block.startswith(expected):
            if start == 0:
                raise BadData(f"{path}: not a FITS file ({len(block)} bytes read, no SIMPLE card)", hint=_DAMAGED)
            return  # nothing more, or special records after the last extension
        while (end := _end_card(block)) < 0:
            more = file.read(_GUESS)
            if not more:
                raise BadData(
                    f"{path}: no END card in the header at byte {start}; the file ends at byte {start + len(block)}",
                    hint=_DAMAGED,
                )
            block += more
        text = block[:end].translate(_PRINTABLE).decode("ascii")
        unit = HeaderUnit(text, start, start + -(-(end + CARD) // BLOCK) * BLOCK, _data_size(text, path))
        yield unit
        start = unit.stop


def _end_card(block: bytes) -> int:
    """Return where the END card begins, -1 when there is none."""
    at = block.find(_END)
    while at % CARD and at >= 0:
        at = block.find(_END, at + 1)
    return at


def _data_size(text: str, path: Path) -> int:
    """Return the bytes of data that a header promises (FITS Standard 4.0, equation 2)."""
    cards = parse_cards(text[: CARD * 12])  # the mandatory cards come first, in fixed order
    axes = cards.get("NAXIS")
    bits = cards.get("BITPIX")
    if not isinstance(axes, int) or not isinstance(bits, int) or not 0 <= axes <= 999:
        raise BadData(f"{path}: header without BITPIX and NAXIS", hint=_DAMAGED)
    if axes + 5 > 12:
        cards = parse_cards(text)
    if axes == 0:
        return 0
    lengths = [cards.get(f"NAXIS{i + 1}") for i in range(axes)]
    others = [cards.get(key, default) for key, default in (("PCOUNT", 0), ("GCOUNT", 1))]
    if not all(isinstance(number, int) and number >= 0 for number in lengths + others):
        raise BadData(f"{path}: header with NAXISn = {lengths}, PCOUNT, GCOUNT = {others}", hint=_DAMAGED)
    sizes, (extra, groups) = cast("list[int]", lengths), cast("list[int]", others)
    return abs(bits) // 8 * groups * (extra + math.prod(sizes))


def _too_short(path: Path, have: int, need: int) -> BadData:
    return BadData(f"{path}: truncated, {have} bytes where its headers promise {need}", hint=_DAMAGED)


def _gzipped_units(path: Path) -> Iterator[HeaderUnit]:
    """Yield the headers up to the first image without a name, unpacking no more than these; named ones have others."""
    try:
        with open_file(path) as packed, gzip.open(packed, "rb") as file:
            for unit in _units(cast("IO[bytes]", file), path):
                _check_unpacked(path, unit)
                yield unit
                if unit.size and not unit.name:
                    return
    except (EOFError, OSError, zlib.error) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise BadData(f"{path}: truncated or not a gzip file ({error})", hint=_DAMAGED) from error


def _check_unpacked(path: Path, unit: HeaderUnit) -> None:
    """Compare what a header promises with the unpacked size in the last four bytes of a gzip file.

    A file cut off has any four bytes there; a sound one has a whole number of FITS blocks (or ends
    with its data). What looks unsound is unpacked to make sure.
    """
    with open_file(path) as file:
        file.seek(max(file.seek(0, os.SEEK_END) - 4, 0))
        total = int.from_bytes(file.read(4), "little")
    need = unit.data_start + unit.size
    if need <= total and (total % BLOCK == 0 or total == need):
        return
    total = 0
    with open_file(path) as packed, gzip.open(packed, "rb") as file:
        while chunk := file.read(1 << 24):
            total += len(chunk)
    if total < need:
        raise _too_short(path, total, need)


def _table_header(path: Path) -> dict[str, Scalar]:
    """Name the columns of a text table."""
    if path.name.endswith(TEXT_SUFFIX):
        return read_columns(path).header
    delimiter = ","
    with io.TextIOWrapper(open_file(path), encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("# delimiter:"):
                delimiter = line.split(":", 1)[1].strip().strip("'\"")
            if line.startswith("#") or not line.strip():
                continue
            names = line.split(delimiter if delimiter and delimiter in line else None)
            return {"FILETYPE": "table", "COLUMNS": ",".join(name.strip().strip('"') for name in names)}
    raise BadData(f"{path}: a table without a line of column names", hint="look into the file; it may be empty")
