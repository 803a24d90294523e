"""`redex`: extract the target of one exposure again, by hand."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from tracecube.archive.ledger import Ledger
from tracecube.archive.records import AdjustmentRecord
from tracecube.archive.summary import RunSummary
from tracecube.cli.options import Out
from tracecube.cli.reduce import report_of
from tracecube.cli.regions import read_region, read_spaxels
from tracecube.cli.show import examples, say
from tracecube.core.errors import BadData, MissingInput, TracecubeError
from tracecube.workflow.discover import Found, discover
from tracecube.workflow.executor import InProcess
from tracecube.workflow.hand import Case, find_case
from tracecube.workflow.preview import Preview, adjust, tried
from tracecube.workflow.reduce import Busy

__all__ = ["register"]

PATIENCE = 600.0
"""Seconds that an accepted extraction waits for another run to end: that of a watched night, say."""


Stamp = Annotated[
    str, typer.Argument(metavar="HH_MM_SS", help="Time stamp in the title of the target's verification picture.")
]
East = Annotated[
    str | None,
    typer.Argument(metavar="X", help="Place of the target on the axes of the verification picture's map: arcsec east"),
]
North = Annotated[str | None, typer.Argument(metavar="Y", help="and arcsec north of the field centre.")]
Night = Annotated[
    str | None, typer.Option("--night", metavar="DATE", help="Night of the exposure, if several have one of that time.")
]
Recover = Annotated[
    bool,
    typer.Option("--recover", help="Accept the extraction as it is, although the guider failed, without a question."),
]
Region = Annotated[
    Path | None,
    typer.Option("--region", metavar="FILE", help="Use the spaxels in a polygon: lines `x y` (arcsec), or of ds9."),
]
Spaxels = Annotated[
    str | None, typer.Option("--exclude", metavar="SPAXELS", help="Spaxels to leave out: 12,47 or a file of numbers.")
]
Aperture = Annotated[
    float | None, typer.Option("--aperture", metavar="R", help="Count the light within R arcsec; fit no PSF.")
]
Display = Annotated[
    bool,
    typer.Option(
        "--display", help="Mark target and region on a page in the browser; the default if nothing else is given."
    ),
]
Local = Annotated[bool, typer.Option("--local", help="Send nothing to the survey's server or to a channel.")]
Accept = Annotated[bool, typer.Option("--accept", help="Accept without asking.")]
Reject = Annotated[bool, typer.Option("--reject", help="Reject without asking: only show the result.")]
User = Annotated[str | None, typer.Option("--user", metavar="NAME", help="Name of the person who does it.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "redex",
        rich_help_panel="By hand",
        context_settings={"ignore_unknown_options": True},  # a place may be negative
        epilog=examples(
            "tracecube redex 10_55_22 -o out/   # a page to mark target and region on",
            "tracecube redex 10_55_22 0 -5 -o out/   # the target is 5 arcsec south of the field centre",
            "tracecube redex 10_55_22 --recover -o out/   # the brightest source is the target: quality 5 becomes 1",
            "tracecube redex 10_55_22 --region mine.reg --exclude 812,813 -o out/",
            "tracecube redex 10_55_22 0 -5 --aperture 2.5 -o out/ --accept --local",
        ),
    )(redex)


def redex(
    time: Stamp,
    x: East = None,
    y: North = None,
    *,
    out: Out,
    night: Night = None,
    recover: Recover = False,
    region: Region = None,
    exclude: Spaxels = None,
    aperture: Aperture = None,
    display: Display = False,
    local: Local = False,
    accept: Accept = False,
    reject: Reject = False,
    user: User = None,
) -> None:
    """Extract a target again by hand: another place or region, without some spaxels, or in an aperture.

    What depends on the spectrum follows: calibration, text form, type, pictures. Nothing in OUT changes before it is
    accepted; then it holds for all later runs. Each call sets all anew: what it does not name is as the robot has it.

    Ends with status 0 when accepted (or rejected as --reject says), 1 when rejected, aborted or failed.
    """
    if accept and reject:
        raise BadData("--accept and --reject", hint="one of them")
    if recover and display:
        raise BadData("--recover takes the extraction as it is", hint="leave out --display, or leave out --recover")
    given = _Given(x, y, region, exclude, aperture, recover)
    instruments = discover()
    with Ledger.open(out) as ledger:
        case = find_case(ledger, instruments, time, night)
    params = given.params(case)
    reviewer = user or _person(case, ask=_asks() and not (accept or reject or recover))
    if not params or display:
        marked = _marked(case)
        if marked is None:
            say("aborted; nothing was changed")
            raise typer.Exit(1)
        params |= marked
    adjustment = case.adjusted(params, tag=f"redo{datetime.now().astimezone():%H%M%S}", reviewer=reviewer)
    if (reject or not recover) and not _wanted(out, case, adjustment, instruments, accept=accept, reject=reject):
        say(f"rejected; {out} is as it was")
        raise typer.Exit(0 if reject else 1)
    _keep(out, case, adjustment, instruments, local=local)


@dataclass(frozen=True)
class _Given:
    """What the command line says of the extraction."""

    x: str | None
    y: str | None
    region: Path | None
    exclude: str | None
    aperture: float | None
    recover: bool

    def params(self, case: Case) -> dict[str, Any]:
        """Return the parameters of the extraction that follow.

        Raises
        ------
        BadData
            A place of one number, or of none; or something else beside ``--recover``.
        """
        if self.recover:
            return self._recovery(case)
        found: dict[str, Any] = {}
        if self.x is not None:
            found |= dict(zip(("centroid_x", "centroid_y"), self._place(), strict=True))
        if self.region is not None:
            found["region"] = [list(corner) for corner in read_region(self.region)]
        if self.exclude is not None:
            found["exclude"] = list(read_spaxels(self.exclude))
        if self.aperture is not None:
            found["aperture"] = self.aperture
        return found

    def _place(self) -> tuple[float, float]:
        try:
            return float(self.x or ""), float(self.y or "")
        except ValueError as error:
            raise BadData(
                f"{self.x} {self.y or ''}: no place", hint="X Y in arcsec, as in: redex 10_55_22 0 -5 (see --help)"
            ) from error

    def _recovery(self, case: Case) -> dict[str, Any]:
        """Say that the source is the target, of the extraction as it stands."""
        others = (self.x, self.region, self.exclude, self.aperture)
        if any(one is not None for one in others):
            raise BadData("--recover takes the extraction as it is", hint="leave the rest out, or leave out --recover")
        if case.quality != case.by_hand.recoverable:
            raise BadData(
                f"{case.target}: quality {case.quality}, only {case.by_hand.recoverable} can be recovered",
                hint="give a place, a region, or look at the verification picture",
            )
        return {**({} if case.adjustment is None else case.adjustment.params), "recovered": True}


def _asks() -> bool:
    """Whether there is someone to ask."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _person(case: Case, *, ask: bool) -> str:
    """Return the name of whoever does it."""
    known = next((os.environ[name] for name in case.by_hand.reviewer if os.environ.get(name)), None)
    known = known or getpass.getuser()
    return str(typer.prompt("Your name", default=known)) if ask else known


