"""A page on which a person marks target and region of an exposure: for this machine alone, and as long as needed."""

from __future__ import annotations

import json
import math
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData
from tracecube.core.spectra import Spectra
from tracecube.core.target import PointSourceFit, Target

__all__ = ["Choice", "FieldView", "ask_on_page"]

_LARGEST = 1_000_000  # bytes of an answer; a region of many thousand corners is some hundred kB
_ENDED = {"done": "The extraction goes on where it was called. This page may be closed.", "abort": "Aborted."}


@dataclass(frozen=True)
class Choice:
    """What a person marked: place (arcsec), corners of a region, spaxels to leave out."""

    centroid: tuple[float, float] | None
    region: tuple[tuple[float, float], ...] | None
    exclude: tuple[int, ...]

    def params(self) -> dict[str, Any]:
        """Return it as parameters of the extraction."""
        place = {} if self.centroid is None else dict(zip(("centroid_x", "centroid_y"), self.centroid, strict=True))
        region = {} if self.region is None else {"region": [list(corner) for corner in self.region]}
        return {**place, **region, **({"exclude": list(self.exclude)} if self.exclude else {})}


@dataclass(frozen=True)
class FieldView:
    """What the page shows.

    Parameters
    ----------
    title : str
    spectra : Spectra
    target : Target or None
    fit : PointSourceFit or None
        Whose spaxels are dotted.
    recoverable : bool
        The quality code stays as it is unless a place is given.
    """

    title: str
    spectra: Spectra
    target: Target | None
    fit: PointSourceFit | None
    recoverable: bool

    def page(self) -> str:
        """Return the page."""
        text = files("tracecube.cli").joinpath("pages", "hand.html").read_text(encoding="utf-8")
        content = json.dumps(self._content(), allow_nan=False).replace("</", "<\\/")
        return text.replace("__FIELD__", content)

    def _content(self) -> dict[str, Any]:
        spectra, target = self.spectra, self.target
        known = np.flatnonzero(np.isfinite(spectra.x) & np.isfinite(spectra.y))
        used = set() if self.fit is None else set(self.fit.aperture[self.fit.used != 0].tolist())
        shown = zip(known, _corners(spectra, known), _colours(spectra)[known], strict=True)
        return {
            "title": self.title,
            "verdict": "" if target is None else f"quality {target.quality}: {target.reason}",
            "quality": None if target is None else target.quality,
            "recoverable": self.recoverable,
            "wave": np.atleast_2d(spectra.wave)[0].round(1).tolist(),
            "target": _marked(target),
            "spaxels": [
                {
                    "number": int(spectra.aperture[row]),
                    "x": round(float(spectra.x[row]), 3),
                    "y": round(float(spectra.y[row]), 3),
                    "corners": corners.round(3).tolist(),
                    "colour": str(colour),
                    "used": int(spectra.aperture[row]) in used,
                }
                for row, corners, colour in shown
            ],
        }

    def spectrum(self, number: int) -> dict[str, Any] | None:
        """Return the spectrum of a spaxel, None where there is none of this number."""
        rows = np.flatnonzero(self.spectra.aperture == number)
        if not rows.size:
            return None
        flux, flags = self.spectra.flux[rows[0]], self.spectra.flags[rows[0]]
        good = np.isfinite(flux) & (flags == 0)
        return {
            "number": number,
            "flux": [round(float(v), 3) if ok else None for v, ok in zip(flux, good, strict=True)],
        }

    def choice(self, given: Any) -> Choice:
        """Read what the page sent.

        Raises
        ------
        BadData
            It is not of the form that the page has.
        """
        try:
            region = given["region"] and tuple(_pair(corner) for corner in given["region"])
            centroid = given["centroid"] and _pair(given["centroid"])
            exclude = tuple(sorted({int(number) for number in given["exclude"]}))
        except (TypeError, KeyError, ValueError) as error:
            raise BadData(f"not a choice ({error})", hint="reload the page") from error
        if region is not None and len(region) < 3:
            raise BadData(f"a region of {len(region)} corners", hint="draw it again")
        unknown = set(exclude) - set(self.spectra.aperture.tolist())
        if unknown:
            raise BadData(f"no spaxels {sorted(unknown)}", hint="reload the page")
        return Choice(centroid or None, region or None, exclude)


