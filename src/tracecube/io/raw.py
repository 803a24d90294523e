"""Raw files with their pixels, as the observatory delivered them."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from tracecube.core.errors import BadData, TracecubeError
from tracecube.core.fields import Meta
from tracecube.core.frame import RawFrame
from tracecube.io.cards import STRUCTURAL
from tracecube.io.checksum import datasum
from tracecube.io.columns import TEXT_SUFFIX, read_columns
from tracecube.io.headers import BLOCK, TABLE_SUFFIXES, bare_name, header_units, read_header
from tracecube.io.members import append_member, open_file, split_path

__all__ = ["read_raw", "read_text_table", "write_raw"]

_CORRUPT = (OSError, EOFError, ValueError, TypeError, IndexError, KeyError)
"""What the reader of ECSV tables raises on files damaged in one way or another."""

_PACKED = (".npz", ".json")
"""Suffixes of truth that is no table."""

_NARROW = 2  # bytes: 16-bit counts are exact as float32 (24 bits of mantissa)


def read_raw(path: Path | str, tag: str, *, plane: int | None = None, extension: str | None = None) -> RawFrame:
    """Read a raw file whole, or one plane or one extension of it.

    Parameters
    ----------
    path : Path
        FITS file (plain, tile-compressed or gzipped), or text table; loose or in an archive.
    tag : str
        What the classification found it to be.
    plane : int, optional
        Which image of the cubes (plane, y, x) of the file, from 0; the header then has it as ``PLANE``.
    extension : str, optional
        Which image of the file; the header is then the primary's and this one's, with its name as ``DETECTOR``, and
        nothing else is read. Of a file with images "A.DATA" and "A.STAT" the extension "A" is both, without the "A.".

    Returns
    -------
    RawFrame
        16-bit counts as float32, wider integers as float64, by extension name ("" for a nameless
        one); a text table under ``tables[""]``. Arrays are read-only.

    Raises
    ------
    BadData
        Truncated or corrupt; names the file.
    """
    path = Path(path)
    meta = read_header(path, extension=extension)
    images: dict[str, NDArray[Any]] = {}
    tables: dict[str, Mapping[str, NDArray[Any]]] = {}
    heads: dict[str, Meta] = {}
    if path.name.endswith(TABLE_SUFFIXES):
        tables[""] = read_text_table(path)
    else:
        _check_sums(path, extension)
        try:
            _read_units(path, images, (tables, heads), _Wanted(plane, extension))
        except (TracecubeError, MemoryError):
            raise
        except Exception as error:  # what unpacks tiles has exceptions of its own
            raise BadData(
                f"{path}: pixels cannot be read ({error})", hint="fetch the file again, or leave it out"
            ) from error
    if plane is not None:
        meta = {**meta, "PLANE": plane}
    if extension is not None:
        meta = {**meta, "DETECTOR": extension}
    return RawFrame(bare_name(path), tag, meta, images, tables, heads)


@dataclass(frozen=True)
class _Wanted:
    """Which plane, and which extension, is to be read; None for all."""

    plane: int | None
    extension: str | None

    def has(self, name: str) -> bool:
        """Whether a unit of this name belongs to it: "A.DATA" is of the extension "A"."""
        return self.extension is None or name == self.extension or name.startswith(f"{self.extension}.")


def _read_units(
    path: Path,
    images: dict[str, NDArray[Any]],
    tables: tuple[dict[str, Mapping[str, NDArray[Any]]], dict[str, Meta]],
    wanted: _Wanted,
) -> None:
    with open_file(path) as file, _unpacked(path, file) as plain, fits.open(plain, memmap=False) as hdus:
        for hdu in hdus:
            name = "" if hdu.name in {"PRIMARY", "COMPRESSED_IMAGE"} else hdu.name
            if not hdu.header.get("NAXIS") or not wanted.has(name):
                continue
            name = name if wanted.extension is None else name.removeprefix(f"{wanted.extension}.")
            if isinstance(hdu, fits.BinTableHDU | fits.TableHDU):
                name = _another(name, tables[0])
                tables[0][name] = {str(key): _own(np.asarray(hdu.data[key])) for key in hdu.columns.names}
                tables[1][name] = {key: card for key, card in hdu.header.items() if not STRUCTURAL.fullmatch(key)}
            else:
                cube = wanted.plane is not None and len(hdu.shape) > 2  # noqa: PLR2004 - planes, rows, columns
                if cube and cast("int", wanted.plane) >= hdu.shape[0]:
                    raise BadData(
                        f"{path}: no integration {wanted.plane}, counted from 0: the file holds {hdu.shape[0]}, fewer "
                        "than its header says",
                        hint="the exposure was cut short, or the copy: fetch the file again, or use the others",
                    )
                images[name] = _pixels(hdu.section[wanted.plane] if cube else hdu.data)


def _another(name: str, taken: Collection[str]) -> str:
    """Return a name that no table has yet: the second of two "STAR" is "STAR 2"."""
    count = 1
    while (name if count == 1 else f"{name} {count}") in taken:
        count += 1
    return name if count == 1 else f"{name} {count}"


def _unpacked(path: Path, file: BinaryIO) -> BinaryIO:
    return cast("BinaryIO", gzip.open(file)) if path.name.endswith(".gz") else file


def _pixels(data: NDArray[Any]) -> NDArray[Any]:
    """Return counts as floats that hold them exactly."""
    narrow = data.dtype.itemsize <= _NARROW or data.dtype == np.dtype(">f4")
    return _own(data.astype(np.float32 if narrow else np.float64))


def _own(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only array in native byte order."""
    native = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False))
    native.flags.writeable = False
    return native


