"""The SkyPortal interface: spectra of an object and the annotations beside them, each sent once.

Routes and fields after the SkyPortal source (BSD-3-Clause): ``POST api/spectrum/ascii``, ``GET api/sources/ID/spectra``
and, one an origin, ``GET, POST api/spectra/ID/annotations`` and ``PUT api/spectra/ID/annotations/ID``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

from tracecube.core.errors import MissingInput
from tracecube.core.reporting import Annotation
from tracecube.sending.config import TOKEN, SkyPortalSettings
from tracecube.sending.http import Server, Unanswered

__all__ = ["Delivered", "SkyPortal", "Upload"]

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # s, between attempts; each twice the one before
_CLOSE = 1e-5  # relative: numbers that went through a server's text are the same


@dataclass(frozen=True)
class Upload:
    """A spectrum as it is sent.

    Parameters
    ----------
    object : str
    filename : str
    text : str
        ASCII: comment lines with ``#``, then columns.
    observed_at : str
        Middle of the exposure, ISO 8601, UTC.
    instrument_id : int
    columns : (int, int, int)
        Which columns are wavelength, flux and standard error of the flux, from 0.
    group_ids : sequence of int
    followup_request_id : int or None
    """

    object: str
    filename: str
    text: str
    observed_at: str
    instrument_id: int
    columns: tuple[int, int, int]
    group_ids: Sequence[int] = ()
    followup_request_id: int | None = None

    @property
    def samples(self) -> list[list[str]]:
        """The columns of its samples as written: what makes it this spectrum, whatever is said above them."""
        return _samples(self.text)

    def payload(self) -> dict[str, Any]:
        """Return the body of the request."""
        wave, flux, error = self.columns
        request = {} if self.followup_request_id is None else {"followup_request_id": self.followup_request_id}
        return {
            "obj_id": self.object,
            "instrument_id": self.instrument_id,
            "observed_at": self.observed_at,
            "group_ids": list(self.group_ids),
            **request,
            "filename": self.filename,
            "ascii": self.text,
            "wave_column": wave,
            "flux_column": flux,
            "fluxerr_column": error,
        }


@dataclass(frozen=True)
class Delivered:
    """The number of something on the server, and whether it was there before."""

    remote: str
    was_there: bool


@dataclass(frozen=True)
class SkyPortal:
    """A server, asked with patience.

    Parameters
    ----------
    settings : SkyPortalSettings
    wait : callable
        Takes seconds.
    """

    settings: SkyPortalSettings
    wait: Callable[[float], None] = field(default=time.sleep)

    @property
    def server(self) -> Server:
        """The server with its token.

        Raises
        ------
        MissingInput
            There is no token.
        """
        if self.settings.token is None:
            raise MissingInput(f"{self.settings.url}: no token", hint=f"set {TOKEN}, or token in section [skyportal]")
        return Server(self.settings.url, self.settings.token, self.settings.timeout)

    def page(self, object_: str) -> str:
        """Return the address of the object's page."""
        return f"{self.settings.url}/source/{quote(object_, safe='')}"

    def put_spectrum(self, upload: Upload) -> Delivered:
        """Send a spectrum unless the server has it.

        The server is asked before every attempt: one that timed out or failed may have arrived.

        Raises
        ------
        Refused, Unanswered
        """
        return self._deliver(lambda: self._spectrum(upload), lambda: self._post_spectrum(upload))

    def put_annotation(self, spectrum: str, annotation: Annotation) -> Delivered:
        """Set an annotation of a spectrum unless the server has it.

        Raises
        ------
        Refused, Unanswered
        """
        found: dict[str, str] = {}

        def seek() -> str | None:
            found.clear()
            for one in self._annotations(spectrum):
                if one.get("origin") == annotation.origin:
                    if _same_values(one.get("data"), annotation.data):
                        return str(one.get("id"))
                    found["other"] = str(one.get("id"))
            return None

        def send() -> str:
            path = f"api/spectra/{quote(spectrum, safe='')}/annotations"
            content = {"origin": annotation.origin, "data": dict(annotation.data)}
            if "other" in found:
                self.server.ask("PUT", f"{path}/{found['other']}", content)
                return found["other"]
            return _number(self.server.ask("POST", path, content), "annotation_id")

        return self._deliver(seek, send)

    def _deliver(self, seek: Callable[[], str | None], send: Callable[[], str]) -> Delivered:
        """Send until it is there, and no more often."""
        for attempt in range(self.settings.attempts):
            before = self._patiently(seek)
            if before is not None:
                return Delivered(before, was_there=attempt == 0)
            try:
                return Delivered(send(), was_there=False)
            except Unanswered as error:
                failure = error
            if attempt + 1 < self.settings.attempts:
                self.wait(_pause(attempt, failure))
        after = self._patiently(seek)
        if after is not None:
            return Delivered(after, was_there=False)
        raise failure

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Ask a question that changes nothing until there is an answer."""
        for attempt in range(self.settings.attempts - 1):
            try:
                return ask()
            except Unanswered as error:
                self.wait(_pause(attempt, error))
        return ask()

    def _spectrum(self, upload: Upload) -> str | None:
        """Return the number of this very spectrum on the server."""
        data = self.server.ask("GET", f"api/sources/{quote(upload.object, safe='')}/spectra")
        listed = data.get("spectra") if isinstance(data, dict) else data
        return next((str(one["id"]) for one in listed or [] if _is_same(one, upload)), None)

    def _post_spectrum(self, upload: Upload) -> str:
        return _number(self.server.ask("POST", "api/spectrum/ascii", upload.payload()), "id")

    def _annotations(self, spectrum: str) -> list[Mapping[str, Any]]:
        found = self.server.ask("GET", f"api/spectra/{quote(spectrum, safe='')}/annotations")
        return [one for one in found or [] if isinstance(one, dict)]


def _number(data: Any, key: str) -> str:
    """Return the number that the server gave to what it took."""
    if not isinstance(data, dict) or data.get(key) is None:
        raise Unanswered(f"the server's answer holds no {key}", hint="try again: the server is asked first")
    return str(data[key])


def _pause(attempt: int, failure: Unanswered) -> float:
    """Return how long to wait, s: what the server asks for, else twice as long every time."""
    return failure.after if failure.after is not None else min(_FIRST_PAUSE * 2.0**attempt, _LONGEST_PAUSE)


def _is_same(listed: Mapping[str, Any], upload: Upload) -> bool:
    """Whether a spectrum of the server is the one that is to be sent: by its samples, and its name without the text."""
    text = listed.get("original_file_string")
    if isinstance(text, str) and text:
        return _samples(text) == upload.samples
    if listed.get("original_file_filename") != upload.filename:
        return False
    wave, flux, _ = upload.columns
    there = listed.get("wavelengths"), listed.get("fluxes")
    ours = [float(row[wave]) for row in upload.samples], [float(row[flux]) for row in upload.samples]
    return all(_close(one, other) for one, other in zip(there, ours, strict=True))


def _samples(text: str) -> list[list[str]]:
    """Return the columns of a text without its comments."""
    return [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _close(there: Any, ours: Sequence[float]) -> bool:
    if not isinstance(there, list) or len(there) != len(ours):
        return False
    return all(
        one is not None and math.isclose(one, other, rel_tol=_CLOSE) for one, other in zip(there, ours, strict=True)
    )


def _same_values(there: Any, ours: Mapping[str, Any]) -> bool:
    """Whether an annotation of the server says the same, be its numbers text or not."""
    if not isinstance(there, dict) or there.keys() != ours.keys():
        return False
    return all(_same(there[key], value) for key, value in ours.items())


def _same(one: Any, other: Any) -> bool:
    try:
        return math.isclose(float(one), float(other), rel_tol=_CLOSE)
    except (TypeError, ValueError):
        return bool(one == other)
