from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tracecube.core.detector import Detector
from tracecube.core.errors import BadData
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.recipes.detector.badpixels import flag_column_response, flag_hot_pixels, static_bad_pixels
from tracecube.recipes.detector.bias import BiasParams, combine_biases
from tracecube.recipes.detector.calibrate import calibrate_frame, noise_floor
from tracecube.recipes.detector.combine import combine_frames, combine_lamps, combine_usable
from tracecube.recipes.detector.cosmics import flag_cosmics
from tracecube.recipes.detector.raw import usable_frames
from tracecube.simulate.detector import Camera, cosmic_rays

Shoot = Callable[..., RawFrame]


@pytest.fixture(scope="session")
def bias(detector: Detector, shoot: Shoot) -> Frame:
    frames = [shoot(f"b{i}", seed=i) for i in range(5)]
    return combine_biases(frames, detector, BiasParams(), noise_range=(3.0, 6.0)).master_bias


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_lamps_of_drifting_brightness_with_cosmic_rays(
    n: int, camera: Camera, detector: Detector, shoot: Shoot, bias: Frame, light: np.ndarray
) -> None:
    rng = np.random.default_rng(n)
    drift = 1.0 + 0.04 * np.arange(n)
    frames = [shoot(f"d{i}", light * drift[i], seed=20 + i, hits=cosmic_rays(camera, 4000.0, rng)) for i in range(n)]
    found = combine_lamps(frames, bias, detector=detector)
    usable = found.flags & int(NOT_USABLE | Flag.NOT_ILLUMINATED) == 0
    error = found.data - light * drift.mean()
    pull = error[usable] / np.sqrt(found.variance[usable])
    assert np.median(pull) == pytest.approx(0.0, abs=0.06)
    assert 1.4826 * np.median(np.abs(pull)) == pytest.approx(1.0, abs=0.08)
    assert np.mean(np.abs(pull) > 6.0) < 1e-3
    assert usable.mean() > 0.92


def test_floor_of_the_mean(detector: Detector, shoot: Shoot, bias: Frame, light: np.ndarray) -> None:
    frames = [shoot(f"d{i}", light, seed=i) for i in range(4)]
    one = noise_floor(calibrate_frame(frames[0], bias, detector=detector))
    found = combine_lamps(frames, bias, detector=detector)
    assert noise_floor(found) == pytest.approx(one / 4, rel=0.1)
    assert found.meta["NCOMBINE"] == 4


def test_order_does_not_matter(detector: Detector, shoot: Shoot, bias: Frame, light: np.ndarray) -> None:
    frames = [shoot(f"d{i}", light, seed=i) for i in range(3)]
    one, two = (combine_lamps(order, bias, detector=detector) for order in (frames, frames[::-1]))
    assert np.array_equal(one.data, two.data)
    assert np.array_equal(one.flags, two.flags)


def test_lamp_that_was_off_is_named(detector: Detector, shoot: Shoot, bias: Frame, light: np.ndarray) -> None:
    dark = [shoot(f"d{i}", None, seed=i) for i in range(2)]
    with pytest.raises(BadData, match="d0 and 1 more: no pixel holds light"):
        combine_lamps(dark, bias, detector=detector)
    frames = [shoot(f"d{i}", light * (0.05 if i == 1 else 1.0), seed=i) for i in range(3)]
    with pytest.raises(BadData, match=r"d1: 0\.0"):
        combine_lamps(frames, bias, detector=detector)


def test_pixel_bad_in_all_frames_stays_flagged(
    detector: Detector, shoot: Shoot, bias: Frame, light: np.ndarray
) -> None:
    frames = [calibrate_frame(shoot(f"d{i}", light, seed=i), bias, detector=detector) for i in range(3)]
    for frame in frames:
        frame.flags[50, 60] = Flag.SATURATED
    frames[0].flags[70, 80] = Flag.SATURATED
    found = combine_frames(frames)
    assert found.flags[50, 60] == Flag.SATURATED
    assert found.flags[70, 80] == 0
    assert np.isfinite(found.data).all()
    assert (found.variance > 0).all()


def test_column_of_other_response(detector: Detector, shoot: Shoot, bias: Frame) -> None:
    light = np.full((256, 256), 500.0, np.float32)
    light[:, 120] *= 0.7
    frame = combine_lamps([shoot(f"d{i}", light, seed=i) for i in range(3)], bias, detector=detector)
    flags = flag_column_response(frame).flags
    assert np.all(flags[:, 120] & int(Flag.BAD_PIXEL))
    assert np.count_nonzero(flags & int(Flag.BAD_PIXEL)) == 256


