"""Run a plan: reuse what stands, make what is missing, and let no failure stop the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tracecube.archive.ledger import Ledger
from tracecube.archive.records import JobRecord, ProductRecord
from tracecube.core.params import Params
from tracecube.workflow.call import JobCall, JobResult
from tracecube.workflow.executor import DIED, Executor
from tracecube.workflow.jobs import JobKey, PlannedJob
from tracecube.workflow.resolve import Files, Outcome, Resolved
from tracecube.workflow.reuse import Read, standing_jobs

__all__ = ["Memory", "Quiet", "Runner", "Watch", "job_record"]

WINDOW = 2
"""Jobs handed to the executor at once, in units of its slots: enough that no worker waits."""


@dataclass
class Memory:
    """What one process remembers from run to run.

    Parameters
    ----------
    read : dict
        Products that it has read to their end, see `tracecube.workflow.reuse.intact`.
    failed : dict of str to (str, int)
        Provenance keys of jobs that failed: why, and their numbers in the ledger. The same inputs would fail again.
    """

    read: Read = field(default_factory=dict)
    failed: dict[str, tuple[str, int]] = field(default_factory=dict)


class Watch(Protocol):
    """Whoever wants to see the work go on."""

    def planned(self, jobs: Sequence[PlannedJob]) -> None:
        """Learn what is to be run or reused."""
        ...

    def started(self, job: PlannedJob) -> None:
        """Learn that a job was handed to a worker."""
        ...

    def settled(self, outcome: Outcome) -> None:
        """Learn what became of a job."""
        ...


class Quiet:
    """Sees nothing."""

    def planned(self, jobs: Sequence[PlannedJob]) -> None:
        """Nothing."""

    def started(self, job: PlannedJob) -> None:
        """Nothing."""

    def settled(self, outcome: Outcome) -> None:
        """Nothing."""


@dataclass
class Runner:
    """Runs planned jobs and writes down what became of them.

    Parameters
    ----------
    ledger : Ledger
    executor : Executor
    params : mapping of (instrument, task) to Params
    scratch : Path
        Folder for files that are not yet whole, on the file system of the products.
    watch : Watch
    by_hand : mapping of JobKey to Params
        Of jobs that a person adjusted.
    failures : mapping of JobKey to (str, int)
        Jobs that failed, why, and their numbers in the ledger. They are not tried again.
    memory : Memory
        Of this process.
    """

    ledger: Ledger
    executor: Executor
    params: Mapping[tuple[str, str], Params]
    scratch: Path
    watch: Watch = field(default_factory=Quiet)
    by_hand: Mapping[JobKey, Params] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    failures: dict[JobKey, tuple[str, int]] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)

    def __post_init__(self) -> None:
        """Start with nothing made."""
        self._run_id = 0
        self._files = Files(self.params, self.by_hand)
        self._places: dict[int, int] = {}
        self._alone: list[Resolved] = []
        self._fresh: set[int] = set()

    def run(self, run_id: int, jobs: Sequence[PlannedJob]) -> list[Outcome]:
        """Run the jobs, which hold with each job all that it needs, in order.

        May be called again with jobs of another plan: what it made before counts as done, what failed as failed.

        Returns
        -------
        list of Outcome
            One a job, in the same order.
        """
        self._run_id, self.outcomes, self._files = run_id, {}, Files(self.params, self.by_hand)
        self._places = {job.position: place for place, job in enumerate(jobs)}
        self.watch.planned(jobs)
        graph = _Graph(jobs)
        queue: list[Resolved] = []
        flying: dict[Future[JobResult], Resolved] = {}
        while graph.ready or queue or flying or self._alone:
            while graph.ready:
                settled, to_run = self._sift(graph.take())
                queue.extend(to_run)
                graph.finish(settled)
            self._launch(queue, flying)
            graph.finish(self._collect(flying))
        return [self.outcomes[job.position] for job in jobs]

    def _sift(self, ready: Sequence[PlannedJob]) -> tuple[list[int], list[Resolved]]:
        """Settle the ready jobs that need no work; return their positions, and those that need it."""
        resolved = [self._resolved(job) for job in ready]
        live = [one for one in resolved if isinstance(one, Resolved)]
        standing = standing_jobs(
            self.ledger, {one.key: [out.path for out in one.job.outputs] for one in live}, self.memory.read
        )
        settled = [one for one in resolved if isinstance(one, Outcome)]
        notes: dict[int, tuple[str, str | None, int | None]] = {
            self._places[one.job.position]: (one.state, one.reason, self.failures.get(one.job.key, ("", None))[1])
            for one in settled
        }
        to_run = []
        for one in live:
            if one.key in standing:
                number, products = standing[one.key]
                self._files.keep(one.job, products)
                state = "done" if number in self._fresh else "reused"
                settled.append(Outcome(one.job, state, caveats=one.caveats))
                notes[self._places[one.job.position]] = (state, None, number)
            else:
                to_run.append(one)
        self.ledger.note(self._run_id, notes)
        gone = [self._places[one.job.position] for one in settled if one.state == "skipped"]
        _remove(self.ledger.leftovers(self._run_id, gone) if gone else [])
        for outcome in settled:
            self._settle(outcome)
        return [outcome.job.position for outcome in settled], to_run

    def _resolved(self, job: PlannedJob) -> Resolved | Outcome:
        """Return a job with its files, or why it is not tried."""
        if job.key not in self.failures:
            resolved = self._files.resolve(job)
            if isinstance(resolved, Outcome) or resolved.key not in self.memory.failed:
                return resolved
            self.failures[job.key] = self.memory.failed[resolved.key]
        return Outcome(job, "failed", self.failures[job.key][0])

    def _launch(self, queue: list[Resolved], flying: dict[Future[JobResult], Resolved]) -> None:
        """Hand out work: not more than a window; while some job may have killed a worker, one at a time."""
        if self._alone:
            if not flying:
                one = self._alone.pop(0)
                flying[self._called_alone(one)] = one
            return
        while queue and len(flying) < WINDOW * self.executor.slots:
            one = queue.pop(0)
            self.watch.started(one.job)
            flying[self.executor.submit(self._call(one))] = one

    def _called_alone(self, one: Resolved) -> Future[JobResult]:
        """Run a job with no other beside it; if its worker dies again, it is the job's doing."""
        future: Future[JobResult] = Future()
        try:
            future.set_result(self.executor.submit(self._call(one)).result())
        except DIED:
            died = "its worker was killed (try: look for lack of memory; run again with -j 1)"
            future.set_result(JobResult(qc={}, error=died))
        return future

    def _call(self, one: Resolved) -> JobCall:
        return JobCall(
            reference=one.job.reference,
            task=one.job.task.name,
            params=one.params,
            inputs=one.inputs,
            outputs={item.output: item.path for item in one.job.outputs},
            key=one.key,
            scratch=str(self.scratch),
        )

    def _collect(self, flying: dict[Future[JobResult], Resolved]) -> list[int]:
        """Wait for work to come back, write it down; return the positions of the jobs that are settled."""
        finished = wait(flying, return_when=FIRST_COMPLETED).done if flying else ()
        settled = []
        for future in finished:
            one = flying.pop(future)
            error = future.exception()
            if isinstance(error, DIED):
                self._alone.append(one)
                continue
            lost = JobResult(qc={}, error=f"{type(error).__name__}: {error} (between this process and its worker)")
            self._record(one, future.result() if error is None else lost)
            settled.append(one.job.position)
        return settled

    def _record(self, one: Resolved, result: JobResult) -> None:
        """Write a job and its products into the ledger, in one transaction."""
        record = job_record(one, result)
        number, left = self.ledger.record(self._run_id, self._places[one.job.position], record)
        _remove(left)
        if record.error is None:
            self._files.keep(one.job, record.products)
            self._fresh.add(number)
        else:
            self.failures[one.job.key] = self.memory.failed[one.key] = (record.error, number)
        self._settle(Outcome(one.job, record.state, record.error, record.caveats, record.seconds))

    def _settle(self, outcome: Outcome) -> None:
        self.outcomes[outcome.job.position] = outcome
        if outcome.state not in {"done", "reused"}:
            self._files.lose(outcome)
        self.watch.settled(outcome)


