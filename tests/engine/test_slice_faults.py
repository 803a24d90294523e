"""A simulated MUSE night with something wrong: what is missing is named, and the rest goes on."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest

from tracecube.archive.summary import RunSummary
from tracecube.cli.nights import simulator
from tracecube.core.frame import RawFrame
from tracecube.instruments.muse.simulation import exposing, night, readout
from tracecube.io.raw import write_raw
from tracecube.workflow.discover import Found, discover
from tracecube.workflow.executor import InProcess
from tracecube.workflow.jobs import PlannedJob
from tracecube.workflow.reduce import prepare, reduce_folder

SEED, CHANNELS = 5, "9,10"
WANTED = ("lamp_flat", "arc", "response", "preprocess_science", "science_sky", "object")


def installed() -> dict[str, Found]:
    return {"muse": discover()["muse"]}


@pytest.fixture
def unlit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nights of headers alone: images of four pixels a side."""
    chip = readout.make_chip(np.random.default_rng(1))
    nothing = readout.Hits(np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    spread = night.line_spread(night.draw_optics(np.random.default_rng(1), 9))
    monkeypatch.setattr(night, "line_spread", lambda _: spread)
    monkeypatch.setattr(readout, "make_chip", lambda _: chip)
    monkeypatch.setattr(readout, "expose", lambda *_: (np.zeros((4, 4), np.uint16), nothing))
    for name in ("flat_light", "arc_light", "twilight_light", "night_light"):
        monkeypatch.setattr(exposing, name, lambda *_: None)


def planned(folder: Path, faults: str) -> dict[str, list[PlannedJob]]:
    """Jobs of a night by task."""
    for frame in simulator("muse").simulate(seed=SEED, ifus=CHANNELS, faults=faults):  # type: ignore[misc]
        if not frame.name.startswith("truth/"):
            write_raw(folder / "raw", frame)
    found: dict[str, list[PlannedJob]] = {}
    for job in prepare(folder / "raw", folder / "out", installed(), targets=("science",)).plan.jobs:
        found.setdefault(job.task.name, []).append(job)
    return found


def write_wcs(folder: Path, name: str, scale: float) -> None:
    """Write a table of the observatory that tells scale and turn of a field (degree a spaxel)."""
    cards = {"INSTRUME": "MUSE", "ESO PRO CATG": "ASTROMETRY_WCS", "CD1_1": -scale, "CD2_2": scale}
    cards |= {"CD1_2": 0.0, "CD2_1": 0.0, "CRPIX1": 0.0, "CRPIX2": 0.0}
    write_raw(folder / "raw", RawFrame(f"{name}.fits", "ASTROMETRY_WCS", cards, {}, {}))


def bound(job: PlannedJob, argument: str) -> list[str]:
    return [item.name for one in job.bindings if one.role == argument for item in one.items]


def test_a_whole_night_can_be_reduced(unlit: None, tmp_path: Path) -> None:
    jobs = planned(tmp_path, "")
    assert all(job.complete for task in WANTED for job in jobs[task])
    assert len(jobs["object"]) == 2
    assert len(jobs["preprocess_science"]) == 4
    assert bound(jobs["preprocess_science"][0], "illum")


def test_the_astrometry_of_its_own_field_goes_with_an_exposure(unlit: None, tmp_path: Path) -> None:
    write_wcs(tmp_path, "wide", 0.2 / 3600.0)
    write_wcs(tmp_path, "narrow", 0.025 / 3600.0)
    jobs = planned(tmp_path, "")
    assert [bound(job, "astrometry") for job in jobs["object"]] == [["wide"], ["wide"]]


def test_what_an_exposure_can_do_without_is_left_out(unlit: None, tmp_path: Path) -> None:
    jobs = planned(tmp_path, "no_illum+no_twilight+no_sky_lines+no_sky+missing_lamp")
    assert all(job.complete for task in WANTED for job in jobs[task])
    assert "sky_flat" not in jobs
    assert not bound(jobs["preprocess_science"][0], "illum")
    assert not bound(jobs["science_sky"][0], "sky_lines")
    assert not any("Xe" in name for name in bound(jobs["arc"][0], "raw"))
    assert len(jobs["object"]) == 2


def test_without_a_standard_star_cubes_are_said_to_be_incomplete(unlit: None, tmp_path: Path) -> None:
    jobs = planned(tmp_path, "no_std")
    assert all("no STD in the raw folder (try: a standard star)" in str(job.missing[0]) for job in jobs["object"])
    assert all(job.complete for job in jobs["science_sky"])


def test_an_exposure_that_is_there_twice_is_taken_once(unlit: None, tmp_path: Path) -> None:
    assert len(planned(tmp_path, "duplicate")["object"]) == 2


def test_an_exposure_without_a_channel_is_made_of_the_others(unlit: None, tmp_path: Path) -> None:
    jobs = planned(tmp_path, "missing_channel")
    assert [len(bound(job, "exposures")) for job in sorted(jobs["object"], key=lambda job: job.name)] == [2, 1]


def reasons(summary: RunSummary) -> str:
    return "\n".join(str(result.reason) for result in summary.results if result.reason)


def test_a_dead_chip_and_a_file_that_ends_too_early_are_named(tmp_path: Path) -> None:
    frames = simulator("muse").simulate(seed=SEED, ifus=CHANNELS, faults="dead_chip", size="night")  # type: ignore[misc]
    paths = [write_raw(tmp_path / "raw", one) for one in takewhile(lambda one: one.name < "bias4", frames)]
    paths[0].write_bytes(paths[0].read_bytes()[:40_000_000])
    summary = reduce_folder(tmp_path / "raw", tmp_path / "out", InProcess(), targets=["bias"], instruments=installed)
    assert [result.label for result in summary.of("done")] == ["bias 20190122_1-1_CHAN09"]
    assert "its chip is not live (ESO DET CHIP LIVE)" in reasons(summary)
    [refused] = summary.unclassified
    assert "bias0" in str(refused.reason)