def _check_sums(path: Path, extension: str | None = None) -> None:
    """Compare the data units of an unpacked file with their DATASUM cards, where there are any."""
    if path.name.endswith(".gz"):
        return
    with open_file(path) as file:
        for number, unit in enumerate(header_units(path)):
            promised = unit.cards.get("DATASUM")
            if promised is None or not unit.size or not _Wanted(None, extension).has(unit.name):
                continue
            file.seek(unit.data_start)
            data = file.read(unit.stop - unit.data_start)
            data += b"\0" * (-len(data) % BLOCK)
            if str(promised).strip() != str(datasum(data)):
                raise BadData(
                    f"{path}: the data of extension {number} do not agree with their DATASUM card",
                    hint="fetch the file again: bits of it changed since it was written",
                )


def read_text_table(path: Path | str) -> dict[str, NDArray[Any]]:
    """Read a ``.csv``, ``.ecsv`` or ``.txt`` table.

    Returns
    -------
    dict of str to array (n_rows,)
        Columns of whole numbers as int64, of numbers as float64 (NaN for an empty cell), else str.

    Raises
    ------
    BadData
        A line has another number of cells than the line of names, or the file is not text.
    """
    path = Path(path)
    if path.name.endswith(".ecsv"):
        return _read_ecsv(path)
    if path.name.endswith(TEXT_SUFFIX):
        found = read_columns(path)
        return {name: _column(list(column)) for name, column in zip(found.names, found.columns, strict=True)}
    try:
        with io.TextIOWrapper(open_file(path), encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file) if line and not line[0].startswith("#")]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadData(f"{path}: not a text table ({error})", hint="save it as comma-separated UTF-8 text") from error
    if not lines:
        raise BadData(f"{path}: an empty table", hint="leave the file out, or write it again")
    names, rows = [name.strip() for name in lines[0]], lines[1:]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise BadData(
                f"{path}: row {number} has {len(row)} cells where {len(names)} are named",
                hint="the file may be truncated: fetch it again",
            )
    cells = zip(*rows, strict=True) if rows else ([] for _ in names)
    return {name: _column([cell.strip() for cell in column]) for name, column in zip(names, cells, strict=True)}


def _column(cells: list[str]) -> NDArray[Any]:
    """Give a column the narrowest of int64, float64 and str that holds all its cells."""
    for convert in (
        lambda: np.array([int(cell) for cell in cells], np.int64),
        lambda: np.array([float(cell or "nan") for cell in cells], np.float64),
    ):
        try:
            return _own(convert())
        except (ValueError, OverflowError):
            continue
    return _own(np.array(cells, np.str_))


def _read_ecsv(path: Path) -> dict[str, NDArray[Any]]:
    from astropy.table import Table  # noqa: PLC0415 - slow to import, and rarely needed

    try:
        with io.TextIOWrapper(open_file(path), encoding="utf-8") as file:
            table = Table.read(file.read(), format="ascii.ecsv")
    except _CORRUPT as error:
        raise BadData(f"{path}: not an ECSV table ({error})", hint="fetch the file again") from error
    return {str(name): _own(np.ma.getdata(table[name].data)) for name in table.colnames}


