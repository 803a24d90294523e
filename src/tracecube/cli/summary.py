"""What became of a run, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tracecube.archive.records import RawRecord
from tracecube.archive.summary import RunSummary
from tracecube.cli.show import say, table

__all__ = ["STATES", "no_jobs", "show_files", "show_next", "show_summary"]

STATES = ("done", "reused", "failed", "blocked", "incomplete", "skipped", "waiting")
"""In the order in which they are told."""


def show_summary(summary: RunSummary, *, most: int | None = None) -> None:
    """Print what was done, what was not, and why.

    Parameters
    ----------
    most : int, optional
        Lines of one kind; all when None.
    """
    counts: dict[str, Counter[str]] = {}
    for result in summary.results:
        counts.setdefault(result.task, Counter())[result.state] += 1
    shown = [state for state in STATES if summary.of(state)]
    if set(shown) - {"reused"}:
        table(["task", *shown], [(name, *(count[state] or "" for state in shown)) for name, count in counts.items()])
    for state in ("failed", "incomplete", "blocked", "skipped"):
        _show_lines(state, [f"{result.label}: {result.reason}" for result in summary.of(state)], most)
    _show_lines("caveat", [f"{r.label}: {caveat}" for r in summary.results for caveat in r.caveats], most)
    show_files(summary.unclassified, summary.copies)
    if not summary.results:
        say(no_jobs(Path(summary.run.raw_folder), summary.run.targets, summary.tags), style="magenta")


def _show_lines(kind: str, lines: Sequence[str], most: int | None) -> None:
    for line in lines[:most]:
        say(f"{kind}: {line}")
    if most is not None and len(lines) > most:
        say(f"{kind}: and {len(lines) - most} more; `tracecube status OUT` lists all")


def show_files(unclassified: Iterable[RawRecord], copies: Iterable[RawRecord]) -> None:
    """Print the files that were left out, and why."""
    for file in unclassified:
        say(f"unclassified: {file.path}: {file.reason}")
    for file in copies:
        say(f"copy: {file.path} holds the same as {file.copy_of}; it is used once")


def no_jobs(folder: Path, targets: Iterable[str], tags: Mapping[str, int]) -> str:
    """Say why there is nothing to do."""
    if not tags:
        kinds = ".fits, .fits.fz, .fits.gz, .csv, .ecsv, .txt, .tar"
        return f"{folder}: no raw file of an installed instrument here ({kinds})"
    have = ", ".join(f"{count} {tag}" for tag, count in tags.items())
    return f"{folder}: no file here is what {', '.join(targets)} starts from; there are {have}"


def show_next(out: Path) -> None:
    """Print where to look."""
    say(f"next: tracecube products {out}   tracecube targets {out}   tracecube status {out}")
