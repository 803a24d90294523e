"""The plan: every job that the raw files allow, the products they will make, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tracecube.core.errors import BadData
from tracecube.core.workflow import Task
from tracecube.workflow.items import Item
from tracecube.workflow.settings import near

__all__ = ["Binding", "Dataset", "JobKey", "Missing", "Plan", "PlannedJob"]

JobKey = tuple[str, str, str, str | None]
"""Instrument, task, name and night of a job."""


@dataclass(frozen=True)
class Missing:
    """Why a job cannot run.

    Parameters
    ----------
    text : str
        What was looked for and not found.
    hint : str
    chain : tuple of str
        Tags that lead from the job to what is missing.
    """

    text: str
    hint: str
    chain: tuple[str, ...] = ()

    def __str__(self) -> str:
        lead = f"{' <- '.join(self.chain)}: " if self.chain else ""
        return f"{lead}{self.text}{f' (try: {self.hint})' if self.hint else ''}"


@dataclass(frozen=True)
class Binding:
    """The files that fill one argument of a recipe.

    Parameters
    ----------
    role : str
        Name of the argument.
    items : tuple of Item
        By time, then content.
    level : int
        Of the rung that matched; 0 for the main input.
    main, many : bool
    minimum : int
        How many of ``items`` must really be there when the job runs.
    require : tuple of str
        Tags of which at least one must be there.
    instead : tuple of str
        Why what should have been here is not: its jobs failed, and the items are the next best.
    """

    role: str
    items: tuple[Item, ...]
    level: int = 0
    main: bool = False
    many: bool = False
    minimum: int = 1
    require: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()

    def enough(self, items: Iterable[Item]) -> bool:
        """Whether these items suffice for the job."""
        items = list(items)
        return len(items) >= self.minimum and set(self.require) <= {item.tag for item in items}


@dataclass(frozen=True)
class PlannedJob:
    """One task on one group.

    Parameters
    ----------
    position : int
        Place in the plan; a job comes after all that it needs.
    instrument, reference : str
        Name, and where to import it from.
    task : Task
    name : str
        Of the main raw file or of the group; begins the names of the product files.
    night : str or None
    bindings : tuple of Binding
        Main input first.
    outputs : tuple of Item
        Products it will make; an optional one may fail to appear.
    missing : tuple of Missing
        Empty when the job can run.
    without : tuple of Missing
        Main inputs that it has to do without, for they cannot be made.
    """

    position: int
    instrument: str
    reference: str
    task: Task
    name: str
    night: str | None
    bindings: tuple[Binding, ...]
    outputs: tuple[Item, ...]
    missing: tuple[Missing, ...] = ()
    without: tuple[Missing, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything it needs is there or can be made."""
        return not self.missing

    @property
    def key(self) -> JobKey:
        """Which job it is, in whatever plan."""
        return self.instrument, self.task.name, self.name, self.night

    @property
    def label(self) -> str:
        """Task and name, for people."""
        return f"{self.task.name} {self.name}"

    @property
    def sources(self) -> tuple[int, ...]:
        """Positions of the jobs whose products it takes."""
        found = {item.job for binding in self.bindings for item in binding.items if item.job is not None}
        return tuple(sorted(found))

    @property
    def level(self) -> int:
        """Worst level of its own associations."""
        return max((binding.level for binding in self.bindings), default=0)


@dataclass(frozen=True)
class Dataset:
    """Everything that is needed to finish one target.

    Parameters
    ----------
    job : PlannedJob
        The end of the chain.
    level : int
        Worst level of all associations on the way.
    missing : tuple of Missing
    without : tuple of Missing
        What it and all jobs on the way have to do without.
    """

    job: PlannedJob
    level: int
    missing: tuple[Missing, ...]
    without: tuple[Missing, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether it can be finished."""
        return not self.missing


@dataclass(frozen=True)
class Plan:
    """All jobs that the raw files allow, in an order in which they can run.

    Parameters
    ----------
    jobs : tuple of PlannedJob
    raw : mapping of str to tuple of Item
        The raw items by tag.
    tasks : mapping of str to tuple of str
        Target -> names of its end tasks; every task is a target of its own name, and so is every
        product tag.
    """

    jobs: tuple[PlannedJob, ...]
    raw: Mapping[str, tuple[Item, ...]] = field(default_factory=dict)
    tasks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def end_jobs(self, targets: Iterable[str]) -> list[PlannedJob]:
        """Return the jobs that finish these targets.

        Raises
        ------
        BadData
            A target is unknown.
        """
        wanted: set[str] = set()
        for target in targets:
            if target not in self.tasks:
                raise BadData(f"no target is called {target!r}", hint=near(target, self.tasks))
            wanted.update(self.tasks[target])
        return [job for job in self.jobs if job.task.name in wanted]

    def needed(self, ends: Iterable[PlannedJob]) -> list[PlannedJob]:
        """Return these jobs and all that they need, in order."""
        found: set[int] = set()
        waiting = [job.position for job in ends]
        while waiting:
            position = waiting.pop()
            if position not in found:
                found.add(position)
                waiting.extend(self.jobs[position].sources)
        return [self.jobs[position] for position in sorted(found)]

    def datasets(self, targets: Iterable[str]) -> list[Dataset]:
        """Return what it takes to finish each end job of the targets."""
        levels: dict[int, int] = {}
        without: dict[int, dict[Missing, None]] = {}
        for job in self.jobs:  # sources come before their jobs
            levels[job.position] = max([job.level, *(levels[source] for source in job.sources)])
            passed_on = [one for source in job.sources for one in without[source]]
            without[job.position] = dict.fromkeys([*job.without, *passed_on])
        return [
            Dataset(job, levels[job.position], job.missing, tuple(without[job.position]))
            for job in self.end_jobs(targets)
        ]
