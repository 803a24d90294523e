"""Build the whole job graph from the raw files, before anything runs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tracecube.archive.hashing import hash_of_value
from tracecube.archive.records import RawRecord
from tracecube.core.errors import BadData
from tracecube.core.workflow import Association, Main, Task, Workflow
from tracecube.workflow.associate import Choice, Reference, allowed, choose, reference
from tracecube.workflow.discover import Found
from tracecube.workflow.items import Item, raw_item
from tracecube.workflow.jobs import Binding, Missing, Plan, PlannedJob
from tracecube.workflow.missing import inherited, too_few, why_missing

__all__ = ["Pool", "default_targets", "make_plan", "ordered_tasks"]


@dataclass
class Pool:
    """What is there while a plan grows.

    Parameters
    ----------
    good : mapping of str to list of Item
        By tag: raw files, and products of jobs that can run.
    poor : mapping of str to list of Item
        Products of jobs that cannot run for want of something.
    jobs : list of PlannedJob
    """

    good: dict[str, list[Item]] = field(default_factory=dict)
    poor: dict[str, list[Item]] = field(default_factory=dict)
    jobs: list[PlannedJob] = field(default_factory=list)

    def of(self, tags: Iterable[str], *, poor: bool = False) -> list[Item]:
        """Return all items of these tags."""
        kept = self.poor if poor else self.good
        return [item for tag in tags for item in kept.get(tag, ())]

    def add(self, job: PlannedJob) -> None:
        """Add a job and the products it would make."""
        self.jobs.append(job)
        kept = self.good if job.complete else self.poor
        for item in job.outputs:
            kept.setdefault(item.tag, []).append(item)


def default_targets(instruments: Iterable[Found]) -> tuple[str, ...]:
    """Return what `reduce` makes when nothing is asked for."""
    return tuple(dict.fromkeys(found.instrument.workflow.default_target for found in instruments))


def make_plan(instruments: Sequence[Found], files: Iterable[RawRecord], out: Path) -> Plan:
    """Return every job of every instrument that has files here.

    Parameters
    ----------
    instruments : sequence of Found
    files : iterable of RawRecord
        Classified files; the order does not matter.
    out : Path
        Where products will lie: ``out/<night>/<task>/<name>_<TAG>.fits``.
    """
    files = list(files)
    jobs: list[PlannedJob] = []
    raw: dict[str, tuple[Item, ...]] = {}
    tasks: dict[str, tuple[str, ...]] = {}
    for found in instruments:
        own = sorted((raw_item(file) for file in files if file.instrument == found.instrument.name), key=_by_order)
        pool = Pool(jobs=jobs)
        for item in own:
            pool.good.setdefault(item.tag, []).append(item)
        for tag, items in pool.good.items():
            raw[tag] = (*raw.get(tag, ()), *items)
        for task in ordered_tasks(found.instrument.workflow):
            for job in _jobs_of(found, task, pool, out):
                pool.add(job)
        for target, names in _targets(found.instrument.workflow).items():
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


def _targets(workflow: Workflow) -> dict[str, tuple[str, ...]]:
    """Return target -> names of end tasks."""
    found: dict[str, tuple[str, ...]] = {}
    for task in workflow.tasks:
        for target in (task.name, *task.targets, *task.output_tags().values()):
            found[target] = (*found.get(target, ()), task.name)
    return found


def _by_order(item: Item) -> tuple[float, str]:
    return item.order


def _jobs_of(found: Found, task: Task, pool: Pool, out: Path) -> Iterable[PlannedJob]:
    """Yield one job a group of main inputs."""
    groups = _groups(task.main, pool)
    names = [_name(task.main, members) for members in groups]
    taken = Counter((members[0].night, name) for members, name in zip(groups, names, strict=True))
    for members, plain in zip(groups, names, strict=True):
        identity = hash_of_value([found.instrument.name, task.name, sorted(item.identity for item in members)])
        night = reference(members).setup.get("night")
        # two files of one name and night in different folders: both names say which content
        name = plain if taken[members[0].night, plain] == 1 else f"{plain}_{identity[:8]}"
        job = PlannedJob(
            position=len(pool.jobs),
            instrument=found.instrument.name,
            reference=found.reference,
            task=task,
            name=name,
            night=None if night is None else str(night),
            bindings=(),
            outputs=(),
        )
        job = _bound(job, members, pool, found.instrument.workflow)
        yield replace(job, outputs=_outputs(job, out))


def _groups(main: Main, pool: Pool) -> list[list[Item]]:
    """Return the groups of main inputs, members and groups by time and content."""
    items = sorted((*pool.of(main.tags), *pool.of(main.tags, poor=True)), key=_by_order)
    items = [item for item in items if allowed(item, main.where)]
    if main.group_by is None:
        return [[item] for item in items]
    groups: dict[tuple[object, ...], list[Item]] = {}
    for item in items:
        groups.setdefault(tuple(item.setup.get(key) for key in main.group_by), []).append(item)
    return list(groups.values())


def _name(main: Main, members: Sequence[Item]) -> str:
    """Return the name of a job: its only file's, or the values its files were grouped by."""
    if main.group_by is None:
        return _as_file_name(members[0].name)
    values = [str(members[0].setup.get(key)) for key in main.group_by]
    night = members[0].night
    words = [value.replace("-", "") if value == night else value for value in values]
    return _as_file_name("_".join(words)) or "all"


