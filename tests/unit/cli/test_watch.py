"""When a watch sends: after each turn that made something, and only if it was asked to."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from tracecube.archive.records import RunRecord
from tracecube.archive.summary import Result, RunSummary
from tracecube.cli import watch
from tracecube.cli.main import app
from tracecube.workflow.watch import Turn


def turn(state: str) -> Turn:
    run = RunRecord(
        id=1, raw_folder="raw", fingerprint="", targets=(), settings={}, software={}, host="here", started="",
        finished="",
    )  # fmt: skip
    summary = RunSummary(run, (Result("extract", "a", state, None, (), 1.0, 1),), ())
    return Turn((), summary, frozenset(), frozenset(), 0.1)


@pytest.mark.parametrize(("asked", "sends"), [(["--send"], 2), ([], 0)])
def test_each_turn_that_made_something_is_followed_by_sending_if_it_was_asked_for(tmp_path, monkeypatch, asked, sends):
    sent = []
    turns = [turn("done"), turn("reused"), turn("done")]
    monkeypatch.setattr(watch, "watch_folder", lambda *_, **__: iter(turns))
    monkeypatch.setattr(watch, "_tell", lambda *_: None)
    monkeypatch.setattr(watch, "_outgoing", lambda: SimpleNamespace(for_survey=lambda: None, send_new=sent.append))
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["watch", str(tmp_path), "-o", str(out), "--no-report", "-j", "0", *asked])
    assert done.exit_code == 0, done.output
    assert sent == [out] * sends
