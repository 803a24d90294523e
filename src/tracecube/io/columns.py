"""Tables of text whose columns stand between blanks, with comments after ``#``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tracecube.core.errors import BadData
from tracecube.core.fields import Scalar
from tracecube.io.members import open_file

__all__ = ["TEXT_SUFFIX", "Columns", "read_columns"]

TEXT_SUFFIX = ".txt"

_MOST = 1 << 24  # byte; what is longer is no table of an instrument's constants
_NAME = re.compile(r"[A-Za-z_]\w*")
_KEYWORD = re.compile(r"\$\w*:.*\$")  # a line that a version control system fills in


@dataclass(frozen=True)
class Columns:
    """A table of text.

    Parameters
    ----------
    names : tuple of str
        Those of the comment above the rows if it has one word for each column, else col1, col2 and so on.
    columns : tuple of tuple of str
        Cells.
    title : str
        First comment that says anything; empty where the comments hold nothing but the names.
    """

    names: tuple[str, ...]
    columns: tuple[tuple[str, ...], ...]
    title: str

    @property
    def header(self) -> dict[str, Scalar]:
        """What stands for header cards."""
        cards: dict[str, Scalar] = {"FILETYPE": "table", "COLUMNS": ",".join(self.names)}
        return {**cards, "TITLE": self.title} if self.title else cards


def read_columns(path: Path | str) -> Columns:
    """Read a table of text: its last rows, each of as many cells; comments may stand between them.

    Parameters
    ----------
    path : Path

    Raises
    ------
    BadData
        Not text, or its last lines are no rows of two columns or more with a number in each.
    FileNotFoundError
        No such file.
    """
    with open_file(path) as file:
        content = file.read(_MOST)
    try:
        lines = [line.strip() for line in content.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise BadData(f"{path}: not text ({error})", hint="write it as UTF-8 text") from error
    start = _first_row(lines)
    rows = [line.split() for line in lines[start:] if line and not line.startswith("#")]
    width = len(rows[0]) if rows else 0
    if width < 2 or any(len(row) != width or not any(map(_is_number, row)) for row in rows):  # noqa: PLR2004 - a table
        raise BadData(f"{path}: no table of columns between blanks", hint="the file may be truncated: fetch it again")
    comments = [line.lstrip("#").strip() for line in lines[:start] if line.startswith("#")]
    names = tuple(comments[-1].split()) if comments else ()
    named = len(names) == width and all(_NAME.fullmatch(name) for name in names)
    says = [text for text in (comments[:-1] if named else comments) if text and not _KEYWORD.fullmatch(text)]
    given = names if named else tuple(f"col{i + 1}" for i in range(width))
    return Columns(given, tuple(zip(*rows, strict=True)), says[0] if says else "")


def _first_row(lines: list[str]) -> int:
    """Return where the table begins: after the last comment above which rows have another number of cells."""
    start, width = len(lines), 0
    for at in reversed(range(len(lines))):
        if not lines[at] or lines[at].startswith("#"):
            continue
        cells = len(lines[at].split())
        below = next((line for line in lines[at + 1 :] if line), "")
        if width and cells != width and below.startswith("#"):
            break
        start, width = at, cells
    return start


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
