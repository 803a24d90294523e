"""A small night in a ledger, a survey's server and a mail server: all on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tracecube.archive.ledger import Ledger
from tracecube.archive.records import JobRecord, PlannedRecord, ProductRecord
from tracecube.core.reporting import Annotation, Column, Publishing, Reporting, TextTable
from tracecube.core.spectra import Spectrum
from tracecube.core.target import Target
from tracecube.core.text import TextFile
from tracecube.io import read_cards, write_product
from tracecube.io.text import write_text
from tracecube.sending.config import SkyPortalSettings, SmtpSettings

NIGHT = "2021-04-21"
TOKEN = "0c1d-very-secret"
PASSWORD = "tea time"

OBJECT = Column("Object", lambda it: it.object)
TOY = Reporting(
    columns=(Column("Qual", lambda it: it.text("QUALITY"), right=True), OBJECT, Column("Up", lambda it: it.sent.state)),
    tables=(TextTable("report.txt", "Night of {night}", (OBJECT, Column("URL", lambda it: it.sent.url))),),
    picture=lambda it: f"page_{it.raw}.png",
    publishing=Publishing(
        lists=lambda name: name.startswith("ZTF"),
        held_back=lambda it: f"quality {it.text('QUALITY')}" if (it.number("QUALITY") or 0) > 2 else "",
        tag="SPECTRUM_ASCII",
        text=lambda text: text,
        filename=lambda it: f"spec_{it.raw}_{it.object}.txt",
        columns=(0, 1, 2),
        annotations=lambda _it, _sent: (Annotation("toy:S2N", {"median": 5.5}),),
        program=lambda it: it.text("P60PRID"),
        instrument_ids={"127.0.0.1": 7},
    ),
)


@pytest.fixture
def reportings() -> dict[str, Reporting]:
    return {"toy": TOY}


def spectrum_text(level: float, said: str) -> str:
    rows = [f"{wave:.1f} {level:.3e} {(level / 10) ** 2:.3e}" for wave in np.linspace(4000.0, 8000.0, 30)]
    return "\n".join(["# QUALITY: 0", "# FLUXCAL: True", said, *rows, ""])


Put = Callable[..., Path]


@pytest.fixture
def put_night(tmp_path: Path) -> Put:
    """Make an output folder whose ledger knows a few extractions: (object, quality) each."""

    def put(*observed: tuple[str, int], instrument: str = "toy", level: float = 2e-16, said: str = "#") -> Path:
        out = tmp_path / "out"
        with Ledger.open(out, create=True) as ledger:
            names = [f"ifu20210421_0{i}_00_00" for i in range(len(observed))]
            planned = [
                PlannedRecord(instrument=instrument, task="extract", name=name, night=NIGHT, state="waiting")
                for name in names
            ]
            about = {"raw_folder": "/raw", "targets": [], "settings": {}, "software": {}, "host": "h"}
            run = ledger.start_run(about={**about, "fingerprint": ""}, jobs=planned)
            for place, (plan, (name, quality)) in enumerate(zip(planned, observed, strict=True)):
                ledger.record(run, place, _job(out, plan, name, quality, level, said))
            ledger.finish_run(run)
        return out

    return put


@pytest.fixture
def password() -> str:
    return PASSWORD


def _job(out: Path, plan: PlannedRecord, name: str, quality: int, level: float, said: str) -> JobRecord:
    wave = np.linspace(4000.0, 8000.0, 30)
    one = np.full(wave.size, level)
    counts = {"flux_uncal": one * 1e17, "variance_uncal": one * 0 + 1, "covariance_uncal": one * 0, "sky": one * 0}
    meta = {"OBJECT": name, "AIRMASS": 1.2, "FLUXCAL": True, "P60PRID": "2018A-BCS"}
    spectrum = Spectrum(
        wave=wave, flux=one, variance=(one / 10) ** 2, flags=np.zeros(wave.size, np.int32), lsf_sigma=one * 0 + 12.0,
        **counts, meta=meta,
    )  # fmt: skip
    target = Target(name, quality, "in words", 1.0, -2.0, 0.1, 0.1, "astrom", meta=meta)
    nouns = [("target", "TARGET", target), ("spectrum", "SPECTRUM", spectrum)]
    made = [_product(out / f"{plan.name}_{tag}.fits", output, tag, noun, plan, name) for output, tag, noun in nouns]
    if quality != 3:
        text = TextFile(spectrum_text(level, said))
        path = out / f"{plan.name}_SPECTRUM_ASCII.txt"
        made.append(_product(path, "spectrum_ascii", "SPECTRUM_ASCII", text, plan, name))
    return JobRecord(
        instrument=plan.instrument, task="extract", name=plan.name, night=NIGHT, recipe="r", version="1",
        provenance_key=f"{plan.name}{level}{said}", params={}, state="done", level=0, products=tuple(made),
    )  # fmt: skip


def _product(path: Path, output: str, tag: str, noun: Any, plan: PlannedRecord, name: str) -> ProductRecord:
    if isinstance(noun, TextFile):
        data_sha, header = write_text(path, noun), {}
    else:
        data_sha = write_product(path, noun, cards={"PRODTAG": tag})
        header = read_cards(path)
    return ProductRecord(
        output=output, tag=tag, path=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size=path.stat().st_size, data_sha256=data_sha, detector=None, header=header, night=NIGHT, raw=plan.name,
        object=name, setup={"raw_tag": "STANDARD" if name.startswith("STD") else "SCIENCE"},
        mjd=59325.0 + int(plan.name[12:14]) / 24, exptime=900.0,
        qc={"SIGNAL TO NOISE": {"value": 12.3, "unit": "", "good": True}},
    )  # fmt: skip


@dataclass
class Portal:
    """A survey's server with the routes of SkyPortal, and the faults that it is told to have.

    Parameters
    ----------
    faults : list
        One a request of ``fails``: a status, "drop" (take it and close the connection), "hang" (take it and keep
        silent), "gone" (close the connection, there and at every later question), or None.
    """

    url: str = ""
    token: str = TOKEN
    spectra: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    annotations: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    fails: str = "POST /api/spectrum/ascii"
    faults: list[Any] = field(default_factory=list)
    keeps_text: bool = True
    gone: bool = False
    taken: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def count(self, what: str) -> int:
        return sum(f"{method} {path}" == what for method, path in self.asked)


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def log_message(self, *_: Any) -> None: ...

    def do(self) -> None:
        portal: Portal = self.server.portal
        portal.asked.append((self.command, self.path))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = json.loads(body) if body else {}
        if portal.gone:
            self.close_connection = True
            return
        if self.headers.get("Authorization") != f"token {portal.token}":
            self.answer(401, {"status": "error", "message": f"no such {self.headers.get('Authorization')}"})
            return
        hit = f"{self.command} {self.path}" == portal.fails
        fault = portal.faults.pop(0) if hit and portal.faults else None
        if fault == "gone":
            portal.gone = self.close_connection = True
            return
        if isinstance(fault, int):
            message = {302: "", 429: "slowly"}.get(fault, "it broke")
            self.answer(fault, {"status": "error", "message": message})
            return
        status, answer = self.done(portal, content)
        portal.taken.set()
        if fault == "hang":
            portal.go_on.wait(30)
        if fault:
            self.close_connection = True
            return
        self.answer(status, answer)

    do_GET = do_POST = do_PUT = do  # noqa: N815 - names that the base class asks for

    def done(self, portal: Portal, content: dict[str, Any]) -> tuple[int, dict[str, Any]]:  # noqa: PLR0911 - one a route
        parts = self.path.strip("/").split("/")
        match self.command, parts:
            case "POST", ["api", "spectrum", "ascii"]:
                return self.take(portal, content)
            case "GET", ["api", "sources", name, "spectra"]:
                if name == "ZTFunknown":
                    return 400, {"status": "error", "message": "Invalid object ID."}
                return 200, {"status": "success", "data": {"obj_id": name, "spectra": portal.spectra.get(name, [])}}
            case "GET", ["api", "spectra", number, "annotations"]:
                return 200, {"status": "success", "data": portal.annotations.get(number, [])}
            case "POST", ["api", "spectra", number, "annotations"]:
                have = portal.annotations.setdefault(number, [])
                if any(one["origin"] == content["origin"] for one in have):
                    return 400, {"status": "error", "message": "duplicate origin"}
                have.append({"id": 100 + len(have), **content})
                return 200, {"status": "success", "data": {"annotation_id": have[-1]["id"]}}
            case "PUT", ["api", "spectra", number, "annotations", which]:
                [one] = [one for one in portal.annotations[number] if str(one["id"]) == which]
                one.update(content)
                return 200, {"status": "success", "data": None}
        return 404, {"status": "error", "message": "no such route"}

    def take(self, portal: Portal, content: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Take a spectrum as SkyPortal does: columns by number, ASCII alone."""
        content["ascii"].encode("ascii")
        portal.sent.append(content)
        rows = [line.split() for line in content["ascii"].splitlines() if line and line[0] != "#"]
        columns = zip(*[[float(cell) for cell in row] for row in rows], strict=True)
        wave, flux, error = (list(column) for column in columns)
        have = portal.spectra.setdefault(content["obj_id"], [])
        number = 41 + sum(len(some) for some in portal.spectra.values())
        text = content["ascii"] if portal.keeps_text else None
        about = {"original_file_string": text, "original_file_filename": content["filename"]}
        have.append({"id": number, **about, "wavelengths": wave, "fluxes": flux, "errors": error})
        return 200, {"status": "success", "data": {"id": number}}

    def answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        if status == 429:
            self.send_header("Retry-After", "7")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def portal() -> Iterator[Portal]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.portal = Portal(url=f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.portal  # type: ignore[attr-defined]
    server.portal.go_on.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def survey(portal: Portal) -> SkyPortalSettings:
    return SkyPortalSettings(url=portal.url, token=TOKEN, group_ids=(3,), attempts=4, timeout=5.0)


@dataclass
class Post:
    """A mail server and what it was given.

    Parameters
    ----------
    answers : dict
        Verb (or "TEXT", the end of the text) -> answers in turn; "drop" closes the connection, "hang" keeps silent.
    """

    host: str = "localhost"
    port: int = 0
    certificate: Path | None = None
    answers: dict[str, list[str]] = field(default_factory=dict)
    mails: list[bytes] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    taken: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def settings(self, **more: Any) -> SmtpSettings:
        usual = {"host": self.host, "port": self.port, "security": "none", "from": "sedm@here", "to": ["a@there"]}
        return SmtpSettings(**{**usual, "timeout": 5.0, "attempts": 2, **more})


class _Mail(socketserver.StreamRequestHandler):
    server: Any

    def handle(self) -> None:
        post: Post = self.server.post
        self.safe = False
        self.say("220 here")
        while line := self.rfile.readline():
            text = line.decode().strip()
            post.lines.append(text)
            verb = text.split(":")[0].split()[0].upper()
            if not self.obey(post, verb, text):
                return

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def obey(self, post: Post, verb: str, text: str) -> bool:
        told = post.answers.get(verb, [])
        if told:
            answer = told.pop(0)
            if answer == "drop":
                return False
            self.say(answer)
            return True
        if verb == "EHLO":
            more = ["250-AUTH PLAIN"] + (["250-STARTTLS"] if post.certificate and not self.safe else [])
            self.say("\r\n".join(["250-here", *more, "250 SIZE"]))
        elif verb == "STARTTLS" and post.certificate:
            self.say("220 go on")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(post.certificate)
            try:
                self.connection = context.wrap_socket(self.connection, server_side=True)
            except ssl.SSLError:
                return False
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)
            self.safe = True
        elif verb == "AUTH":
            _, user, password = base64.b64decode(text.split()[2]).decode().split("\0")
            post.users.append(user)
            self.say("235 welcome" if password == PASSWORD else "535 wrong password")
        elif verb == "DATA":
            self.say("354 go on")
            return self.text(post)
        else:
            self.say("221 bye" if verb == "QUIT" else "250 good")
            return verb != "QUIT"
        return True

    def text(self, post: Post) -> bool:
        content = b""
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            content += line.removeprefix(b".")
        told = post.answers.get("TEXT", [])
        answer = told.pop(0) if told else "250 queued"
        if answer[0] not in "45":
            post.mails.append(content)
        post.taken.set()
        if answer == "hang":
            post.go_on.wait(30)
        if answer in {"drop", "hang"}:
            return False
        self.say(answer)
        return True


