"""From a folder of raw files to products: scan, plan, run, in one call."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tracecube.archive.adjustments import standing_adjustments
from tracecube.archive.ledger import Ledger
from tracecube.archive.queries import products_from_elsewhere, raw_files
from tracecube.archive.records import AdjustmentRecord, PlannedRecord, RawRecord
from tracecube.archive.summary import RunSummary, last_summary
from tracecube.core.errors import BadData
from tracecube.core.params import Params
from tracecube.io.members import keep_indices_in
from tracecube.workflow.by_hand import params_by_hand
from tracecube.workflow.choices import opened
from tracecube.workflow.discover import Found, discover, references
from tracecube.workflow.earlier import earlier_items
from tracecube.workflow.executor import Executor
from tracecube.workflow.gate import Gate, OpenGate
from tracecube.workflow.idle import Work, idle_options
from tracecube.workflow.items import Item
from tracecube.workflow.jobs import Dataset, JobKey, Plan, PlannedJob
from tracecube.workflow.only import chosen, only_from
from tracecube.workflow.plan import default_targets, make_plan
from tracecube.workflow.run import Memory, Quiet, Runner, Watch
from tracecube.workflow.scan import Scan, data_files, scan
from tracecube.workflow.settings import Settings, resolve
from tracecube.workflow.unchanged import as_reused, fingerprint, unchanged

__all__ = ["Busy", "Prepared", "prepare", "reduce_folder"]

SCRATCH = ".tracecube-scratch"
"""Sub-folder of the output folder for files that are not yet whole."""

INDEX = ".tracecube-index"
"""Sub-folder of the output folder that says where the members of archives begin."""

WAITING = "waiting"
"""Fingerprint of a run that left files for later: no call finds nothing to do after it."""

LIBRARIES = ("tracecube", "numpy", "scipy", "astropy", "numba", "photutils", "astroscrappy")
"""Whose versions a run writes down."""


class Busy(BadData):
    """Another run writes into the output folder."""


@dataclass(frozen=True)
class Prepared:
    """What is to be done, before it is done.

    Parameters
    ----------
    scan : Scan
    plan : Plan
    whole : Plan
        Of all raw files, where ``plan`` is that of some.
    targets : tuple of str
    params : mapping of (instrument, task) to Params
    replan : callable
        Gives the plan of the same files when some jobs are known to fail.
    by_hand : mapping of JobKey to Params
        Of jobs that a person adjusted.
    idle : tuple of str
        Options that were chosen and change nothing, in words.
    """

    scan: Scan
    plan: Plan
    whole: Plan
    targets: tuple[str, ...]
    params: Mapping[tuple[str, str], Params]
    replan: Callable[[Mapping[JobKey, str]], Plan]
    by_hand: Mapping[JobKey, Params] = field(default_factory=dict)
    idle: tuple[str, ...] = ()

    @property
    def jobs(self) -> list[PlannedJob]:
        """The end jobs of the targets and all that they need."""
        return self.plan.needed(self.ends)

    @property
    def ends(self) -> list[PlannedJob]:
        """The jobs that finish the targets."""
        return self.plan.end_jobs(self.targets)

    @property
    def datasets(self) -> list[Dataset]:
        """What it takes to finish each end job of the targets."""
        return self.plan.datasets(self.targets)


def prepare(
    folder: Path,
    out: Path,
    instruments: Mapping[str, Found],
    *,
    targets: Sequence[str] = (),
    also: Sequence[str] = (),
    only: Sequence[str] = (),
    settings: Settings | None = None,
    known: Mapping[str, RawRecord] | None = None,
    adjusted: Sequence[AdjustmentRecord] = (),
    gate: Gate | None = None,
    earlier: Callable[[Sequence[Found]], list[Item]] | None = None,
) -> Prepared:
    """Scan a folder and plan all jobs; nothing is run or written.

    Parameters
    ----------
    also : sequence of str
        Targets that are made besides, where an instrument has them.
    only : sequence of str
        Conditions on the setup of raw files, see `tracecube.workflow.only.only_from`; the rest is left alone.
    adjusted : sequence of AdjustmentRecord
        What persons set for single jobs.
    gate : Gate, optional
        Which files are ready; all when not given.
    earlier : callable, optional
        Gives the products of earlier nights that may serve instruments as calibrations.

    Raises
    ------
    MissingInput
        No such folder, or no instrument is installed.
    BadData
        A target, task, parameter, value or condition is not known.
    """
    offered, told = instruments, settings or {}
    instruments, settings = opened(offered, told)
    params = resolve(settings, [found.instrument for found in instruments.values()])
    gate = gate or OpenGate()
    unfit = gate.unfit(data_files(folder))
    found = scan(folder, [one.instrument for one in instruments.values()], known, without=unfit)
    found = gate.through(found, known or {}, list(instruments.values()))
    present = [one for name, one in instruments.items() if any(file.instrument == name for file in found.classified)]
    files = chosen(found.classified, only_from(only))
    nights = {file.night for file in found.classified}
    before = [item for item in earlier(present) if item.night not in nights] if earlier else []
    whole = make_plan(present or list(instruments.values()), found.classified, out, earlier=before)
    plan = make_plan(present, files, out, earlier=before) if only else whole
    replan = partial(make_plan, present, files, out, earlier=before)
    wanted = tuple(targets) or default_targets(present)
    wanted += tuple(one for one in also if one in plan.tasks and one not in wanted)
    plan.end_jobs(wanted)  # an unknown target is reported before anything is run

    def work_of(some: Settings) -> Work:
        ways, rest = opened(offered, some)
        other = make_plan([ways[one.instrument.name] for one in present], files, out, earlier=before)
        return other.needed(other.end_jobs(wanted)), resolve(rest, [one.instrument for one in ways.values()])

    idle = tuple(idle_options({one.instrument.name: one for one in present}, told, work_of))
    return Prepared(found, plan, whole, wanted, params, replan, params_by_hand(params, adjusted), idle)


def reduce_folder(
    folder: Path,
    out: Path,
    executor: Executor,
    *,
    targets: Sequence[str] = (),
    also: Sequence[str] = (),
    only: Sequence[str] = (),
    settings: Settings | None = None,
    watch: Watch | None = None,
    instruments: Callable[[], Mapping[str, Found]] = discover,
    patience: float = 0.0,
    earlier: bool = False,
    gate: Gate | None = None,
    memory: Memory | None = None,
    tell: Callable[[str], None] | None = None,
) -> RunSummary:
    """Make the products of the targets from the raw files of a folder.

    Parameters
    ----------
    folder, out : Path
    executor : Executor
    targets : sequence of str
        Tasks, sub-workflows, product tags or named groups; the workflow's default when empty.
    also : sequence of str
        Targets that are made besides, where an instrument has them.
    only : sequence of str
        Conditions on the setup of raw files, ``key=value``.
    settings : mapping of task to parameters, optional
    watch : Watch, optional
    instruments : callable
        Gives the installed instruments; called only when there is something to do.
    patience : float, second
        How long to wait for another run that is writing into the folder.
    earlier : bool
        Where this folder gives no calibration, take the closest that other folders gave to the same output folder.
    gate : Gate, optional
        Which files are ready; all when not given.
    memory : Memory, optional
        Of a process that runs again and again.
    tell : callable, optional
        Is told in words what was chosen and changes nothing.

    Raises
    ------
    Busy
        Another run writes into this output folder.
    TracecubeError
        Nothing can be run at all. The failure of single jobs is told in the summary.
    """
    folder, out = folder.expanduser().resolve(), out.expanduser().resolve()
    settings = settings or {}
    with Ledger.open(out, create=True) as ledger, _locked(out, patience):
        adjusted = standing_adjustments(ledger)
        lent = [made.sha256 for made in products_from_elsewhere(ledger, folder)] if earlier else []
        mark = fingerprint(folder, (*targets, *also, *only), settings, adjusted, lent)
        last = unchanged(ledger, mark)
        if last is not None:
            return as_reused(last)
        keep_indices_in(out / INDEX)
        executor.warm([reference.partition(":")[0] for reference in references()])
        known = raw_files(ledger, folder)
        chosen_by = partial(prepare, targets=targets, also=also, only=only, settings=settings, adjusted=adjusted)
        given = partial(earlier_items, ledger, folder) if earlier else None
        prepared = chosen_by(folder, out, instruments(), known=known, gate=gate, earlier=given)
        if tell is not None:
            for line in prepared.idle:
                tell(line)
        about = _about(prepared, settings, only, WAITING if gate is not None and gate.waits else mark)
        _save_scan(ledger, prepared, known)
        with _scratch(out) as scratch:
            runner = Runner(ledger, executor, prepared.params, scratch, watch or Quiet(), prepared.by_hand)
            runner.memory = memory or runner.memory
            _run(ledger, runner, prepared, about)
        return _told(ledger, out)


def _told(ledger: Ledger, out: Path) -> RunSummary:
    """Return what the last run came to."""
    done = last_summary(ledger)
    if done is None:
        raise BadData(f"{out}: the ledger lost its last run", hint="is another program writing to it?")
    return done


def _run(ledger: Ledger, runner: Runner, prepared: Prepared, about: Mapping[str, object]) -> None:
    """Run a plan; where something failed that has a next best, go on with that."""
    taken: set[tuple[JobKey, str, tuple[str, ...]]] = set()
    while True:
        failed = [job for job in prepared.plan.jobs if job.key in runner.failures]  # to be told of, whoever needs them
        jobs = prepared.plan.needed([*prepared.ends, *failed])
        run_id = ledger.start_run(about=about, jobs=[_planned(job) for job in jobs])
        runner.run(run_id, jobs)
        ledger.finish_run(run_id)
        failures = {key: reason for key, (reason, _) in runner.failures.items()}
        prepared = replace(prepared, plan=prepared.replan(failures)) if failures else prepared
        stand_ins = {
            (job.key, one.role, tuple(item.identity for item in one.items))
            for job in prepared.jobs
            for one in job.bindings
            if one.instead
        }
        if stand_ins <= taken:
            return
        taken |= stand_ins


def _save_scan(ledger: Ledger, prepared: Prepared, known: Mapping[str, RawRecord]) -> None:
    """Write down which raw files there are; what they cannot give any more is taken off the list."""
    found = prepared.scan
    files = (*found.files, *found.copies)
    gone = set(known) - {file.path for file in files}
    ledger.save_raw((file for file in files if known.get(file.path) != file), gone)
    possible = {job.key for job in prepared.whole.jobs if job.complete}
    ledger.retire_others(str(found.folder), possible)


def _planned(job: PlannedJob) -> PlannedRecord:
    return PlannedRecord(instrument=job.instrument, task=job.task.name, name=job.name, night=job.night, state="waiting")


def _about(prepared: Prepared, settings: Settings, only: Sequence[str], mark: str) -> dict[str, object]:
    """Return what the ledger keeps of a run."""
    return {
        "raw_folder": str(prepared.scan.folder),
        "fingerprint": mark,
        "targets": [*prepared.targets],
        "settings": {task: dict(values) for task, values in settings.items()},
        "conditions": [*only],
        "software": {"python": sys.version.split()[0], "system": platform.platform(), **dict(_versions())},
        "host": socket.gethostname(),
    }


def _versions() -> Iterator[tuple[str, str]]:
    for library in LIBRARIES:
        try:
            yield library, version(library)
        except PackageNotFoundError:
            continue


@contextmanager
def _locked(out: Path, patience: float) -> Iterator[None]:
    """Let only one run write into a folder; the lock ends with the process, however that ends."""
    end = time.monotonic() + patience
    with (out / ".tracecube.lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() < end:
                    time.sleep(0.5)
                    continue
                raise Busy(
                    f"{out}: another run is writing into this folder",
                    hint="wait for it, or choose another folder with -o",
                ) from error
        yield


@contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    """Give a new folder for unfinished files; what an interrupted run left is removed."""
    root = out / SCRATCH
    shutil.rmtree(root, ignore_errors=True)
    scratch = root / str(os.getpid())
    scratch.mkdir(parents=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(root, ignore_errors=True)
