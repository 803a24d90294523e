"""The work as it goes on, one bar a task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from tracecube.cli.show import COLOURS
from tracecube.workflow.jobs import PlannedJob
from tracecube.workflow.resolve import Outcome

__all__ = ["Bars"]


class Bars:
    """Watches a run: bars in a terminal, a line a finished task elsewhere.

    Parameters
    ----------
    terminal : Console
    brief : bool
        Of many runs in a row: only tasks that have something to do, and no lines where there are no bars.
    """

    def __init__(self, terminal: Console, *, brief: bool = False) -> None:
        self._terminal = terminal
        self._brief = brief
        self._live = terminal.is_terminal
        columns = (TextColumn("{task.description:26}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(
            *columns, TextColumn("{task.fields[doing]}"), console=terminal, disable=not self._live
        )
        self._bars: dict[str, TaskID] = {}
        self._left: Counter[str] = Counter()
        self._states: dict[str, Counter[str]] = {}

    def __enter__(self) -> Self:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing."""
        self._progress.stop()

    def planned(self, jobs: Sequence[PlannedJob]) -> None:
        """Make a bar for every task."""
        for bar in self._bars.values():
            self._progress.remove_task(bar)
        self._left = Counter(job.task.name for job in jobs)
        for name, count in self._left.items():
            self._bars[name] = self._progress.add_task(
                name, total=count, doing="", start=False, visible=not self._brief
            )
            self._states[name] = Counter()

    def started(self, job: PlannedJob) -> None:
        """Show what is being made."""
        bar = self._bars[job.task.name]
        self._progress.start_task(bar)
        self._progress.update(bar, doing=job.name, visible=True)

    def settled(self, outcome: Outcome) -> None:
        """Move the bar, and tell at once what went wrong."""
        name = outcome.job.task.name
        bar = self._bars[name]
        self._progress.start_task(bar)
        self._left[name] -= 1
        self._states[name][outcome.state] += 1
        doing = "" if self._left[name] else self._count(name)
        self._progress.update(bar, advance=1)
        if doing:
            self._progress.update(bar, doing=doing)
        if outcome.state == "failed":
            self._terminal.print(f"[red]failed[/] {escape(outcome.job.label)}: {escape(str(outcome.reason))}")
        if doing and not self._live and not self._brief:
            self._terminal.print(f"{name}: {doing}", highlight=False)

    def _count(self, name: str) -> str:
        """Return how many jobs of a task came to which end."""
        states = self._states[name]
        return ", ".join(f"[{COLOURS[state]}]{states[state]} {state}[/]" for state in COLOURS if states[state])
