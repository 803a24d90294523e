"""`ls`, `datasets`: what a folder of raw files holds and allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.tree import Tree

from tracecube.cli.options import RawFolder, Targets
from tracecube.cli.show import COLOURS, console, examples, print_json, say, table
from tracecube.cli.summary import no_jobs, show_files
from tracecube.core.fields import Scalar
from tracecube.workflow.discover import discover
from tracecube.workflow.jobs import Dataset, Plan, PlannedJob
from tracecube.workflow.reduce import prepare

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "ls", rich_help_panel="Raw frames", epilog=examples("tracecube ls night/", "tracecube ls night/ --json")
    )(ls)
    app.command(
        "datasets",
        rich_help_panel="Raw frames",
        epilog=examples(
            "tracecube datasets night/",
            "tracecube datasets night/ --target ifu",
            "tracecube datasets night/ --tree      every association with its level",
        ),
    )(datasets)


def ls(
    raw: RawFolder, as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False
) -> None:
    """List raw files with the tag that each was given, or the reason why it has none."""
    prepared = prepare(raw, Path(), discover())
    files = prepared.scan.files
    if as_json:
        keys = ("path", "name", "instrument", "tag", "night", "mjd", "exptime", "object", "sha256", "reason")
        print_json([{**{key: getattr(file, key) for key in keys}, "setup": dict(file.setup)} for file in files])
        return
    columns = ["file", "tag", "night", "mjd", "exptime", "object", "setup"]
    rows = [
        (
            file.name,
            file.tag,
            file.night,
            _number(file.mjd, 5),
            _number(file.exptime, 1),
            file.object,
            _setup(file.setup),
        )
        for file in prepared.scan.classified
    ]
    table(columns, rows)
    show_files(prepared.scan.unclassified, prepared.scan.copies)
    counts = Counter(f"{file.instrument} {file.tag}" for file in prepared.scan.classified)
    say(
        ", ".join(f"{count} {tag}" for tag, count in sorted(counts.items())) or no_jobs(raw, prepared.targets, counts),
        style="bold",
    )


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _setup(setup: Mapping[str, Scalar]) -> str:
    shown = {k: v for k, v in setup.items() if v is not None and k not in {"night", "raw_tag", "object"}}
    return " ".join(f"{key}={value}" for key, value in shown.items())


def datasets(
    raw: RawFolder,
    target: Targets = None,
    tree: Annotated[bool, typer.Option("--tree", help="Show every association with its level.")] = False,
) -> None:
    """List what can be finished, and name what is missing for the rest."""
    prepared = prepare(raw, Path("out"), discover(), targets=target or ())
    found = prepared.datasets
    if tree:
        for dataset in found:
            console().print(_tree(dataset, prepared.plan))
    else:
        table(["target", "dataset", "state", "level", "missing"], [_row(dataset) for dataset in found])
    show_files(prepared.scan.unclassified, prepared.scan.copies)
    whole = sum(dataset.complete for dataset in found)
    text = f"{whole} of {len(found)} datasets complete for {', '.join(prepared.targets)}"
    tags = {tag: len(items) for tag, items in prepared.plan.raw.items()}
    say(text if found else no_jobs(raw, prepared.targets, tags), style="bold")


def _row(dataset: Dataset) -> tuple[object, ...]:
    state = "complete" if dataset.complete else "incomplete"
    level = dataset.level if dataset.complete else ""
    return dataset.job.task.name, dataset.job.name, state, level, _lacks(dataset)


def _lacks(dataset: Dataset) -> str:
    return "; ".join([*map(str, dataset.missing), *(f"goes without {one}" for one in dataset.without)])


def _tree(dataset: Dataset, plan: Plan) -> Tree:
    root = Tree(f"[bold]{escape(dataset.job.label)}[/] level {dataset.level}")
    for missing in dataset.missing:
        root.add(f"[{COLOURS['incomplete']}]missing[/] {escape(str(missing))}")
    for one in dataset.without:
        root.add(f"[{COLOURS['incomplete']}]goes without[/] {escape(str(one))}")
    _branches(root, dataset.job, plan, set())
    return root


def _branches(tree: Tree, job: PlannedJob, plan: Plan, seen: set[int]) -> None:
    """Hang the inputs of a job under it; a job that was shown before is only named."""
    for binding in job.bindings:
        for item in binding.items:
            line = f"{binding.role}: {item.tag} [bold]{escape(item.name)}[/] level {binding.level}"
            if item.job is None:
                tree.add(line)
            elif item.job in seen:
                tree.add(f"{line} [dim](see above)[/]")
            else:
                seen.add(item.job)
                _branches(tree.add(line), plan.jobs[item.job], plan, seen)
