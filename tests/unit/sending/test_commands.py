"""`night finish`, `night status`, `upload`: what goes out, what does not, and what is known of it after a kill."""

from __future__ import annotations

import email
import email.policy
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

from tracecube.archive.ledger import Ledger
from tracecube.archive.sendings import notices, uploads
from tracecube.cli import outgoing, reduce
from tracecube.cli.main import app
from tracecube.report import summary
from tracecube.sending.lock import only_sender

NIGHT = "2021-04-21"
OBSERVED = (("STD-HZ44", 0), ("ZTF21abcdefg", 0), ("ZTF21hijklmn", 5), ("AT2021x", 0))
Run = Callable[..., Any]


@pytest.fixture
def out(put_night) -> Path:
    return put_night(*OBSERVED)


@pytest.fixture
def configured(tmp_path, monkeypatch, portal, post, reportings) -> Callable[..., None]:
    """Write a configuration that names the servers of the tests."""
    monkeypatch.setattr(outgoing, "_reportings", lambda: reportings)
    monkeypatch.setattr(reduce, "reportings_of", lambda _found: reportings)
    for name in ("one_page", "thumbnail"):  # drawn for real in the tests of the report
        monkeypatch.setattr(summary, name, lambda *_, **__: Figure(figsize=(1.0, 1.0)))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TRACECUBE_CONFIG", raising=False)

    def write(survey_more: dict[str, Any] | None = None, **more: Any) -> None:
        smtp = {"host": post.host, "port": post.port, "security": "none", "from": "sedm@here", "to": ["a@there"]}
        survey = {"url": portal.url, "token": "0c1d-very-secret", "attempts": 1, "timeout": 5.0}
        path = tmp_path / ".config" / "tracecube" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        sections = {"smtp": {**smtp, "attempts": 1, **more}, "skyportal": {**survey, **(survey_more or {})}}
        lines = [
            f"[{name}]\n" + "\n".join(f"{k} = {json.dumps(v)}" for k, v in one.items())
            for name, one in sections.items()
        ]
        path.write_text("\n".join(lines))
        path.chmod(0o600)

    write()
    return write


@pytest.fixture
def run(configured) -> Run:
    def call(*arguments: Any, status: int = 0) -> str:
        done = CliRunner().invoke(app, [str(one) for one in arguments])
        assert done.exit_code == status, f"{done.exit_code}: {done.output} {done.exception}"
        assert "0c1d" not in done.output
        return done.output

    return call


def test_finishing_writes_everything_and_sends_nothing_unasked(out, run, post, portal):
    said = run("night", "finish", out)
    assert "3 targets, 1 standard, 2 of quality 0, 1 of quality 5, 1 held back from upload, 1 not yet uploaded" in said
    assert "mail: not sent; --send would send it through localhost to a@there" in said
    folder = out / "report" / NIGHT
    names = {path.name for path in folder.iterdir()}
    assert {"summary.html", "report.txt", "summary.eml", "page_ifu20210421_01_00_00.png"} <= names
    assert (post.lines, portal.asked) == ([], [])
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.png")}
    run("night", "finish", out)
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.png")} == before


def test_the_summary_is_sent_once_a_night(out, run, post):
    assert "mail: sent" in run("night", "finish", out, "--send")
    assert "mail: sent before" in run("night", "finish", out, "--send")
    assert "mail: sent 2" in run("night", "finish", out)
    assert len(post.mails) == 1
    run("night", "finish", out, "--send", "--again", "--to", "me@there")
    first, second = (email.message_from_bytes(raw, policy=email.policy.default) for raw in post.mails)
    assert (first["To"], second["To"]) == ("a@there", "me@there")
    assert first["Message-ID"] != second["Message-ID"]
    assert first["Message-ID"].endswith("@here>")
    assert first["Subject"].startswith(f"toy {NIGHT}: 3 targets")


