"""The summary of a night as mail: plain text and HTML of the same content, with small pictures inside."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Any, cast

from tracecube.report.extractions import NightSummary
from tracecube.report.night import render
from tracecube.report.summary import SummaryFiles, tables_of
from tracecube.report.text_tables import cells

__all__ = ["message_id", "summary_message"]

_DOMAIN = "tracecube.invalid"  # right part of the names of pictures: reserved, so that nobody's (RFC 2606)


def message_id(summary: NightSummary, sender: str, again: int = 0) -> str:
    """Return the Message-ID of a summary: the same for the same content, so that readers know a second copy.

    Parameters
    ----------
    summary : NightSummary
    sender : str
        Whose domain it is of.
    again : int
        How many were sent of this night on purpose before.
    """
    content = "\n".join([summary.night, summary.headline, *tables_of(summary).values(), str(again)])
    domain = parseaddr(sender)[1].rpartition("@")[2] or _DOMAIN
    return f"<{summary.night}.{hashlib.sha256(content.encode()).hexdigest()[:24]}@{domain}>"


def summary_message(
    summary: NightSummary, files: SummaryFiles, *, sender: str, to: Sequence[str], identifier: str, date: datetime
) -> EmailMessage:
    """Return the mail about a night.

    Parameters
    ----------
    summary : NightSummary
    files : SummaryFiles
        What was written of it.
    sender : str
    to : sequence of str
    identifier : str
        Message-ID.
    date : datetime
        With its zone.
    """
    message = EmailMessage()
    message["Subject"] = f"{', '.join(summary.instruments)} {summary.night}: {summary.headline}"
    message["From"], message["To"] = sender, ", ".join(to)
    message["Date"], message["Message-ID"] = format_datetime(date), identifier
    message.set_content(_text(summary, files))
    small = {raw: f"{raw}@{_DOMAIN}" for raw in files.small}
    html = render(
        "mail.html",
        page=files.page,
        summary=summary,
        columns=next((one.reporting.columns for one in summary.listed), ()),
        rows=[(one.extraction, cells(one.reporting.columns, one.extraction)) for one in summary.listed],
        small=small,
        place=files.page,
    )
    message.add_alternative(html, subtype="html")
    body = cast("list[EmailMessage]", message.get_payload())[-1]
    for raw, name in small.items():
        about: dict[str, Any] = {"cid": f"<{name}>", "filename": files.small[raw].name, "disposition": "inline"}
        body.add_related(files.small[raw].read_bytes(), "image", "png", **about)
    return message


def _text(summary: NightSummary, files: SummaryFiles) -> str:
    """Return the plain text: the night in a line, then the tables."""
    cut = ["The reduction is under way or was cut short.", ""] if summary.under_way else []
    return "\n".join([summary.headline, "", *cut, *tables_of(summary).values(), f"Page and pictures: {files.page}", ""])
