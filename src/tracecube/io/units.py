"""Header-and-data units as bytes: images and tables, the same bytes for the same content."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from tracecube.core.errors import BadData
from tracecube.io.cards import CARD, CardValue, format_cards
from tracecube.io.checksum import checksum_card_value, datasum
from tracecube.io.headers import BLOCK

__all__ = ["Column", "Unit", "image_unit", "primary_image", "primary_unit", "table_unit"]

_BITPIX = {"u1": 8, "i2": 16, "i4": 32, "i8": 64, "f4": -32, "f8": -64}
_TFORM = {"u1": "B", "i2": "I", "i4": "J", "i8": "K", "f4": "E", "f8": "D"}

_WORTH_PACKING = 1 << 18
"""Pixels of an integer plane from which lossless compression pays: a 2048 x 2048 plane of flags
takes 10 ms to pack and shrinks from 17 to 0.2 MB, less than writing and hashing it would take."""

_TILE_ROWS = 64  # rows a tile: 2048 one-row tiles take three times as long


@dataclass(frozen=True)
class Unit:
    """One header-and-data unit, padded to whole blocks.

    Parameters
    ----------
    header : list of str
        Its 80-character cards, without checksums and END.
    data : bytes or memoryview of bytes
    """

    header: list[str]
    data: bytes | memoryview

    def sealed(self) -> bytes:
        """Return the header with DATASUM, CHECKSUM and END, padded."""
        total = datasum(self.data)
        cards = format_cards({"DATASUM": str(total), "CHECKSUM": "0" * 16})
        plain = _padded("".join([*self.header, *cards, "END".ljust(CARD)]).encode("ascii"), b" ")
        return plain.replace(b"CHECKSUM= '" + b"0" * 16, b"CHECKSUM= '" + checksum_card_value(plain, total).encode())


@dataclass(frozen=True)
class Column:
    """One column of a table: its name, unit, comment and values (n_rows, ...)."""

    name: str
    unit: str
    text: str
    values: NDArray[Any]


def primary_unit(cards: Mapping[str, CardValue]) -> Unit:
    """Return a primary header without data."""
    head: dict[str, CardValue] = {
        "SIMPLE": (True, "conforms to the FITS standard"),
        "BITPIX": 8,
        "NAXIS": 0,
        "EXTEND": True,
    }
    return Unit([*format_cards(head), *format_cards(cards)], b"")


def primary_image(pixels: NDArray[Any], cards: Mapping[str, CardValue]) -> Unit:
    """Return a primary unit that holds an image.

    Raises
    ------
    BadData
        The pixels are of a type that FITS does not have.
    """
    head: dict[str, CardValue] = {"SIMPLE": (True, "conforms to the FITS standard"), **_image_shape("image", pixels)}
    head |= {"EXTEND": True}
    return Unit([*format_cards(head), *format_cards(cards)], _stored_pixels(pixels))


def _image_shape(name: str, pixels: NDArray[Any]) -> dict[str, CardValue]:
    cards: dict[str, CardValue] = {"BITPIX": _BITPIX[_kind(name, pixels)], "NAXIS": pixels.ndim}
    return cards | {f"NAXIS{i}": length for i, length in enumerate(reversed(pixels.shape), start=1)}


def image_unit(name: str, pixels: NDArray[Any], cards: Mapping[str, CardValue], *, packed: bool = True) -> Unit:
    """Return an image extension; a large plane of integers is tile-compressed without loss where ``packed``.

    Raises
    ------
    BadData
        The pixels are of a type that FITS does not have.
    """
    if packed and pixels.dtype.kind in "iu" and pixels.size >= _WORTH_PACKING and pixels.ndim > 1:
        tiles = _packed_image(name, pixels, cards)
        if len(tiles.data) < pixels.nbytes // 2:
            return tiles
    head: dict[str, CardValue] = {"XTENSION": "IMAGE", **_image_shape(name, pixels)}
    head |= {"PCOUNT": 0, "GCOUNT": 1, "EXTNAME": name}
    return Unit([*format_cards(head), *format_cards(cards)], _stored_pixels(pixels))


def _packed_image(name: str, pixels: NDArray[Any], cards: Mapping[str, CardValue]) -> Unit:
    """Return a Rice-compressed image extension."""
    tile = (*(1,) * (pixels.ndim - 2), min(_TILE_ROWS, pixels.shape[-2]), pixels.shape[-1])
    native = np.ascontiguousarray(pixels, dtype=np.int32)
    hdu = fits.CompImageHDU(native, name=name, compression_type="RICE_1", tile_shape=tile)
    file = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(file)
    unit = file.getvalue()[BLOCK:]
    end = unit.index(b"END".ljust(CARD))
    lines = [unit[i : i + CARD].decode("ascii") for i in range(0, end, CARD)]
    kept = [line for line in lines if line.strip() and not line.startswith("EXTNAME")]
    return Unit([*kept, *format_cards({"EXTNAME": name, **cards})], unit[-(-(end + CARD) // BLOCK) * BLOCK :])


def table_unit(name: str, columns: Sequence[Column], cards: Mapping[str, CardValue]) -> Unit:
    """Return a binary table extension.

    Raises
    ------
    BadData
        The columns differ in length, or are of a type that FITS does not have.
    """
    lengths = {column.name: len(column.values) for column in columns}
    if len(set(lengths.values())) > 1:
        raise BadData(f"table {name}: columns of different length {lengths}", hint="this is a fault of the recipe")
    stored = [_stored(name, column) for column in columns]
    rows = np.zeros(
        next(iter(lengths.values())), [(c.name, v.dtype, v.shape[1:]) for c, v in zip(columns, stored, strict=True)]
    )
    head: dict[str, CardValue] = {"XTENSION": "BINTABLE", "BITPIX": 8, "NAXIS": 2, "NAXIS1": rows.dtype.itemsize}
    head |= {"NAXIS2": len(rows), "PCOUNT": 0, "GCOUNT": 1, "TFIELDS": len(columns), "EXTNAME": name}
    for i, (column, values) in enumerate(zip(columns, stored, strict=True), start=1):
        rows[column.name] = values
        head |= _column_cards(i, column, values)
    return Unit([*format_cards(head), *format_cards(cards)], _padded(rows.tobytes(), b"\0"))


def _column_cards(number: int, column: Column, values: NDArray[Any]) -> dict[str, CardValue]:
    repeat = int(np.prod(values.shape[1:], dtype=int))
    if values.dtype.kind == "S":
        form = f"{values.dtype.itemsize * repeat}A"
    else:
        letter = "L" if column.values.dtype.kind == "b" else _TFORM[values.dtype.str[1:]]
        form = f"{repeat if values.ndim > 1 else ''}{letter}"
    cards: dict[str, CardValue] = {f"TTYPE{number}": (column.name, column.text), f"TFORM{number}": form}
    if column.unit:
        cards[f"TUNIT{number}"] = column.unit
    if values.ndim > 2 or (values.ndim > 1 and repeat == 1):
        cards[f"TDIM{number}"] = "(" + ",".join(str(n) for n in reversed(values.shape[1:])) + ")"
    return cards


def _stored(table: str, column: Column) -> NDArray[Any]:
    """Return a column's values in the type that the file has."""
    values = column.values
    if values.dtype.kind == "b":
        return np.where(values, np.uint8(ord("T")), np.uint8(ord("F")))
    if values.dtype.kind in "UO":
        if values.ndim > 1:
            raise BadData(f"{table}.{column.name}: several texts a row", hint="give each a column of its own")
        try:
            text = np.char.encode(values.astype(str), "ascii")
        except UnicodeEncodeError as error:
            raise BadData(f"{table}.{column.name}: {error}", hint="FITS tables hold ASCII text only") from error
        return text if text.dtype.itemsize else text.astype("S1")
    _kind(f"{table}.{column.name}", values)
    return _big_endian(values)


def _kind(name: str, values: NDArray[Any]) -> str:
    kind = values.dtype.str[1:]
    if kind not in _BITPIX:
        raise BadData(f"{name}: values of type {values.dtype}, which FITS does not have", hint="use int32 or float32")
    return kind


def _big_endian(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(values.dtype.newbyteorder(">"), copy=False)


def _stored_pixels(pixels: NDArray[Any]) -> memoryview:
    """Return pixels as they lie in a file, padded: one copy, for images may fill half of the memory."""
    room = np.zeros(-(-pixels.nbytes // BLOCK) * BLOCK, np.uint8)
    room[: pixels.nbytes].view(pixels.dtype.newbyteorder(">")).reshape(pixels.shape)[...] = pixels
    return room.data


def _padded(data: bytes, filler: bytes) -> bytes:
    return data + filler * (-len(data) % BLOCK)
