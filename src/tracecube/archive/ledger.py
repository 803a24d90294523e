"""The ledger: one database that knows every raw file, job and product of an output folder."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

import sqlalchemy as sa

from tracecube.archive import migrate, tables
from tracecube.archive.records import JobRecord, PlannedRecord, ProductRecord, RawRecord
from tracecube.archive.statements import (
    LEFT_BY_NAMESAKES,
    RETIRE_LEFT,
    RETIRE_STALE,
    SET_PLANNED,
    STALE_PATHS,
    planned_row,
)
from tracecube.core.errors import BadData, MissingInput

__all__ = ["LEDGER_NAME", "Ledger", "now"]

LEDGER_NAME = "tracecube.db"
T = TypeVar("T")
_CHUNK = 500  # values in one IN list; SQLite built before 2020 allows 999


def now() -> str:
    """Return the time as ISO 8601 in UTC."""
    return datetime.now(tz=UTC).isoformat(timespec="milliseconds")


class Ledger:
    """Open ledger of an output folder.

    Every method that writes is one transaction: it happened whole, or not at all.

    Parameters
    ----------
    folder : Path
        The output folder; product paths in the database are relative to it.
    engine : sqlalchemy.Engine
    """

    def __init__(self, folder: Path, engine: sa.Engine) -> None:
        self.folder = folder
        self.engine = engine

    @classmethod
    def open(cls, folder: Path, *, create: bool = False, url: str | None = None) -> Self:
        """Open the ledger of ``folder``, migrating it to today's layout.

        Parameters
        ----------
        create : bool
            Make folder and ledger when they are not there.
        url : str, optional
            Another database than ``folder/tracecube.db``.

        Raises
        ------
        MissingInput
            There is no ledger and ``create`` is False.
        BadData
            The folder cannot be written, or the file is no ledger.
        """
        folder = folder.expanduser().resolve()
        path = folder / LEDGER_NAME
        if url is None and not create and not path.is_file():
            raise MissingInput(
                f"{folder}: no {LEDGER_NAME} here, so nothing was reduced into this folder",
                hint="name the folder given to `tracecube reduce RAWDIR -o OUT`",
            )
        if create:
            make_writable(folder)
        effective = os.access in os.supports_effective_ids
        frozen = url is None and not os.access(folder, os.W_OK, effective_ids=effective)
        engine = sa.create_engine(url or _sqlite_url(path, frozen=frozen))
        if engine.dialect.name == "sqlite" and not frozen:
            sa.event.listen(engine, "connect", _tune_sqlite)
            sa.event.listen(engine, "begin", _begin_sqlite)
        try:
            with engine.begin() as connection:
                if not frozen:
                    migrate.upgrade(connection)
        except sa.exc.DatabaseError as error:
            raise BadData(
                f"{path}: cannot be opened as a ledger ({error.orig})",
                hint="check the rights on the folder and its disk; without its ledger the folder is made again",
            ) from error
        return cls(folder, engine)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Close; a database that refuses to work is told as such.

        Raises
        ------
        BadData
            The disk is full, the database locked or damaged.
        """
        self.close()
        if isinstance(error, sa.exc.OperationalError):
            raise BadData(
                f"{self.folder}: the ledger cannot be used ({error.orig})",
                hint="check disk and rights, and whether another program holds the database; then run again",
            ) from error

    def save_raw(self, changed: Iterable[RawRecord], gone: Iterable[str] = ()) -> None:
        """Insert new and changed raw files; forget paths where there is no file any more."""
        rows = [dict(vars(record)) for record in changed]
        paths = [*(row["path"] for row in rows), *gone]
        if not paths:
            return
        with self.engine.begin() as connection:
            for some in _chunks(paths):
                connection.execute(sa.delete(tables.raw_file).where(tables.raw_file.c.path.in_(some)))
            if rows:
                connection.execute(sa.insert(tables.raw_file), rows)

    def retire_others(self, raw_folder: str, possible: Collection[tuple[str, str, str, str | None]]) -> None:
        """Take off the list what this raw folder once gave and cannot give any more.

        Parameters
        ----------
        possible : collection of (instrument, task, name, night)
            Jobs that the folder allows now.
        """
        job = tables.job.c
        column = tables.product.c
        made_here = sa.select(job.id, job.instrument, job.task, job.name, job.night).where(
            job.id.in_(sa.select(column.job_id).where(column.current)),
            job.run_id.in_(sa.select(tables.run.c.id).where(tables.run.c.raw_folder == raw_folder)),
        )
        with self.engine.begin() as connection:
            found = connection.execute(made_here).all()
            others = [number for number, *name in found if tuple(name) not in possible]
            for some in _chunks(others):
                connection.execute(sa.update(tables.product).where(column.job_id.in_(some)).values(current=False))

    def start_run(self, *, about: Mapping[str, Any], jobs: Sequence[PlannedRecord]) -> int:
        """Insert a run with all its planned jobs, in place of those of earlier runs; return its number."""
        own = {key: value for key, value in about.items() if key != "conditions"}
        with self.engine.begin() as connection:
            connection.execute(sa.delete(tables.planned))
            found = connection.execute(sa.insert(tables.run).values(**own, started=now())).inserted_primary_key
            number = int(found[0]) if found else 0
            asked = [{"run_id": number, "position": i, "text": x} for i, x in enumerate(about.get("conditions", ()))]
            if asked:
                connection.execute(sa.insert(tables.run_condition), asked)
            rows = [{**vars(job), "run_id": number, "position": i} for i, job in enumerate(jobs)]
            if rows:
                connection.execute(sa.insert(tables.planned), rows)
        return number

    def finish_run(self, run_id: int) -> None:
        """Note that a run came to its end."""
        with self.engine.begin() as connection:
            connection.execute(sa.update(tables.run).where(tables.run.c.id == run_id).values(finished=now()))

    def note(self, run_id: int, states: Mapping[int, tuple[str, str | None, int | None]]) -> None:
        """Set (state, reason, job id) of planned jobs by position.

        The products of a job that is taken again are current; those that a job left which cannot run
        any more are not.
        """
        rows = [planned_row(run_id, position, state) for position, state in states.items()]
        if not rows:
            return
        idle = [position for position, (_, _, number) in states.items() if number is None]
        again = [number for _, _, number in states.values() if number is not None]
        column = tables.product.c
        with self.engine.begin() as connection:
            connection.execute(SET_PLANNED, rows)
            for some in _chunks(idle):
                connection.execute(RETIRE_LEFT, {"of_run": run_id, "positions": some})
            for some in _chunks(again):
                back = column.job_id.in_(some) & ~column.current
                connection.execute(sa.update(tables.product).where(back).values(current=True))

    def leftovers(self, run_id: int, positions: Sequence[int]) -> list[str]:
        """Return the paths of files that earlier namesakes of these planned jobs left."""
        found: list[str] = []
        with self.engine.connect() as connection:
            for some in _chunks(positions):
                rows = connection.execute(LEFT_BY_NAMESAKES, {"of_run": run_id, "positions": some})
                found += [self.absolute(path) for path in rows.scalars()]
        return found

    def record(self, run_id: int, position: int, done: JobRecord) -> tuple[int, list[str]]:
        """Insert a job with its inputs and products, and retire what it replaces.

        Returns
        -------
        int
            Number of the job.
        list of str
            Paths of retired products that the job did not write again.
        """
        with self.engine.begin() as connection:
            found = connection.execute(sa.insert(tables.job), _job_row(run_id, done)).inserted_primary_key
            number = int(found[0]) if found else 0
            inputs = [
                {**vars(given), "path": self.relative(given.path), "job_id": number, "position": i}
                for i, given in enumerate(done.inputs)
            ]
            if inputs:
                connection.execute(sa.insert(tables.job_input), inputs)
            left = self._put_products(connection, {"of_run": run_id, "positions": [position]}, number, done)
            connection.execute(SET_PLANNED, planned_row(run_id, position, (done.state, done.error, number)))
        return number, left if done.state == "done" else []

    def _put_products(
        self, connection: sa.Connection, planned: Mapping[str, Any], number: int, done: JobRecord
    ) -> list[str]:
        """Insert the products of a job; retire those of its earlier namesakes and those it overwrote."""
        paths = [self.relative(made.path) for made in done.products]
        retired = connection.execute(STALE_PATHS, {**planned, "paths": paths}).scalars().all()
        if retired:
            connection.execute(RETIRE_STALE, {**planned, "paths": paths})
        rows = [
            {**{name: getattr(made, name) for name in _PRODUCT_FIELDS}, "path": path, "job_id": number}
            for made, path in zip(done.products, paths, strict=True)
        ]
        if rows:
            connection.execute(sa.insert(tables.product), rows)
        return [self.absolute(path) for path in retired if path not in paths]

    def relative(self, path: str) -> str:
        """Return ``path`` relative to the output folder when it lies there."""
        own = f"{self.folder}{os.sep}"
        return path.removeprefix(own)

    def absolute(self, path: str) -> str:
        """Undo `relative`."""
        return str(self.folder / path)

    def with_absolute_path(self, made: ProductRecord) -> ProductRecord:
        """Return the product with its path on this machine."""
        return replace(made, path=self.absolute(made.path))


