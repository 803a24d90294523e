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
