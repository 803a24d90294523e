"""`export`: products in the layout of an observatory's own pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tracecube.archive.ledger import Ledger
from tracecube.cli.options import OutFolder
from tracecube.cli.show import examples, say, table
from tracecube.workflow.discover import discover
from tracecube.workflow.export import export as write_out

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "export",
        rich_help_panel="For others",
        epilog=examples(
            "tracecube export out/ theirs/ --format eso",
            "tracecube export out/ theirs/ --format eso --only MASTER_DARK   # by our tag or their category",
        ),
    )(export)


def export(
    out: OutFolder,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the files; made when it is not there.")],
    layout: Annotated[str, typer.Option("--format", "-f", help="Whose layout.")],
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Only this category or product tag; may be repeated.", show_default=False),
    ] = None,
) -> None:
    """Write products in the layout of an observatory's own pipeline, for programs that read its files.

    Ends with status 0 when all were written, 1 when a product could not be, 2 when nothing could be done.
    """
    with Ledger.open(out) as ledger:
        made = list(write_out(ledger, folder, layout, discover(), names=only or ()))
    rows = [(one.category, Path(one.source.path).name, one.path) for one in made if one.path is not None]
    if rows:
        table(["category", "of", "file"], rows)
    lost = [one for one in made if one.path is None]
    for one in lost:
        say(f"not written: {one.category} of {Path(one.source.path).name}: {one.reason}", style="magenta")
    say(f"{len(rows)} files in {folder}" + (f", {len(lost)} not written" if lost else ""), style="bold")
    raise typer.Exit(1 if lost else 0)
