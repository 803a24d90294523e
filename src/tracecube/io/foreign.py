"""Files in the layout of an observatory's own pipeline: FITS with the first plane in the primary unit, or HDF5."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tracecube.core.fields import PER_PRODUCT
from tracecube.core.foreign import ForeignFile, ForeignStream, ForeignTable, Plane
from tracecube.io.cards import CardValue
from tracecube.io.products import AXES, write_units
from tracecube.io.units import Column, Unit, image_unit, primary_image, primary_unit, table_unit

__all__ = ["write_foreign", "write_stream"]


def write_foreign(path: Path | str, file: ForeignFile, *, cards: Mapping[str, CardValue] | None = None) -> None:
    """Write a file in an observatory's layout, whole and synced to the disk; same content, same bytes.

    Images are not compressed, for readers that know no tiles.

    Parameters
    ----------
    path : Path
        Its folder exists; an old file is overwritten.
    file : ForeignFile
    cards : mapping of str to scalar or (scalar, comment)
        Over those of the file, in the primary header.

    Raises
    ------
    BadData
        Values are of a kind that a FITS file cannot hold, or columns differ in length.
    """
    inherited = {k: v for k, v in file.meta.items() if not PER_PRODUCT.fullmatch(k) and not AXES.fullmatch(k)}
    head: dict[str, CardValue] = {**inherited, **file.cards, **(cards or {})}
    others = file.planes
    units: list[Unit]
    if file.primary is None:
        first, *others_ = file.planes
        others = tuple(others_)
        units = [primary_image(first.values, {**_plane_cards(first, file), "EXTNAME": first.name, **head})]
    else:
        units = [primary_unit({"EXTNAME": file.primary, **head} if file.primary else head)]
    units += [image_unit(plane.name, plane.values, _plane_cards(plane, file), packed=False) for plane in others]
    for table in file.tables:
        columns = [Column(one.name, one.unit, one.text, np.asarray(one.values)) for one in table.columns]
        units.append(table_unit(table.name, columns, table.cards))
    write_units(Path(path), units)


def _plane_cards(plane: Plane, file: ForeignFile) -> dict[str, CardValue]:
    """Return unit and axes of a plane."""
    cards: dict[str, CardValue] = {}
    if file.axes:
        cards |= {key: value for key, value in file.meta.items() if AXES.fullmatch(key) and key != "BUNIT"}
    if plane.unit or plane.text:
        cards["BUNIT"] = (plane.unit, plane.text)
    return {**cards, **plane.cards}


def write_stream(path: Path | str, stream: ForeignStream, *, cards: Mapping[str, CardValue] | None = None) -> None:
    """Write an HDF5 file a piece at a time; same content, same bytes.

    Parameters
    ----------
    path : Path
        Its folder exists; an old file is overwritten when all of the new one is written.
    stream : ForeignStream
    cards : mapping of str to scalar or (scalar, comment)
        Attributes over those of the stream.

    Raises
    ------
    BadData
        Columns of a table differ in length, or rows in columns.
    """
    from tracecube.io.hdf5 import Hdf5Writer  # noqa: PLC0415 - FITS files need no HDF5

    plain = {key: value[0] if isinstance(value, tuple) else value for key, value in (cards or {}).items()}
    with Hdf5Writer(path, {**stream.attributes, **plain}) as out:
        for piece in stream.pieces:
            if isinstance(piece, ForeignTable):
                out.append(piece)
            else:
                out.add(piece.name, piece.noun)
