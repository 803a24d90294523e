"""Mail through an SMTP server, with the one moment in view at which it is not known whether it went out."""

from __future__ import annotations

import smtplib
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import getaddresses

from tracecube.core.errors import BadData, MissingInput, TracecubeError
from tracecube.sending.config import PASSWORD, SmtpSettings

__all__ = ["Mailed", "NotMailed", "send_mail"]

_SEVEN_BITS = SMTP_POLICY.clone(cte_type="7bit")  # every server takes it, extensions or none
_OK = 250  # what was asked for is done (RFC 5321)
_ACCEPTED = {250, 251}  # of a recipient: here, or passed on
_FOR_GOOD = 500  # from here on no answer changes by asking again
_FIRST_PAUSE = 2.0  # s, between attempts; each twice the one before


class NotMailed(TracecubeError):
    """The mail did not go out, and surely not: it may be sent again.

    Parameters
    ----------
    again : bool
        Whether it may go at another try: no connection, or an answer that asks to come again.
    """

    def __init__(self, what: str, *, hint: str, again: bool = False) -> None:
        super().__init__(what, hint=hint)
        self.again = again


@dataclass(frozen=True)
class Mailed:
    """A mail that the server was given.

    Parameters
    ----------
    sure : bool
        The server took it; False: the connection broke after the text had gone out and before the answer.
    remark : str
    refused : mapping of str to str
        Recipients that the server will not have, and why.
    """

    sure: bool
    remark: str = ""
    refused: dict[str, str] = field(default_factory=dict)


def send_mail(
    message: EmailMessage,
    settings: SmtpSettings,
    *,
    before: Callable[[], None],
    wait: Callable[[float], None] = time.sleep,
) -> Mailed:
    """Send a mail to those in its header To.

    Parameters
    ----------
    message : EmailMessage
    settings : SmtpSettings
    before : callable
        Called when all is said but the text: from here on the mail may arrive.
    wait : callable
        Takes seconds.

    Raises
    ------
    NotMailed
        It did not go out.
    MissingInput
        A user is given and no password.
    """
    recipients = [address for _, address in getaddresses(message.get_all("To", [])) if address]
    if not recipients:
        raise BadData("the mail is for nobody", hint='give --to, or to = ["..."] in section [smtp]')
    for attempt in range(settings.attempts):
        try:
            return _once(message, recipients, settings, before)
        except NotMailed as error:
            if not error.again or attempt + 1 == settings.attempts:
                raise
            wait(_FIRST_PAUSE * 2.0**attempt)
    raise AssertionError  # there is at least one attempt


def _once(message: EmailMessage, recipients: list[str], settings: SmtpSettings, before: Callable[[], None]) -> Mailed:
    """Try once: connect, name sender and recipients, hand over the text."""
    sender = getaddresses([str(message["From"])])[0][1]
    with _session(settings) as server, _told(settings):
        _expect(server.mail(sender), "sender", settings)
        refused = {}
        for one in recipients:
            code, said = server.rcpt(one)
            if code not in _ACCEPTED:
                refused[one] = f"{code} {_text(said)}"
        if len(refused) == len(recipients):
            reasons = "; ".join(f"{one}: {said}" for one, said in refused.items())
            later = all(int(said.split()[0]) < _FOR_GOOD for said in refused.values())
            raise NotMailed(f"{settings.host}: refuses all recipients ({reasons})", hint="correct them", again=later)
        _expect(server.docmd("DATA"), "mail", settings, good=354)
        content = message.as_bytes(policy=_SEVEN_BITS)
        before()
        return _hand_over(server, content, refused, settings)


def _hand_over(server: smtplib.SMTP, content: bytes, refused: dict[str, str], settings: SmtpSettings) -> Mailed:
    """Send the text and wait for the answer."""
    dotted = content.replace(b"\r\n.", b"\r\n..")
    dotted = b"." + dotted if dotted.startswith(b".") else dotted
    try:
        server.send(dotted + (b"" if dotted.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        code, said = server.getreply()
    except (OSError, smtplib.SMTPException) as error:
        return Mailed(sure=False, remark=f"no answer after the text ({error or type(error).__name__})", refused=refused)
    if code != _OK:
        what = f"{settings.host}: will not have the mail ({code} {_text(said)})"
        raise NotMailed(what, hint="see what the server says", again=code < _FOR_GOOD)
    return Mailed(sure=True, remark=_text(said), refused=refused)


def _expect(answer: tuple[int, bytes], what: str, settings: SmtpSettings, good: int = _OK) -> None:
    code, said = answer
    if code != good:
        sentence = f"{settings.host}: refuses the {what} ({code} {_text(said)})"
        raise NotMailed(sentence, hint="see what the server says", again=code < _FOR_GOOD)


@contextmanager
def _session(settings: SmtpSettings) -> Iterator[smtplib.SMTP]:
    """Return a connection that is safe and logged in as the settings ask; closed at the end."""
    if settings.user is not None and settings.password is None:
        hint = f"set {PASSWORD}, or password in section [smtp]"
        raise MissingInput(f"{settings.host}: no password for {settings.user}", hint=hint)
    with _told(settings):
        trusted = ssl.create_default_context(cafile=settings.ca_file)
        at = (settings.host, settings.at_port)
        if settings.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(*at, timeout=settings.timeout, context=trusted)
        else:
            server = smtplib.SMTP(*at, timeout=settings.timeout)
    try:
        with _told(settings):
            server.ehlo_or_helo_if_needed()
            if settings.security == "starttls":
                server.starttls(context=trusted)
                server.ehlo()
            if settings.user is not None and settings.password is not None:
                server.login(settings.user, settings.password.get_secret_value())
        yield server
    finally:
        with suppress(OSError, smtplib.SMTPException):
            server.quit()
        server.close()


@contextmanager
def _told(settings: SmtpSettings) -> Iterator[None]:
    """Turn what goes wrong before the text goes out into a sentence."""
    at = f"{settings.host}:{settings.at_port}"
    try:
        yield
    except smtplib.SMTPAuthenticationError as error:
        said = f"{error.smtp_code} {_text(error.smtp_error)}"
        raise NotMailed(f"{at}: does not let {settings.user} in ({said})", hint="check user and password") from None
    except smtplib.SMTPResponseException as error:
        said = f"{error.smtp_code} {_text(error.smtp_error)}"
        later = error.smtp_code < _FOR_GOOD
        raise NotMailed(f"{at}: {said}", hint="see what the server says", again=later) from error
    except ssl.SSLError as error:
        hint = "check security, and ca_file where the server has its own certificate"
        raise NotMailed(f"{at}: no safe connection ({error.reason or error})", hint=hint) from error
    except smtplib.SMTPNotSupportedError as error:
        raise NotMailed(f"{at}: {error}", hint='check security: "starttls", "tls" or "none"') from error
    except (OSError, smtplib.SMTPException) as error:
        what = f"{at}: cannot be reached ({error or type(error).__name__})"
        raise NotMailed(what, hint="check host and port, or try later", again=True) from error


def _text(said: bytes | str) -> str:
    return " ".join((said.decode("utf-8", "replace") if isinstance(said, bytes) else said).split())
