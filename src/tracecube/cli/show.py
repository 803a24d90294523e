"""How things look in a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

from tracecube.core.errors import TracecubeError

__all__ = ["COLOURS", "Group", "console", "examples", "print_json", "say", "table"]

COLOURS = {
    "done": "green",
    "reused": "cyan",
    "run": "yellow",
    "skipped": "dim",
    "failed": "bold red",
    "blocked": "red",
    "incomplete": "magenta",
    "waiting": "dim",
}
"""Of the states of jobs."""

_PLAIN_WIDTH = 200  # columns when nobody's terminal says how many; keeps paths whole in logs


def console() -> Console:
    """Return the terminal, or a wide plain page when output goes to a file."""
    return Console() if sys.stdout.isatty() else Console(width=_PLAIN_WIDTH, soft_wrap=True)


def say(text: str, *, style: str | None = None) -> None:
    """Print a line as it stands; brackets in it mean nothing."""
    console().print(escape(text), style=style, highlight=False, soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """Print a table."""
    found = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column in columns:
        found.add_column(column, overflow="fold")
    for row in rows:
        found.add_row(*(_cell(value) for value in row))
    console().print(found)


def _cell(value: object) -> str:
    """Return a value as text, a state in its colour."""
    text = escape("" if value is None else str(value))
    return f"[{COLOURS[text]}]{text}[/]" if text in COLOURS else text


def print_json(value: Any) -> None:
    """Print a value as JSON, and nothing else."""
    sys.stdout.write(json.dumps(value, indent=1, allow_nan=False) + "\n")


def examples(*lines: str) -> str:
    """Return examples as the end of a help page."""
    return "\n\n".join(["Examples:", *(f"  {line}" for line in lines)])


class Group(TyperGroup):
    """Commands whose expected failures are one sentence on standard error, and exit status 2."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except TracecubeError as error:
            typer.echo(f"tracecube: {error}", err=True)
            raise typer.Exit(2) from error
