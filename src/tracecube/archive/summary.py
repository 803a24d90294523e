"""What a run came to, as the ledger tells it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from tracecube.archive import tables
from tracecube.archive.ledger import Ledger
from tracecube.archive.queries import last_run, raw_files
from tracecube.archive.records import RawRecord, RunRecord

__all__ = ["Result", "RunSummary", "last_summary"]


@dataclass(frozen=True)
class Result:
    """What became of one planned job.

    Parameters
    ----------
    state : {"done", "reused", "failed", "blocked", "incomplete", "skipped", "waiting"}
        Waiting: the run was cut short before its turn came.
    reason : str or None
    caveats : tuple of str
    seconds : float
        Of the job that made the products, now or earlier.
    """

    task: str
    name: str
    state: str
    reason: str | None
    caveats: tuple[str, ...]
    seconds: float
    job_id: int | None

    @property
    def label(self) -> str:
        """Task and name, for people."""
        return f"{self.task} {self.name}"


@dataclass(frozen=True)
class RunSummary:
    """A run with all its jobs and the raw files it saw.

    Parameters
    ----------
    run : RunRecord
    results : tuple of Result
        In the order of the plan.
    files : tuple of RawRecord
        By path.
    """

    run: RunRecord
    results: tuple[Result, ...]
    files: tuple[RawRecord, ...]

    def of(self, *states: str) -> list[Result]:
        """Return the results in these states."""
        return [result for result in self.results if result.state in states]

    @property
    def unclassified(self) -> list[RawRecord]:
        """Files without a tag; ``reason`` says why."""
        return [file for file in self.files if file.tag is None and file.copy_of is None]

    @property
    def copies(self) -> list[RawRecord]:
        """Files with the content of another."""
        return [file for file in self.files if file.copy_of is not None]

    @property
    def tags(self) -> dict[str, int]:
        """How many files there are of each tag."""
        return dict(sorted(Counter(file.tag for file in self.files if file.tag is not None).items()))

    @property
    def good(self) -> bool:
        """Whether all that was asked for is there, and every file of an instrument could be used."""
        bad = self.of("failed", "blocked", "incomplete", "waiting")
        return bool(self.results) and not bad and all(file.foreign for file in self.unclassified)


def last_summary(ledger: Ledger) -> RunSummary | None:
    """Return what the latest run came to, None when there was none."""
    run = last_run(ledger)
    if run is None:
        return None
    planned, job = tables.planned.c, tables.job.c
    query = (
        sa.select(planned.task, planned.name, planned.state, planned.reason, planned.job_id, job.caveats, job.seconds)
        .select_from(tables.planned.outerjoin(tables.job))
        .where(planned.run_id == run.id)
        .order_by(planned.position)
    )
    with ledger.engine.connect() as connection:
        rows = connection.execute(query).all()
    results = (
        Result(row.task, row.name, row.state, row.reason, tuple(row.caveats or ()), row.seconds or 0.0, row.job_id)
        for row in rows
    )
    files = raw_files(ledger, Path(run.raw_folder))
    return RunSummary(run, tuple(results), tuple(files[path] for path in sorted(files)))
