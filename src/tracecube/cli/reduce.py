"""`reduce` and `plan`: make products, or say what would be made."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import typer

from tracecube.archive.adjustments import standing_adjustments
from tracecube.archive.ledger import LEDGER_NAME, Ledger
from tracecube.archive.queries import raw_files
from tracecube.archive.summary import RunSummary
from tracecube.cli.interrupt import interruptible
from tracecube.cli.options import (
    Cluster,
    Earlier,
    Jobs,
    OnlyFiles,
    Out,
    ParameterFile,
    Parameters,
    RawFolder,
    Targets,
    processors,
    settings_of,
)
from tracecube.cli.progress import Bars
from tracecube.cli.show import console, examples, say, table
from tracecube.cli.summary import STATES, no_jobs, show_files, show_next, show_summary
from tracecube.cli.workflow import parts_of_tasks, reportings_of
from tracecube.core.errors import BadData
from tracecube.workflow.discover import discover
from tracecube.workflow.executor import Executor, InProcess, LocalPool
from tracecube.workflow.forecast import forecast
from tracecube.workflow.reduce import prepare, reduce_folder

__all__ = ["conclude", "executor_for", "register", "run"]

SHOWN = 12
"""Lines of one kind that `reduce` prints; `status` prints all."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "reduce",
        rich_help_panel="Reduce",
        epilog=examples(
            "tracecube reduce night/ -o out/",
            "tracecube reduce night/ -o out/ --target wavelength_calibration   # see `tracecube workflow`",
            "tracecube reduce night/ -o out/ -p traces.order=3 -p bias.clip=4",
            "tracecube reduce night/ -o out/ --params mine.toml -j 8",
            "tracecube reduce night/ -o out/ --only slot=47   # keys of the setup, see `tracecube ls`",
            "tracecube reduce night/ -o out/ --executor dask:tcp://host:8786",
        ),
    )(reduce)
    app.command(
        "plan",
        rich_help_panel="Reduce",
        epilog=examples("tracecube plan night/ -o out/", "tracecube plan night/ -o out/ -p traces.order=3"),
    )(plan)


def executor_for(jobs: int | None, where: str | None = None) -> Executor:
    """Return where jobs run: this process for 0, or so many workers; or the cluster that ``where`` names.

    Raises
    ------
    BadData
        ``where`` is not understood.
    MissingInput
        The cluster does not answer.
    """
    if where is not None:
        kind, _, address = where.partition(":")
        if kind != "dask" or not address:
            raise BadData(f"--executor {where!r} is not known", hint="dask:ADDRESS, of a Dask scheduler")
        from tracecube.workflow.dask_cluster import DaskCluster  # noqa: PLC0415 - seldom used

        return DaskCluster(address)
    return InProcess() if jobs == 0 else LocalPool(jobs or processors())


def reduce(
    raw: RawFolder,
    out: Out,
    target: Targets = None,
    param: Parameters = None,
    params: ParameterFile = None,
    jobs: Jobs = None,
    *,
    only: OnlyFiles = None,
    executor: Cluster = None,
    earlier: Earlier = False,
) -> None:
    """Reduce a folder of raw frames: make what is missing, reuse what stands.

    Ends with status 0 when all is done, 1 when something failed or is incomplete, 2 when nothing could be run.
    """
    summary, seconds = run(
        raw, out, target=target, only=only, param=param, params=params, jobs=jobs, where=executor, earlier=earlier
    )
    conclude(summary, seconds, out)
    raise typer.Exit(0 if summary.good else 1)


def run(
    raw: Path,
    out: Path,
    *,
    target: list[str] | None = None,
    only: list[str] | None = None,
    param: list[str] | None = None,
    params: Path | None = None,
    jobs: int | None = None,
    where: str | None = None,
    earlier: bool = False,
) -> tuple[RunSummary, float]:
    """Reduce with a view of the work; return the summary and the seconds it took."""
    started = time.perf_counter()
    settings = settings_of(param, params)
    executor = executor_for(jobs, where)
    idle: list[str] = []
    try:
        with interruptible(), Bars(console()) as bars:
            summary = reduce_folder(
                raw,
                out,
                executor,
                targets=target or (),
                only=only or (),
                settings=settings,
                watch=bars,
                earlier=earlier,
                tell=idle.append,
            )
    except KeyboardInterrupt:
        say("interrupted; what was finished is kept: the same command goes on from there", style="yellow")
        raise typer.Exit(1) from None
    finally:
        executor.close()
    for line in idle:
        say(line, style="yellow")
    return summary, time.perf_counter() - started


def conclude(summary: RunSummary, seconds: float, out: Path) -> None:
    """Print what a run came to, draw its page, and say where to look."""
    show_summary(summary, most=SHOWN)
    total = ", ".join(f"{len(summary.of(state))} {state}" for state in STATES if summary.of(state))
    say(f"{total or 'nothing to do'} in {seconds:.1f} s", style="bold")
    if summary.results:
        say(f"report: {report_of(out, changed=bool(summary.of('done', 'failed')))}")
    show_next(out)


def plan(
    raw: RawFolder,
    out: Out,
    target: Targets = None,
    param: Parameters = None,
    params: ParameterFile = None,
    *,
    only: OnlyFiles = None,
) -> None:
    """Say what `reduce` would run, reuse or leave, and why; nothing is written."""
    settings = settings_of(param, params)
    folder = out.expanduser().resolve()
    ledger = Ledger.open(folder) if (folder / LEDGER_NAME).is_file() else None
    known = raw_files(ledger) if ledger else {}
    prepared = prepare(
        raw,
        folder,
        discover(),
        targets=target or (),
        only=only or (),
        settings=settings,
        known=known,
        adjusted=standing_adjustments(ledger) if ledger else (),
    )
    jobs = prepared.jobs
    expected = forecast(jobs, prepared.params, ledger, prepared.by_hand)
    table(["task", "name", "would", "because"], [(o.job.task.name, o.job.name, o.state, o.reason) for o in expected])
    show_files(prepared.scan.unclassified, prepared.scan.copies)
    for line in prepared.idle:
        say(line, style="yellow")
    counts = Counter(outcome.state for outcome in expected)
    tags = {tag: len(items) for tag, items in prepared.plan.raw.items()}
    said = ", ".join(f"{count} {state}" for state, count in counts.items())
    say(said or no_jobs(raw, prepared.targets, tags), style="bold")


def report_of(out: Path, *, changed: bool) -> Path:
    """Return the page of the output folder, drawn again when something changed."""
    page = out.expanduser().resolve() / "report" / "index.html"
    if page.is_file() and not changed:
        return page
    from tracecube.report.night import write_report  # noqa: PLC0415 - figures take long to import
    from tracecube.report.summary import write_tables  # noqa: PLC0415
    from tracecube.sending.config import survey_of  # noqa: PLC0415

    write_tables(out, reportings_of(discover()), server=survey_of(os.environ, Path.home()))
    names = {
        (instrument, kind): pattern
        for instrument, told in reportings_of(discover()).items()
        for kind, pattern in told.calibrations.items()
    }
    return write_report(out.expanduser().resolve(), parts=parts_of_tasks(discover()), names=names)
