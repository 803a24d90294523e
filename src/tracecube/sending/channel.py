"""Messages to a channel through its incoming webhook, with what is known of each in the ledger."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from tracecube.archive.ledger import Ledger
from tracecube.archive.sendings import UNSURE, MessageRecord, begin_message, end_message, messages, standing
from tracecube.core.errors import MissingInput, TracecubeError
from tracecube.sending.config import WEBHOOK, SlackSettings
from tracecube.sending.finish import Ended

__all__ = ["NotSaid", "address_of", "message_state", "say_once", "settle_messages", "unsure_messages"]

_AGAIN = {408, 425, 429, 500, 503}  # nothing was taken, and it may go later (RFC 9110, 8470, 6585)
_PATIENCE = 60.0  # s, that a server may ask for before the next attempt
_FIRST_PAUSE = 1.0  # s, between attempts; each twice the one before
_READ = 4096  # bytes of a server's answer
_LONGEST = 200  # characters of it that are told
_SECRET = 6  # characters of a part of an address that are too many to be told


class NotSaid(TracecubeError):
    """The message did not go out, and surely not: it may be sent again.

    Parameters
    ----------
    again : bool
        Whether it may go at another try.
    after : float or None, second
        How long the server asks to wait.
    """

    def __init__(self, what: str, *, hint: str, again: bool = False, after: float | None = None) -> None:
        super().__init__(what, hint=hint)
        self.again, self.after = again, after


def address_of(settings: SlackSettings) -> str:
    """Return the address of a channel.

    Raises
    ------
    MissingInput
        There is none.
    """
    if settings.webhook is None:
        raise MissingInput("no address of a channel", hint=f"set {WEBHOOK}, or webhook in section [slack]")
    return settings.webhook.get_secret_value()


def message_state(ledger: Ledger, night: str) -> MessageRecord | None:
    """Return the message about a night that counts: one sent, else one of which it is not known, else a failed one."""
    return standing(messages(ledger, night))


def unsure_messages(ledger: Ledger, night: str) -> list[MessageRecord]:
    """Return the messages about a night and its exposures of which it is not known whether they arrived."""
    return [one for one in messages(ledger, night, None) if one.state in UNSURE]


def settle_messages(ledger: Ledger, night: str, *, arrived: bool) -> int:
    """Note by hand whether messages about a night and its exposures arrived of which it was not known.

    Returns
    -------
    int
        How many there were.
    """
    unsure = unsure_messages(ledger, night)
    for one in unsure:
        end_message(ledger, one.id, "sent" if arrived else "failed", "by hand")
    return len(unsure)


def say_once(
    ledger: Ledger,
    night: str,
    message: Mapping[str, Any],
    settings: SlackSettings,
    *,
    raw: str = "",
    again: bool = False,
    wait: Callable[[float], None] = time.sleep,
) -> Ended:
    """Send a message about a night, or about one exposure of it; about a night but once.

    Parameters
    ----------
    ledger : Ledger
        Whose lock this process holds: see `tracecube.sending.lock.only_sender`.
    night : str
    message : mapping
        From `tracecube.report.channel`.
    settings : SlackSettings
    raw : str
        Of the exposure: of that, the same text is sent but once.
    again : bool
        Send it all the same.

    Raises
    ------
    NotSaid
        It did not go out; the ledger says so.
    MissingInput
        The channel has no address.
    """
    address, text = address_of(settings), str(message["text"])
    before = message_state(ledger, night) if not raw else _same(ledger, night, raw, text)
    if before is not None and not again:
        if before.state == "sent":
            return Ended("sent before", str(before.finished))
        if before.state in UNSURE:
            return Ended("unclear", f"{before.started}: {before.remark or 'cut short while it was being sent'}")
    about = MessageRecord(night=night, raw=raw, server=urlsplit(address).hostname or "", text=text)
    for attempt in range(settings.attempts):
        number = begin_message(ledger, about)
        try:
            remark = _post(address, message, settings.timeout)
        except NotSaid as error:
            end_message(ledger, number, "failed", error.what)
            if not error.again or attempt + 1 == settings.attempts:
                raise
            wait(_FIRST_PAUSE * 2.0**attempt if error.after is None else error.after)
        else:
            end_message(ledger, number, "unclear" if remark else "sent", remark)
            return Ended("unclear" if remark else "sent", remark)
    raise AssertionError  # there is at least one attempt


def _same(ledger: Ledger, night: str, raw: str, text: str) -> MessageRecord | None:
    """Return the last message about an exposure that says the same."""
    return next((one for one in reversed(messages(ledger, night, raw)) if one.text == text), None)


def _post(address: str, message: Mapping[str, Any], timeout: float) -> str:
    """Hand a message over once; return what is not sure about it, empty when the server took it."""
    parts = urlsplit(address)
    said, body = parts.hostname or "", json.dumps(message).encode()
    link: http.client.HTTPConnection
    if parts.scheme == "https":
        link = http.client.HTTPSConnection(said, parts.port, timeout=timeout, context=ssl.create_default_context())
    else:
        link = http.client.HTTPConnection(said, parts.port, timeout=timeout)
    try:
        try:
            link.connect()
        except OSError as error:
            what = f"{said}: cannot be reached ({_harmless(str(error), address) or type(error).__name__})"
            raise NotSaid(what, hint="try later", again=True) from error
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        try:
            link.request("POST", path or "/", body, {"Content-Type": "application/json"})
            answer = link.getresponse()
        except http.client.InvalidURL:  # before the first byte; what it says names the path
            raise NotSaid(f"{said}: no address to write to", hint=f"correct {WEBHOOK}") from None
        except (OSError, http.client.HTTPException) as error:
            return f"no answer after the text ({_harmless(str(error), address) or type(error).__name__})"
        return _judged(said, answer, _harmless(_body(answer, len(address)) or answer.reason, address))
    finally:
        link.close()


def _body(answer: http.client.HTTPResponse, margin: int) -> str:
    """Return the beginning of what a server says; where it goes on, less a margin in which an address may be cut."""
    try:
        text = answer.read(_READ)
    except (OSError, http.client.HTTPException):  # the status says enough
        return ""
    return (text if len(text) < _READ else text[:-margin]).decode("utf-8", "replace")


def _harmless(text: str, address: str) -> str:
    """Return a text of bearable length in which nothing of the address of a channel is left.

    Who refuses a request likes to name its path, and the path of a webhook is its secret.

    Examples
    --------
    >>> _harmless("cannot POST /services/T0/B0/s3cret", "https://hooks.slack.com/services/T0/B0/s3cret")
    'cannot POST [address]'
    >>> _harmless("no S3CRET here", "https://hooks.slack.com/services/T0/B0/s3cret")
    'no [address] here'
    """
    parts = urlsplit(address)
    asked = parts.path + (f"?{parts.query}" if parts.query else "")
    pieces = {one for one in re.split(r"[/?&=;]", asked) if len(one) >= _SECRET}
    secrets = {address, *({asked, parts.path} - {"", "/"}), *pieces}
    secrets |= {unquote(one) for one in secrets}
    longest_first = sorted(secrets, key=len, reverse=True)
    found = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)
    return " ".join(found.sub("[address]", text).split())[:_LONGEST]


def _judged(said: str, answer: http.client.HTTPResponse, text: str) -> str:
    """Return what is not sure about a message after an answer, empty when the server took it.

    That a gateway heard nothing from the server behind it (502, 504) does not say that the server heard nothing.

    Raises
    ------
    NotSaid
        The server surely did not take it.
    """
    if http.client.OK <= answer.status < http.client.MULTIPLE_CHOICES:
        return ""
    what = f"{answer.status} {text}".strip()
    if answer.status >= http.client.INTERNAL_SERVER_ERROR and answer.status not in _AGAIN:
        return f"{said}: may have the message ({what})"
    what = f"{said}: will not have the message ({what})"
    if answer.status in _AGAIN:
        raise NotSaid(what, hint="try later", again=True, after=_seconds(answer.headers.get("Retry-After")))
    raise NotSaid(what, hint="see what the server says; a channel that is gone needs a new webhook")


def _seconds(text: str | None) -> float | None:
    """Read a Retry-After in seconds; None where it is absent, a date or beyond patience."""
    return float(text) if text is not None and text.isdigit() and float(text) <= _PATIENCE else None
