"""Several frames of one lamp made one: a hit in one of them, and what each way costs."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.frame import Frame, RawFrame
from tracecube.instruments.sphere_ifs import exposure
from tracecube.instruments.sphere_ifs.detector_steps import DetectorMasters
from tracecube.instruments.sphere_ifs.workflow import workflow

LEVEL, NOISE, SHAPE = 100.0, 3.0, (200, 150)


@pytest.fixture
def combined(monkeypatch):
    """So many frames, the second of which was hit, combined by an algorithm."""

    def call(count: int, algorithm: int) -> Frame:
        def calibrated(raw, _masters, *, wave=None):
            del wave
            k = int(raw.name)
            data = LEVEL + np.random.default_rng(k).normal(0.0, NOISE, SHAPE)
            data[50, 60] += 1000.0 * (k == 1)
            cards = {"NCOMBINE": 10.0, "NOISEFLR": NOISE**2}
            plane = np.full(SHAPE, NOISE**2, np.float32)
            return Frame(data.astype(np.float32), plane, np.zeros(SHAPE, np.int32), cards), ()

        monkeypatch.setattr(exposure, "calibrated", calibrated)
        frames = [RawFrame(str(k), "WAVE", {}, {}, {}) for k in range(count)]
        return exposure.mean_frame(frames, DetectorMasters([], algorithm=algorithm))[0]

    return call


@pytest.mark.parametrize(("algorithm", "hit", "variance"), [(0, True, 0.2), (1, False, 0.1 * np.pi), (2, False, 0.2)])
def test_a_hit_in_one_of_five_and_the_noise_that_is_claimed(combined, algorithm, hit, variance):
    made = combined(5, algorithm)
    assert (made.data[50, 60] > LEVEL + 50.0) == hit
    assert np.median(made.variance) == pytest.approx(variance * NOISE**2)
    assert made.meta["NOISEFLR"] == pytest.approx(variance * NOISE**2)
    pull = (made.data - LEVEL) / np.sqrt(made.variance)
    pull[50, 60] = 0.0
    assert np.std(pull) == pytest.approx(1.0, abs=0.1)
    if algorithm == 2:
        assert made.variance[50, 60] == pytest.approx(0.25 * NOISE**2)


def test_of_two_no_one_can_say_which_was_hit(combined):
    assert all(np.array_equal(combined(2, algorithm).data, combined(2, 0).data) for algorithm in (1, 2))


@pytest.mark.parametrize("name", ["spectra_positions", "instrument_flat", "distortion_map"])
def test_it_is_chosen_by_the_observatorys_name(name):
    task = {"spectra_positions": "ifs_spectra_positions", "instrument_flat": "ifs_ifu_flat"}.get(name, f"ifs_{name}")
    [found] = (one for one in workflow.tasks if one.name == task)
    assert found.parameter_names()[f"ifs.{name}.coll_alg"] == "algorithm"


@pytest.mark.parametrize("algorithm", [1, 2])
def test_a_lamp_that_changes_leaves_bright_and_faint_pixels_what_they_are_to_each_other(monkeypatch, algorithm):
    across = 30.0 + 20000.0 * np.exp(-0.5 * (np.arange(SHAPE[1]) % 6 - 3.0) ** 2)
    levels = [0.97, 1.0, 1.06]

    def calibrated(raw, _masters, *, wave=None):
        del wave
        k = int(raw.name)
        light = np.tile(across * levels[k], (SHAPE[0], 1))
        data = light + np.random.default_rng(k).normal(0.0, 1.0, SHAPE) * np.sqrt(20.0 + light)
        data[50, 63] += 5000.0 * (k == 2)
        plane = (20.0 + light).astype(np.float32)
        cards = {"NCOMBINE": 1.0, "NOISEFLR": 20.0}
        return Frame(data.astype(np.float32), plane, np.zeros(SHAPE, np.int32), cards), ()

    monkeypatch.setattr(exposure, "calibrated", calibrated)
    frames = [RawFrame(str(k), "WAVE", {}, {}, {}) for k in range(3)]
    made = exposure.mean_frame(frames, DetectorMasters([], algorithm=algorithm))[0]
    seen = made.data.mean(axis=0) / across
    assert seen == pytest.approx(1.01, abs=0.02)
    assert np.mean(seen[3::6]) / np.mean(seen[::6]) == pytest.approx(1.0, abs=0.002)  # cores over what is beside
    assert made.data[50, 63] == pytest.approx(1.01 * across[63], rel=0.03)  # the hit is out, at the others' brightness
