"""An adjustment of one job is tried beside the output folder, which learns of it only when it is accepted."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tracecube.archive.adjustments import save_adjustment
from tracecube.archive.ledger import LEDGER_NAME, Ledger
from tracecube.archive.queries import job_of, planned_of, products, products_from_elsewhere, run_for
from tracecube.archive.records import AdjustmentRecord, RunRecord
from tracecube.archive.summary import RunSummary
from tracecube.core.errors import MissingInput
from tracecube.workflow.discover import Found, discover
from tracecube.workflow.executor import Executor
from tracecube.workflow.reduce import INDEX, reduce_folder
from tracecube.workflow.run import Watch

__all__ = ["Preview", "adjust", "tried"]


@dataclass(frozen=True)
class Preview:
    """What an adjustment would make.

    Parameters
    ----------
    folder : Path
        Stands for the output folder: holds what the adjustment changes, and links to all else.
    summary : RunSummary
    """

    folder: Path
    summary: RunSummary


@contextmanager
def tried(
    out: Path,
    adjustment: AdjustmentRecord,
    executor: Executor,
    *,
    watch: Watch | None = None,
    instruments: Callable[[], Mapping[str, Found]] = discover,
) -> Iterator[Preview]:
    """Make what an adjustment would change in a folder that is gone afterwards; ``out`` is only read.

    The same jobs run as after it is accepted, on the same inputs, so that their products are the same byte by byte.

    Raises
    ------
    TracecubeError
        As `adjust`.
    """
    out = out.expanduser().resolve()
    with tempfile.TemporaryDirectory(prefix="tracecube-try-") as name:
        folder = Path(name).resolve()
        _stand_in(out, folder)
        summary = adjust(folder, adjustment, executor, watch=watch, instruments=instruments)
        yield Preview(folder, summary)


def adjust(
    out: Path,
    adjustment: AdjustmentRecord,
    executor: Executor,
    *,
    watch: Watch | None = None,
    instruments: Callable[[], Mapping[str, Found]] = discover,
    patience: float = 0.0,
) -> RunSummary:
    """Write an adjustment down, and do its job's last run again: what depends on it is made anew, all else reused.

    Parameters
    ----------
    patience : float, second
        How long to wait for another run that is writing into the folder. When it is not over by then, the
        adjustment stands nevertheless, and the next run heeds it.

    Raises
    ------
    MissingInput
        Nothing was ever reduced into the folder.
    BadData
        A value is not allowed, or another run is writing into the folder.
    """
    with Ledger.open(out) as ledger:
        run = run_for(ledger, (adjustment.instrument, adjustment.task, adjustment.name, adjustment.night))
        if run is None:
            raise MissingInput(f"{out}: nothing was run here yet", hint=f"tracecube reduce RAWDIR -o {out}")
        if not Path(run.raw_folder).is_dir():
            raise MissingInput(f"{run.raw_folder}: the raw files are not there any more", hint="bring them back")
        save_adjustment(ledger, adjustment)
        lent = _lent(ledger, run)
    return reduce_folder(
        Path(run.raw_folder),
        out,
        executor,
        targets=run.targets,
        only=run.conditions,
        settings=run.settings,
        watch=watch,
        instruments=instruments,
        patience=patience,
        earlier=lent,
    )


def _lent(ledger: Ledger, run: RunRecord) -> bool:
    """Whether the run took calibrations that other raw folders gave."""
    elsewhere = {made.sha256 for made in products_from_elsewhere(ledger, Path(run.raw_folder))}
    if not elsewhere:
        return False
    here = [made for made in products(ledger) if made.sha256 not in elsewhere]
    jobs = {made.job_id for made in here} | {one.job_id for one in planned_of(ledger, run.id) if one.job_id is not None}
    return any(given.sha256 in elsewhere for number in jobs for given in job_of(ledger, number).inputs)


def _stand_in(out: Path, folder: Path) -> None:
    """Copy the ledger, and link to every product that counts."""
    if not (out / LEDGER_NAME).is_file():
        with Ledger.open(out):  # says what is wrong
            return
    with (
        closing(sqlite3.connect(out / LEDGER_NAME)) as source,  # a read-only connection would leave its journal behind
        closing(sqlite3.connect(folder / LEDGER_NAME)) as copy,
    ):
        source.backup(copy)
    with Ledger.open(folder) as ledger:
        links = [Path(made.path) for made in products(ledger)]
    for link in links:
        original = out / link.relative_to(folder)
        if original.is_file():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(original)
    if (out / INDEX).is_dir():
        shutil.copytree(out / INDEX, folder / INDEX)
