"""What a server or a gateway answers to a message: what it means, and that it tells nobody the address."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from tracecube.archive.ledger import Ledger
from tracecube.archive.sendings import messages
from tracecube.core.errors import BadData
from tracecube.sending.channel import NotSaid, say_once
from tracecube.sending.config import SlackSettings, load

NIGHT = "2021-04-21"
PATH = "/services/T0ABCDEF/B0ABCDEF/s3cretS3cret"
PARTS = ("s3cret", "T0ABCDEF", "B0ABCDEF")
Answer = Callable[[str], bytes]


class _Server(socketserver.StreamRequestHandler):
    server: Any

    def handle(self) -> None:
        first = self.rfile.readline().decode().split()
        if not first:
            return
        path, length = first[1], 0
        while (line := self.rfile.readline()).strip():
            name, _, value = line.decode().partition(":")
            length = int(value) if name.lower() == "content-length" else length
        self.server.taken.append(self.rfile.read(length))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        self.wfile.write(answer(path))


@pytest.fixture
def server() -> Iterator[Any]:
    """A server that answers with the bytes it is given, whatever they are."""
    found: Any = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Server)
    found.daemon_threads, found.taken, found.answers = True, [], []
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    found.shutdown()
    found.server_close()
    thread.join()


def says(status: str, body: str = "", length: int | None = None) -> Answer:
    def answer(path: str) -> bytes:
        told = body.replace("PATH", path).replace("SHOUTED", path.upper()).encode()
        head = f"HTTP/1.1 {status.replace('PATH', path)}\r\nContent-Length: {len(told) if length is None else length}"
        return f"{head}\r\n\r\n".encode() + told

    return answer


@pytest.fixture
def say(server, put_night) -> Callable[..., tuple[str, str, list[str]]]:
    """Say something; return the state, what is told of it, and the states and remarks in the ledger."""
    out = put_night(("ZTF21abcdefg", 0))
    usual = SlackSettings(webhook=f"http://127.0.0.1:{server.server_address[1]}{PATH}", attempts=2, timeout=2.0)

    def call(*answers: Answer, settings: SlackSettings = usual) -> tuple[str, str, list[str]]:
        server.answers[:] = answers
        with Ledger.open(out) as ledger:
            try:
                ended = say_once(ledger, NIGHT, {"text": "a"}, settings, wait=lambda _: None)
                state, told = ended.state, ended.remark
            except NotSaid as error:
                state, told = "not said", str(error)
            rows = messages(ledger, NIGHT)
        assert not [one for one in PARTS for text in (told, *(str(row) for row in rows)) if one.lower() in text.lower()]
        return state, told, [row.state for row in rows]

    return call


@pytest.mark.parametrize(
    "answer",
    [
        says("404 Not Found", "Cannot POST PATH"),
        says("404 Not Found", '{"path": "PATH", "also": "SHOUTED"}'.replace("PATH", PATH.replace("/", "\\/"))),
        says("404 No PATH here"),
        says("404 Not Found", "x" * 180 + " PATH"),
        says("404 Not Found", " " * (4096 - len(PATH) + 4) + "PATH"),
        says("404 Not Found", "T0ABCDEF and B0ABCDEF"),
    ],
    ids=["path", "parts", "reason", "cut", "at the end of what is read", "segments"],
)
def test_an_answer_that_names_the_path_tells_nobody(say, answer):
    state, told, rows = say(answer)
    assert (state, rows) == ("not said", ["failed"])
    assert "404" in told
    assert len(told) < 350


def test_an_answer_that_is_none_tells_nobody_either(say):
    state, told, rows = say(lambda path: f"what is {path}?\r\n".encode())
    assert (state, rows) == ("unclear", ["unclear"])
    assert "no answer after the text (what is [address]?" in told


def test_what_a_server_says_is_still_told(say):
    assert "(404 no_service)" in say(says("404 Not Found", "no_service"))[1]
    assert "(410 Gone)" in say(says("410 Gone"))[1]


@pytest.mark.parametrize("status", ["502 Bad Gateway", "504 Gateway Timeout", "520 What"])
def test_of_what_a_gateway_lost_it_is_not_known_and_it_is_not_sent_again(say, server, status):
    state, told, rows = say(says(status), says("200 OK", "ok"))
    assert (state, rows, len(server.taken)) == ("unclear", ["unclear"], 1)
    assert f"may have the message ({status})" in told


@pytest.mark.parametrize("status", ["500 Internal Server Error", "503 Service Unavailable"])
def test_a_server_that_failed_is_asked_again(say, server, status):
    assert say(says(status), says("200 OK", "ok"))[::2] == ("sent", ["failed", "sent"])
    assert len(server.taken) == 2


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "204 No Content"])
def test_every_success_is_one(say, status):
    assert say(says(status)) == ("sent", "", ["sent"])


def test_a_success_whose_text_does_not_come_is_one(say):
    assert say(says("200 OK", length=9))[::2] == ("sent", ["sent"])


def test_a_redirect_is_not_followed(say, server):
    assert say(says("302 Found\r\nLocation: http://127.0.0.1:9PATH"))[::2] == ("not said", ["failed"])
    assert len(server.taken) == 1


@pytest.mark.parametrize(
    "address",
    [
        "https://hooks.slack.com/services/T0 s3cret",
        "https://hooks.slack.com/services/T0\ts3cret",
        "https://hooks.slack.com:44x/services/s3cret",
        "https://hooks.slack.com:99999/services/s3cret",
        "https://hooks.slack.com:0/services/s3cret",
        "https://hooks..slack.com/services/s3cret",
        f"https://{'a' * 64}.org/services/s3cret",
        "https://[::1/services/s3cret",
    ],
)
def test_an_address_that_cannot_be_called_is_refused_before_anything_is_noted(tmp_path, address):
    path = tmp_path / "c.toml"
    path.write_text("[slack]\n")
    with pytest.raises(BadData, match=r"slack\.webhook") as caught:
        load({"TRACECUBE_CONFIG": str(path), "TRACECUBE_SLACK_WEBHOOK": address}, tmp_path)
    assert "s3cret" not in str(caught.value)


def test_a_request_that_was_never_written_is_surely_not_said(say, server):
    address = f"http://127.0.0.1:{server.server_address[1]}/services/T0 s3cret"
    unchecked = SlackSettings.model_construct(webhook=SecretStr(address), attempts=2, timeout=2.0)
    state, told, rows = say(says("200 OK"), settings=unchecked)
    assert (state, rows, server.taken) == ("not said", ["failed"], [])
    assert "correct TRACECUBE_SLACK_WEBHOOK" in told
