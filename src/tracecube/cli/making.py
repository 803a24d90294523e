"""`reduce` and `plan`: make products, or say what would be made."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import typer

from tracecube.archive.ledger import LEDGER_NAME, Ledger
from tracecube.archive.queries import raw_files
from tracecube.cli.options import Files, Jobs, Out, Parameters, RawFolder, Targets, processors, settings_of
from tracecube.cli.progress import Bars
from tracecube.cli.show import console, examples, say, table
from tracecube.workflow.discover import Found, discover
from tracecube.workflow.executor import Executor, InProcess, LocalPool
from tracecube.workflow.forecast import forecast
from tracecube.workflow.reduce import Prepared, Summary, prepare, reduce_folder

__all__ = ["executor_for", "register", "show_summary"]

SHOWN = 12
"""Lines of one kind that a summary prints; `status` prints all."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "reduce",
        epilog=examples(
            "tracecube reduce night/ -o out/",
            "tracecube reduce night/ -o out/ --target wavelength_calibration",
            "tracecube reduce night/ -o out/ -p traces.order=3 -p bias.clip=4",
            "tracecube reduce night/ -o out/ --params mine.toml -j 8",
        ),
    )(reduce)
    app.command(
        "plan",
        epilog=examples("tracecube plan night/ -o out/", "tracecube plan night/ -o out/ -p traces.order=3"),
    )(plan)


def executor_for(jobs: int, instruments: dict[str, Found]) -> Executor:
    """Return where jobs run: this process, or so many workers."""
    if jobs == 0:
        return InProcess()
    return LocalPool(jobs, [found.reference.partition(":")[0] for found in instruments.values()])


def reduce(
    raw: RawFolder,
    out: Out,
    target: Targets = None,
    param: Parameters = None,
    params: Files = None,
    jobs: Jobs = None,
) -> None:
    """Reduce a folder of raw frames: make what is missing, reuse what stands.

    Ends with status 0 when all is done, 1 when something failed or is incomplete, 2 when nothing could be run.
    """
    summary, seconds = run(raw, out, target=target, param=param, params=params, jobs=jobs)
    show_summary(summary, seconds)
    show_next(out, write_report(out))
    raise typer.Exit(0 if summary.good else 1)


def run(
    raw: Path,
    out: Path,
    *,
    target: list[str] | None = None,
    param: list[str] | None = None,
    params: Path | None = None,
    jobs: int | None = None,
) -> tuple[Summary, float]:
    """Reduce with a view of the work; return the summary and the seconds it took."""
    started = time.perf_counter()
    settings = settings_of(param, params)
    instruments = discover()
    executor = executor_for(processors() if jobs is None else jobs, instruments)
    try:
        with Bars(console()) as bars:
            summary = reduce_folder(
                raw, out, instruments, executor, targets=target or (), settings=settings, watch=bars
            )
    except KeyboardInterrupt:
        say("interrupted; what was finished is kept: the same command goes on from there", style="yellow")
        raise typer.Exit(1) from None
    finally:
        executor.close()
    return summary, time.perf_counter() - started


def plan(raw: RawFolder, out: Out, target: Targets = None, param: Parameters = None, params: Files = None) -> None:
    """Say what `reduce` would run, reuse or leave, and why; nothing is written."""
    settings = settings_of(param, params)
    folder = out.expanduser().resolve()
    ledger = Ledger.open(folder) if (folder / LEDGER_NAME).is_file() else None
    known = raw_files(ledger) if ledger else {}
    prepared = prepare(raw, folder, discover(), targets=target or (), settings=settings, known=known)
    jobs = prepared.plan.needed(prepared.plan.end_jobs(prepared.targets))
    expected = forecast(jobs, prepared.params, ledger)
    table(["task", "name", "would", "because"], [(o.job.task.name, o.job.name, o.state, o.reason) for o in expected])
    show_files(prepared)
    counts = Counter(outcome.state for outcome in expected)
    say(", ".join(f"{count} {state}" for state, count in counts.items()) or no_jobs(prepared))


def show_summary(summary: Summary, seconds: float) -> None:
    """Print what was done, what was not, and why."""
    order = dict.fromkeys(outcome.job.task.name for outcome in summary.outcomes)
    states = ("done", "reused", "failed", "blocked", "incomplete", "skipped")
    counts = {name: Counter(o.state for o in summary.outcomes if o.job.task.name == name) for name in order}
    shown = [state for state in states if summary.of(state)]
    if summary.of("done", "failed"):
        table(["task", *shown], [(name, *(counts[name][state] or "" for state in shown)) for name in order])
    for state in ("failed", "incomplete", "blocked", "skipped"):
        lines = [f"{outcome.job.label}: {outcome.reason}" for outcome in summary.of(state)]
        show_lines(state, lines)
    show_lines("caveat", [f"{o.job.label}: {caveat}" for o in summary.outcomes for caveat in o.caveats])
    show_files(summary.prepared)
    if not summary.outcomes:
        say(no_jobs(summary.prepared), style="magenta")
    total = ", ".join(f"{len(summary.of(state))} {state}" for state in shown) or "nothing to do"
    say(f"{total} in {seconds:.1f} s", style="bold")


def show_lines(kind: str, lines: list[str]) -> None:
    """Print lines of one kind, not too many."""
    for line in lines[:SHOWN]:
        say(f"{kind}: {line}")
    if len(lines) > SHOWN:
        say(f"{kind}: and {len(lines) - SHOWN} more; `tracecube status OUT` lists all")


def show_files(prepared: Prepared) -> None:
    """Print the files that were left out, and why."""
    for file in prepared.scan.unclassified:
        say(f"unclassified: {Path(file.path).name}: {file.reason}")
    for copy, kept in prepared.scan.copies:
        say(f"copy: {copy} has the content of {kept}; it is used once")


def no_jobs(prepared: Prepared) -> str:
    """Say why there is nothing to do."""
    scan = prepared.scan
    if not scan.files:
        return f"{scan.folder}: no raw files here (.fits, .fits.fz, .fits.gz, .csv, .ecsv)"
    if not scan.classified:
        return f"{scan.folder}: {len(scan.files)} files, none of an installed instrument"
    have = ", ".join(f"{len(items)} {tag}" for tag, items in sorted(prepared.plan.raw.items()))
    return f"no frame asks for {', '.join(prepared.targets)}: there are {have}"


def write_report(out: Path) -> Path | None:
    """Draw the night's page when the drawing part is installed."""
    try:
        from tracecube.report.night import write_report as draw  # noqa: PLC0415 - figures take long to import
    except ModuleNotFoundError:
        return None
    return Path(draw(out.expanduser().resolve()))


def show_next(out: Path, report: Path | None) -> None:
    """Print where to look."""
    if report is not None:
        say(f"report: {report}")
    say(f"next: tracecube products {out}   tracecube targets {out}   tracecube status {out}")
