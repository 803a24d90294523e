"""`workflow`: the tasks of an instrument, by sub-workflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from tracecube.cli.show import examples, say, table
from tracecube.core.errors import MissingInput
from tracecube.core.instrument import Instrument
from tracecube.core.reporting import Reporting
from tracecube.core.workflow import Task
from tracecube.workflow.discover import Found, discover
from tracecube.workflow.plan import ordered_tasks
from tracecube.workflow.settings import near

__all__ = ["parts_of_tasks", "register", "reportings_of"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "workflow",
        rich_help_panel="Learn and try",
        epilog=examples("tracecube workflow", "tracecube workflow INSTRUMENT"),
    )(workflow)


def workflow(
    instrument: Annotated[
        str | None, typer.Argument(metavar="INSTRUMENT", help="Which one; all that are installed when left out.")
    ] = None,
) -> None:
    """List the tasks of an instrument by sub-workflow, with what each takes and makes; each name is a target."""
    found = discover()
    if instrument is not None and instrument not in found:
        raise MissingInput(f"no installed instrument is called {instrument!r}", hint=near(instrument, found))
    for one in found.values() if instrument is None else (found[instrument],):
        _show(one.instrument)


def _show(instrument: Instrument) -> None:
    flow = instrument.workflow
    say(f"{instrument.name}: {instrument.title}", style="bold")
    order = {task.name: place for place, task in enumerate(ordered_tasks(flow))}
    for name, tasks in flow.parts().items():
        if flow.subworkflows:
            say(f"sub-workflow {name}: {flow.subworkflows[name]}" if name else "tasks of no sub-workflow", style="bold")
        ordered = sorted(tasks, key=lambda task: order[task.name])
        table(["task", "takes", "makes", "groups", "what for"], [_row(task) for task in ordered])
    for window in flow.windows:
        say(f"-p {instrument.name}.{window.name}={window.days:g}: days, {window.text}")
    for option in flow.options:
        say(f"-p {instrument.name}.{option.name}={option.values[0]}: {' | '.join(option.values)}, {option.text}")
    say(f"without --target: {flow.default_target}")


def _row(task: Task) -> tuple[str, ...]:
    return task.name, " ".join(task.main.tags), " ".join(task.output_tags().values()), " ".join(task.targets), task.text


def parts_of_tasks(found: Mapping[str, Found]) -> dict[tuple[str, str], str]:
    """Return (instrument, task) -> its sub-workflow, of those tasks that stand in one."""
    return {
        (name, task.name): task.subworkflow
        for name, one in found.items()
        for task in one.instrument.workflow.tasks
        if task.subworkflow
    }


def reportings_of(found: Mapping[str, Found]) -> dict[str, Reporting]:
    """Return how the observatories of the instruments report a night, of those that do."""
    told = {name: one.instrument.reporting for name, one in found.items()}
    return {name: reporting for name, reporting in told.items() if reporting is not None}
