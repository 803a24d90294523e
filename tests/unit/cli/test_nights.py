"""`simulate`: a simulator's frames become files; its choices are told apart; one night is for who tries it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
from typer.testing import CliRunner

from tracecube.cli import nights
from tracecube.cli.main import app
from tracecube.core.frame import RawFrame
from tracecube.core.instrument import Instrument
from tracecube.core.workflow import Workflow
from tracecube.workflow.discover import Found, discover


def simulate(*, seed: int = 1, size: Literal["small", "large"] = "small", files: int = 2) -> Iterator[RawFrame]:
    if files > 9:
        raise ValueError("at most nine files")
    for i in range(files if size == "small" else files + 1):
        pixels = np.full((4, 4), seed + i, np.uint16)
        yield RawFrame(f"f{i}", "BIAS", {"OBJECT": size}, {"": pixels}, {})


@pytest.fixture(autouse=True)
def installed(monkeypatch) -> Any:
    plain = Instrument("plain", "no simulator", lambda *_: False, lambda *_: None, {}, Workflow(()))
    able = replace(plain, name="able", simulator=lambda: simulate)
    found = {one.name: Found(f"{one.name}:x", one) for one in (plain, able)}
    monkeypatch.setattr(nights, "discover", lambda: found)
    return found


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)])


def test_frames_become_files(tmp_path):
    done = run("able", "--out", tmp_path / "n", "--seed", 5)
    assert done.exit_code == 0, done.output
    assert f"2 files in {tmp_path / 'n'}" in done.output
    assert sorted(path.name for path in (tmp_path / "n").iterdir()) == ["f0.fits.fz", "f1.fits.fz"]


def test_choices_go_to_the_simulator(tmp_path):
    assert "3 files" in run("able", "-o", tmp_path / "n", "-c", "size=large").output


def test_what_a_simulator_does_not_know_is_told(tmp_path):
    done = run("able", "-o", tmp_path / "n", "-c", "colour=red")
    assert done.exit_code == 2
    assert "the simulator of able has no choice 'colour' (try: known are files, size)" in done.output
    assert "did you mean size?" in run("able", "-o", tmp_path / "n", "-c", "sise=large").output


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        ("size=huge", "size=huge: Input should be 'small' or 'large'"),
        ("files=two", "files=two: Input should be a valid integer"),
        ("files=10", "files=10 (at most nine files)"),
    ],
)
def test_a_value_that_no_night_can_have_is_told_with_the_choices_that_there_are(tmp_path, choice, why):
    done = run("able", "-o", tmp_path / "n", "-c", choice)
    assert done.exit_code == 2
    assert f"simulator of able: {why}" in done.output
    assert "its choices are size=small, files=2" in done.output
    assert not (tmp_path / "n").exists()


def test_words_become_the_numbers_that_a_simulator_wants(tmp_path):
    assert "3 files" in run("able", "-o", tmp_path / "n", "-c", "files=3").output


def test_instruments_without_a_simulator_are_told(tmp_path, monkeypatch, installed):
    assert (
        "no simulator of an instrument called 'ablle' (try: did you mean able?)" in run("ablle", "-o", tmp_path).output
    )
    monkeypatch.setattr(nights, "discover", lambda: {"plain": installed["plain"]})
    assert "no installed instrument has a simulator" in run("able", "-o", tmp_path).output


def test_one_instrument_offers_its_night_to_who_tries_the_system(monkeypatch):
    monkeypatch.setattr(nights, "discover", discover)  # what is installed
    first = [found.instrument.name for found in discover().values() if found.instrument.first_night]
    assert [nights.simulator(None).name] == first


@pytest.mark.parametrize("words", [("--size", "large"), ("--size=large",)])
def test_a_choice_may_be_an_option_of_its_own(tmp_path, words):
    done = run("able", *words, "-o", tmp_path / "n", "--seed", 5)
    assert "3 files" in done.output


@pytest.mark.parametrize("words", [("--size",), ("night",)])
def test_words_that_are_no_choice_are_told(tmp_path, words):
    done = run("able", "-o", tmp_path / "n", *words)
    assert done.exit_code == 2
    assert "is no choice with a value" in done.output
