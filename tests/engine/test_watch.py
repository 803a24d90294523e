"""A watched night comes to the products of one run, whatever the order and the state in which its files come."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tracecube.archive import queries
from tracecube.archive.ledger import Ledger
from tracecube.workflow.arrival import Arrivals
from tracecube.workflow.executor import InProcess
from tracecube.workflow.reduce import reduce_folder
from tracecube.workflow.watch import Pace, Turn, watch_folder

PACE = Pace(poll=1.0, settle=2.0, quiet=30.0, patience=100.0, idle=40.0)
ORDER = ["b0", "b1", "b2", "stars", "l0", "l1", "std0", "std1", "sci0", "g0", "sci1", "sci2"]


class Observatory:
    """A clock of its own, and what happens when it comes to certain moments."""

    def __init__(self) -> None:
        self.now = time.time()
        self.events: list[tuple[float, Callable[[], None]]] = []

    def clock(self) -> float:
        return self.now

    def at(self, seconds: float, event: Callable[[], None]) -> None:
        self.events.append((self.now + seconds, event))

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        due = [event for moment, event in self.events if moment <= self.now]
        self.events = [one for one in self.events if one[0] > self.now]
        for event in due:
            event()

    def put(self, source: Path, folder: Path, *, share: float = 1.0) -> Path:
        """Write a file now, or its beginning."""
        content = source.read_bytes()
        target = folder / source.name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(content[: int(len(content) * share)])
        os.utime(target, (self.now, self.now))
        return target


@pytest.fixture
def observatory() -> Observatory:
    return Observatory()


@pytest.fixture
def watched(installed, observatory, tmp_path) -> Callable[..., list[Turn]]:
    """Watch a folder until nothing comes any more."""

    def call(folder: Path, out: Path, **choices: Any) -> list[Turn]:
        world = {"clock": observatory.clock, "sleep": observatory.sleep, "instruments": installed}
        return list(watch_folder(folder, out, InProcess(), pace=PACE, **world, **choices))

    return call


def source(raw: Path, stem: str) -> Path:
    return next(raw.glob(f"{stem}.*"))


def made(turns: list[Turn]) -> list[list[str]]:
    return [[one.label for one in turn.summary.results if one.state == "done"] for turn in turns]


def test_file_by_file_as_at_once(raw, tmp_path, observatory, watched, reduced, toy):
    folder = tmp_path / "arriving"
    for turn, stem in enumerate(ORDER):
        observatory.at(1 + 10 * turn, lambda stem=stem: observatory.put(source(raw, stem), folder))
    turns = watched(folder, tmp_path / "watched")
    assert reduced(raw, tmp_path / "batch", also=("calibration",)).good
    assert toy.hashes(tmp_path / "watched") == toy.hashes(tmp_path / "batch")
    labels = [label for some in made(turns) for label in some]
    assert sum(label.startswith("bias") for label in labels) == 1, "the biases are averaged once, when all are in"
    assert turns[-1].summary.good


def test_masters_wait_for_their_frames_but_not_for_a_target(raw, tmp_path, observatory, watched):
    folder = tmp_path / "arriving"
    for turn, stem in enumerate(("b0", "b1", "b2")):
        observatory.at(1 + 20 * turn, lambda stem=stem: observatory.put(source(raw, stem), folder))
    turns = watched(folder, tmp_path / "out")
    assert [len(turn.held) for turn in turns[:3]] == [1, 2, 3]
    assert [label.split()[0] for label in made(turns)[-1]] == ["bias"]
    assert len(turns) == 4, "one turn a frame, and one when no more came"


def test_a_frame_of_another_kind_closes_a_group(raw, tmp_path, observatory, installed):
    folder = tmp_path / "arriving"
    started = observatory.now
    observatory.at(1, lambda: [observatory.put(source(raw, stem), folder) for stem in ("b0", "b1", "b2")])
    observatory.at(6, lambda: observatory.put(source(raw, "l0"), folder))
    world = {"clock": observatory.clock, "sleep": observatory.sleep, "instruments": installed}
    turns = watch_folder(folder, tmp_path / "out", InProcess(), pace=PACE, **world)
    moments = [(observatory.now - started, made([turn])[0]) for turn in turns]
    [(moment, _)] = [one for one in moments if any(label.startswith("bias") for label in one[1])]
    assert moment < 12, "not after the quiet time"


def test_half_a_file_waits_until_it_is_whole(raw, tmp_path, observatory, watched, reduced, toy):
    folder = tmp_path / "arriving"
    observatory.at(1, lambda: [observatory.put(source(raw, stem), folder) for stem in ORDER if stem != "sci1"])
    observatory.at(2, lambda: observatory.put(source(raw, "sci1"), folder, share=0.55))
    observatory.at(20, lambda: observatory.put(source(raw, "sci1"), folder))
    turns = watched(folder, tmp_path / "watched")
    assert any(path.endswith("sci1.fits") for path in turns[0].unwhole)
    assert not any(one.name == "sci1" for one in turns[0].summary.results)
    assert turns[-1].summary.good
    reduced(raw, tmp_path / "batch", also=("calibration",))
    assert toy.hashes(tmp_path / "watched") == toy.hashes(tmp_path / "batch")


def test_a_file_that_stays_half_is_told_and_the_rest_goes_on(raw, tmp_path, observatory, watched):
    folder = tmp_path / "arriving"
    observatory.at(1, lambda: [observatory.put(source(raw, stem), folder) for stem in ORDER if stem != "sci1"])
    observatory.at(2, lambda: observatory.put(source(raw, "sci1"), folder, share=0.55))
    turns = watched(folder, tmp_path / "watched")
    [damaged] = turns[-1].summary.unclassified
    assert damaged.path.endswith("sci1.fits")
    assert "truncated" in str(damaged.reason)
    assert {one.name for one in turns[-1].summary.of("done", "reused")} >= {"sci0", "sci2"}


def test_what_failed_is_not_tried_again_with_the_same_files(raw, tmp_path, observatory, watched, toy):
    folder = tmp_path / "arriving"
    observatory.at(1, lambda: [observatory.put(source(raw, stem), folder) for stem in ORDER[:8]])
    toy.write_frame(tmp_path / "more", "bad", "SCIENCE", minutes=40, seed=50, OBJECT="FAINT")
    observatory.at(2, lambda: observatory.put(tmp_path / "more" / "bad.fits", folder))
    observatory.at(20, lambda: observatory.put(source(raw, "sci0"), folder))
    turns = watched(folder, tmp_path / "out")
    failures = [turn.summary.of("failed") for turn in turns if turn.summary.of("failed")]
    assert len(failures) >= 2
    assert len({one.job_id for some in failures for one in some}) == 1, "one job in the ledger, told at every turn"


def test_calibrations_of_an_earlier_night_until_there_are_tonights(raw, tmp_path, observatory, watched, reduced, toy):
    out = tmp_path / "out"
    assert reduced(raw, out).good
    later = {"NIGHT": "2021-04-22"}
    tonight = tmp_path / "tonight"
    toy.write_frame(tonight, "t_sci", "SCIENCE", minutes=1470, seed=60, OBJECT="SN9", **later)
    turns = watched(tonight, out)
    done = {one.task: one for one in turns[-1].summary.of("done")}
    assert turns[-1].summary.good
    caveats = [text for one in done.values() for text in one.caveats]
    assert any("that of the night 2021-04-21" in text for text in caveats)
    with Ledger.open(out) as ledger:
        tags = [one.tag for one in queries.products(ledger) if one.raw == "t_sci"]
        assert "SPECTRUM" in tags
        assert [one.raw for one in queries.products(ledger, tag="SPECTRUM_UNCAL")].count("sci0") == 1
    for number in range(3):
        toy.write_frame(tonight, f"t_b{number}", "BIAS", minutes=1440 + number, seed=70 + number, EXPTIME=0.0, **later)
    turns = watched(tonight, out)
    star = next(one for one in turns[-1].summary.results if one.name == "t_sci" and one.task == done_task(done))
    assert not any("master_bias" in text for text in star.caveats)


def done_task(done):
    return next(task for task, one in done.items() if any("master_bias" in text for text in one.caveats))


def test_without_earlier_nights_the_same_is_incomplete(raw, tmp_path, reduced, toy):
    out, tonight = tmp_path / "out", tmp_path / "tonight"
    assert reduced(raw, out).good
    toy.write_frame(tonight, "t_sci", "SCIENCE", minutes=1470, seed=60, OBJECT="SN9", NIGHT="2021-04-22")
    assert not reduced(tonight, out).good
    assert reduced(tonight, out, earlier=True).good


def test_a_night_lends_itself_nothing(raw, tmp_path, reduced):
    """Its own products of a run on another folder are no calibrations of another night."""
    out, again = tmp_path / "out", tmp_path / "again"
    assert reduced(raw, out).good
    shutil.copytree(raw, again, ignore=shutil.ignore_patterns("l?.fits"))
    summary = reduced(again, out, earlier=True)
    assert not summary.good, "a lamp is missing"
    assert not any("that of the night" in text for one in summary.results for text in one.caveats)


def test_a_run_after_a_watch_that_left_files_finds_them(raw, tmp_path, observatory, installed, reduced):
    folder, out = tmp_path / "arriving", tmp_path / "out"
    for stem in ("b0", "b1", "b2"):
        observatory.put(source(raw, stem), folder)
    world = {"clock": observatory.clock, "sleep": observatory.sleep, "instruments": installed}
    first = next(watch_folder(folder, out, InProcess(), pace=PACE, **world))
    assert len(first.held) == 3
    summary = reduce_folder(folder, out, InProcess(), also=("calibration",), instruments=installed)
    assert [one.task for one in summary.of("done")] == ["bias"]


def test_archives_and_compressed_files_are_looked_into(raw, tmp_path):
    moment = 1e9
    arrivals = Arrivals(settle=2.0, patience=100.0, clock=lambda: moment)
    whole, half = tmp_path / "whole.fits.gz", tmp_path / "half.fits.gz"
    packed = gzip.compress(source(raw, "b0").read_bytes())
    whole.write_bytes(packed)
    half.write_bytes(packed[:-20])
    for path in (whole, half):
        os.utime(path, (moment - 10, moment - 10))
    assert arrivals.waiting([str(whole), str(half)]) == {str(half)}
    moment += 200.0
    assert arrivals.waiting([str(whole), str(half)]) == frozenset()
    assert arrivals.waiting([str(tmp_path / "gone.fits")]) == {str(tmp_path / "gone.fits")}


def test_killed_and_started_again(raw, tmp_path, toy, reduced):
    folder, out = tmp_path / "arriving", tmp_path / "out"
    folder.mkdir()
    fast = ("--poll", "0.05", "--settle", "0.1", "--quiet", "0.5", "-j", "0", "--no-report")
    line = toy.command("watch", folder, "-o", out, *fast)
    for stem in ORDER[:10]:
        shutil.copy(source(raw, stem), folder)
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while "->" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    process.stdout.close()
    for stem in ORDER[10:]:
        shutil.copy(source(raw, stem), folder)
    ended = subprocess.run([*line, "--idle", "0.5"], capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "SN2: spectrum" in ended.stdout
    assert reduced(raw, tmp_path / "batch", also=("calibration",)).good
    assert toy.hashes(out) == toy.hashes(tmp_path / "batch")