def _remove(paths: Iterable[str]) -> None:
    """Remove product files that an earlier run made and that are not made any more."""
    for path in paths:
        Path(path).unlink(missing_ok=True)


class _Graph:
    """Which jobs wait for which."""

    def __init__(self, jobs: Sequence[PlannedJob]) -> None:
        self._jobs = {job.position: job for job in jobs}
        self._waiting = {job.position: len(job.sources) for job in jobs}
        self._next: dict[int, list[int]] = {}
        for job in jobs:
            for source in job.sources:
                self._next.setdefault(source, []).append(job.position)
        self.ready = [position for position, count in self._waiting.items() if count == 0]

    def take(self) -> list[PlannedJob]:
        """Return all jobs that wait for nothing, in order."""
        taken = sorted(self.ready)
        self.ready = []
        return [self._jobs[position] for position in taken]

    def finish(self, settled: Iterable[int]) -> None:
        """Free the jobs that waited for these."""
        for position in settled:
            for follower in self._next.get(position, ()):
                self._waiting[follower] -= 1
                if self._waiting[follower] == 0:
                    self.ready.append(follower)


def job_record(one: Resolved, result: JobResult) -> JobRecord:
    """Return what the ledger keeps of a job."""
    job = one.job
    planned = {item.output: item for item in job.outputs}
    products = tuple(
        ProductRecord(
            output=made.output,
            tag=planned[made.output].tag,
            path=made.path,
            sha256=made.sha256,
            size=made.size,
            data_sha256=made.data_sha256,
            setup=dict(planned[made.output].setup),
            mjd=planned[made.output].mjd,
            exptime=planned[made.output].exptime,
            object=made.object or planned[made.output].object,
            night=job.night,
            raw=planned[made.output].raw,
            detector=_text(planned[made.output].setup.get("detector")),
            header=dict(made.header),
            qc=dict(result.qc),
        )
        for made in result.made
    )
    return JobRecord(
        instrument=job.instrument,
        task=job.task.name,
        name=job.name,
        night=job.night,
        recipe=job.task.recipe.name,
        version=job.task.recipe.version,
        provenance_key=one.key,
        params=dict(one.params),
        state="done" if result.error is None else "failed",
        level=one.level,
        caveats=(*one.caveats, *result.caveats),
        error=result.error,
        log=result.log,
        started=result.started,
        seconds=result.seconds,
        cpu_seconds=result.cpu_seconds,
        peak_memory=result.peak_memory,
        inputs=one.inputs,
        products=products,
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
