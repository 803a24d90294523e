"""Questions to the ledger. Read only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tracecube.archive import tables
from tracecube.archive.ledger import Ledger
from tracecube.archive.records import InputRecord, JobRecord, PlannedRecord, ProductRecord, RawRecord, RunRecord

__all__ = [
    "done_jobs",
    "find_product",
    "job_keys",
    "job_of",
    "last_run",
    "nights_with",
    "planned_of",
    "products",
    "products_from_elsewhere",
    "products_of_jobs",
    "raw_files",
    "raw_with_hash",
    "run_for",
]

_CHUNK = 500  # values in one IN list; SQLite built before 2020 allows 999
_PRODUCT = sa.select(tables.product, tables.job.c.instrument, tables.job.c.task).join(tables.job)


def raw_files(ledger: Ledger, folder: Path | None = None) -> dict[str, RawRecord]:
    """Return path -> raw file, of all files or of those under ``folder``."""
    query = sa.select(tables.raw_file)
    if folder is not None:
        query = query.where(tables.raw_file.c.path.startswith(f"{folder}/", autoescape=True))
    return {row["path"]: RawRecord(**_without(row, "id")) for row in _rows(ledger, query)}


def raw_with_hash(ledger: Ledger, sha256: str) -> list[RawRecord]:
    """Return the raw files that have this content, by path."""
    query = sa.select(tables.raw_file).where(tables.raw_file.c.sha256 == sha256).order_by(tables.raw_file.c.path)
    return [RawRecord(**_without(row, "id")) for row in _rows(ledger, query)]


def done_jobs(ledger: Ledger, keys: Sequence[str]) -> dict[str, tuple[int, tuple[ProductRecord, ...]]]:
    """Return provenance key -> (job, products) of finished jobs; the latest job counts."""
    found: dict[str, int] = {}
    for start in range(0, len(keys), _CHUNK):
        some = keys[start : start + _CHUNK]
        query = (
            sa.select(tables.job.c.provenance_key, tables.job.c.id)
            .where(tables.job.c.provenance_key.in_(some), tables.job.c.state == "done")
            .order_by(tables.job.c.id)
        )
        found.update({row["provenance_key"]: row["id"] for row in _rows(ledger, query)})
    made = products_of_jobs(ledger, list(found.values()))
    return {key: (number, tuple(made.get(number, ()))) for key, number in found.items()}


def products_of_jobs(ledger: Ledger, jobs: Sequence[int]) -> dict[int, list[ProductRecord]]:
    """Return job -> its products."""
    made: dict[int, list[ProductRecord]] = {}
    for start in range(0, len(jobs), _CHUNK):
        query = _PRODUCT.where(tables.product.c.job_id.in_(jobs[start : start + _CHUNK])).order_by(tables.product.c.id)
        for row in _rows(ledger, query):
            made.setdefault(row["job_id"], []).append(_product(ledger, row))
    return made


def products(
    ledger: Ledger, *, tag: str | None = None, object_: str | None = None, night: str | None = None
) -> list[ProductRecord]:
    """Return the current products by time and path."""
    query = _PRODUCT.where(tables.product.c.current)
    if tag is not None:
        query = query.where(tables.product.c.tag == tag)
    if object_ is not None:
        query = query.where(tables.product.c.object == object_)
    if night is not None:
        query = query.where(tables.product.c.night == night)
    found = [_product(ledger, row) for row in _rows(ledger, query)]
    return sorted(found, key=lambda made: (made.mjd or 0.0, made.path))


def products_from_elsewhere(ledger: Ledger, folder: Path) -> list[ProductRecord]:
    """Return the current products that no run on this raw folder made, by time and path."""
    others = sa.select(tables.run.c.id).where(tables.run.c.raw_folder != str(folder))
    query = _PRODUCT.where(tables.product.c.current, tables.job.c.run_id.in_(others))
    return sorted(
        (_product(ledger, row) for row in _rows(ledger, query)), key=lambda made: (made.mjd or 0.0, made.path)
    )


def nights_with(ledger: Ledger, output: str, instruments: Sequence[str]) -> list[str]:
    """Return the nights of which there is a current product of this output of a recipe, by date."""
    column = tables.product.c
    query = (
        sa.select(column.night)
        .join(tables.job)
        .where(column.current, column.output == output, column.night.is_not(None), column.raw.is_not(None))
        .where(tables.job.c.instrument.in_(instruments))
    )
    return sorted({row["night"] for row in _rows(ledger, query)})


def find_product(ledger: Ledger, *, path: str | None = None, sha256: str | None = None) -> ProductRecord | None:
    """Return the newest product of this path or content."""
    query = _PRODUCT.order_by(tables.product.c.current.desc(), tables.product.c.id.desc()).limit(1)
    if path is not None:
        query = query.where(tables.product.c.path == ledger.relative(path))
    if sha256 is not None:
        query = query.where(tables.product.c.sha256 == sha256)
    found = [_product(ledger, row) for row in _rows(ledger, query)]
    return found[0] if found else None


def job_of(ledger: Ledger, number: int) -> JobRecord:
    """Return a job with its inputs and products."""
    [row] = _rows(ledger, sa.select(tables.job).where(tables.job.c.id == number))
    query = sa.select(tables.job_input).where(tables.job_input.c.job_id == number).order_by(tables.job_input.c.position)
    inputs = [
        InputRecord(**{**_without(given, "job_id", "position"), "path": ledger.absolute(given["path"])})
        for given in _rows(ledger, query)
    ]
    made = products_of_jobs(ledger, [number]).get(number, [])
    return JobRecord(**{**row, "caveats": tuple(row["caveats"]), "inputs": tuple(inputs), "products": tuple(made)})


def last_run(ledger: Ledger) -> RunRecord | None:
    """Return the latest run."""
    return _newest_run(ledger)


def run_for(ledger: Ledger, job: tuple[str, str, str, str | None]) -> RunRecord | None:
    """Return the latest run on the raw folder that gave a job (instrument, task, name, night); the latest if none did.

    An output folder may hold what several raw folders gave.
    """
    column, run = tables.job.c, tables.run.c
    instrument, task, name, night = job
    folder = (
        sa.select(run.raw_folder)
        .where(
            run.id == column.run_id,
            column.instrument == instrument,
            column.task == task,
            column.name == name,
            column.night.is_not_distinct_from(night),
        )
        .order_by(column.id.desc())
        .limit(1)
    )
    with ledger.engine.connect() as connection:
        found = connection.execute(folder).scalar()
    return _newest_run(ledger, *([] if found is None else [run.raw_folder == found]))


def _newest_run(ledger: Ledger, *conditions: sa.ColumnElement[bool]) -> RunRecord | None:
    """Return the latest run of some."""
    rows = _rows(ledger, sa.select(tables.run).where(*conditions).order_by(tables.run.c.id.desc()).limit(1))
    if not rows:
        return None
    asked = _conditions(ledger, rows[0]["id"])
    return RunRecord(**{**rows[0], "targets": tuple(rows[0]["targets"]), "conditions": asked})


def _conditions(ledger: Ledger, run_id: int) -> tuple[str, ...]:
    """Return the conditions of a run; none from an older ledger in a folder that cannot be written."""
    column = tables.run_condition.c
    if not sa.inspect(ledger.engine).has_table(tables.run_condition.name):
        return ()
    query = sa.select(column.text).where(column.run_id == run_id).order_by(column.position)
    return tuple(row["text"] for row in _rows(ledger, query))


def job_keys(ledger: Ledger, instrument: str, tasks: Sequence[str]) -> list[tuple[str, str, str, str | None]]:
    """Return instrument, task, name and night of all jobs of these tasks that ever ran, in order."""
    column = tables.job.c
    query = (
        sa.select(column.instrument, column.task, column.name, column.night, sa.func.min(column.id).label("first"))
        .where(column.instrument == instrument, column.task.in_(tasks))
        .group_by(column.instrument, column.task, column.name, column.night)
        .order_by("first")
    )
    return [(row["instrument"], row["task"], row["name"], row["night"]) for row in _rows(ledger, query)]


def planned_of(ledger: Ledger, run_id: int) -> list[PlannedRecord]:
    """Return the jobs of a run's plan in order, with what became of them."""
    query = sa.select(tables.planned).where(tables.planned.c.run_id == run_id).order_by(tables.planned.c.position)
    return [PlannedRecord(**_without(row, "run_id", "position")) for row in _rows(ledger, query)]


def _rows(ledger: Ledger, query: sa.Select[Any]) -> list[dict[str, Any]]:
    with ledger.engine.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def _without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in names}


def _product(ledger: Ledger, row: dict[str, Any]) -> ProductRecord:
    return ledger.with_absolute_path(ProductRecord(**_without(row, "id")))
