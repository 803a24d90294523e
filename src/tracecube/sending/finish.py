"""The end of a night: the summary goes out once, and it is known whether it did."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import getaddresses

from tracecube.archive.ledger import Ledger
from tracecube.archive.sendings import UNSURE, NoticeRecord, begin_notice, end_notice, notices, standing
from tracecube.core.errors import BadData
from tracecube.report.extractions import NightSummary
from tracecube.report.message import message_id, summary_message
from tracecube.report.summary import SummaryFiles
from tracecube.sending.config import SmtpSettings
from tracecube.sending.mail import NotMailed, send_mail

__all__ = ["Ended", "changed_since", "compose", "mail_state", "send_summary", "settle"]


@dataclass(frozen=True)
class Ended:
    """What became of the mail about a night.

    Parameters
    ----------
    state : {"sent", "sent before", "unclear"}
    remark : str
    refused : sequence of str
        Recipients that the server will not have, each with the reason.
    """

    state: str
    remark: str = ""
    refused: Sequence[str] = ()


def mail_state(ledger: Ledger, night: str) -> NoticeRecord | None:
    """Return the mail about a night that counts: one sent, else one of which it is not known, else one that failed."""
    return standing(notices(ledger, night))


def settle(ledger: Ledger, night: str, *, arrived: bool) -> NoticeRecord:
    """Note by hand whether a mail arrived of which it was not known.

    Raises
    ------
    BadData
        There is none of which it is not known.
    """
    unsure = [one for one in notices(ledger, night) if one.state in UNSURE]
    if not unsure:
        raise BadData(f"{night}: there is no mail of which it is not known whether it went out", hint="leave it out")
    for one in unsure:
        end_notice(ledger, one.id, "sent" if arrived else "failed", "by hand")
    return unsure[-1]


def changed_since(ledger: Ledger, summary: NightSummary, sender: str) -> bool:
    """Whether a mail about the night was sent, and would say something else now."""
    sent = [one for one in notices(ledger, summary.night) if one.state == "sent"]
    return bool(sent) and sent[-1].message != message_id(summary, sender, again=len(sent) - 1)


def compose(ledger: Ledger, summary: NightSummary, files: SummaryFiles, sender: str, to: Sequence[str]) -> EmailMessage:
    """Return the mail about a night as it would go out now."""
    sent = sum(one.state == "sent" for one in notices(ledger, summary.night))
    identifier = message_id(summary, sender, again=sent)
    date = datetime.now(tz=UTC)
    return summary_message(summary, files, sender=sender, to=to, identifier=identifier, date=date)


def send_summary(
    ledger: Ledger,
    night: str,
    message: EmailMessage,
    settings: SmtpSettings,
    *,
    again: bool = False,
    wait: Callable[[float], None] = time.sleep,
) -> Ended:
    """Send the mail about a night, unless one was sent or may have been.

    Parameters
    ----------
    ledger : Ledger
        Whose lock this process holds: see `tracecube.sending.lock.only_sender`.
    night : str
    message : EmailMessage
    settings : SmtpSettings
    again : bool
        Send it all the same.

    Raises
    ------
    NotMailed
        It did not go out; the ledger says so.
    """
    before = mail_state(ledger, night)
    if before is not None and not again:
        if before.state == "sent":
            return Ended("sent before", f"{before.finished} to {', '.join(before.recipients)}")
        if before.state in UNSURE:
            remark = before.remark or "cut short while it was being sent"
            return Ended("unclear", f"{before.started}: {remark}; Message-ID {before.message}")
    recipients = [address for _, address in getaddresses(message.get_all("To", []))]
    begun: list[int] = []

    def begin() -> None:
        for number in begun:
            end_notice(ledger, number, "failed", "the server asked to come again")
        begun.append(begin_notice(ledger, night, str(message["Message-ID"]), recipients))

    try:
        mailed = send_mail(message, settings, before=begin, wait=wait)
    except NotMailed as error:
        number = begun[-1] if begun else begin_notice(ledger, night, str(message["Message-ID"]), recipients)
        end_notice(ledger, number, "failed", error.what)
        raise
    refused = [f"{one}: {said}" for one, said in mailed.refused.items()]
    remark = "; ".join([mailed.remark, *(f"not to {one}" for one in refused)])
    end_notice(ledger, begun[-1], "sent" if mailed.sure else "unclear", remark)
    return Ended("sent" if mailed.sure else "unclear", remark, refused)
