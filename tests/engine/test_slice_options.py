"""Ways that users choose on a MUSE night: what each takes, and what it does without."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tracecube.cli.nights import simulator
from tracecube.core.frame import RawFrame
from tracecube.instruments.muse.simulation import exposing, night, readout
from tracecube.io.raw import write_raw
from tracecube.workflow.discover import discover
from tracecube.workflow.jobs import PlannedJob
from tracecube.workflow.reduce import prepare

Jobs = dict[str, list[PlannedJob]]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A night of one channel, of headers alone: images of four pixels a side."""
    folder = tmp_path_factory.mktemp("night") / "raw"
    with pytest.MonkeyPatch.context() as patch:
        chip = readout.make_chip(np.random.default_rng(1))
        nothing = readout.Hits(np.zeros(0, int), np.zeros(0, int), np.zeros(0))
        spread = night.line_spread(night.draw_optics(np.random.default_rng(1), 9))
        patch.setattr(night, "line_spread", lambda _: spread)
        patch.setattr(readout, "make_chip", lambda _: chip)
        patch.setattr(readout, "expose", lambda *_: (np.zeros((4, 4), np.uint16), nothing))
        for name in ("flat_light", "arc_light", "twilight_light", "night_light"):
            patch.setattr(exposing, name, lambda *_: None)
        for frame in simulator("muse").simulate(seed=5, ifus="9"):  # type: ignore[misc]
            if not frame.name.startswith("truth/"):
                write_raw(folder, frame)
    return folder


@pytest.fixture(scope="module")
def planned(raw: Path, tmp_path_factory: pytest.TempPathFactory):
    """Jobs of the night by task, as options and target want it."""

    @cache
    def call(choice: str = "", target: str = "science") -> Jobs:
        name, _, value = choice.partition("=")
        chosen = {"muse": {name: value}} if name else {}
        out = tmp_path_factory.mktemp("out")
        jobs: Jobs = {}
        for job in prepare(raw, out, {"muse": discover()["muse"]}, targets=(target,), settings=chosen).plan.jobs:
            jobs.setdefault(job.task.name, []).append(job)
        return jobs

    return call


def bound(jobs: Jobs, task: str, argument: str) -> set[int]:
    """In how many items an argument is bound, by job of a task."""
    return {sum(len(one.items) for one in job.bindings if one.role == argument) for job in jobs[task]}


@pytest.mark.parametrize(
    ("choice", "task", "argument", "count"),
    [
        ("", "preprocess_science", "dark", 1), ("", "preprocess_science", "dark_model", 1),
        ("use_darks=hot", "preprocess_science", "dark", 1),
        ("use_darks=hot", "preprocess_science", "dark_model", 0), ("use_darks=no", "preprocess_science", "dark", 0),
        ("", "preprocess_science", "twilight", 1), ("use_skyflats=no", "preprocess_science", "twilight", 0),
        ("", "science_sky", "sky_exposure", 1), ("skysubtraction=own", "science_sky", "sky_exposure", 0),
        ("skysubtraction=model", "science_sky", "sky_exposure", 1),
        ("", "object", "factors", 0), ("autocalibration=deepfield", "object", "factors", 1),
        ("autocalibration=closest_sky", "object", "factors", 1), ("telluric_correction=no", "object", "telluric", 0),
        ("recompute_geometry=yes", "object", "geometry", 1), ("use_linearity=yes", "bias", "linearity", 0),
    ],
)  # fmt: skip
def test_what_an_option_takes(planned, choice, task, argument, count):
    jobs = planned(choice)
    assert bound(jobs, task, argument) == {count}
    assert all(job.complete for job in jobs["object"])


def test_factors_of_a_user_are_asked_for_where_they_are_wanted(planned):
    assert all("AUTOCAL_FACTORS" in str(job.missing[0]) for job in planned("autocalibration=user")["object"])


def test_factors_of_the_closest_sky_are_made_of_it(planned):
    assert len(planned("autocalibration=closest_sky")["autocalibration_from_object_sky"]) == 1


def test_skies_can_be_science(planned):
    jobs = planned("", "sky_science")
    assert [job.complete for job in jobs["object_sky"]] == [True]


@pytest.mark.parametrize(("category", "count"), [("OUTPUT_WCS", 1), ("OFFSET_LIST", 1), ("FILTER_LIST", 0)])
def test_a_single_exposure_is_put_on_a_grid_or_moved_where_that_is_asked_for(raw, tmp_path, category, count):
    folder = tmp_path / "raw"
    folder.mkdir()
    for path in raw.iterdir():
        if path.name.partition(".")[0] not in {"object1", "filter_list"}:
            (folder / path.name).symlink_to(path)
    write_raw(folder, RawFrame("asked.fits", category, {"INSTRUME": "MUSE", "ESO PRO CATG": category}, {}, {}))
    jobs = [job.task.name for job in prepare(folder, tmp_path / "out", {"muse": discover()["muse"]}).plan.jobs]
    for task in ("alignment", "object_combination"):
        assert jobs.count(task) == count
    assert jobs.count("object") == 1


@pytest.mark.parametrize(
    ("choices", "target", "idle"),
    [
        ({}, "science", []),
        ({"lsfmode": "arc"}, "science", ["lsfmode=arc"]),  # no laser shines in this mode
        ({"recompute_geometry": "yes", "use-linearity": True}, "science", ["recompute_geometry=yes", "use_linearity"]),
        ({"use_skyflats": "no", "use_darks": "hot", "wavelength_min": "5000"}, "science", []),
        ({"use_darks": "yes", "max_separation_WFM": "80"}, "science", []),  # as they are without a word; a limit
        ({"telluric_correction": "no"}, "calibration", ["telluric_correction=no"]),
        ({"telluric_correction": "no", "autocalibration": "closest_sky"}, "science", []),
    ],
)
def test_what_is_chosen_and_changes_nothing_is_told(raw, tmp_path, choices, target, idle):
    told = prepare(raw, tmp_path, discover(), targets=(target,), settings={"muse": choices}).idle
    assert len(told) == len(idle)
    assert all(f"muse.{name}" in line and "changes nothing here" in line for name, line in zip(idle, told, strict=True))


def test_options_and_parameters_of_instruments_without_a_file_here_are_no_hindrance(raw, tmp_path):
    settings = {"muse": {"lsfmode": "arc"}, "ifs_dark": {}, "sphere_ifs": {}}
    assert len(prepare(raw, tmp_path, discover(), settings=settings).idle) == 1
