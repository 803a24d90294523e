"""Notice that there is nothing to do, before anything is imported or planned.

What a run does is a pure function of the raw files, the software, the targets and the parameters.
When all these are what they were at the last run, and that run's products stand, so does the run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from tracecube.archive.hashing import hash_of_value
from tracecube.archive.ledger import Ledger
from tracecube.archive.queries import products_of_jobs
from tracecube.archive.records import AdjustmentRecord
from tracecube.archive.summary import RunSummary, last_summary
from tracecube.workflow.discover import GROUP
from tracecube.workflow.reuse import all_intact
from tracecube.workflow.scan import data_files
from tracecube.workflow.settings import Settings

__all__ = ["as_reused", "fingerprint", "unchanged"]

_FINAL = {"done", "reused", "skipped", "incomplete"}
"""States that the same call would come to again; a failure deserves another try."""


def fingerprint(
    folder: Path,
    targets: Sequence[str],
    settings: Settings,
    by_hand: Sequence[AdjustmentRecord] = (),
    earlier: Sequence[str] = (),
) -> str:
    """Return the hash of all that decides what a run does: names, sizes and times of files, choices, adjustments.

    Parameters
    ----------
    folder : Path
    targets : sequence of str
    settings : mapping of task to parameters
    by_hand : sequence of AdjustmentRecord
    earlier : sequence of str
        Content hashes of products of earlier nights that may be used.
    """
    raw = [_stamp(path) for path in data_files(folder)]
    choices = {task: dict(values) for task, values in settings.items()}
    adjusted = sorted([one.instrument, one.task, one.name, str(one.night), one.id] for one in by_hand)
    given = [list(targets), choices, adjusted, list(earlier)]
    return hash_of_value([str(folder), raw, sorted(_software()), sys.version, *given])


def unchanged(ledger: Ledger, now: str) -> RunSummary | None:
    """Return the last run when it still stands, None when there may be something to do.

    Parameters
    ----------
    now : str
        The `fingerprint` of what is asked for.
    """
    last = last_summary(ledger)
    if last is None or last.run.fingerprint != now or last.run.finished is None or not last.results:
        return None
    if any(result.state not in _FINAL for result in last.results):
        return None
    jobs = [result.job_id for result in last.results if result.job_id is not None]
    products = [made for some in products_of_jobs(ledger, jobs).values() for made in some]
    return last if all_intact(products) else None


def as_reused(last: RunSummary) -> RunSummary:
    """Return a run as it looks when all that it made is taken again."""
    results = (replace(r, state="reused") if r.state == "done" else r for r in last.results)
    return replace(last, results=tuple(results))


def _stamp(path: str) -> tuple[str, int, int]:
    """Return path, size and time of a file; a dangling link has neither."""
    try:
        state = os.stat(path)  # noqa: PTH116 - hundreds of files, and Path takes twice the time
    except OSError:
        return path, -1, -1
    return path, state.st_size, state.st_mtime_ns


def _software() -> Iterator[tuple[str, int, int]]:
    """Stamp every file of this package and of those that announce instruments."""
    names = {"tracecube", *(entry.module.partition(".")[0] for entry in entry_points(group=GROUP))}
    for name in sorted(names):
        spec = find_spec(name)
        if spec is None:
            continue
        if spec.origin is not None:
            yield _stamp(spec.origin)
        for place in spec.submodule_search_locations or ():
            for root, folders, files in os.walk(place):
                folders[:] = [folder for folder in folders if folder != "__pycache__"]
                yield from (_stamp(os.path.join(root, file)) for file in files)  # noqa: PTH118 - as above