def _marked(case: Case) -> Mapping[str, Any] | None:
    """Let a person mark target and region; None when that was aborted."""
    from tracecube.cli.display import FieldView, ask_on_page  # noqa: PLC0415 - reads spectra and draws
    from tracecube.core.spectra import Spectra  # noqa: PLC0415
    from tracecube.core.target import PointSourceFit, Target  # noqa: PLC0415
    from tracecube.io import read_product  # noqa: PLC0415

    if case.spectra is None:
        raise MissingInput(f"{case.job.name}: no spectra of its spaxels", hint="tracecube status OUT says why")
    fit = case.fit
    view = FieldView(
        title=f"{case.job.name} {case.target}",
        spectra=read_product(case.spectra.path, Spectra),
        target=None if case.verdict is None else read_product(case.verdict.path, Target),
        fit=None if fit is None else read_product(fit.path, PointSourceFit),
        recoverable=case.quality == case.by_hand.recoverable,
    )
    found = ask_on_page(view, _open_page)
    return None if found is None else found.params()


def _open_page(address: str) -> None:
    say(f"mark target and region on {address}", style="bold")
    if _has_screen():
        typer.launch(address)


def _has_screen() -> bool:
    """Whether pictures can be opened for whoever sits here."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _wanted(
    out: Path, case: Case, adjustment: AdjustmentRecord, instruments: Mapping[str, Found], *, accept: bool, reject: bool
) -> bool:
    """Show what would come of it, and have it accepted or rejected."""
    asks = not (accept or reject)
    if asks and not _asks():
        raise BadData("nobody is here to be asked", hint="--accept, or --reject to see what would come of it")
    with tried(out, adjustment, InProcess(), instruments=lambda: instruments) as preview:
        failure = _failure(preview.summary, case)
        if failure:
            say(f"failed: {failure}", style="red")
            raise typer.Exit(1)
        _show(preview, case, instruments, draw=asks)
        return bool(typer.confirm("accept?")) if asks else accept


def _failure(summary: RunSummary, case: Case) -> str | None:
    """Say why the extraction itself failed, if it did."""
    states = {"done", "reused"}
    mine = [one for one in summary.results if (one.task, one.name) == (case.job.task, case.job.name)]
    if not mine:
        return f"{case.job.name}: not among the targets of the last run (try: tracecube reduce its folder without -t)"
    return next((f"{one.label}: {one.reason}" for one in mine if one.state not in states), None)


def _show(preview: Preview, case: Case, instruments: Mapping[str, Found], *, draw: bool) -> None:
    """Say what the new extraction is like, and show its verification picture to whoever is there."""
    stamp = case.job.name[-len("HH_MM_SS") :]
    with Ledger.open(preview.folder) as ledger:
        new = find_case(ledger, instruments, stamp, case.job.night)
    _tell(case, new)
    follow = [one.label for one in preview.summary.of("done") if one.name != case.job.name]
    if follow:
        say(f"what follows from it too: {', '.join(follow)}")
    for one in preview.summary.of("done"):
        if one.name == case.job.name:
            for caveat in one.caveats:
                say(f"caveat: {caveat}")
    picture = _picture(preview.folder, case) if draw else None
    if picture is not None and _has_screen():
        typer.launch(str(picture))


def _picture(folder: Path, case: Case) -> Path | None:
    """Draw the verification picture, unless it is there, and say where it is."""
    from tracecube.report.verify import write_verification  # noqa: PLC0415 - figures take long to import

    picture = write_verification(folder, case.job.name)
    if picture is not None:
        say(f"verification picture: {picture}")
    return picture


def _tell(old: Case, new: Case) -> None:
    """Say what became of the quality code."""
    from tracecube.core.target import acceptable  # noqa: PLC0415 - imports arrays

    reason = "" if new.verdict is None else f": {new.verdict.header.get('REASON')}"
    say(f"{new.job.name} {new.target}: quality {old.quality} -> {new.quality}{reason}", style="bold")
    if new.quality is not None and not acceptable(new.quality):
        say("with this quality it is neither classified nor sent")


def _keep(
    out: Path, case: Case, adjustment: AdjustmentRecord, instruments: Mapping[str, Found], *, local: bool
) -> None:
    """Accept: adjustment, products, quality, report, and the survey's server."""
    try:
        summary = adjust(out, adjustment, InProcess(), instruments=lambda: instruments, patience=PATIENCE)
    except Busy as error:
        raise Busy(
            f"{error.what}; the extraction is accepted, and that run or the next makes it", hint="tracecube status OUT"
        ) from error
    failure = _failure(summary, case)
    if failure:
        say(f"accepted, but failed: {failure}", style="red")
        raise typer.Exit(1)
    with Ledger.open(out) as ledger:
        new = find_case(ledger, instruments, case.job.name[-len("HH_MM_SS") :], case.job.night)
    say(f"accepted as {adjustment.tag} by {adjustment.reviewer}")
    _tell(case, new)
    say(f"report: {report_of(out, changed=True)}")
    _picture(out, case)
    from tracecube.cli import outgoing  # noqa: PLC0415 - takes long to import

    outgoing.summarise(out, str(case.job.night), case.job.name)
    if not local:
        said = f"accepted as {adjustment.tag} by {adjustment.reviewer}, quality {new.quality}"
        sent = _send(out, case)
        outgoing.say_extraction(out, str(case.job.night), case.job.name, said)
        if not sent:
            raise typer.Exit(1)


def _send(out: Path, case: Case) -> bool:
    """Send the spectrum; return whether nothing stopped that, which undoes nothing."""
    from tracecube.cli import outgoing  # noqa: PLC0415 - takes long to import

    try:
        outgoing.send_extraction(out, str(case.job.night), case.job.name)
    except TracecubeError as error:
        say(
            f"accepted, but not sent: {error}; then: tracecube upload {out} --night {case.job.night} --send",
            style="red",
        )
        return False
    return True
