"""`night finish`, `night status`, `upload`: the commands; what they do is in `outgoing`, which takes long to import."""

from __future__ import annotations

from typing import Annotated

import typer

from tracecube.cli.options import OutFolder
from tracecube.cli.show import examples

__all__ = ["register"]

NightOption = Annotated[
    str | None, typer.Option("--night", metavar="DATE", help="Night, YYYY-MM-DD; the last one when left out.")
]
Send = Annotated[bool, typer.Option("--send", help="Send; without it, only say what would be sent.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    night = typer.Typer(
        no_args_is_help=True, help="Finish a night: write its tables and its page, and mail its summary."
    )
    night.command(
        "finish",
        epilog=examples(
            "tracecube night finish out/   # tables and page; says what mail would go to whom",
            "tracecube night finish out/ --send   # and the mail goes out, once",
            "tracecube night finish out/ --send --to me@example.org --again",
        ),
    )(finish)
    night.command("status", epilog=examples("tracecube night status out/", "tracecube night status out/ --json"))(
        status
    )
    app.add_typer(night, name="night", rich_help_panel="For others")
    app.command(
        "upload",
        rich_help_panel="For others",
        epilog=examples(
            "tracecube upload out/   # says what would be sent, and what is held back and why",
            "tracecube upload out/ --object ZTF21abcdefg --send",
        ),
    )(upload)


def finish(
    out: OutFolder,
    night: NightOption = None,
    send: Send = False,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to", metavar="ADDRESS", help="Address to send to instead of those in the configuration; may be repeated."
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Send even if one was sent, or may have been.")] = False,
    arrived: Annotated[
        bool | None,
        typer.Option("--arrived/--lost", help="Say whether a mail of unknown fate arrived; sends nothing."),
    ] = None,
) -> None:
    """Write the tables and the page of a night, and send the summary by mail.

    Ends with status 0 when that is done, 1 when the mail went to some of its recipients only, 2 when it did not go out,
    3 when it is not known whether it did: it is not sent again before --arrived, --lost or --again says how to go on.
    """
    from tracecube.cli import outgoing  # noqa: PLC0415 - takes long to import

    outgoing.finish(out, night, to or (), send=send, again=again, arrived=arrived)


def status(
    out: OutFolder, as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False
) -> None:
    """Say of every night what was reported and sent.

    Ends with status 0 when nothing is left to do, 1 when something is, 3 when it is not known whether a mail went out.
    """
    from tracecube.cli import outgoing  # noqa: PLC0415 - takes long to import

    outgoing.status(out, as_json=as_json)


def upload(
    out: OutFolder,
    night: NightOption = None,
    objects: Annotated[
        list[str] | None,
        typer.Option("--object", metavar="NAME", help="Only this target; may be repeated.", show_default=False),
    ] = None,
    send: Send = False,
    again: Annotated[bool, typer.Option("--again", help="Try again what the server refused.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Send spectra of a night with their annotations to the server of the survey, each once.

    Ends with status 0 when nothing is left to send, or nothing was to be sent for now; 1 when the server refused
    something or did not answer; 2 when nothing could be sent at all.
    """
    from tracecube.cli import outgoing  # noqa: PLC0415 - takes long to import

    outgoing.upload(out, night, objects or (), send=send, again=again, as_json=as_json)
