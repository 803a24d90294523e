"""Products: any noun to a FITS file (a text to a text file) and back, as its own declarations say.

The layout of every noun follows from `tracecube.core.fields`; nothing here knows a particular one.
The same noun with the same cards gives the same bytes: no dates, no host, no order of a set.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_type_hints

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import PER_PRODUCT, Meta, Place, Scalar, places
from tracecube.core.several import Several
from tracecube.core.text import TextFile
from tracecube.io.cards import STRUCTURAL, CardValue, format_cards
from tracecube.io.checksum import datasum
from tracecube.io.headers import header_units
from tracecube.io.samples import along_arrays, long_columns
from tracecube.io.text import is_text, read_text, text_hash, write_text
from tracecube.io.units import Column, Unit, image_unit, primary_unit, table_unit

__all__ = ["AXES", "holds", "read_cards", "read_product", "verify_product", "write_product", "write_units"]

AXES = re.compile(
    r"WCSAXES|(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA|CNAME)\d|(CD|PC|PV|PS)\d_\d+|LONPOLE|LATPOLE"
    r"|RADESYS|SPECSYS|RESTWAV|BUNIT"
)
"""Cards that describe the axes and values of an image (full match)."""

_ALL_ONES = 0xFFFFFFFF  # the sum of a unit with its CHECKSUM card

Noun = TypeVar("Noun")


def write_product(path: Path | str, noun: Any, *, cards: Mapping[str, CardValue] | None = None) -> str:
    """Write a noun, whole and synced to the disk.

    Parameters
    ----------
    path : Path
        Its folder exists; an old file is overwritten.
    noun : dataclass
        Any noun that declares its places.
    cards : mapping of str to scalar or (scalar, comment)
        Cards of this product (PRODTAG, RECIPE, QC numbers, ...), over those of ``noun.meta``.

    Returns
    -------
    str
        Content hash, also on card PRODSHA: sha256 of the cards that are fields of the noun,
        followed by all data units. Of a `TextFile` that of the text; its file holds no cards.

    Raises
    ------
    BadData
        A field is of a kind that a FITS file cannot hold.
    """
    if isinstance(noun, TextFile):
        return write_text(path, noun)
    several = isinstance(noun, Several)
    declared = places(noun.part if several else type(noun))
    parts = dict(noun.parts) if several else {"": noun}
    cards_of = next(iter(parts.values()), None)
    own = {p.name: (getattr(cards_of, name), _comment(p)) for name, p in declared.items() if p.kind == "card"}
    digest = hashlib.sha256("".join(format_cards(own)).encode("ascii"))
    meta: Meta = getattr(noun, "meta", {})
    axes = any(p.axes for p in declared.values())
    inherited = {k: v for k, v in meta.items() if not PER_PRODUCT.fullmatch(k) and not (axes and AXES.fullmatch(k))}
    head = {**inherited, **own, **(cards or {}), "PRODSHA": ("0" * 64, "content hash")}
    with Path(path).open("wb") as file:
        file.write(primary_unit(head).sealed())  # the hash is known last, and takes the same room
        for detector, part in parts.items():
            for unit in _data_units(part, declared, detector):
                digest.update(unit.data)
                file.write(unit.sealed())
                file.write(unit.data)
                del unit  # before the next is laid out: an image may fill half of the memory
        sha = digest.hexdigest()
        file.seek(0)
        file.write(primary_unit({**head, "PRODSHA": (sha, "content hash")}).sealed())
        file.flush()
        os.fsync(file.fileno())
    return sha


def write_units(path: Path, units: list[Unit]) -> None:
    """Write header-and-data units one after the other, and sync them to the disk."""
    with path.open("wb") as file:
        for unit in units:
            file.write(unit.sealed())
            file.write(unit.data)
        file.flush()
        os.fsync(file.fileno())


def _comment(place: Place) -> str:
    return f"[{place.unit}] {place.text}".strip() if place.unit else place.text


def _data_units(noun: Any, declared: Mapping[str, Place], detector: str = "") -> Iterator[Unit]:
    """Yield the extensions of a noun in the order of its fields; an optional field that is None has none."""
    grouped: dict[str, list[tuple[Place, NDArray[Any]]]] = {}
    for name, place in declared.items():
        value = getattr(noun, name)
        if place.kind != "card" and value is not None:
            grouped.setdefault(place.hdu, []).append((place, _as_stored(place, np.asarray(value))))
    start = f"{detector}." if detector else ""
    yield from (_data_unit(start + hdu, items, noun) for hdu, items in grouped.items())


def _as_stored(place: Place, values: NDArray[Any]) -> NDArray[Any]:
    """Flags are int32 in every file."""
    is_flags = "DQ" in {place.hdu, place.name.upper()} and values.dtype.kind in "iu"
    return values.astype(np.int32, copy=False) if is_flags else values


def _data_unit(hdu: str, items: list[tuple[Place, NDArray[Any]]], noun: Any) -> Unit:
    place, values = items[0]
    if place.kind == "image":
        return image_unit(hdu, values, _image_cards(place, getattr(noun, "meta", {})))
    if place.kind == "samples":
        columns, extent = long_columns(np.asarray(noun.aperture), np.asarray(noun.start), items)
        return table_unit(hdu, columns, {"NALONG": (extent, "samples along dispersion, measured or not")})
    return table_unit(hdu, [Column(p.name, p.unit, p.text, v) for p, v in items], {})


def _image_cards(place: Place, meta: Meta) -> dict[str, CardValue]:
    """Return unit and axes of an image."""
    cards: dict[str, CardValue] = {"BUNIT": (place.unit, place.text)} if place.unit else {}
    if not place.axes:
        return cards
    cards |= {key: value for key, value in meta.items() if AXES.fullmatch(key)}
    unit = cards.pop("BUNIT", None)
    if place.hdu == "STAT" and isinstance(unit, str):
        unit = f"({unit})**2"
    return cards if place.hdu == "DQ" or unit is None else {**cards, "BUNIT": unit}


def read_cards(path: Path | str) -> dict[str, Scalar]:
    """Return the cards of a product's primary header, without those that describe the file; a text has none.

    Raises
    ------
    BadData
        Not a FITS file, or truncated.
    """
    if is_text(path):
        return {}
    first = next(iter(header_units(path)))
    return {key: value for key, value in first.cards.items() if not STRUCTURAL.fullmatch(key)}


def holds(path: Path | str, noun: type) -> bool:
    """Whether a product has the extensions and columns that a noun needs, by its headers.

    So it is held of a file that is no whole one: what is wrong with it, `read_product` tells.
    """
    several = noun if issubclass(noun, Several) else None
    kind: Any = several.part if several else noun
    needed = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}
    wanted = [one for name, one in places(kind).items() if name in needed and one.kind != "card"]
    try:
        heads = [(str(unit.cards.get("EXTNAME", "")), unit.cards) for unit in list(header_units(Path(path)))[1:]]
    except (OSError, BadData):
        return True
    first = f"{heads[0][0].rpartition('.')[0]}." if several and heads else ""
    there = {name: {str(v).strip() for key, v in cards.items() if key.startswith("TTYPE")} for name, cards in heads}
    return all(
        first + one.hdu in there and (one.kind == "image" or one.name in there[first + one.hdu]) for one in wanted
    )


def read_product(path: Path | str, noun: type[Noun]) -> Noun:
    """Read a noun from its file.

    Parameters
    ----------
    path : Path
    noun : type
        The class it was written as.

    Returns
    -------
    noun
        Arrays are read-only, contiguous, in native byte order; ``meta`` holds every card that is
        not a field of the noun.

    Raises
    ------
    BadData
        Truncated or corrupt, or not a file of this noun.
    MissingInput
        No such file.
    """
    if issubclass(noun, TextFile):
        return cast("Noun", read_text(path))
    path = Path(path)
    if not path.exists():
        raise MissingInput(f"{path}: no such product", hint="run `tracecube reduce` again: it is made anew")
    several = noun if issubclass(noun, Several) else None
    declared = places(several.part if several else noun)
    units = list(header_units(path))
    head = {key: value for key, value in units[0].cards.items() if not STRUCTURAL.fullmatch(key)}
    own = {place.name for place in declared.values() if place.kind == "card"}
    meta = {key: value for key, value in head.items() if key not in own}
    try:
        with fits.open(path, memmap=False) as hdus:
            if several:
                return cast("Noun", _several(hdus, several, declared, head, meta))
            values: dict[str, Any] = dict(_fields_of(hdus, declared))
            with_axes = next((p.hdu for p in declared.values() if p.axes), "")
            if with_axes:
                meta |= {k: hdus[with_axes].header[k] for k in hdus[with_axes].header if AXES.fullmatch(k)}
        values |= _card_fields(head, noun, declared)
        return noun(**values, **({"meta": meta} if "meta" in get_type_hints(noun) else {}))
    except (KeyError, ValueError, TypeError, OSError, BadData) as error:
        raise BadData(f"{path}: not a whole {noun.__name__} ({error})", hint="make the product again") from error


def _several(hdus: fits.HDUList, noun: type[Several], declared: Mapping[str, Place], head: Meta, meta: Meta) -> Several:
    """Read the noun of every detector that the names of the extensions tell of."""
    detectors = dict.fromkeys(hdu.name.rpartition(".")[0] for hdu in hdus[1:])
    cards = _card_fields(head, noun.part, declared)
    parts = {}
    for detector in detectors:
        own = {name: replace(place, hdu=f"{detector}.{place.hdu}") for name, place in declared.items()}
        parts[detector] = noun.part(**_fields_of(hdus, own), **cards, meta=meta)
    return noun(parts=parts, meta=meta)


def _fields_of(hdus: fits.HDUList, declared: Mapping[str, Place]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a noun; one whose extension or column is absent is left to its default."""
    found: dict[str, NDArray[Any]] = {}
    ragged: dict[str, list[str]] = {}
    for name, place in declared.items():
        if place.kind == "card" or place.hdu not in hdus:
            continue
        if place.kind == "image":
            found[name] = _frozen(_pixels(hdus[place.hdu]))
        elif place.kind == "samples":
            ragged.setdefault(place.hdu, []).append(name)
        elif place.name in hdus[place.hdu].columns.names:
            found[name] = _frozen(np.asarray(hdus[place.hdu].data[place.name]))
    for hdu, names in ragged.items():
        keys = [declared[name].name for name in names]
        table = {key: np.asarray(hdus[hdu].data[key]) for key in ("aperture", "pixel", *keys)}
        extent = hdus[hdu].header["NALONG"]
        arrays = along_arrays(found["aperture"], found["start"], table, keys, extent)
        found |= {name: _frozen(array) for name, array in zip(names, arrays, strict=True)}
    return found


