"""The detector and what headers say of its exposures."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.frame import RawFrame
from tracecube.instruments.sphere_ifs.detectors import detector, exposure_of, known_linearity, lamp_wave
from tracecube.recipes.detector.array import blind_pixels
from tracecube.workflow.check import faults

CARDS = {"ESO DET SEQ1 DIT": 1.65, "ESO DET NDIT": 50, "ESO DET OUT1 GAIN": 1.9}


def raw(image: np.ndarray | None = None, **cards: object) -> RawFrame:
    image = np.zeros((4, 4), np.float32) if image is None else image
    return RawFrame("a", "DARK", {**CARDS, **cards}, {"": image}, {})


def test_outputs_tile_the_detector_and_all_have_reference_pixels():
    array = detector()
    assert array.shape == array.raw_shape == (2048, 2048)
    assert len(array.amplifiers) == 32
    covered = np.zeros(array.shape, int)
    for amplifier in array.amplifiers:
        amplifier.data.of(covered)[:] += 1
    assert (covered == 1).all()
    blind = blind_pixels(array)
    assert np.array_equal(blind, array.dark())
    assert blind.sum() == 2048**2 - 2040**2


def test_a_mean_and_a_plane_count_their_integrations():
    exposure, caveats = exposure_of(raw())
    assert (exposure.count, exposure.dit, exposure.gain, caveats) == (50, 1.65, 1.9, ())
    assert exposure_of(raw(PLANE=3))[0].count == 1


def test_a_gain_that_no_card_states_is_a_caveat():
    exposure, caveats = exposure_of(raw(**{"ESO DET OUT1 GAIN": None}))
    assert exposure.gain == 1.8
    assert "GAIN" in caveats[0]


def test_an_axis_of_one_plane_is_no_cube():
    assert exposure_of(raw(np.zeros((1, 4, 4), np.float32)))[0].raw.data.shape == (4, 4)
    with pytest.raises(BadData, match="3 planes"):
        exposure_of(raw(np.zeros((3, 4, 4), np.float32)))
    with pytest.raises(BadData, match="0 images"):
        exposure_of(RawFrame("a", "DARK", CARDS, {}, {}))
    with pytest.raises(MissingInput, match="NDIT"):
        exposure_of(raw(**{"ESO DET NDIT": None}))


def test_lamps_have_wavelengths():
    assert lamp_wave({"ESO INS2 COMB IFS": "CAL_NB4_2_YJH"}, "a") == 15450.0
    with pytest.raises(BadData, match="no detector-flat lamp"):
        lamp_wave({"ESO INS2 COMB IFS": "OBS_H"}, "a")


def test_known_linearity_starts_at_one_and_grows_less_sure():
    known = known_linearity()
    assert known.factor[0] == 1.0
    assert known.variance[0] == 0.0
    assert known.factor[-1] == pytest.approx(1.0204, abs=1e-4)
    assert (np.diff(known.variance) > 0).all()


def test_the_workflow_closes():
    from tracecube.instruments.sphere_ifs import instrument

    assert faults(instrument) == []
