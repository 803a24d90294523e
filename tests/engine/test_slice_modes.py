"""MUSE nights with the laser: which calibrations without it serve, as the observatory's rules have it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from tracecube.cli.nights import simulator
from tracecube.instruments.muse.simulation import exposing, night, readout
from tracecube.io.raw import write_raw
from tracecube.workflow.discover import discover
from tracecube.workflow.jobs import PlannedJob
from tracecube.workflow.reduce import prepare

Jobs = dict[str, list[PlannedJob]]

LASER = "WFM-AO-N"
AT_NIGHT = dict.fromkeys(("OBJECT", "STD", "SKY", "FLAT"), LASER)
"""Tags that a night with the laser must have of its own mode."""


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Mapping[str, str]], Jobs]:
    """Jobs by task of a night of headers alone, with other modes for some tags."""
    chip = readout.make_chip(np.random.default_rng(1))
    nothing = readout.Hits(np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    spread = night.line_spread(night.draw_optics(np.random.default_rng(1), 9))
    monkeypatch.setattr(night, "line_spread", lambda _: spread)
    monkeypatch.setattr(readout, "make_chip", lambda _: chip)
    monkeypatch.setattr(readout, "expose", lambda *_: (np.zeros((4, 4), np.uint16), nothing))
    for name in ("flat_light", "arc_light", "twilight_light", "night_light"):
        monkeypatch.setattr(exposing, name, lambda *_: None)

    def call(modes: Mapping[str, str], mode: str = "WFM-NOAO-N") -> Jobs:
        for frame in simulator("muse").simulate(seed=5, ifus="9", mode=mode):  # type: ignore[misc]
            if frame.tag in modes:
                frame.meta["ESO INS MODE"] = modes[frame.tag]  # type: ignore[index]
            if not frame.name.startswith("truth/"):
                write_raw(tmp_path / "raw", frame)
        jobs: Jobs = {}
        own = {"muse": discover()["muse"]}
        for job in prepare(tmp_path / "raw", tmp_path / "out", own, targets=("science",)).plan.jobs:
            jobs.setdefault(job.task.name, []).append(job)
        return jobs

    return call


def bound(job: PlannedJob, argument: str) -> list[str]:
    return [item.name for one in job.bindings if one.role == argument for item in one.items]


def test_arcs_and_illumination_flats_without_the_laser_serve_exposures_with_it(planned) -> None:
    jobs = planned(AT_NIGHT)
    assert [job.complete for job in jobs["object"]] == [True, True]
    for task in ("preprocess_science", "preprocess_standard", "object", "response"):
        assert all(bound(job, "wavelengths") for job in jobs[task])
    assert all(bound(job, "illum") == ["illum_CHAN09"] for job in jobs["preprocess_science"])
    assert max(job.level for job in jobs["object"]) == 0


def test_twilights_without_the_laser_serve_exposures_with_it(planned) -> None:
    jobs = planned(dict.fromkeys(("OBJECT", "STD", "SKY", "ILLUM"), LASER))
    assert all(bound(job, "twilight") for job in jobs["preprocess_science"])
    assert not any(job.complete for job in jobs["preprocess_science"])  # the flat is to be of the mode
    assert any("FLAT" in str(lack) for lack in jobs["preprocess_science"][0].missing)


@pytest.mark.parametrize("other", ["WFM-NOAO-E", "NFM-AO-N"])
def test_arcs_of_another_range_or_field_do_not(planned, other: str) -> None:
    jobs = planned({**AT_NIGHT, "ARC": other})
    assert not any(job.complete for job in jobs["preprocess_science"])
    assert any("arcs of this channel" in str(lack) for lack in jobs["preprocess_science"][0].missing)


def test_calibrations_of_the_mode_come_first(planned) -> None:
    both = planned({**AT_NIGHT, "SKYFLAT": LASER, "ARC": LASER, "FLAT": "WFM-NOAO-N"})
    assert not any(bound(job, "flat") for job in both["preprocess_science"])
    assert all(LASER in bound(job, "wavelengths")[0] for job in both["preprocess_science"])
    assert all("NOAO" in bound(job, "traces")[0] for job in both["arc"])


def test_a_simulated_night_with_the_laser_has_arcs_without_it(planned) -> None:
    jobs = planned({}, mode=LASER)
    assert [job.complete for job in jobs["object"]] == [True, True]
    assert all("NOAO" in bound(job, "wavelengths")[0] for job in jobs["preprocess_science"])
    assert all(LASER in bound(job, "flat")[0] for job in jobs["preprocess_science"])


def test_a_night_with_the_laser_alone_has_a_flat_for_its_twilights(planned) -> None:
    jobs = planned({}, mode=LASER)
    assert [bound(job, "flat") for job in jobs["sky_flat"]] == [
        [name] for name in bound(jobs["preprocess_science"][0], "flat")
    ]
    for task in ("preprocess_science", "preprocess_standard", "preprocess_sky"):
        assert all(bound(job, "twilight") for job in jobs[task])
