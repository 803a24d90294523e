"""Messages to a channel: what is said, once, and what is known of it when the line breaks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

from tracecube.archive.ledger import Ledger
from tracecube.archive.sendings import end_message, messages
from tracecube.cli import outgoing
from tracecube.cli.main import app
from tracecube.core.errors import BadData, MissingInput
from tracecube.report import channel as text
from tracecube.report import summary
from tracecube.report.extractions import gather_summary
from tracecube.sending.channel import NotSaid, say_once
from tracecube.sending.config import SlackSettings, load

NIGHT = "2021-04-21"
OBSERVED = (("STD-HZ44", 0), ("ZTF21abcdefg", 0), ("ZTF21hijklmn", 5))


@pytest.fixture
def out(put_night):
    return put_night(*OBSERVED)


@pytest.fixture
def configure(tmp_path, monkeypatch, channel, reportings):
    monkeypatch.setattr(outgoing, "_reportings", lambda: reportings)
    for name in ("one_page", "thumbnail"):  # drawn for real in the tests of the report
        monkeypatch.setattr(summary, name, lambda *_, **__: Figure(figsize=(1.0, 1.0)))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TRACECUBE_CONFIG", raising=False)

    def write(**sections: dict[str, Any]) -> None:
        path = tmp_path / ".config" / "tracecube" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            f"[{name}]\n" + "\n".join(f"{k} = {json.dumps(v)}" for k, v in one.items())
            for name, one in sections.items()
        ]
        path.write_text("\n".join(lines))
        path.chmod(0o600)

    write(slack={"webhook": channel.url, "attempts": 1, "timeout": 5.0})
    return write


@pytest.fixture
def run(configure):
    def call(*arguments: Any, status: int = 0) -> str:
        done = CliRunner().invoke(app, [str(one) for one in arguments])
        assert done.exit_code == status, f"{done.exit_code}: {done.output} {done.exception}"
        assert "s3cret" not in done.output
        return done.output

    return call


def test_nothing_is_said_unasked_and_it_is_told_what_would_be(out, run, channel):
    said = run("night", "finish", out)
    assert "channel: nothing said; --send would say" in said
    assert "ZTF21abcdefg" in said
    assert channel.said == []


def test_a_night_is_said_once(out, run, channel):
    said = run("night", "finish", out, "--send")
    assert "mail: not sent; there is no section [smtp]" in said
    assert "channel: sent" in said
    assert "channel: sent before" in run("night", "finish", out, "--send")
    [message] = channel.said
    assert message["text"].startswith(f"*toy {NIGHT}*: 2 targets, 1 standard")
    assert "```\nQual  Object" in message["text"]
    assert "5  ZTF21hijklmn" in message["text"]
    run("night", "finish", out, "--send", "--again")
    assert len(channel.said) == 2
    assert "channel: said " in run("night", "finish", out)


def test_mail_and_channel_go_out_together_and_neither_stops_the_other(out, run, channel, post, configure):
    smtp = {"host": post.host, "port": post.port, "security": "none", "from": "sedm@here", "to": ["a@there"]}
    configure(smtp={**smtp, "attempts": 1}, slack={"webhook": channel.url, "attempts": 1})
    channel.answers = [404]
    said = run("night", "finish", out, "--send", status=1)
    assert "mail: sent" in said
    assert "404 no_service" in said
    post.answers["MAIL"] = ["550 no"]
    run("night", "finish", out, "--send", "--again", status=2)
    assert len(post.mails) == 1
    assert len(channel.said) == 1


def test_a_message_of_which_it_is_not_known_waits_for_a_person(out, run, channel):
    channel.answers = ["drop"]
    assert "it is not known whether it went out" in run("night", "finish", out, "--send", status=3)
    run("night", "finish", out, "--send", status=3)
    assert "unclear" in run("night", "status", out, status=3)
    assert len(channel.said) == 1
    assert "noted that what was sent did not arrive" in run("night", "finish", out, "--lost")
    assert "channel: sent" in run("night", "finish", out, "--send")
    assert len(channel.said) == 2


def test_the_status_knows_of_the_channel(out, run):
    assert json.loads(run("night", "status", out, "--json", status=1))[0]["channel"] == "not sent"
    run("night", "finish", out, "--send")
    [item] = json.loads(run("night", "status", out, "--json", status=1))
    assert item["channel"].startswith("sent ")
    assert item["mail"] == ""


def test_an_extraction_by_hand_is_said_with_its_picture(out, run, channel, configure, capsys):
    configure(slack={"webhook": channel.url, "pages": "https://here.org/report/"})
    outgoing.say_extraction(out, NIGHT, "ifu20210421_01_00_00", "accepted as redo010203 by <me>")
    outgoing.say_extraction(out, NIGHT, "ifu20210421_01_00_00", "accepted as redo010203 by <me>")
    assert "channel: sent before" in capsys.readouterr().out
    [message] = channel.said
    address = f"https://here.org/report/{NIGHT}/page_ifu20210421_01_00_00.png"
    assert "*ifu20210421_01_00_00* ZTF21abcdefg: accepted as redo010203 by &lt;me&gt;" in message["text"]
    assert message["attachments"] == [{"fallback": "ZTF21abcdefg", "image_url": address}]
    configure()
    outgoing.say_extraction(out, NIGHT, "ifu20210421_01_00_00", "something else")
    assert len(channel.said) == 1


def test_what_may_go_later_is_tried_again_and_the_server_is_waited_for(out, channel):
    channel.answers, waited = [429, 500, None], []
    settings = SlackSettings(webhook=channel.url, attempts=4)
    with Ledger.open(out) as ledger:
        ended = say_once(ledger, NIGHT, {"text": "a"}, settings, wait=waited.append)
        assert ended.state == "sent"
        assert waited == [7.0, 2.0]
        assert [one.state for one in messages(ledger, NIGHT)] == ["failed", "failed", "sent"]
        assert {one.server for one in messages(ledger, NIGHT)} == {"127.0.0.1"}


def test_nobody_there_is_told_without_the_address(out):
    settings = SlackSettings(webhook="http://127.0.0.1:9/services/s3cret", attempts=2)
    with Ledger.open(out) as ledger, pytest.raises(NotSaid, match=r"127\.0\.0\.1: cannot be reached") as caught:
        say_once(ledger, NIGHT, {"text": "a"}, settings, wait=lambda _: None)
    assert "s3cret" not in str(caught.value)


def test_without_an_address_nothing_is_said(out):
    with Ledger.open(out) as ledger, pytest.raises(MissingInput, match="no address of a channel"):
        say_once(ledger, NIGHT, {"text": "a"}, SlackSettings())


@pytest.mark.parametrize("address", ["http://example.org/x", "ftp://example.org", "hooks.slack.com/services/s3cret"])
def test_an_address_that_would_be_seen_is_refused(tmp_path, address):
    path = tmp_path / "c.toml"
    path.write_text(f'[slack]\nwebhook = "{address}"\n')
    path.chmod(0o600)
    with pytest.raises(BadData, match=r"slack\.webhook") as caught:
        load({"TRACECUBE_CONFIG": str(path)}, tmp_path)
    assert "s3cret" not in str(caught.value)


def test_an_address_in_the_file_is_a_secret_and_may_come_from_the_environment(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text('[slack]\nwebhook = "https://a.org/s3cret"\n')
    path.chmod(0o644)
    with pytest.raises(BadData, match="others can read"):
        load({"TRACECUBE_CONFIG": str(path)}, tmp_path)
    path.write_text("[slack]\n")
    found = load({"TRACECUBE_CONFIG": str(path), "TRACECUBE_SLACK_WEBHOOK": "https://a.org/s3cret"}, tmp_path)
    assert found.slack.webhook.get_secret_value() == "https://a.org/s3cret"
    assert "s3cret" not in f"{found!r} {found.model_dump_json()}"


def test_a_long_night_is_cut_and_says_so(put_night, reportings):
    out = put_night(*[(f"ZTF21{'x' * 120}{place:03d}", 0) for place in range(9)])
    with Ledger.open(out) as ledger:
        told = gather_summary(ledger, reportings)
    message = text.night_message(told)["text"]
    assert "and" not in message.splitlines()[-2]
    many = told.__class__(**{**vars(told), "listed": told.listed * 5})
    message = text.night_message(many)["text"]
    assert len(message) < 4000
    assert "... and " in message


def test_nothing_in_a_name_is_taken_for_a_mark(put_night, reportings):
    out = put_night(("<!channel>", 0))
    with Ledger.open(out) as ledger:
        message = text.night_message(gather_summary(ledger, reportings))["text"]
    assert "<!" not in message
    assert "&lt;!channel&gt;" in message


RAW = "ifu20210421_01_00_00"


@pytest.mark.parametrize("cut_short", [False, True])
def test_without_send_it_is_told_of_what_it_is_not_known(out, run, channel, cut_short):
    channel.answers = ["drop"]
    run("night", "finish", out, "--send", status=3)
    if cut_short:
        with Ledger.open(out) as ledger:
            end_message(ledger, messages(ledger, NIGHT)[-1].id, "sending")
    said = run("night", "finish", out)
    assert "channel: unclear since " in said
    assert "then say --arrived or --lost" in said
    assert "nothing said" not in said
    run("night", "finish", out, "--lost")
    assert "channel: nothing said; --send would say" in run("night", "finish", out)


def test_without_send_it_is_told_that_of_the_mail_it_is_not_known(out, run, post, configure):
    smtp = {"host": post.host, "port": post.port, "security": "none", "from": "sedm@here", "to": ["a@there"]}
    configure(smtp={**smtp, "attempts": 1})
    post.answers["TEXT"] = ["drop"]
    run("night", "finish", out, "--send", status=3)
    said = run("night", "finish", out)
    assert "mail: unclear; it is not known whether it went out: say --arrived or --lost" in said
    assert "would send it" not in said


def test_a_message_about_one_exposure_is_settled_with_its_night(out, run, channel, capsys):
    channel.answers = ["drop"]
    outgoing.say_extraction(out, NIGHT, RAW, "accepted")
    assert "then say --arrived or --lost" in capsys.readouterr().out
    said = run("night", "finish", out)
    assert "channel: nothing said; --send would say" in said
    assert f"channel: unclear about {RAW}" in said
    assert "noted that what was sent arrived" in run("night", "finish", out, "--arrived")
    with Ledger.open(out) as ledger:
        assert [(one.raw, one.state) for one in messages(ledger, NIGHT, None)] == [(RAW, "sent")]
    assert "unclear" not in run("night", "finish", out)
    outgoing.say_extraction(out, NIGHT, RAW, "accepted")
    assert len(channel.said) == 1


def test_settings_that_others_can_read_stop_the_message_alone(out, run, channel, tmp_path, capsys):
    (tmp_path / ".config" / "tracecube" / "config.toml").chmod(0o644)
    outgoing.summarise(out, NIGHT, RAW)
    outgoing.say_extraction(out, NIGHT, RAW, "accepted")
    said = capsys.readouterr().out
    assert f"report picture: {out / 'report' / NIGHT}" in said.replace("\n", "")
    assert "channel: nothing said: " in said
    assert "others can read the secrets in it" in said.replace("\n", " ")
    assert channel.said == []


@pytest.mark.parametrize(("raised", "count"), [(KeyboardInterrupt(), 0), (BadData("no mail", hint="none"), 1)])
def test_who_interrupts_the_mail_has_nothing_said(out, run, channel, post, configure, monkeypatch, raised, count):
    smtp = {"host": post.host, "port": post.port, "security": "none", "from": "sedm@here", "to": ["a@there"]}
    configure(smtp=smtp, slack={"webhook": channel.url, "attempts": 1})

    def stop(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr(outgoing, "send_summary", stop)
    assert CliRunner().invoke(app, ["night", "finish", str(out), "--send"]).exit_code != 0
    assert len(channel.said) == count


def test_a_mistyped_address_is_told_before_the_night_is(out, run, channel):
    assert "no address" in run("night", "finish", out, "--send", "--to", "nobody", status=2)
    assert channel.said == []