def _pixels(hdu: Any) -> NDArray[Any]:
    """Return the pixels of an image, also of one without any."""
    if hdu.data is not None:
        return np.asarray(hdu.data)
    kind = {8: "u1", 16: "i2", 32: "i4", 64: "i8", -32: "f4", -64: "f8"}[hdu.header["BITPIX"]]
    return np.zeros([hdu.header[f"NAXIS{i}"] for i in range(hdu.header["NAXIS"], 0, -1)], kind)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    native = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    native.flags.writeable = False
    return native


def _card_fields(head: Meta, noun: type, declared: Mapping[str, Place]) -> dict[str, Scalar]:
    """Return the fields of a noun that are cards, in their declared types; NaN has no value in a file."""
    hints = get_type_hints(noun)
    found: dict[str, Scalar] = {}
    for name, place in declared.items():
        if place.kind != "card" or place.name not in head:
            continue
        value, hint = head[place.name], hints[name]
        kinds = get_args(hint) or (hint,)
        if value is not None:
            found[name] = kinds[0](value)
        else:
            found[name] = None if type(None) in kinds else math.nan if hint is float else ""
    return found


def verify_product(path: Path | str) -> str:
    """Check every byte of a product against its checksums and return its content hash.

    A text has no checksums: its hash is for the ledger to compare.

    Raises
    ------
    BadData
        Truncated, or changed since it was written.
    MissingInput
        No such file.
    """
    if is_text(path):
        return text_hash(path)
    path = Path(path)
    if not path.exists():
        raise MissingInput(f"{path}: no such product", hint="run `tracecube reduce` again: it is made anew")
    units = list(header_units(path))
    content = memoryview(path.read_bytes())
    for number, unit in enumerate(units):
        if len(content) < unit.stop or datasum(content[unit.start : unit.stop]) != _ALL_ONES:
            raise BadData(f"{path}: extension {number} changed since it was written", hint="make the product again")
    if units[-1].stop != len(content):
        raise BadData(f"{path}: {len(content)} bytes, {units[-1].stop} were written", hint="make the product again")
    return str(units[0].cards.get("PRODSHA"))
