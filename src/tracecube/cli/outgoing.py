"""What `night finish`, `night status` and `upload` do: tell of a night, to whom, and what was told."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import typer

from tracecube.archive.ledger import Ledger
from tracecube.archive.queries import last_run, planned_of
from tracecube.archive.sendings import MessageRecord, NoticeRecord
from tracecube.cli.show import print_json, say, table
from tracecube.cli.workflow import reportings_of
from tracecube.core.errors import BadData, TracecubeError
from tracecube.core.reporting import Reporting
from tracecube.report.channel import extraction_message, night_message
from tracecube.report.extractions import NightSummary, gather_summary, nights_of
from tracecube.report.summary import SummaryFiles, summary_folder, write_summary
from tracecube.sending.channel import NotSaid, message_state, say_once, settle_messages, unsure_messages
from tracecube.sending.config import Configuration, SkyPortalSettings, SlackSettings, is_address, load, survey_of
from tracecube.sending.finish import Ended, changed_since, compose, mail_state, send_summary, settle
from tracecube.sending.lock import only_sender
from tracecube.sending.skyportal import SkyPortal
from tracecube.sending.uploads import Step, plan_uploads, send_uploads
from tracecube.workflow.discover import discover

__all__ = [
    "finish",
    "for_survey",
    "say_extraction",
    "send_extraction",
    "send_new",
    "status",
    "summarise",
    "upload",
]

UNCLEAR = 3
"""Exit status when it is not known whether a mail went out, and a person has to look."""


def _reportings() -> dict[str, Reporting]:
    """Return how the observatories of the installed instruments report."""
    return reportings_of(discover())


def _configuration() -> Configuration:
    return load(os.environ, Path.home())


def _gathered(ledger: Ledger, night: str | None, reportings: Mapping[str, Reporting] | None = None) -> NightSummary:
    """Return what is to be told of a night: of uploads those to the server that is configured, if one is."""
    settings = _configuration().skyportal
    server = settings.url if settings else None
    return gather_summary(ledger, _reportings() if reportings is None else reportings, night, server=server)


def finish(out: Path, night: str | None, to: Sequence[str], *, send: bool, again: bool, arrived: bool | None) -> None:
    """Write the tables and the page of a night, and send the summary if asked to."""
    with Ledger.open(out) as ledger:
        summary = _gathered(ledger, night)
        if arrived is not None:
            _settle(ledger, summary.night, arrived=arrived)
            return
        files = write_summary(out, summary)
        say(f"{summary.night}: {summary.headline}", style="bold")
        for problem in summary.problems:
            say(f"not done: {problem}", style="magenta")
        for path in (files.page, *files.tables):
            say(f"written: {path}")
        if send:
            _send(ledger, summary, files, to, again=again)
        else:
            _tell(ledger, summary, files, to)


def _settle(ledger: Ledger, night: str, *, arrived: bool) -> None:
    """Note what became of the mail and of messages of which it was not known."""
    with only_sender(ledger.folder):
        said = settle_messages(ledger, night, arrived=arrived)
        if not said or _unsure_mail(ledger, night):
            settle(ledger, night, arrived=arrived)
    what = "what was sent" if said else "the mail"
    say(f"{night}: noted that {what} {'arrived' if arrived else 'did not arrive'}")


def _unsure_mail(ledger: Ledger, night: str) -> bool:
    known = mail_state(ledger, night)
    return known is not None and known.state in {"sending", "unclear"}


def _tell(ledger: Ledger, summary: NightSummary, files: SummaryFiles, to: Sequence[str]) -> None:
    """Say what --send would do; write the mail as a file to look at."""
    configuration = _configuration()
    settings = configuration.smtp
    _check(to)
    receivers = tuple(to) or (settings.to if settings else ())
    sender = settings.sender if settings else "nobody@localhost"
    draft = files.page.with_name("summary.eml")
    draft.write_bytes(bytes(compose(ledger, summary, files, sender, receivers)))
    say(f"written: {draft}")
    known = mail_state(ledger, summary.night)
    if known is not None and known.state == "sent":
        since = "; the night has changed since" if changed_since(ledger, summary, sender) else ""
        say(f"mail: sent {known.finished} to {', '.join(known.recipients)}{since}")
    elif _unsure_mail(ledger, summary.night):
        say("mail: unclear; it is not known whether it went out: say --arrived or --lost", style="magenta")
    elif settings is None:
        say("mail: not sent; there is no section [smtp] in the configuration")
    else:
        say(f"mail: not sent; --send would send it through {settings.host} to {', '.join(receivers) or 'nobody'}")
    if configuration.slack is not None:
        _tell_channel(ledger, summary, configuration.slack)


def _tell_channel(ledger: Ledger, summary: NightSummary, settings: SlackSettings) -> None:
    """Say what --send would say in the channel, or when it did."""
    known = message_state(ledger, summary.night)
    if known is not None and known.state == "sent":
        say(f"channel: said {known.finished} through {known.server}")
    elif known is not None and known.state != "failed":
        _tell_unsure(f"channel: unclear since {known.started}")
    else:
        say("channel: nothing said; --send would say")
        say(str(night_message(summary, settings.pages)["text"]))
    exposures = {one.raw for one in unsure_messages(ledger, summary.night) if one.raw}
    if exposures:
        _tell_unsure(f"channel: unclear about {', '.join(sorted(exposures))}")


def _tell_unsure(what: str) -> None:
    """Say of a message of which it is not known what it is, and what a person is to do."""
    say(what)
    say("it is not known whether it went out: look into the channel, then say --arrived or --lost", style="magenta")


def _tell_ended(ended: Ended) -> None:
    """Say what became of a message to the channel."""
    what = f"channel: {ended.state}{': ' + ended.remark if ended.remark else ''}"
    if ended.state == "unclear":
        _tell_unsure(what)
    else:
        say(what)


def _check(addresses: Sequence[str]) -> None:
    wrong = [one for one in addresses if not is_address(one)]
    if wrong:
        raise BadData(f"no address: {', '.join(map(repr, wrong))}", hint="--to NAME@HOST, once for each")


def _send(ledger: Ledger, summary: NightSummary, files: SummaryFiles, to: Sequence[str], *, again: bool) -> None:
    """Send the mail and the message to the channel, and end with the status that says what became of them."""
    _check(to)
    configuration = _configuration()
    statuses: list[int] = []
    failed: TracecubeError | None = None
    try:
        if configuration.slack is None or configuration.smtp is not None or to:
            statuses.append(_mail(ledger, summary, files, to, again=again))
        else:
            say("mail: not sent; there is no section [smtp] in the configuration")
    except TracecubeError as error:  # and no other: who interrupts it wants nothing said
        failed = error
    if configuration.slack is not None:
        statuses.append(_say_night(ledger, summary, configuration.slack, again=again))
    if failed is not None:
        raise failed
    raise typer.Exit(max(statuses))


def _mail(ledger: Ledger, summary: NightSummary, files: SummaryFiles, to: Sequence[str], *, again: bool) -> int:
    """Send the mail; return the status that says what became of it."""
    settings = _configuration().for_mail()
    with only_sender(ledger.folder):
        message = compose(ledger, summary, files, settings.sender, tuple(to) or settings.to)
        since = changed_since(ledger, summary, settings.sender)
        ended = send_summary(ledger, summary.night, message, settings, again=again)
    say(f"mail: {ended.state}{': ' + ended.remark if ended.remark else ''}")
    if ended.state == "sent before" and since:
        say("the night has changed since; --again sends it as it is now")
    if ended.state == "unclear":
        say(
            "it is not known whether it went out: look for it at a recipient, then say --arrived or --lost "
            "(or send it --again: a second copy has the same Message-ID)",
            style="magenta",
        )
    return _status_of(ended)


def _say_night(ledger: Ledger, summary: NightSummary, settings: SlackSettings, *, again: bool) -> int:
    """Say in the channel what the night was; return the status that says what became of it."""
    try:
        with only_sender(ledger.folder):
            ended = say_once(ledger, summary.night, night_message(summary, settings.pages), settings, again=again)
    except TracecubeError as error:
        say(f"channel: nothing said: {error}", style="magenta")
        return 1 if isinstance(error, NotSaid) else 2
    _tell_ended(ended)
    return _status_of(ended)


def _status_of(ended: Ended) -> int:
    if ended.state == "unclear":
        return UNCLEAR
    return 1 if ended.refused else 0


def status(out: Path, *, as_json: bool) -> None:
    """Say of every night what was reported and sent."""
    reportings = _reportings()
    with Ledger.open(out) as ledger:
        nights = [_gathered(ledger, name, reportings) for name in nights_of(ledger, reportings)]
        items = [_item(ledger, one) for one in nights]
    if as_json:
        print_json(items)
    elif not items:
        say("no extraction to report here")
    else:
        columns = ["night", "what", "report", "mail", "channel", "to upload"]
        table(columns, [[str(item[column] or "") for column in columns] for item in items])
        for one in nights:
            for problem in one.problems:
                say(f"{one.night} not done: {problem}")
    told = [str(item[what]) for item in items for what in ("mail", "channel") if item[what]]
    unsure = any(one.startswith("unclear") for one in told)
    left = any(item["to upload"] for item in items) or not all(one.startswith("sent") for one in told)
    raise typer.Exit(UNCLEAR if unsure else 1 if left else 0)


def _item(ledger: Ledger, summary: NightSummary) -> Mapping[str, object]:
    """Return a night as a line of the status; of a mail or a channel nothing where none is configured or was used."""
    page = summary_folder(ledger.folder, summary.night) / "summary.html"
    configuration = _configuration()
    said = message_state(ledger, summary.night)
    mail = mail_state(ledger, summary.night)
    only_channel = configuration.slack is not None and configuration.smtp is None
    open_ = [one for one in summary.extractions if one.sent.state not in {"", "sent", "held back"}]
    return {
        "night": summary.night,
        "what": summary.headline,
        "report": str(page) if page.is_file() else "",
        "mail": "" if mail is None and only_channel else _in_words(mail),
        "channel": "" if said is None and configuration.slack is None else _in_words(said),
        "to upload": ", ".join(f"{one.object} ({one.sent.state})" for one in open_),
    }


def _in_words(known: NoticeRecord | MessageRecord | None) -> str:
    """Say what became of a mail or a message."""
    if known is None:
        return "not sent"
    state = "unclear" if known.state == "sending" else known.state
    return f"{state} {known.finished or known.started}"


def upload(out: Path, night: str | None, objects: Sequence[str], *, send: bool, again: bool, as_json: bool) -> None:
    """Send spectra of a night with their annotations to the server of the survey, or say what would be sent."""
    settings = _configuration().for_survey()
    portal = SkyPortal(settings)
    with Ledger.open(out) as ledger:
        summary = _gathered(ledger, night)
        planned = plan_uploads(summary, settings, objects=objects)
        if send:
            with only_sender(ledger.folder):
                steps = list(send_uploads(ledger, planned, portal, send=True, again=again))
            write_summary(out, _gathered(ledger, summary.night))
        else:
            steps = list(send_uploads(ledger, planned, portal, send=False, again=again))
    if as_json:
        print_json([asdict(step) for step in steps])
    else:
        _show(summary.night, settings.url, steps, send=send)
    raise typer.Exit(0 if all(step.good for step in steps) else 1)


def summarise(out: Path, night: str, raw: str) -> None:
    """Write the summary of a night anew, and say where the picture of an exposure is, if its observatory has one.

    Settings that cannot be read do not keep it from that: who wants to send finds out.
    """
    reportings = _reportings()
    with Ledger.open(out) as ledger:
        if night not in nights_of(ledger, reportings):
            return
        server = survey_of(os.environ, Path.home())
        files = write_summary(out, gather_summary(ledger, reportings, night, server=server))
    if raw in files.pictures:
        say(f"report picture: {files.pictures[raw]}")


def send_extraction(out: Path, night: str, raw: str) -> None:
    """Send the spectrum of one exposure, if the survey wants it and a server is configured; say what became of it."""
    settings = _configuration().skyportal
    if settings is None:
        say("not sent: there is no section [skyportal] in the configuration")
        return
    with Ledger.open(out) as ledger:
        planned = plan_uploads(_gathered(ledger, night), settings)
        mine = [one for one in planned if one.extraction.raw == raw]
        if not mine:
            say("not sent: none of the survey's objects")
            return
        with only_sender(ledger.folder):
            steps = list(send_uploads(ledger, mine, SkyPortal(settings), send=True))
        write_summary(out, _gathered(ledger, night))
    _show(night, settings.url, steps, send=True)


def say_extraction(out: Path, night: str, raw: str, said: str) -> None:
    """Say in the channel, if one is configured, what became of one exposure; what stops that undoes nothing.

    Parameters
    ----------
    said : str
        What became of it, in a few words.
    """
    try:
        settings = _configuration().slack
        if settings is None:
            return
        with Ledger.open(out) as ledger:
            message = extraction_message(_gathered(ledger, night), raw, said, settings.pages)
            with only_sender(ledger.folder):
                ended = say_once(ledger, night, message, settings, raw=raw)
    except TracecubeError as error:
        say(f"channel: nothing said: {error}", style="magenta")
        return
    _tell_ended(ended)


def for_survey() -> SkyPortalSettings:
    """Return the settings of the survey's server.

    Raises
    ------
    MissingInput
        None is configured, or it has no token.
    """
    settings = _configuration().for_survey()
    SkyPortal(settings).server  # noqa: B018 - says what is missing
    return settings


def send_new(out: Path) -> None:
    """Send what nights of the last run have for the survey, of each exposure the first spectrum alone.

    A failure is said and never raised, and nothing is tried twice: a watch comes again. A spectrum that was made anew
    after it went out is left to `upload`, for a response that gets better all night would send all spectra each time.
    """
    try:
        settings = for_survey().model_copy(update={"attempts": 1})
        with Ledger.open(out) as ledger:
            run, reportings = last_run(ledger), _reportings()
            about = {job.night for job in planned_of(ledger, run.id)} if run else set()
            for night in [one for one in nights_of(ledger, reportings) if one in about]:
                planned = plan_uploads(_gathered(ledger, night, reportings), settings)
                fresh = [one for one in planned if one.extraction.sent.state != "changed"]
                with only_sender(ledger.folder):
                    for step in send_uploads(ledger, fresh, SkyPortal(settings), send=True):
                        _tell_step(step)
    except TracecubeError as error:
        say(f"not sent: {error}", style="magenta")


def _tell_step(step: Step) -> None:
    """Say what went just now, or did not; what went before or is held back was said."""
    if step.state not in {"sent before", "held back"}:
        said = step.url if step.state in {"sent", "was there"} else step.reason
        say(
            f"{step.object}: {step.kind} {step.state}{': ' if said else ''}{said}", style="" if step.good else "magenta"
        )


def _show(night: str, url: str, steps: list[Step], *, send: bool) -> None:
    """Print what was done or would be."""
    say(f"{night}: {len({step.raw for step in steps})} spectra of the survey's objects, {url}", style="bold")
    rows = [(step.object, step.kind, step.name, step.state, step.url or step.reason) for step in steps]
    table(["object", "what", "name", "state", "remark"], rows)
    if not send and any(step.state == "to send" for step in steps):
        say("nothing was sent; --send does")
