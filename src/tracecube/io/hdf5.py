"""Nouns and tables in HDF5: many in one file, written a piece at a time.

A noun lies in a group: images are datasets, a column is a dataset in the group of its table, cards and header are
attributes. A table of another pipeline is one dataset of compound rows with the attributes that PyTables gives its own
(PyTables user's guide, appendix "PyTables file format"), so programs that read those files find it. The same
content in the same order gives the same bytes: no times are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import places
from tracecube.core.foreign import ForeignTable

__all__ = ["Hdf5Writer", "groups_of", "read_group", "read_table"]

Noun = TypeVar("Noun")

_CHUNK = 1 << 20  # bytes of a piece of a table or image that is read at once
_PYTABLES = {"CLASS": "TABLE", "VERSION": "2.7"}


class Hdf5Writer:
    """A file that grows: use as a context manager; the file has its name only when all went well.

    Parameters
    ----------
    path : Path
        Its folder exists; an old file is overwritten.
    attributes : mapping of str to scalar
        Of the file.
    """

    def __init__(self, path: Path | str, attributes: Mapping[str, Any] | None = None) -> None:
        self.path = Path(path)
        self._part = self.path.with_name(self.path.name + ".part")
        self._file = h5py.File(self._part, "w", libver=("v108", "v108"), track_order=True)
        root = {"CLASS": "GROUP", "PYTABLES_FORMAT_VERSION": "2.1", "TITLE": "", "VERSION": "1.0"}
        _attributes(self._file, {**root, **(attributes or {})})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None:
            self._part.replace(self.path)
        else:
            self._part.unlink(missing_ok=True)

    def add(self, group: str, noun: Any) -> None:
        """Write a noun as a group.

        Raises
        ------
        BadData
            There is such a group already.
        """
        if group in self._file:
            raise BadData(f"{self.path.name}: two groups {group}", hint="name each product once")
        at = self._file.create_group(group, track_order=True)
        for name, place in places(type(noun)).items():
            value = getattr(noun, name)
            if value is None:
                continue
            if place.kind == "card":
                _attributes(at, {place.name: value})
                continue
            where = place.hdu if place.kind == "image" else f"{place.hdu}/{place.name}"
            made = at.create_dataset(where, data=_storable(np.asarray(value)), track_times=False, **_packed(value))
            _attributes(made, {"unit": place.unit, "text": place.text})
        _attributes(at, dict(getattr(noun, "meta", {})))

    def append(self, table: ForeignTable) -> None:
        """Write rows at the end of a table, which the first rows make.

        Raises
        ------
        BadData
            Columns differ in length, or are not those of the rows before.
        """
        rows = _rows(self.path.name, table)
        if table.name not in self._file:
            made = self._file.create_dataset(
                table.name, shape=(0,), maxshape=(None,), dtype=rows.dtype, track_times=False,
                chunks=(max(1, _CHUNK // max(rows.dtype.itemsize, 1)),), track_order=True,
            )  # fmt: skip
            names = {f"FIELD_{i}_NAME": name for i, name in enumerate(rows.dtype.names or ())}
            units = {f"FIELD_{i}_UNIT": one.unit for i, one in enumerate(table.columns) if one.unit}
            _attributes(made, {**_PYTABLES, "TITLE": table.name, **names, **units})
        at = self._file[table.name]
        if at.dtype != rows.dtype:
            raise BadData(f"{self.path.name}: rows of {table.name} differ in columns", hint="write each kind apart")
        start = at.shape[0]
        at.resize((start + len(rows),))
        at[start:] = rows
        at.attrs["NROWS"] = np.int64(start + len(rows))


def _rows(file: str, table: ForeignTable) -> NDArray[Any]:
    """Return the rows of a table as a compound array."""
    columns = [(one.name, _storable(np.asarray(one.values))) for one in table.columns]
    if len({len(values) for _, values in columns}) > 1:
        raise BadData(f"{file}: columns of {table.name} differ in length", hint="give one value a row")
    kinds = [(name, values.dtype, values.shape[1:]) for name, values in columns]
    rows = np.zeros(len(columns[0][1]) if columns else 0, dtype=np.dtype(kinds))
    for name, values in columns:
        rows[name] = values
    return rows


def _storable(values: NDArray[Any]) -> NDArray[Any]:
    """Texts as bytes; all else as it is."""
    return np.char.encode(values, "utf-8") if values.dtype.kind == "U" else values


def _packed(value: Any) -> dict[str, Any]:
    """Flags are mostly zero and are compressed without loss; noise is not worth it."""
    values = np.asarray(value)
    return {"compression": "gzip", "compression_opts": 1} if values.ndim > 1 and values.dtype.kind == "i" else {}


def _attributes(at: Any, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if value is None:
            at.attrs[key] = h5py.Empty("f")
        elif isinstance(value, str):
            at.attrs.create(key, np.bytes_(value.encode("utf-8")) if value else h5py.Empty("S1"))
        else:
            at.attrs[key] = value


@contextmanager
def _opened(path: Path | str) -> Iterator[Any]:
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise BadData(f"{Path(path).name}: no HDF5 file can be read here ({error})", hint="make it again") from error
    with file:
        yield file


def groups_of(path: Path | str) -> tuple[str, ...]:
    """Return the groups that hold a noun, in the order they were written."""
    found: list[str] = []

    def visit(name: str, at: Any) -> None:
        if isinstance(at, h5py.Group) and any(isinstance(one, h5py.Dataset) for one in at.values()):
            parent = name.rsplit("/", 1)[0]
            if parent not in found:
                found.append(name)

    with _opened(path) as file:
        file.visititems(visit)
    return tuple(found)


def read_group(path: Path | str, group: str, noun: type[Noun]) -> Noun:
    """Read a noun back.

    Raises
    ------
    MissingInput
        The file has no such group, or the group lacks what the noun needs.
    BadData
        The file is no HDF5 file.
    """
    with _opened(path) as file:
        if group not in file:
            raise MissingInput(f"{Path(path).name}: no group {group}", hint=f"it has {', '.join(file)}")
        at = file[group]
        cards = {key: _scalar(value) for key, value in at.attrs.items()}
        values: dict[str, Any] = {}
        declared = places(noun)
        for name, place in declared.items():
            where = place.hdu if place.kind == "image" else f"{place.hdu}/{place.name}"
            if place.kind == "card" and place.name in cards:
                values[name] = cards.pop(place.name)
            elif place.kind != "card" and where in at:
                values[name] = _array(at[where])
    lacking = [f.name for f in fields(noun) if f.name in declared and f.name not in values and _needed(f)]  # type: ignore[arg-type]  # nouns are dataclasses
    if lacking:
        raise MissingInput(f"{Path(path).name}: {group} has no {', '.join(lacking)}", hint=f"is it a {noun.__name__}?")
    return noun(**{**values, "meta": cards})


def _needed(field: Any) -> bool:
    from dataclasses import MISSING  # noqa: PLC0415 - one name

    return field.default is MISSING and field.default_factory is MISSING


def _array(dataset: Any) -> NDArray[Any]:
    values = dataset[()]
    return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else np.asarray(values)


def _scalar(value: Any) -> Any:
    if isinstance(value, h5py.Empty):
        return "" if value.dtype.kind == "S" else None
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return value.item() if isinstance(value, np.generic) else value


def read_table(path: Path | str, name: str) -> NDArray[Any]:
    """Read a table as a compound array.

    Raises
    ------
    MissingInput
        The file has no such table.
    """
    with _opened(path) as file:
        if name not in file:
            raise MissingInput(f"{Path(path).name}: no table {name}", hint=f"it has {', '.join(file)}")
        return np.asarray(file[name][()])