def test_a_night_that_changed_after_its_mail_is_told(out, run, post):
    run("night", "finish", out, "--send")
    assert "changed since" not in run("night", "finish", out) + run("night", "finish", out, "--send")
    run("upload", out, "--send")
    assert "the night has changed since" in run("night", "finish", out)
    assert "--again sends it as it is now" in run("night", "finish", out, "--send")
    run("night", "finish", out, "--send", "--again")
    assert "changed since" not in run("night", "finish", out)
    assert len(post.mails) == 2


def test_the_mail_has_text_and_pages_of_the_same_and_its_pictures_inside(out, run, post):
    run("night", "finish", out, "--send")
    mail = email.message_from_bytes(post.mails[0], policy=email.policy.default)
    text, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    assert (mail.get_content_type(), html.get_content_type()) == ("multipart/alternative", "text/html")
    for name, _ in OBSERVED:
        assert name in text.get_content()
        assert name in html.get_content()
    pictures = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    assert len(pictures) == len(OBSERVED)
    for part in pictures:
        assert f"cid:{part['Content-ID'][1:-1]}" in html.get_content()
        assert part.get_content().startswith(b"\x89PNG")
        assert part.get_content_disposition() == "inline"
        assert len(part.get_content()) < 20_000


def test_a_mail_that_did_not_go_out_can_be_sent_again(out, run, post):
    post.answers["MAIL"] = ["550 not you"]
    run("night", "finish", out, "--send", status=2)
    assert "failed" in run("night", "status", out, status=1)
    run("night", "finish", out, "--send")
    with Ledger.open(out) as ledger:
        assert [one.state for one in notices(ledger, NIGHT)] == ["failed", "sent"]


def test_a_recipient_that_is_refused_shows_in_the_status(out, run, post):
    post.answers["RCPT"] = ["250 good", "550 nobody"]
    said = run("night", "finish", out, "--send", "--to", "a@there", "--to", "b@there", status=1)
    assert "not to b@there: 550 nobody" in said


def test_a_mail_of_which_it_is_not_known_waits_for_a_person(out, run, post):
    post.answers["TEXT"] = ["drop"]
    assert "it is not known whether it went out" in run("night", "finish", out, "--send", status=3)
    run("night", "finish", out, "--send", status=3)
    assert "unclear" in run("night", "status", out, status=3)
    assert len(post.mails) == 1
    run("night", "finish", out, "--lost")
    run("night", "finish", out, "--send")
    assert len(post.mails) == 2
    run("night", "finish", out, "--arrived", status=2)


