"""`explain`: what a recipe does, and where a reader finds it."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from tracecube.cli.main import app

SOURCE = Path(__file__).parents[3] / "src"


def test_a_recipe_is_found_in_the_file_and_line_that_are_told():
    done = CliRunner().invoke(app, ["explain", "master_bias"])
    assert done.exit_code == 0, done.output
    told = [line.removeprefix("source: ") for line in done.output.splitlines() if line.startswith("source: ")]
    assert told
    for one in told:
        file, line = one.split(":")
        lines = (SOURCE / file).read_text(encoding="utf-8").splitlines()
        assert "def master_bias(" in " ".join(lines[int(line) - 1 : int(line) + 2])


def test_of_an_unknown_name_the_nearest_is_told():
    done = CliRunner().invoke(app, ["explain", "master_bais"])
    assert done.exit_code == 2
    assert "did you mean master_bias" in done.output
