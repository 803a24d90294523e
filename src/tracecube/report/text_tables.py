"""Plain text tables of a night, to be read on a terminal and by programs that split columns."""

from __future__ import annotations

from collections.abc import Sequence

from tracecube.core.reporting import Column, Extraction, TextTable

__all__ = ["cells", "text_table"]

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
    rows = [[column.title for column in table.columns]]
    rows += [[cell or _NOTHING for cell in cells(table.columns, one)] for one in extractions if table.lists(one)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.columns))]
    lines = [_GAP.join(_placed(*one) for one in zip(row, widths, table.columns, strict=True)).rstrip() for row in rows]
    if len(rows) == 1:
        lines.append("none")
    told = ["", *notes] if notes else []
    return "\n".join([table.title.format(night=night), "", *lines, *told, ""])


def _placed(cell: str, width: int, column: Column) -> str:
    return cell.rjust(width) if column.right else cell.ljust(width)
