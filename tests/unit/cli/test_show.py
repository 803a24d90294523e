"""How the command line prints, and what its parts decide."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tracecube.cli import options
from tracecube.cli.main import app
from tracecube.cli.progress import Bars
from tracecube.cli.show import Group, console, examples, print_json, say, table
from tracecube.core.errors import MissingInput


def test_brackets_in_text_mean_nothing(capsys):
    say("weights=[1.0, 2.0] [bold]")
    assert capsys.readouterr().out == "weights=[1.0, 2.0] [bold]\n"


def test_long_lines_stay_whole_in_a_file(capsys):
    say("/a/very/long/path" * 30)
    assert capsys.readouterr().out.count("\n") == 1


def test_tables_show_all_cells(capsys):
    table(["task", "state"], [("bias", "done"), ("[x]", None)])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["task  state", "bias  done", "[x]"]


def test_json_is_json_alone(capsys):
    print_json([{"a": None, "b": 1.5}])
    assert json.loads(capsys.readouterr().out) == [{"a": None, "b": 1.5}]
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json([float("nan")])


def test_examples_are_paragraphs():
    assert examples("one", "two") == "Examples:\n\n  one\n\n  two"


def test_expected_failures_are_one_sentence_and_status_2():
    wrong = typer.Typer(cls=Group)

    @wrong.command()
    def one() -> None:
        raise MissingInput("no lamp", hint="look for it")

    @wrong.command()
    def two() -> None:
        """Do nothing."""

    done = CliRunner().invoke(wrong, ["one"])
    assert done.exit_code == 2
    assert done.output == "tracecube: no lamp (try: look for it)\n"
    assert CliRunner().invoke(wrong, ["two"]).exit_code == 0


def test_help_lists_every_command():
    text = CliRunner().invoke(app, ["--help"]).output
    assert {command.name for command in app.registered_commands} == {
        *("reduce", "plan", "ls", "datasets", "status", "products", "targets"),
        *("why", "explain", "rerun", "simulate", "demo", "workflow", "export", "watch"),
        *("redex", "upload", "classify"),
    }
    assert {group.name for group in app.registered_groups} == {"night"}
    assert all(str(command.name) in text for command in app.registered_commands)
    assert "tracecube reduce night/ -o out/" in text


def test_settings_of_the_command_line_lie_over_the_file(tmp_path):
    (tmp_path / "p.toml").write_text("[bias]\nclip = 3\nkeep = 1\n")
    found = options.settings_of(["bias.clip=4"], tmp_path / "p.toml")
    assert found == {"bias": {"clip": "4", "keep": 1}}
    assert options.settings_of(None, None) == {}
    assert options.processors() >= 1


class _Job:
    """As much of a planned job as the bars look at."""

    def __init__(self, task: str, name: str) -> None:
        self.task, self.name, self.label = type("T", (), {"name": task}), name, f"{task} {name}"


class _Outcome:
    def __init__(self, job: _Job, state: str, reason: str | None = None) -> None:
        self.job, self.state, self.reason = job, state, reason


def test_outside_a_terminal_each_finished_task_is_a_line(capsys):
    jobs = [_Job("bias", "a"), _Job("ifu", "b"), _Job("ifu", "c")]
    with Bars(console()) as bars:
        bars.planned(jobs)
        bars.settled(_Outcome(jobs[0], "reused"))
        bars.started(jobs[1])
        bars.settled(_Outcome(jobs[1], "done"))
        bars.settled(_Outcome(jobs[2], "failed", "BadData: x [y]"))
    assert capsys.readouterr().out.splitlines() == [
        "bias: 1 reused",
        "failed ifu c: BadData: x [y]",
        "ifu: 1 done, 1 failed",
    ]


def test_a_preset_is_taken_by_its_name_unless_there_is_such_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = options.settings_of(["ifs_dark.smoothing=7"], Path("edps"))
    assert found["ifs_dark"] == {"ifs.master_dark.sigma_clip": 3.0, "smoothing": "7"}
    assert found["ifs_companions"]["ifs.science_dr.use_adi"] == 0
    (tmp_path / "edps").write_text("[bias]\nclip = 3\n")
    assert options.settings_of(None, Path("edps")) == {"bias": {"clip": 3}}
    with pytest.raises(MissingInput, match="no such parameter file"):
        options.settings_of(None, Path("edsp"))


def test_explain_says_what_a_preset_sets():
    found = CliRunner().invoke(app, ["explain", "ifs_dark"])
    assert "with --params edps: ifs.master_dark.sigma_clip = 3.0" in found.output
