from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tracecube.core.detector import Detector
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.recipes.detector.badpixels import BadPixelParams
from tracecube.recipes.detector.bias import BiasParams, combine_biases
from tracecube.recipes.detector.calibrate import calibrate_frame, noise_floor, with_variance

Shoot = Callable[..., RawFrame]


@pytest.fixture(scope="session")
def bias(detector: Detector, shoot: Shoot) -> Frame:
    frames = [shoot(f"b{i}", seed=i) for i in range(5)]
    return combine_biases(frames, detector, BiasParams(), noise_range=(3.0, 6.0)).master_bias


@pytest.fixture(scope="session")
def calibrated(detector: Detector, shoot: Shoot, bias: Frame, light: np.ndarray) -> Frame:
    return calibrate_frame(shoot("a", light, seed=77), bias, detector=detector)


def test_electrons_and_their_variance(calibrated: Frame, light: np.ndarray) -> None:
    lit = calibrated.flags == 0
    pull = (calibrated.data - light)[lit] / np.sqrt(calibrated.variance[lit])
    assert np.mean(pull) == pytest.approx(0.0, abs=0.03)
    assert np.std(pull) == pytest.approx(1.0, abs=0.05)
    dark = lit & (light < 1.0)
    assert np.std(pull[dark[lit]]) == pytest.approx(1.0, abs=0.05)


def test_floor_is_read_noise_and_what_the_bias_adds(calibrated: Frame) -> None:
    assert noise_floor(calibrated) == pytest.approx(16.0 + 4.0 / 12.0, rel=0.08)


def test_covered_columns_are_flagged_not_illuminated(calibrated: Frame) -> None:
    assert np.all(calibrated.flags[:, 240:] == Flag.NOT_ILLUMINATED)
    assert not np.any(calibrated.flags[:, :240])


def test_drift_of_the_level_is_followed(detector: Detector, shoot: Shoot, bias: Frame) -> None:
    raw = shoot("a", seed=9)
    raw.data[:] += 7  # adu
    assert np.median(calibrate_frame(raw, bias, detector=detector).data) == pytest.approx(0.0, abs=0.5)


def test_saturation_and_non_linearity(detector: Detector, shoot: Shoot, bias: Frame, light: np.ndarray) -> None:
    raw = shoot("a", light, seed=3)
    raw.data[10, 10:12] = 65535
    raw.data[20, 20] = 52000
    flags = calibrate_frame(raw, bias, detector=detector).flags
    assert flags[10, 10] == Flag.SATURATED | Flag.NON_LINEAR
    assert flags[20, 20] == Flag.NON_LINEAR


def test_saturated_lamp_is_refused_by_name(detector: Detector, shoot: Shoot, bias: Frame, light: np.ndarray) -> None:
    raw = shoot("dome1", light * 1000.0)
    with pytest.raises(BadData, match=r"dome1: .* per cent of the pixels are saturated") as error:
        calibrate_frame(raw, bias, detector=detector)
    assert "expose for less time" in error.value.hint


def test_gain_must_be_that_of_the_bias(detector: Detector, shoot: Shoot, bias: Frame) -> None:
    with pytest.raises(BadData, match=r"its master bias has 2\.0"):
        calibrate_frame(shoot("a", GAIN=1.0), bias, detector=detector)
    with pytest.raises(MissingInput, match="GAIN"):
        calibrate_frame(shoot("a", GAIN=None), bias, detector=detector)
    with pytest.raises(MissingInput, match="BIASLEV1"):
        calibrate_frame(shoot("a"), replace(bias, meta={"GAIN": 2.0}), detector=detector)


def test_lasting_flags_of_calibrations_hold(detector: Detector, shoot: Shoot, bias: Frame, calibrated: Frame) -> None:
    dome = replace(calibrated, flags=calibrated.flags.copy())
    dome.flags[5, 5] = Flag.BAD_PIXEL
    dome.flags[6, 6] = Flag.COSMIC_RAY  # of the dome alone
    flags = calibrate_frame(shoot("a"), bias, detector=detector, bad=[dome]).flags
    assert flags[5, 5] == Flag.BAD_PIXEL
    assert flags[6, 6] == 0


def test_hot_column_of_the_frame_itself(detector: Detector, shoot: Shoot, bias: Frame) -> None:
    raw = shoot("a", seed=6)
    raw.data[:, 90] += 20
    flags = calibrate_frame(raw, bias, detector=detector, columns=BadPixelParams(rows=64)).flags
    assert np.all(flags[:, 90] == Flag.BAD_PIXEL)
    assert np.count_nonzero(flags & int(Flag.BAD_PIXEL)) == 256


def test_variance_does_not_follow_a_hit(calibrated: Frame) -> None:
    data, flags = calibrated.data.copy(), calibrated.flags.copy()
    data[100, 100:103] += 5000.0
    flags[100, 100:103] = Flag.COSMIC_RAY
    found = with_variance(replace(calibrated, data=data, flags=flags)).variance
    assert np.abs(found - calibrated.variance).max() < 0.5 * calibrated.variance[100].max()


def test_dispersion_along_columns(calibrated: Frame) -> None:
    turned = Frame(
        *(np.ascontiguousarray(a.T) for a in (calibrated.data, calibrated.variance, calibrated.flags)), calibrated.meta
    )
    assert np.allclose(with_variance(turned, axis=0).variance.T, with_variance(calibrated).variance)


def test_what_was_not_read_is_not_measured(detector: Detector, shoot: Shoot, bias: Frame, light: np.ndarray) -> None:
    raw = shoot("a", light, seed=3)
    whole = calibrate_frame(raw, bias, detector=detector)
    image = raw.data.astype(np.float32)
    image[40:50] = 0.0
    image[60, 30:40] = np.nan
    found = calibrate_frame(replace(raw, images={"": image}), bias, detector=detector)
    assert np.all(found.flags[40:50, :240] & Flag.NOT_MEASURED)
    assert np.all(found.flags[60, 30:40] & Flag.NOT_MEASURED)
    assert np.isfinite(found.data).all()
    assert not np.any(whole.flags & Flag.NOT_MEASURED)
    rest = np.r_[0:40, 50:60, 61:256]
    np.testing.assert_allclose(found.data[rest], whole.data[rest], atol=0.2)
