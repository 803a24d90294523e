"""`watch`: reduce a night while it is observed."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from tracecube.archive.ledger import Ledger
from tracecube.archive.summary import RunSummary
from tracecube.cli.interrupt import interruptible
from tracecube.cli.options import Cluster, Earlier, Jobs, Out, ParameterFile, Parameters, Targets, settings_of
from tracecube.cli.progress import Bars
from tracecube.cli.reduce import executor_for, report_of
from tracecube.cli.results import target_items
from tracecube.cli.show import console, examples, say
from tracecube.io.headers import bare_name
from tracecube.workflow.watch import Pace, Turn, watch_folder

__all__ = ["register"]

NAMED = 4
"""New files that a line names; more are counted."""

_DEFAULT = Pace()

Watched = Annotated[
    Path, typer.Argument(metavar="RAWDIR", help="Folder in which raw files arrive, in sub-folders too; may be empty.")
]

Idle = Annotated[
    float | None,
    typer.Option(
        "--idle", metavar="SECONDS", min=0, help="End when nothing has come for so long and nothing waits to be done."
    ),
]
Quiet = Annotated[
    float,
    typer.Option(
        "--quiet",
        metavar="SECONDS",
        min=0,
        help="Reduce the calibration frames of a group together once none has come for so long, or one of another "
        "kind has followed.",
    ),
]
Settle = Annotated[
    float,
    typer.Option("--settle", metavar="SECONDS", min=0, help="Read a file once it has not changed for so long."),
]
Patience = Annotated[
    float,
    typer.Option(
        "--patience",
        metavar="SECONDS",
        min=0,
        help="Report a file as damaged once it has stayed too short for so long.",
    ),
]
Poll = Annotated[
    float, typer.Option("--poll", metavar="SECONDS", min=0.05, help="Time between two looks into the folder.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "watch",
        rich_help_panel="Reduce",
        epilog=examples(
            "tracecube watch raw/20210421 -o redux/   # until Ctrl-C",
            "tracecube watch raw/20210421 -o redux/ --idle 3600   # until nothing came for an hour",
            "tracecube watch raw/20210421 -o redux/ --idle 0   # what is there now, then end",
            "tracecube watch raw/20210421 -o redux/ -t spectra --no-earlier",
            "tracecube watch raw/20210421 -o redux/ --send   # and each new spectrum to the survey's server",
        ),
    )(watch)


def watch(
    raw: Watched,
    out: Out,
    target: Targets = None,
    param: Parameters = None,
    params: ParameterFile = None,
    jobs: Jobs = None,
    *,
    executor: Cluster = None,
    earlier: Earlier = True,
    idle: Idle = None,
    quiet: Quiet = _DEFAULT.quiet,
    settle: Settle = _DEFAULT.settle,
    patience: Patience = _DEFAULT.patience,
    poll: Poll = _DEFAULT.poll,
    report: Annotated[bool, typer.Option(help="Draw the night's page again after each change.")] = True,
    send: Annotated[
        bool,
        typer.Option("--send", help="Send each new spectrum to the survey's server, as `upload --send` would."),
    ] = False,
) -> None:
    """Reduce a folder while its raw files arrive: calibrations when their frames are complete, then each exposure.

    Half-written files wait. What a new file changes (a better response, a second standard) is made again, so the night
    ends with the products of one `reduce` of the whole folder. It may be ended and started at any moment.

    Ends with status 0 when all that came was reduced, 1 when something failed or is incomplete.
    """
    settings, runs_on = settings_of(param, params), executor_for(jobs, executor)
    if send:
        _outgoing().for_survey()  # what is missing is said before the night, not in it
    pace = Pace(poll=poll, settle=settle, quiet=quiet, patience=patience, idle=idle)
    last: RunSummary | None = None
    say(f"watching {raw}: products in {out}, Ctrl-C ends")
    try:
        with interruptible(signal.SIGTERM), Bars(console(), brief=True) as bars:
            turns = watch_folder(
                raw, out, runs_on, pace=pace, targets=target or (), settings=settings, earlier=earlier, watch=bars
            )
            for turn in turns:
                last = turn.summary
                _tell(turn, out)
                if report and turn.summary.results:
                    report_of(out, changed=bool(turn.summary.of("done", "failed")))
                if send and turn.summary.of("done"):
                    _outgoing().send_new(out)
    except KeyboardInterrupt:
        say("ended; the same command goes on from here", style="yellow")
    finally:
        runs_on.close()
    raise typer.Exit(0 if last is None or last.good else 1)


def _outgoing() -> ModuleType:
    """Return what sends; it takes long to import."""
    from tracecube.cli import outgoing  # noqa: PLC0415

    return outgoing


def _tell(turn: Turn, out: Path) -> None:
    """Say what came, what became of it, and what waits."""
    made = Counter(one.task for one in turn.summary.results if one.state == "done")
    failed = len(turn.summary.of("failed"))
    if turn.new or made:
        names = _few(turn.new)
        said = ", ".join(f"{task} {count}" for task, count in made.items()) or "nothing new"
        lost = f", {failed} failed" if failed else ""
        say(f"{_now()}  {names}{' -> ' if names else ''}{said}{lost}  ({turn.seconds:.1f} s)")
    for paths, what in ((turn.held, "for others of their group"), (turn.unwhole, "to be whole")):
        if paths:
            say(f"          waiting {what}: {_few(sorted(paths))}", style="dim")
    if made:
        _tell_targets(turn, out)


def _few(paths: Sequence[str]) -> str:
    """Return the names of some files, and how many more there are."""
    names = ", ".join(bare_name(path) for path in paths[:NAMED])
    return f"{names} and {len(paths) - NAMED} more" if len(paths) > NAMED else names


def _tell_targets(turn: Turn, out: Path) -> None:
    """Say of each new exposure of a target what it gave, and how long after its file was whole."""
    came = {bare_name(path): time for path, time in turn.since.items()}
    end = datetime.now(UTC).timestamp()
    with Ledger.open(out) as ledger:
        found = [item for item in target_items(ledger) if item["raw"] in came]
    for item in found:
        kind = f", {item['type']}" if item["type"] else ""
        spectrum = "spectrum" if item["spectrum"] else "no spectrum"
        after = f"{end - came[item['raw']]:.0f} s after its file"
        say(
            f"{_now()}  {item['object']}: {spectrum}, quality {item['quality']} ({item['reason']}){kind}, {after}",
            style="bold",
        )


def _now() -> str:
    return f"{datetime.now(UTC):%H:%M:%S}"