_PRODUCT_FIELDS = [item.name for item in tables.product.columns if item.name not in {"id", "job_id", "path"}]
_JOB_FIELDS = [item.name for item in tables.job.columns if item.name not in {"id", "run_id"}]


def _job_row(run_id: int, done: JobRecord) -> dict[str, Any]:
    row = {name: getattr(done, name) for name in _JOB_FIELDS}
    return {**row, "run_id": run_id, "caveats": list(done.caveats), "params": dict(done.params)}


def _chunks(values: Sequence[T]) -> Iterable[Sequence[T]]:
    """Cut a list for IN clauses."""
    return (values[i : i + _CHUNK] for i in range(0, len(values), _CHUNK))


def make_writable(folder: Path) -> None:
    """Make the output folder, and find out now whether it can be written.

    Raises
    ------
    BadData
        It cannot.
    """
    probe = folder / ".tracecube-probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise BadData(
            f"{folder}: the output folder cannot be written ({error.strerror})",
            hint="choose another folder with -o, or change the rights of this one",
        ) from error


def _sqlite_url(path: Path, *, frozen: bool) -> sa.URL:
    """Return the address of the embedded database; a folder without write access is read as it stands."""
    if not frozen:
        return sa.URL.create("sqlite", database=str(path))
    query = {"mode": "ro", "immutable": "1", "uri": "true"}
    return sa.URL.create("sqlite", database=f"file:{path}", query=query)


def _tune_sqlite(connection: Any, _record: object) -> None:
    """Set the journal so that a killed process loses no committed row and blocks no reader.

    ``synchronous=NORMAL``: a power cut may undo the last transactions, never tear one; their jobs
    are then simply run again.
    """
    connection.isolation_level = None  # the driver would begin too late, and leave tables outside; see below
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    """Begin every transaction outright, so that making tables belongs to it like all else.

    Python's driver begins by itself only before a row is changed: a process killed while it made the
    tables would leave half of them.
    """
    connection.exec_driver_sql("BEGIN")