def _as_file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+_-]", "-", text)


def _bound(job: PlannedJob, members: list[Item], pool: Pool, workflow: Workflow) -> PlannedJob:
    """Find the inputs of a job, and what is missing."""
    main, missing = _main_binding(job.task, members, pool)
    common = reference(main.items)
    bindings = [main]
    own = {item.identity for item in main.items}
    for rule in job.task.associations:
        binding = _associated(job.task, rule, common, lambda tags, poor: _others(pool.of(tags, poor=poor), own))
        if binding is not None:
            bindings.append(binding)
        elif rule.minimum > 0:
            missing.append(why_missing(rule, common, pool.good, pool.poor, pool.jobs, workflow))
    return replace(job, bindings=tuple(bindings), missing=tuple(missing))


def _others(items: Iterable[Item], own: set[str]) -> list[Item]:
    """Leave out the main inputs themselves."""
    return [item for item in items if item.identity not in own]


def _main_binding(task: Task, members: list[Item], pool: Pool) -> tuple[Binding, list[Missing]]:
    """Return the main input: those members that can be had, if they are enough."""
    poor = {item.identity for item in pool.of(task.main.tags, poor=True)}
    good = [item for item in members if item.identity not in poor]
    binding = Binding(
        role=task.main.argument,
        items=tuple(members),
        main=True,
        many=_is_many(task, task.main.argument),
        minimum=task.main.minimum,
        require=task.main.require,
    )
    if good and binding.enough(good):
        return replace(binding, items=tuple(good)), []
    lost = [item for item in members if item.identity in poor]
    if lost:
        return binding, [inherited(item, pool.jobs) for item in lost[:1]]
    return binding, [too_few(task.main, members)]


def _associated(
    task: Task, rule: Association, main: Reference, pool: Callable[[Sequence[str], bool], list[Item]]
) -> Binding | None:
    """Return what goes with the main input, None when no rung of the ladder has it."""
    choice: Choice | None = choose(main, pool(rule.tags, False), rule)
    if choice is None:
        return None
    return Binding(
        role=rule.argument,
        items=tuple(sorted(choice.items, key=_by_order)),
        level=choice.level,
        many=_is_many(task, rule.argument),
        minimum=rule.minimum,
    )


def _is_many(task: Task, role: str) -> bool:
    """Whether the recipe takes a sequence here.

    Raises
    ------
    BadData
        The recipe has no such argument.
    """
    arguments: Mapping[str, bool] = {argument.name: argument.many for argument in task.recipe.inputs}
    if role not in arguments:
        raise BadData(
            f"task {task.name}: recipe {task.recipe.name} has no argument {role!r}",
            hint=f"correct the workflow; it has {', '.join(arguments)}",
        )
    return arguments[role]


def _outputs(job: PlannedJob, out: Path) -> tuple[Item, ...]:
    """Return the products that a job will make."""
    members = job.bindings[0].items
    common = reference(members)
    raws = {item.raw for item in members}
    objects = {item.object for item in members}
    folder = out / (job.night or "no-night") / job.task.name
    first = Item(
        tag="",
        name=job.name,
        identity="",
        path="",
        setup=common.setup,
        mjd=common.mjd,
        exptime=members[0].exptime if len(members) == 1 else None,
        object=objects.pop() if len(objects) == 1 else None,
        raw=raws.pop() if len(raws) == 1 else None,
        job=job.position,
    )
    origin = [job.instrument, job.task.name, sorted(item.identity for item in members)]
    return tuple(
        replace(
            first,
            tag=tag,
            identity=hash_of_value([*origin, output]),
            path=str(folder / f"{job.name}_{tag}.fits"),
            output=output,
        )
        for output, tag in job.task.output_tags().items()
    )
