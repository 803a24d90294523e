"""Several nights in one folder: the same night's calibrations, else the closest within the user's window."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from tracecube.instruments.virus.simulation.geometry import AMPS, Pointing
from tracecube.instruments.virus.simulation.headers import Unit, frame_name, header
from tracecube.instruments.virus.simulation.schedule import Shot, schedule
from tracecube.io.raw import write_raw
from tracecube.simulate.night import raw_image
from tracecube.workflow.discover import discover
from tracecube.workflow.jobs import PlannedJob
from tracecube.workflow.reduce import prepare

UNIT = Unit(47, 308, "024", "S/N 0087", 0.0, 0.0, False, dict.fromkeys(AMPS, 1.2), dict.fromkeys(AMPS, 2.7))
SPECTRA = "virus_spectra"


def take(folder: Path, day: int, *kinds: str) -> None:
    """Write the left CCD's frames of some kinds: headers alone, for nothing is reduced."""
    for shot in schedule(0, "small", 1, ("Hg", "Cd-A")):
        moved = Shot(**{**shot.__dict__, "start": shot.start + timedelta(days=day)})
        if moved.kind in kinds:
            name = frame_name(moved, UNIT.slot, "LL", archived=False)
            cards = header(moved, UNIT, "LL", Pointing(150.0, 50.0, 70.0))
            write_raw(folder, raw_image(name, "", cards, np.full((4, 4), 20 + day, np.uint16)))


def spectra_of(folder: Path, day: str, **windows: float) -> PlannedJob:
    plan = prepare(folder, Path("/out"), discover(), settings={"virus": windows}).plan
    return next(job for job in plan.jobs if job.task.name == SPECTRA and job.night == day)


def nights(job: PlannedJob) -> dict[str, tuple[str | None, int]]:
    return {binding.role: (binding.items[0].night, binding.level) for binding in job.bindings}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Calibrations of 14, 20 and 24 January, darks of 1 January only; observations of 14, 22 and 30 January."""
    made = tmp_path_factory.mktemp("nights")
    take(made, -13, "zro", "drk")
    for day in (0, 6, 10):
        take(made, day, "flt", "cmp", "twi")
    for day in (0, 8, 16):
        take(made, day, "sci")
    return made


def test_the_same_night_comes_first_then_the_closest(folder: Path) -> None:
    assert nights(spectra_of(folder, "2020-01-14")) == {
        "raw": ("2020-01-14", 0),
        "dark": ("2020-01-01", 1),
        "traces": ("2020-01-14", 0),
        "wavelength": ("2020-01-14", 0),
    }
    # taken at 22 h of the 20th and of the 24th, and wanted at 6 h of the 22nd: 1.3 and 2.7 days
    assert nights(spectra_of(folder, "2020-01-22"))["traces"] == ("2020-01-20", 1)


def test_what_lies_without_the_window_is_not_taken_and_the_window_is_named(folder: Path) -> None:
    late = spectra_of(folder, "2020-01-30")
    assert not late.complete
    assert "1 MASTER_DARK found" in str(late.missing[0])
    assert "between -21 and 21 days of it (window dark_days)" in str(late.missing[0])
    assert nights(spectra_of(folder, "2020-01-30", dark_days=30))["dark"] == ("2020-01-01", 1)


def test_windows_are_the_users(folder: Path) -> None:
    assert not spectra_of(folder, "2020-01-22", lamp_days=1).complete
    assert spectra_of(folder, "2020-01-22", lamp_days=1.5).complete
    assert not spectra_of(folder, "2020-01-14", dark_days=10).complete


def traces_of(folder: Path, **settings: object) -> tuple[str, int]:
    plan = prepare(folder, Path("/out"), discover(), settings={"virus": settings}).plan
    job = next(job for job in plan.jobs if job.task.name == SPECTRA)
    [found] = [one for one in job.bindings if one.role == "traces"]
    return found.items[0].tag, found.level


def test_without_a_lamp_the_twilight_tells_the_traces_and_where_users_say_so(tmp_path: Path) -> None:
    take(tmp_path, 0, "zro", "drk", "cmp", "twi", "sci")
    assert traces_of(tmp_path) == ("TWILIGHT_TRACES", 2)
    take(tmp_path, 0, "flt")
    assert traces_of(tmp_path) == ("TRACES", 0)
    assert traces_of(tmp_path, traces="twilight") == ("TWILIGHT_TRACES", 0)
