"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tracecube.workflow.discover import discover
from tracecube.workflow.settings import Settings, from_command_line, from_file, merged, preset

__all__ = [
    "Cluster",
    "Earlier",
    "Jobs",
    "OnlyFiles",
    "Out",
    "OutFolder",
    "ParameterFile",
    "Parameters",
    "RawFolder",
    "Targets",
    "processors",
    "settings_of",
]

RawFolder = Annotated[
    Path, typer.Argument(metavar="RAWDIR", help="Folder with raw files; its sub-folders are searched too.")
]
OutFolder = Annotated[Path, typer.Argument(metavar="OUT", help="Folder that `reduce` wrote into.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for products and ledger; made when it is not there.")]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        "-t",
        help="Task, sub-workflow, product tag or named group to make; may be repeated.",
        show_default=False,
    ),
]
OnlyFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="KEY=VALUE",
        help="Take only raw files of this setup (see `tracecube ls`): slot=47, slot=47,53 or column=3..5. "
        "Files without the key, such as tables, are always taken. May be repeated.",
        show_default=False,
    ),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--param", "-p", metavar="TASK.PARAM=VALUE", help="Set a parameter; may be repeated.", show_default=False
    ),
]
ParameterFile = Annotated[
    Path | None,
    typer.Option(
        "--params",
        metavar="FILE",
        help="TOML file with one table of parameters for each task, or the name of a preset "
        "(see `tracecube explain TASK`).",
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        metavar="N",
        min=0,
        help="Worker processes (default: one for each processor); 0 for this process alone.",
    ),
]

Cluster = Annotated[
    str | None,
    typer.Option("--executor", metavar="dask:ADDRESS", help="Run jobs on a Dask cluster that sees the same folders."),
]


Earlier = Annotated[
    bool,
    typer.Option(
        help="Replace calibrations that are missing or fail by those of other nights in OUT; a caveat says so."
    ),
]


def processors() -> int:
    """Return the number of processors that this process may use."""
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


def settings_of(parameters: Sequence[str] | None, file: Path | None) -> Settings:
    """Return the parameters given on the command line over those of a file, or of a preset where there is no file."""
    named = preset(str(file), (one.instrument for one in discover().values())) if file and not file.exists() else None
    below = named if named is not None else from_file(file) if file else {}
    return merged(below, from_command_line(parameters or []))