@pytest.fixture
def post() -> Iterator[Post]:
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mail)
    server.daemon_threads = True
    server.post = Post(port=server.server_address[1])  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.post  # type: ignore[attr-defined]
    server.post.go_on.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate with its key for localhost, made for the tests alone."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("no openssl")
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run([program, *made, "-keyout", path, "-out", f"{path}.c"], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.c").read_text())
    return path


@dataclass
class Channel:
    """A server of incoming webhooks and what was said there.

    Parameters
    ----------
    answers : list
        In turn: a status, "drop" (take it and close the connection), "hang" (take it and keep silent), or None.
    """

    url: str = ""
    answers: list[Any] = field(default_factory=list)
    said: list[dict[str, Any]] = field(default_factory=list)
    taken: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)


class _Hook(BaseHTTPRequestHandler):
    server: Any

    def log_message(self, *_: Any) -> None: ...

    def do_POST(self) -> None:
        channel: Channel = self.server.channel
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = channel.answers.pop(0) if channel.answers else None
        if not isinstance(answer, int):
            channel.said.append(content)
        channel.taken.set()
        if answer == "hang":
            channel.go_on.wait(30)
        if answer in {"hang", "drop"}:
            self.close_connection = True
            return
        body = b"ok" if answer is None else b"no_service"
        self.send_response(answer or 200)
        if answer == 429:
            self.send_header("Retry-After", "7")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def channel() -> Iterator[Channel]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hook)
    server.daemon_threads = True
    server.channel = Channel(url=f"http://127.0.0.1:{server.server_port}/services/T0/B0/s3cret")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.channel  # type: ignore[attr-defined]
    server.channel.go_on.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join()