def write_raw(folder: Path | str, frame: RawFrame) -> Path:
    """Write a raw file, as an observatory would.

    A name without suffix: images become a Rice-compressed ``.fits.fz``, tables with names a ``.fits``, a nameless
    table a ``.csv``. One that ends in ``.fits`` is not compressed: a nameless image alone is the primary one, images
    and tables with names follow a header without pixels; one in ``.txt`` has a table between blanks, with the card
    ``TITLE`` over it or else its names; one in ``.npz`` arrays of any shapes, one in ``.json`` the text of the column
    "json". A name may lead into a sub-folder ("truth/lenslets"), and into an archive ("night17.tar::exp01/x.fits"),
    which it is then added to.

    Parameters
    ----------
    folder : Path
    frame : RawFrame
        Integer images are kept bit for bit.

    Returns
    -------
    Path
        The file.
    """
    if frame.name.endswith((TEXT_SUFFIX, ".fits", *_PACKED)):
        return _write_plain(Path(folder) / frame.name, frame)
    suffix = ".fits.fz" if frame.images else ".csv" if "" in frame.tables else ".fits"
    path = Path(folder) / f"{frame.name}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix == ".csv":
        columns = frame.tables[""]
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([list(columns), *zip(*columns.values(), strict=True)])
        return path
    units: list[Any] = [fits.PrimaryHDU()]
    units += [
        fits.CompImageHDU(image, _header(frame.meta), compression_type="RICE_1", name=name or None)
        for name, image in frame.images.items()
    ]
    units += [
        fits.BinTableHDU.from_columns(_columns(table), _header(frame.meta), name=name)
        for name, table in frame.tables.items()
    ]
    fits.HDUList(units).writeto(path, overwrite=True)
    return path


def _write_plain(path: Path, frame: RawFrame) -> Path:
    """Write a file as its name says, loose or into an archive."""
    if path.name.endswith(TEXT_SUFFIX):
        content = _text(frame).encode()
    elif path.name.endswith(".json"):
        content = str(frame.tables[""]["json"][0]).encode()
    elif path.name.endswith(".npz"):
        packed = io.BytesIO()
        np.savez_compressed(packed, **cast("dict[str, Any]", frame.tables[""]))
        content = packed.getvalue()
    else:
        buffer = io.BytesIO()
        fits.HDUList(_plain_units(frame)).writeto(buffer)
        content = buffer.getvalue()
    on_disk, member = split_path(path)
    on_disk.parent.mkdir(parents=True, exist_ok=True)
    if member is None:
        on_disk.write_bytes(content)
    else:
        append_member(on_disk, member, content)
    return path


def _plain_units(frame: RawFrame) -> list[Any]:
    """Units of a file that is not compressed: the primary one, then images and tables with their own cards."""
    units: list[Any] = [fits.PrimaryHDU(frame.images.get(""), _header(frame.meta))]
    for name, image in frame.images.items():
        if name:
            units.append(fits.ImageHDU(image, _header(frame.headers.get(name, {})), name=name))
    for name, table in frame.tables.items():
        own = frame.headers.get(name, {})
        units.append(fits.BinTableHDU.from_columns(_columns(table, own), _header(own), name=name))
    return units


def _text(frame: RawFrame) -> str:
    columns = frame.tables[""]
    title = frame.meta.get("TITLE")
    above = f"##{' '.join(columns)}" if title is None else f"# {title}"
    rows = (" ".join(str(cell) for cell in row) for row in zip(*columns.values(), strict=True))
    return "\n".join([above, *rows, ""])


def _header(meta: Meta) -> fits.Header:
    """Header with these cards; a key of several words is a HIERARCH card."""
    return fits.Header([(f"HIERARCH {key}" if " " in key else key, value) for key, value in meta.items()])


def _columns(table: Mapping[str, NDArray[Any]], header: Meta | None = None) -> list[fits.Column]:
    """Lay columns (n_rows, ...) out as FITS knows them; units from cards TUNITn."""
    codes = {"b": "L", "i": "J", "u": "J", "f": "D", "f4": "E"}
    made = []
    for number, (key, values) in enumerate(table.items(), start=1):
        text = values.dtype.kind == "U"
        width = max(values.itemsize // 4, 1) if text else int(np.prod(values.shape[1:]))
        unit = (header or {}).get(f"TUNIT{number}")
        code = "A" if text else codes.get(values.dtype.str[1:], codes[values.dtype.kind])
        made.append(fits.Column(key, f"{width}{code}", unit=unit, array=values))
    return made