def test_hot_pixels_are_hit_again_and_again(detector: Detector, shoot: Shoot, bias: Frame, light: np.ndarray) -> None:
    frames = [calibrate_frame(shoot(f"d{i}", light, seed=i), bias, detector=detector) for i in range(4)]
    rng = np.random.default_rng(0)
    frames = [replace(f, flags=np.where(rng.random(f.flags.shape) < 1e-3, f.flags | 8, f.flags)) for f in frames]
    for frame in frames[:3]:
        frame.flags[33, 44] |= int(Flag.COSMIC_RAY)
    found = flag_hot_pixels(frames)
    assert found[33, 44]
    assert found.sum() == 1


def test_static_bad_pixels_hold_for_every_exposure(
    detector: Detector, shoot: Shoot, bias: Frame, light: np.ndarray
) -> None:
    smooth = np.full((256, 256), 500.0, np.float32)
    smooth[:, 120] *= 0.7
    dome = combine_lamps([shoot(f"d{i}", smooth, seed=i) for i in range(3)], bias, detector=detector)
    rng, scenes = np.random.default_rng(0), [dome]
    for k in range(2):
        hot = np.zeros_like(light)
        hot[rng.integers(0, 240, 30), rng.integers(0, 230, 30)] = 300.0  # of this lamp alone
        hot[60, 77] = 400.0
        lamp = combine_lamps([shoot(f"a{k}{i}", hot, seed=10 * k + i) for i in range(2)], bias, detector=detector)
        scenes.append(flag_cosmics(lamp, floor=noise_floor(lamp)))
    found = static_bad_pixels(scenes, smooth=dome)
    assert np.argwhere(found.flags & int(Flag.HOT_PIXEL)).tolist() == [[60, 77]]
    assert np.all(found.flags[:, 120] & int(Flag.BAD_PIXEL))
    frame = calibrate_frame(shoot("s", light), bias, detector=detector, bad=[found])
    assert frame.flags[60, 77] & int(Flag.HOT_PIXEL)
    assert frame.flags[5, 120] & int(Flag.BAD_PIXEL)


def test_a_saturated_frame_is_left_out_by_name(detector: Detector, shoot: Shoot, light: np.ndarray) -> None:
    frames = [shoot(f"d{i}", light * (3000.0 if i == 1 else 1.0), seed=i) for i in range(3)]
    kept, caveats = usable_frames(frames, detector)
    assert [frame.name for frame in kept] == ["d0", "d2"]
    assert caveats[0].startswith("left out: d1: ")
    assert "saturated (>= 65535 adu) (try: " in caveats[0]
    with pytest.raises(BadData, match=r"d1: .* saturated"):
        usable_frames(frames[1:2], detector)


@pytest.mark.parametrize("off", [0, 1, 2])
def test_a_lamp_that_was_off_once_costs_that_exposure_alone(
    off: int, detector: Detector, shoot: Shoot, bias: Frame, light: np.ndarray
) -> None:
    frames = [shoot(f"d{i}", light * (0.01 if i == off else 1.0), seed=i) for i in range(3)]
    found, caveats = combine_usable(frames, bias, detector=detector)
    assert found.meta["NCOMBINE"] == 2
    [caveat] = caveats
    assert caveat.startswith(f"left out: d{off}: 0.0")
    assert caveat.endswith("(try: was the lamp warming up, or off? Leave the frame out)")
    rest = combine_lamps([frame for frame in frames if frame.name != f"d{off}"], bias, detector=detector)
    assert np.array_equal(found.data, rest.data)


def test_a_lamp_that_was_on_once_is_that_exposure(
    detector: Detector, shoot: Shoot, bias: Frame, light: np.ndarray
) -> None:
    frames = [shoot("d0", None, seed=0), shoot("d1", light, seed=1), shoot("d2", light, seed=2, GAIN=None)]
    found, caveats = combine_usable(frames, bias, detector=detector)
    assert found.meta.get("NCOMBINE", 1) == 1
    assert [text.split(":")[1] for text in caveats] == [" d2", " d0"]
    lit = light > 0.5 * light.max()
    assert np.median((found.data / light)[lit]) == pytest.approx(1.0, abs=0.02)


def test_a_lamp_that_was_never_on_is_named(detector: Detector, shoot: Shoot, bias: Frame) -> None:
    with pytest.raises(BadData, match="d0 and 1 more: no pixel holds light"):
        combine_usable([shoot(f"d{i}", None, seed=i) for i in range(2)], bias, detector=detector)


def test_a_drifting_lamp_keeps_all_its_exposures(
    detector: Detector, shoot: Shoot, bias: Frame, light: np.ndarray
) -> None:
    frames = [shoot(f"d{i}", light * (0.5 if i == 1 else 1.0), seed=i) for i in range(3)]
    found, caveats = combine_usable(frames, bias, detector=detector)
    assert caveats == ()
    assert np.array_equal(found.data, combine_lamps(frames, bias, detector=detector).data)
