"""Plain text tables of a night, to be read on a terminal and by programs that split columns."""

from __future__ import annotations

from collections.abc import Sequence

from tracecube.core.reporting import Column, Extraction, TextTable

__all__ = ["aligned", "cells", "text_table"]

_GAP = "  "
_NOTHING = "-"


def cells(columns: Sequence[Column], extraction: Extraction) -> list[str]:
    """Return the row of an extraction, each cell on one line."""
    return [" ".join(column.value(extraction).split()) for column in columns]


def text_table(table: TextTable, night: str, extractions: Sequence[Extraction], notes: Sequence[str] = ()) -> str:
    """Return a table as text: title, header, one line an extraction, and notes below.

    Columns stand under each other, two blanks apart; where there is nothing to say a dash stands.

    Examples
    --------
    >>> one = Extraction("ZTF18abc", "r", "n", None, 30.0, False, {})
    >>> name = Column("Object", lambda it: it.object)
    >>> time = Column("Exptime", lambda it: f"{it.exptime:.1f}", right=True)
    >>> print(text_table(TextTable("t.txt", "Night of {night}", (name, time)), "2018-09-07", [one]))
    Night of 2018-09-07
    <BLANKLINE>
    Object    Exptime
    ZTF18abc     30.0
    <BLANKLINE>
    """
    lines = aligned(table.columns, [one for one in extractions if table.lists(one)])
    if len(lines) == 1:
        lines.append("none")
    told = ["", *notes] if notes else []
    return "\n".join([table.title.format(night=night), "", *lines, *told, ""])


def aligned(columns: Sequence[Column], extractions: Sequence[Extraction]) -> list[str]:
    """Return a line of titles and one an extraction, columns under each other."""
    rows = [[column.title for column in columns]]
    rows += [[cell or _NOTHING for cell in cells(columns, one)] for one in extractions]
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
    return [_GAP.join(_placed(*one) for one in zip(row, widths, columns, strict=True)).rstrip() for row in rows]


def _placed(cell: str, width: int, column: Column) -> str:
    return cell.rjust(width) if column.right else cell.ljust(width)
