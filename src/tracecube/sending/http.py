"""Questions to a web server in JSON, with a token that goes to no other server."""

from __future__ import annotations

import http.client
import json
import math
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from tracecube.core.errors import TracecubeError

__all__ = ["Refused", "Server", "Unanswered", "Unauthorised"]

_LONGEST = 300  # characters of a server's message
_PATIENCE = 300.0  # s, that a server may ask for before the next question
_AGAIN = {408, 425, 429}  # client errors that ask to come again (RFC 9110, 8470, 6585)


class Unanswered(TracecubeError):
    """No answer, or one that says to come again; what was asked for may have happened all the same.

    Parameters
    ----------
    after : float or None, second
        How long the server asks to wait.
    reached : bool
        The server is there: the fault may be of this one question.
    """

    def __init__(
        self, what: str, *, hint: str = "try again later", after: float | None = None, reached: bool = True
    ) -> None:
        super().__init__(what, hint=hint)
        self.after = after
        self.reached = reached


class Refused(TracecubeError):
    """The server understood and said no: asking again is no use."""


class Unauthorised(Refused):
    """The server does not know the token, and will refuse all else with it."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follow nowhere: the token would go along."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Return no request."""
        return


@dataclass(frozen=True)
class Server:
    """A server and the token for it.

    Parameters
    ----------
    url : str
        Address without a slash at its end.
    token : SecretStr
    timeout : float, second
        Of connecting, and of every silence after.
    """

    url: str
    token: SecretStr
    timeout: float

    def ask(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> Any:
        """Ask once and return ``data`` of the answer.

        Raises
        ------
        Unanswered
            No connection, no answer in time, an answer that is not whole, a fault of the server (5xx), or 429.
        Refused
            Any other answer but success.
        """
        url = f"{self.url}/{path}"
        headers = {"Authorization": f"token {self.token.get_secret_value()}", "Accept": "application/json"}
        body = None
        if content is not None:
            body = json.dumps(content, allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(url, data=body, headers=headers, method=method)  # noqa: S310 - the settings allow http(s) alone
        opener = urllib.request.build_opener(_NoRedirect)
        said = f"{method} {url}"
        try:
            with opener.open(request, timeout=self.timeout) as answer:
                return self._data(said, answer.status, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                raise self._failure(said, error) from None
        except (OSError, http.client.HTTPException) as error:  # URLError, timeouts and broken connections
            reason = getattr(error, "reason", None) or error
            raise Unanswered(f"{said}: no answer ({reason or type(error).__name__})", reached=False) from error

    def _data(self, said: str, status: int, body: bytes) -> Any:
        """Return what a good answer holds."""
        try:
            found = json.loads(body)
        except ValueError:
            raise Unanswered(f"{said}: the answer ({status}) is not JSON", hint="check the address") from None
        if not isinstance(found, dict) or found.get("status") != "success":
            raise Refused(f"{said}: {self._told(body)}", hint="see what the server says")
        return found.get("data")

    def _failure(self, said: str, error: urllib.error.HTTPError) -> TracecubeError:
        """Return what an answer of another status than success means."""
        status, body = error.code, _read(error)
        what = f"{said}: {status} {error.reason}: {self._told(body)}".removesuffix(": ")
        if status >= http.client.INTERNAL_SERVER_ERROR or status in _AGAIN:
            return Unanswered(what, after=_seconds(error.headers.get("Retry-After")))
        if status == http.client.UNAUTHORIZED:
            return Unauthorised(what, hint="check the token")
        if status < http.client.BAD_REQUEST:
            return Refused(what, hint="the server has moved: correct the address")
        return Refused(what, hint="see what the server says")

    def _told(self, body: bytes) -> str:
        """Return the message in an answer, short and without the token."""
        try:
            found = json.loads(body)
            text = str(found.get("message") or "") if isinstance(found, dict) else ""
        except ValueError:
            text = ""
        return " ".join(text.replace(self.token.get_secret_value(), "[token]").split())[:_LONGEST]


def _read(error: urllib.error.HTTPError) -> bytes:
    try:
        return error.read()
    except (OSError, http.client.HTTPException):
        return b""


def _seconds(text: str | None) -> float | None:
    """Read a Retry-After in seconds; None when it is absent, a date or beyond patience."""
    try:
        found = float(text or "")
    except ValueError:
        return None
    return found if math.isfinite(found) and 0.0 <= found <= _PATIENCE else None