def _pair(given: Any) -> tuple[float, float]:
    x, y = (float(value) for value in given)
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError("a place that is no number")
    return x, y


def _marked(target: Target | None) -> dict[str, Any] | None:
    if target is None or not (math.isfinite(target.x) and math.isfinite(target.y)):
        return None
    return {"place": [target.x, target.y], "how": target.source_position}


def _corners(spectra: Spectra, known: NDArray[Any]) -> NDArray[np.float64]:
    from tracecube.report.figures.style import cells_of  # noqa: PLC0415 - pictures take long to import

    return cells_of(spectra.x[known], spectra.y[known])


def _colours(spectra: Spectra) -> NDArray[Any]:
    """Return a colour (n,) for every spaxel, as in the verification picture."""
    from matplotlib.colors import to_hex  # noqa: PLC0415

    from tracecube.report.figures.spaxel_image import band_image  # noqa: PLC0415
    from tracecube.report.figures.verification import scale_of  # noqa: PLC0415

    flux = band_image(spectra)
    colours, norm = scale_of(flux)
    return np.array([to_hex(colours(norm(value))) if np.isfinite(value) else "#d0d0d0" for value in flux])


def ask_on_page(
    view: FieldView, announce: Callable[[str], None], *, wait: Callable[[threading.Event], Any] = threading.Event.wait
) -> Choice | None:
    """Serve the page until its person is done.

    Parameters
    ----------
    view : FieldView
    announce : callable
        Is given the address.
    wait : callable
        Waits for the event.

    Returns
    -------
    Choice or None
        None when it was aborted.
    """
    server = _Server(view)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        announce(server.address)
        wait(server.over)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    return server.found


class _Server(ThreadingHTTPServer):
    """Serves one page to this machine, under a word that other users of it cannot guess."""

    daemon_threads = True

    def __init__(self, view: FieldView) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.view = view
        self.start = f"/{secrets.token_urlsafe(16)}/"
        self.over = threading.Event()
        self.found: Choice | None = None

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.server_address[1]}{self.start}"


class _Answers(BaseHTTPRequestHandler):
    """Answers the page's questions."""

    server: _Server

    def do_GET(self) -> None:
        """Give the page, or the spectrum of a spaxel."""
        kind, _, rest = self._asked().partition("/")
        if kind == "":
            self._answer(200, self.server.view.page(), "text/html; charset=utf-8")
            return
        found = self.server.view.spectrum(int(rest)) if kind == "spectrum" and rest.isdecimal() else None
        if found is None:
            self._answer(404, "no such page")
        else:
            self._answer(200, json.dumps(found, allow_nan=False), "application/json")

    def do_POST(self) -> None:
        """Take what was marked, or that it was aborted."""
        how = self._asked()
        if how not in _ENDED or self.server.over.is_set():
            self._answer(404, "no such page")
            return
        try:
            found = self.server.view.choice(self._body()) if how == "done" else None
        except (BadData, ValueError) as error:
            self._answer(400, str(error))
            return
        self._answer(200, _ENDED[how])
        self.server.found = found
        self.server.over.set()

    def _asked(self) -> str:
        """Path after the word; one that leads nowhere without it."""
        start = self.server.start
        return self.path.removeprefix(start) if self.path.startswith(start) else "nowhere"

    def _body(self) -> Any:
        size = int(self.headers.get("Content-Length") or 0)
        if not 0 < size <= _LARGEST:
            raise BadData("an empty answer, or one too long", hint="draw a simpler region")
        return json.loads(self.rfile.read(size))

    def _answer(self, status: int, text: str, kind: str = "text/plain; charset=utf-8") -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", "default-src 'self' 'unsafe-inline'")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing: the terminal is the person's."""
