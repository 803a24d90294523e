"""Build the whole job graph from the raw files, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tracecube.archive.records import RawRecord
from tracecube.core.errors import BadData
from tracecube.core.workflow import Task, Workflow
from tracecube.workflow.bind import Pool, jobs_of
from tracecube.workflow.discover import Found
from tracecube.workflow.fields import with_fields
from tracecube.workflow.items import Item, raw_items
from tracecube.workflow.jobs import JobKey, Plan, PlannedJob

__all__ = ["default_targets", "make_plan", "ordered_tasks"]


def default_targets(instruments: Iterable[Found]) -> tuple[str, ...]:
    """Return what `reduce` makes when nothing is asked for."""
    return tuple(dict.fromkeys(found.instrument.workflow.default_target for found in instruments))


def make_plan(
    instruments: Sequence[Found],
    files: Iterable[RawRecord],
    out: Path,
    failures: Mapping[JobKey, str] | None = None,
    *,
    earlier: Iterable[Item] = (),
) -> Plan:
    """Return every job of every instrument that has files here.

    Parameters
    ----------
    instruments : sequence of Found
    files : iterable of RawRecord
        Classified files; the order does not matter.
    out : Path
        Where products will lie: ``out/<night>/<task>/<name>_<TAG>.fits`` (``.txt`` for texts).
    failures : mapping of JobKey to str, optional
        Jobs that are known to fail. What needs their products takes the next best, if there is any.
    earlier : iterable of Item, optional
        Products of earlier nights that may serve as calibrations.
    """
    files = list(files)
    jobs: list[PlannedJob] = []
    raw: dict[str, tuple[Item, ...]] = {}
    tasks: dict[str, tuple[str, ...]] = {}
    for found in instruments:
        own = sorted(
            (item for file in files if file.instrument == found.instrument.name for item in raw_items(file)),
            key=lambda item: item.order,
        )
        pool = Pool(jobs=jobs, failures=failures or {}, earlier=tuple(earlier))
        for item in with_fields(own, found.instrument.workflow.fields):
            pool.good.setdefault(item.tag, []).append(item)
        for tag, items in pool.good.items():
            raw[tag] = (*raw.get(tag, ()), *items)
        for task in ordered_tasks(found.instrument.workflow):
            for job in jobs_of(found, task, pool, out):
                pool.add(job)
        for target, names in found.instrument.workflow.targets().items():
            tasks[target] = tuple(dict.fromkeys((*tasks.get(target, ()), *names)))
    return Plan(tuple(jobs), raw, tasks)


def ordered_tasks(workflow: Workflow) -> list[Task]:
    """Return the tasks such that each comes after those whose products it takes.

    Raises
    ------
    BadData
        Tasks need each other in a circle.
    """
    makers: dict[str, set[str]] = {}
    for task in workflow.tasks:
        for tag in task.output_tags().values():
            makers.setdefault(tag, set()).add(task.name)
    graph = {task.name: sorted(set().union(*(makers.get(tag, ()) for tag in _taken(task)))) for task in workflow.tasks}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise BadData(
            f"tasks need each other in a circle: {' -> '.join(error.args[1])}", hint="correct the workflow's tags"
        ) from error
    place = {name: i for i, name in enumerate(order)}
    return sorted(workflow.tasks, key=lambda task: place[task.name])


def _taken(task: Task) -> list[str]:
    """Return all tags a task takes."""
    return [*task.main.tags, *(tag for rule in task.associations for tag in rule.tags)]
