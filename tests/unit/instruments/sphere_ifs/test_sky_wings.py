"""Spectra of the night have the wings of lines off, or say that these are in."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.optics import LineWings, WavelengthSolution
from tracecube.instruments.sphere_ifs import instrument, sky, wings_steps
from tracecube.recipes.extract.joint import Extraction
from tracecube.recipes.optics import laser_wings as measured

M = 40
WAVE = 9500.0 + 170.0 * np.arange(M)[None]
OFFSET = np.array([-5.0, -4.0, -3.0, 3.0, 4.0, 5.0])
WINGS = LineWings(np.array([9877.2, 13093.7]), np.array([0.9, 1.0]), OFFSET, np.full((2, 6), 0.005), np.zeros((2, 6)))


def seen() -> tuple[Extraction, WavelengthSolution]:
    """Even light with a dark band, whose line-spread function is 1.1 px wide with its wings."""
    none, flux = np.zeros((2, 2)), np.full((1, M), 100.0)
    flux[0, 15:22] = 5.0
    solution = WavelengthSolution(
        aperture=np.arange(1), start=np.zeros(1, int), dq=np.zeros(1, np.int32), wave=WAVE, error=np.ones((1, M)),
        lsf_sigma=np.full((1, M), 1.1),
        **{f"line_{name}": np.zeros(0) for name in ("aperture", "wave", "pixel", "residual", "error", "used")},
    )  # fmt: skip
    return Extraction(flux, np.ones((1, M)), np.zeros((1, M)), none, none, none.astype(bool), 1.0), solution


def test_dark_bands_lose_what_bright_neighbours_put_there_and_lines_are_their_cores() -> None:
    found, solution = seen()
    left, core, said = sky._without_wings(found, solution, WINGS)
    assert left.flux[0, 18] < found.flux[0, 18] - 1.5
    assert core.lsf_sigma[0, 0] == pytest.approx(0.9)
    assert core.lsf_sigma[0, -1] == pytest.approx(1.0)
    assert not said


def test_without_lasers_the_wings_stay_and_that_is_said() -> None:
    found, solution = seen()
    left, same, said = sky._without_wings(found, solution, None)
    assert left is found
    assert same.lsf_sigma[0, 0] == pytest.approx(1.1)
    assert "they stay in spectra" in said[0]


def test_every_frame_of_the_night_is_given_the_wings_and_does_without() -> None:
    tasks = {task.name: task for task in instrument.workflow.tasks}
    for name in ("ifs_coronagraph_center", "ifs_science_flux", "ifs_science", "ifs_standard_flux"):
        [rule] = (rule for rule in tasks[name].associations if rule.tags == ("LINE_WINGS",))
        assert rule.minimum == 0


def test_a_laser_frame_that_does_not_tell_is_a_caveat(monkeypatch: pytest.MonkeyPatch) -> None:
    def dark(*_: object) -> LineWings:
        raise BadData("lasers shine in 0 lenslets", hint="look at the WAVE,LAMP frame")

    one = np.zeros((1, M))
    matrix = SimpleNamespace(beside=lambda: None)
    monkeypatch.setattr("tracecube.instruments.sphere_ifs.exposure.mean_frame", lambda *_, **__: (
        SimpleNamespace(data=np.zeros((8, 8))), ()))  # fmt: skip
    monkeypatch.setattr("tracecube.recipes.detector.calibrate.noise_floor", lambda _: 1.0)
    monkeypatch.setattr("tracecube.recipes.extract.apertures.extract_by", lambda *_, **__: SimpleNamespace(flux=one))
    monkeypatch.setattr("tracecube.recipes.extract.joint.trace_matrix", lambda *_, **__: matrix)
    monkeypatch.setattr(measured, "laser_wings", dark)
    meta = {
        "INSTRUME": "SPHERE", "ESO SEQ ARM": "IFS", "ESO INS2 COMB IFS": "OBS_H", "ESO DPR CATG": "CALIB",
        "ESO DPR TYPE": "WAVE,LAMP", "ESO DPR TECH": "IFU", "DATE-OBS": "2018-11-18T13:46:43.304",
        "ESO DET SEQ1 DIT": 1.65, "ESO DET NDIT": 20,
    }  # fmt: skip
    traces = SimpleNamespace(centre=one + 1.0, start=np.zeros(1))
    made = wings_steps.line_wings(
        raw=[SimpleNamespace(name="w", tag="WAVE", meta=meta)], darks=[], traces=traces,
        wavelength=SimpleNamespace(wave=WAVE), pixel_map=SimpleNamespace(wave=one), params=wings_steps.Extracting(),
    )  # fmt: skip
    assert made.line_wings is None
    assert "wings of lines are not known: lasers shine in 0 lenslets" in made.caveats[0]