def killed(out: Path, tmp_path: Path, taken: Any, *arguments: str) -> None:
    """Run a command until the server has taken what it sends and holds its answer back; then kill -9."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from tests_reporting import TOY\n"
        "from tracecube.cli import outgoing; from tracecube.cli.main import app\n"
        "outgoing._reportings = lambda: {'toy': TOY}; app(sys.argv[2:])"
    )
    here = Path(__file__).parent / "conftest.py"
    (tmp_path / "tests_reporting.py").write_text(here.read_text())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, str(tmp_path), *arguments[:2], str(out), *arguments[2:]]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    assert taken.wait(60)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_kill_after_the_mail_went_out_does_not_send_it_twice(out, run, post, tmp_path):
    post.answers["TEXT"] = ["hang"]
    killed(out, tmp_path, post.taken, "night", "finish", "--send")
    with Ledger.open(out) as ledger:
        assert [one.state for one in notices(ledger, NIGHT)] == ["sending"]
    assert "cut short while it was being sent; Message-ID <" in run("night", "finish", out, "--send", status=3)
    assert len(post.mails) == 1
    run("night", "finish", out, "--arrived")
    assert "sent before" in run("night", "finish", out, "--send")
    assert len(post.mails) == 1


def test_a_kill_between_taking_and_noting_does_not_send_a_spectrum_twice(out, run, portal, tmp_path):
    portal.faults = ["hang"]
    portal.taken.clear()
    portal_taken = portal.taken

    class Spectrum:
        def wait(self, seconds: float) -> bool:
            for _ in range(int(seconds * 10)):
                if portal.sent and portal_taken.wait(0.1):
                    return True
                portal_taken.clear()
                portal_taken.wait(0.1)
            return False

    killed(out, tmp_path, Spectrum(), "upload", "--send")
    with Ledger.open(out) as ledger:
        assert [one.state for one in uploads(ledger)] == ["sending"]
    assert "(unclear)" in run("night", "status", out, status=1)
    said = run("upload", out, "--send", "--json")
    assert [(step["kind"], step["state"]) for step in json.loads(said)] == [
        ("spectrum", "was there"), ("annotation", "sent"), ("spectrum", "held back"),
    ]  # fmt: skip
    assert len(portal.sent) == 1


def test_an_extraction_that_was_made_anew_gets_its_picture_and_is_sent(out, run, portal, capsys):
    assert run("night", "status", out, status=1)
    outgoing.summarise(out, NIGHT, "ifu20210421_01_00_00")
    outgoing.send_extraction(out, NIGHT, "ifu20210421_01_00_00")
    outgoing.send_extraction(out, NIGHT, "ifu20210421_00_00_00")
    said = capsys.readouterr().out
    assert "page_ifu20210421_01_00_00.png" in said
    assert "not sent: none of the survey's objects" in said
    assert [one["obj_id"] for one in portal.sent] == ["ZTF21abcdefg"]
    assert f"{portal.url}/source/ZTF21abcdefg" in (out / "report" / NIGHT / "report.txt").read_text()
    outgoing.summarise(out, "1999-01-01", "ifu20210421_01_00_00")
    assert capsys.readouterr().out == ""


def test_a_watched_night_sends_each_spectrum_when_it_is_there_and_once(out, run, portal, put_night, capsys):
    outgoing.send_new(out)
    assert f"ZTF21abcdefg: spectrum sent: {portal.url}/source/ZTF21abcdefg" in capsys.readouterr().out
    outgoing.send_new(out)
    put_night(*OBSERVED, level=3e-16)
    outgoing.send_new(out)
    assert capsys.readouterr().out == ""
    assert len(portal.sent) == 1
    assert "ZTF21abcdefg (changed)" in run("night", "status", out, status=1)


def test_a_watch_says_what_could_not_be_sent_and_goes_on(out, run, portal, capsys):
    portal.gone = True
    outgoing.send_new(out)
    said = capsys.readouterr().out
    assert "ZTF21abcdefg: spectrum failed" in said
    assert "no answer" in said
    portal.gone, portal.token = False, "another"
    outgoing.send_new(out)
    assert "not sent: " in capsys.readouterr().out
    portal.token = "0c1d-very-secret"
    outgoing.send_new(out)
    assert len(portal.sent) == 1


def test_a_watch_that_shall_send_and_cannot_says_so_at_once(tmp_path, run, configured):
    (tmp_path / ".config" / "tracecube" / "config.toml").unlink()
    assert "no section [skyportal]" in run("watch", tmp_path / "raw", "-o", tmp_path / "out", "--send", status=2)


def test_an_upload_says_what_it_would_do_and_asks_nobody(out, run, portal):
    said = run("upload", out)
    assert "nothing was sent; --send does" in said
    assert "spec_ifu20210421_01_00_00_ZTF21abcdefg.txt" in said
    assert "held back" in said
    assert "quality 5" in said
    assert "AT2021x" not in said
    assert portal.asked == []


def test_an_upload_is_done_once_and_its_address_stands_in_the_tables(out, run, portal):
    run("upload", out, "--send")
    assert [one["obj_id"] for one in portal.sent] == ["ZTF21abcdefg"]
    assert portal.sent[0]["observed_at"] == "2021-04-21T01:07:30.000"
    assert portal.sent[0]["instrument_id"] == 7
    assert portal.annotations == {"41": [{"id": 100, "origin": "toy:S2N", "data": {"median": 5.5}}]}
    asked = len(portal.asked)
    assert "sent before" in run("upload", out, "--send")
    assert len(portal.asked) == asked
    page = f"{portal.url}/source/ZTF21abcdefg"
    assert page in (out / "report" / NIGHT / "report.txt").read_text()
    assert page in (out / "report" / NIGHT / "summary.html").read_text()
    run("night", "status", out, status=1)
    run("night", "finish", out, "--send")
    run("night", "status", out)


def test_a_spectrum_that_changed_is_sent_anew(out, run, portal, put_night):
    run("upload", out, "--send")
    put_night(*OBSERVED, level=3e-16)
    assert "ZTF21abcdefg (changed)" in run("night", "status", out, status=1)
    run("upload", out, "--send")
    assert len(portal.sent) == 2


def test_a_spectrum_that_only_its_header_changed_stays_sent(out, run, portal, put_night):
    run("upload", out, "--send")
    put_night(*OBSERVED, said="# CLSTYPE: Ia")
    assert "ZTF21abcdefg (changed)" in run("night", "status", out, status=1)
    assert "sent before" in run("upload", out, "--send")
    assert json.loads(run("night", "status", out, "--json", status=1))[0]["to upload"] == ""
    assert len(portal.sent) == 1


def test_what_another_folder_sent_is_found_on_the_server(out, run, portal, put_night):
    run("upload", out, "--send")
    for path in out.glob("tracecube.db*"):
        path.unlink()
    again = put_night(*OBSERVED)
    said = json.loads(run("upload", again, "--send", "--json"))
    assert [step["state"] for step in said] == ["was there", "was there", "held back"]
    assert len(portal.sent) == 1


def test_a_refusal_is_kept_until_it_is_asked_for_again(out, run, portal):
    portal.faults = [400]
    assert "refused" in run("upload", out, "--send", status=1)
    asked = len(portal.asked)
    assert "it broke" in run("upload", out, "--send", status=1)
    assert len(portal.asked) == asked
    assert "1 refused by the server" in run("night", "finish", out)
    run("upload", out, "--send", "--again")
    assert len(portal.sent) == 1


def test_a_server_that_does_not_answer_leaves_the_rest_waiting(put_night, run, portal):
    out = put_night(("ZTF21abcdefg", 0), ("ZTF21bcdefgh", 0))
    portal.faults = ["gone"]
    steps = json.loads(run("upload", out, "--send", "--json", status=1))
    assert [(step["kind"], step["state"]) for step in steps] == [
        ("spectrum", "failed"), ("annotation", "waiting"), ("spectrum", "waiting"), ("annotation", "waiting"),
    ]  # fmt: skip
    portal.gone = False
    run("upload", out, "--send")
    assert len(portal.sent) == 2


def test_a_spectrum_that_always_fails_keeps_none_of_the_others(put_night, run, portal):
    out = put_night(("ZTF21abcdefg", 0), ("ZTF21bcdefgh", 0), ("ZTF21cdefghi", 0))
    portal.faults = [500]
    steps = json.loads(run("upload", out, "--send", "--json", status=1))
    assert [step["state"] for step in steps if step["kind"] == "spectrum"] == ["failed", "sent", "sent"]
    assert [one["obj_id"] for one in portal.sent] == ["ZTF21bcdefgh", "ZTF21cdefghi"]


def test_a_server_that_fails_with_two_in_a_row_is_left_alone(put_night, run, portal):
    out = put_night(("ZTF21abcdefg", 0), ("ZTF21bcdefgh", 0), ("ZTF21cdefghi", 0))
    portal.faults = [500, 500]
    steps = json.loads(run("upload", out, "--send", "--json", status=1))
    assert [step["state"] for step in steps if step["kind"] == "spectrum"] == ["failed", "failed", "waiting"]
    assert portal.sent == []


def test_an_annotation_that_failed_shows_in_the_status_until_it_is_there(out, run, portal):
    portal.fails, portal.faults = "POST /api/spectra/41/annotations", [500]
    run("upload", out, "--send", status=1)
    assert len(portal.sent) == 1
    assert "ZTF21abcdefg (incomplete)" in run("night", "status", out, status=1)
    run("upload", out, "--send")
    assert json.loads(run("night", "status", out, "--json", status=1))[0]["to upload"] == ""


def test_what_went_to_another_server_does_not_count(out, run, portal, configured):
    run("upload", out, "--send")
    assert json.loads(run("night", "status", out, "--json", status=1))[0]["to upload"] == ""
    configured({"url": "https://other.example", "instrument_id": 7})
    assert "ZTF21abcdefg (waiting)" in run("night", "status", out, status=1)


def test_tables_at_the_end_of_a_run_count_what_went_to_the_configured_server_alone(out, run, portal, configured):
    run("upload", out, "--send")
    table = out / "report" / NIGHT / "report.txt"
    reduce.report_of(out, changed=True)
    assert f"{portal.url}/source/ZTF21abcdefg" in table.read_text()
    configured({"url": "http://127.0.0.1:9"})
    reduce.report_of(out, changed=True)
    assert portal.url not in table.read_text()


def test_a_wrong_token_ends_it_and_can_be_put_right(out, run, portal):
    portal.token = "another"
    run("upload", out, "--send", status=2)
    portal.token = "0c1d-very-secret"
    run("upload", out, "--send")
    assert len(portal.sent) == 1


def test_only_what_was_named_is_sent(put_night, run, portal):
    out = put_night(("ZTF21abcdefg", 0), ("ZTF21bcdefgh", 0))
    run("upload", out, "--send", "--object", "ZTF21bcdefgh")
    assert [one["obj_id"] for one in portal.sent] == ["ZTF21bcdefgh"]
    run("upload", out, "--object", "STD-HZ44", status=2)
    run("upload", out, "--night", "1999-01-01", status=2)


def test_a_text_that_is_gone_keeps_none_of_the_others(put_night, run, portal):
    out = put_night(("ZTF21abcdefg", 0), ("ZTF21bcdefgh", 0))
    (out / "ifu20210421_00_00_00_SPECTRUM_ASCII.txt").unlink()
    [lost, *_] = json.loads(run("upload", out, "--send", "--json", status=1))
    assert (lost["object"], lost["state"]) == ("ZTF21abcdefg", "failed")
    assert "no such product" in lost["reason"]
    assert [one["obj_id"] for one in portal.sent] == ["ZTF21bcdefgh"]


def test_groups_are_those_of_all_and_of_the_program(out, run, portal, configured):
    path = Path.home() / ".config" / "tracecube" / "config.toml"
    configured({"group_ids": [3, 4]})
    more = ('programs = { "2018A-BCS" = [4, 9], other = [1] }', "followup_requests = { ZTF21abcdefg = 5 }")
    path.write_text("\n".join([path.read_text(), *more]))
    run("upload", out, "--send")
    assert portal.sent[0]["group_ids"] == [3, 4, 9]
    assert portal.sent[0]["followup_request_id"] == 5


@pytest.mark.parametrize("address", ["nobody", "a@b\nBcc: c@d", "a@b, c@d"])
def test_what_is_no_address_is_told(out, run, post, address):
    assert "no address" in run("night", "finish", out, "--send", "--to", address, status=2)
    assert post.lines == []


def test_two_do_not_send_at_once(out, run, portal, post):
    with only_sender(out):
        run("upload", out, "--send", status=2)
        run("night", "finish", out, "--send", status=2)
    assert (portal.sent, post.mails) == ([], [])


def test_nothing_to_report_is_told(tmp_path, run):
    with Ledger.open(tmp_path / "empty", create=True):
        pass
    run("night", "finish", tmp_path / "empty", status=2)
    assert "no extraction to report" in run("night", "status", tmp_path / "empty")


def test_the_status_can_be_read_by_programs(out, run):
    [item] = json.loads(run("night", "status", out, "--json", status=1))
    assert item["night"] == NIGHT
    assert (item["mail"], item["to upload"]) == ("not sent", "ZTF21abcdefg (waiting)")
