"""Frames: one detector's image, raw and calibrated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as attribute

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray, IntArray, Meta, image, meta
from tracecube.core.headers import needed

__all__ = ["Frame", "RawFrame"]


@dataclass(frozen=True)
class RawFrame:
    """One raw file with its pixels, as the observatory delivered it.

    Parameters
    ----------
    name : str
        File name without ``.fits`` and its compressions.
    tag : str
        What the classification rules found it to be.
    meta : mapping
        Header cards: the primary's, completed by those of the first image.
    images : mapping of str to array (y, x)
        Pixels in adu by extension name, in file order.
    tables : mapping of str to mapping of str to array
        Tables by extension name (a star catalogue, for example), by column. Of equal names the second ends in " 2",
        and so on.
    headers : mapping of str to mapping
        Cards of single extensions by these names: of tables in a file that was read, of any in frames that are made to
        be written.
    """

    name: str
    tag: str
    meta: Meta
    images: Mapping[str, FloatArray]
    tables: Mapping[str, Mapping[str, FloatArray]]
    headers: Mapping[str, Meta] = attribute(default_factory=dict)

    @property
    def data(self) -> FloatArray:
        """The only image of the file (y, x), adu.

        Raises
        ------
        BadData
            The file has no image, or several.
        """
        if len(self.images) != 1:
            raise BadData(f"{self.name}: {len(self.images)} images where one is expected", hint="look at it with `ls`")
        return next(iter(self.images.values()))

    def table(self, *columns: str) -> dict[str, FloatArray]:
        """Return the first table that has these columns, by column.

        Raises
        ------
        BadData
            There is none.
        """
        return next(iter(self.tables_with(*columns).values()))

    def tables_with(self, *columns: str) -> dict[str, dict[str, FloatArray]]:
        """Return all tables that have these columns, by name of the extension.

        Raises
        ------
        BadData
            There is none.
        """
        found = {name: dict(one) for name, one in self.tables.items() if set(columns) <= set(one)}
        if not found:
            raise BadData(f"{self.name}: no table with columns {', '.join(columns)}", hint=f"is it a {self.tag}?")
        return found

    def number(self, key: str) -> float:
        """Return header card ``key`` as a number.

        Raises
        ------
        MissingInput
            The card is absent, blank or not a number: nothing is put in its place.
        """
        return needed(self.meta, self.name, key)


@dataclass(frozen=True)
class Frame:
    """One detector's image in electrons, with variance and flags.

    Parameters
    ----------
    data : array (y, x), electron
    variance : array (y, x), electron**2
    flags : int32 array (y, x), bits of `tracecube.core.flags.Flag`
    meta : mapping
    """

    data: FloatArray = image("DATA", unit="electron")
    variance: FloatArray = image("STAT", unit="electron**2")
    flags: IntArray = image("DQ")
    meta: Meta = meta()
