"""Bind the files that fill the arguments of a task: its groups, their calibrations, their products."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tracecube.archive.hashing import hash_of_value
from tracecube.core.errors import BadData
from tracecube.core.workflow import Association, Main, Task, Workflow
from tracecube.workflow.associate import Candidates, Choice, allowed, choose, reference
from tracecube.workflow.discover import Found
from tracecube.workflow.items import Item, as_file_name
from tracecube.workflow.jobs import Binding, JobKey, Missing, PlannedJob
from tracecube.workflow.missing import inherited, named, too_few, why_missing

__all__ = ["Pool", "jobs_of"]


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
    failures : mapping of JobKey to str
        Jobs that are known to fail, and why.
    failed : mapping of str to str
        Identity of their products -> which job failed.
    earlier : tuple of Item
        Products of earlier nights, which calibrate but are no work of their own.
    """

    good: dict[str, list[Item]] = field(default_factory=dict)
    poor: dict[str, list[Item]] = field(default_factory=dict)
    jobs: list[PlannedJob] = field(default_factory=list)
    failures: Mapping[JobKey, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    earlier: tuple[Item, ...] = ()

    def of(self, tags: Iterable[str], *, poor: bool = False) -> list[Item]:
        """Return all items of these tags."""
        kept = self.poor if poor else self.good
        return [item for tag in tags for item in kept.get(tag, ())]

    def offers(self, tags: Iterable[str]) -> list[Item]:
        """Return all items of these tags that may serve as calibrations."""
        wanted = tuple(tags)
        return [*self.of(wanted), *(item for item in self.earlier if item.tag in wanted)]

    def add(self, job: PlannedJob) -> None:
        """Add a job and the products it would make."""
        self.jobs.append(job)
        kept = self.good if job.complete else self.poor
        for item in job.outputs:
            kept.setdefault(item.tag, []).append(item)
        if job.key in self.failures:
            self.failed.update({item.identity: f"{job.label} failed" for item in job.outputs})


@dataclass(frozen=True)
class _Offers:
    """What the jobs of one task may choose from.

    Parameters
    ----------
    poor : set of str
        Identities of main inputs that cannot be had.
    rules : list of (Association, Candidates)
    """

    poor: set[str]
    rules: list[tuple[Association, Candidates]]


def jobs_of(found: Found, task: Task, pool: Pool, out: Path) -> Iterable[PlannedJob]:
    """Yield one job a group of main inputs."""
    if task.main.alone_with and pool.of(task.main.alone_with):
        task = replace(task, main=replace(task.main, minimum=1))
    offers = _Offers(
        poor={item.identity for item in pool.of(task.main.tags, poor=True)},
        rules=[(rule, Candidates(pool.offers(rule.tags), rule)) for rule in task.associations],
    )
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
        job = _bound(job, members, offers, pool, found.instrument.workflow)
        yield replace(job, outputs=_outputs(job, out))


def _groups(main: Main, pool: Pool) -> list[list[Item]]:
    """Return the groups of main inputs that are worth a job, members and groups by time and content."""
    items = sorted((*pool.of(main.tags), *pool.of(main.tags, poor=True)), key=lambda item: item.order)
    items = [item for item in items if allowed(item, main.where)]
    if main.group_by is None:
        return [[item] for item in items]
    groups: dict[tuple[object, ...], list[Item]] = {}
    for item in items:
        groups.setdefault(tuple(item.setup.get(key) for key in main.group_by), []).append(item)
    least = main.minimum if main.pass_small else 0
    return [members for members in groups.values() if len(members) >= least]


def _name(main: Main, members: Sequence[Item]) -> str:
    """Return the name of a job: its only file's, or the values its files were grouped by."""
    if main.group_by is None:
        return as_file_name(members[0].name)
    values = [str(members[0].setup.get(key)) for key in main.group_by]
    night = members[0].night
    words = [value.replace("-", "") if value == night else value for value in values]
    return as_file_name("_".join(words)) or "all"


def _bound(job: PlannedJob, members: list[Item], offers: _Offers, pool: Pool, workflow: Workflow) -> PlannedJob:
    """Find the inputs of a job, and what is missing."""
    main, missing = _main_binding(job.task, members, offers, pool)
    there = {item.identity for item in main.items}
    without = [named(item, pool.jobs) for item in members if item.identity not in there]
    common = reference(main.items)
    bindings = [main]
    own = {item.identity for item in main.items}
    for rule, candidates in offers.rules:
        choice = choose(common, candidates, rule, own=own)
        if choice is not None:
            instead = [pool.failed[item.identity] for item in choice.items if item.identity in pool.failed]
            other = choose(common, candidates, rule, own=own | pool.failed.keys()) if instead else None
            bindings.append(_binding(job.task, rule, other or choice, instead if other else ()))
        elif rule.minimum > 0:
            usable, lost = pool.of(rule.tags), pool.of(rule.tags, poor=True)
            missing.append(why_missing(rule, common, usable, lost, pool.jobs, workflow))
    causes = {(cause.text, cause.hint): cause for cause in reversed(missing)}  # of equal ones the first
    return replace(job, bindings=tuple(bindings), missing=tuple(reversed(causes.values())), without=tuple(without))


def _main_binding(task: Task, members: list[Item], offers: _Offers, pool: Pool) -> tuple[Binding, list[Missing]]:
    """Return the main input: those members that can be had, if they are enough."""
    good = [item for item in members if item.identity not in offers.poor]
    binding = Binding(
        role=task.main.argument,
        items=tuple(members),
        main=True,
        many=is_many(task, task.main.argument),
        minimum=task.main.minimum,
        require=task.main.require,
    )
    if good and binding.enough(good):
        return replace(binding, items=tuple(good)), []
    lost = [item for item in members if item.identity in offers.poor]
    if lost:
        return binding, [inherited(lost[0], pool.jobs)]
    return binding, [too_few(task.main, members)]


def _binding(task: Task, rule: Association, choice: Choice, instead: Iterable[str]) -> Binding:
    """Return what goes with the main input; ``instead`` says what failed."""
    return Binding(
        role=rule.argument,
        items=tuple(sorted(choice.items, key=lambda item: item.order)),
        level=choice.level,
        many=is_many(task, rule.argument),
        minimum=rule.minimum,
        instead=tuple(instead),
    )


def is_many(task: Task, role: str) -> bool:
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
    suffixes = job.task.output_suffixes()
    origin = [job.instrument, job.task.name, sorted(item.identity for item in members)]
    return tuple(
        replace(
            first,
            tag=tag,
            identity=hash_of_value([*origin, output]),
            path=str(folder / f"{job.name}_{tag}{suffixes[output]}"),
            output=output,
        )
        for output, tag in job.task.output_tags().items()
    )
