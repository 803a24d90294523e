from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tracecube.core.detector import Detector
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.flags import Flag
from tracecube.core.frame import RawFrame
from tracecube.recipes.detector.bias import BiasParams, MasterBias, combine_biases
from tracecube.simulate.detector import Camera, cosmic_rays

Shoot = Callable[..., RawFrame]


def made(frames: list[RawFrame], detector: Detector) -> MasterBias:
    return combine_biases(frames, detector, BiasParams(), noise_range=(3.0, 6.0))


def number(result: MasterBias, name: str) -> float:
    return next(q.value for q in result.quality if q.name == name)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_master_is_the_pattern_with_hardly_any_noise(n: int, camera: Camera, detector: Detector, shoot: Shoot) -> None:
    rng = np.random.default_rng(n)
    frames = [shoot(f"b{i}", seed=i, hits=cosmic_rays(camera, 3000.0, rng)) for i in range(n)]
    result = made(frames, detector)
    master = result.master_bias
    error = master.data - camera.pattern * camera.gain
    error -= np.median(error)  # the level of the mean frame
    assert np.std(error) < 0.75  # a mean of three would have 2.3
    assert np.percentile(np.abs(error), 99.9) < 4.0  # no cosmic ray left, nor a hole where one was
    assert number(result, "READ NOISE") == pytest.approx(np.hypot(camera.read_noise, camera.gain / 12**0.5), rel=0.02)
    assert number(result, "GAIN") == camera.gain
    assert number(result, "N FRAMES") == n
    assert master.meta["RDNOISE1"] == pytest.approx(4.04, rel=0.02)
    assert master.data.dtype == np.float32


def test_order_of_frames_does_not_matter(detector: Detector, shoot: Shoot) -> None:
    frames = [shoot(f"b{i}", seed=i) for i in range(4)]
    one, two = made(frames, detector), made(frames[::-1], detector)
    assert np.array_equal(one.master_bias.data, two.master_bias.data)
    assert one.quality == two.quality


def test_hot_pixel_is_flagged(detector: Detector, shoot: Shoot) -> None:
    frames = [shoot(f"b{i}", seed=i) for i in range(3)]
    for frame in frames:
        frame.data[100, 50] += 500
    flags = made(frames, detector).master_bias.flags
    assert flags[100, 50] == Flag.HOT_PIXEL
    assert np.count_nonzero(flags) == 1


def test_noisy_frame_is_left_out_and_named(detector: Detector, shoot: Shoot) -> None:
    frames = [shoot(f"b{i}", seed=i) for i in range(4)]
    rng = np.random.default_rng(0)
    frames[2].data[:] = frames[2].data + rng.integers(0, 40, frames[2].data.shape).astype(np.uint16)
    result = made(frames, detector)
    assert number(result, "N FRAMES") == 3
    assert "b2" in result.caveats[0]


def test_gain_is_never_assumed(detector: Detector, shoot: Shoot) -> None:
    with pytest.raises(MissingInput, match="b1: header card GAIN"):
        made([shoot("b0"), shoot("b1", GAIN=None)], detector)
    with pytest.raises(BadData, match=r"b1: GAIN is 1\.5 where b0 has 2\.0"):
        made([shoot("b0"), shoot("b1", GAIN=1.5)], detector)
    with pytest.raises(BadData, match=r"b0: GAIN is 0\.0"):
        made([shoot("b0", GAIN=0.0), shoot("b1")], detector)


def test_one_bias_is_not_enough(detector: Detector, shoot: Shoot) -> None:
    with pytest.raises(BadData, match="b0: one bias"):
        made([shoot("b0")], detector)


def test_frames_that_can_not_be_biases_are_named(detector: Detector, shoot: Shoot) -> None:
    good = shoot("b0")
    constant = replace(good, name="b1", images={"": np.full((256, 256), 600, np.uint16)})
    with pytest.raises(BadData, match="b1: every pixel reads 600"):
        made([good, constant], detector)
    full = replace(good, name="b1", images={"": np.where(np.eye(256)[:, :, None].any(2), 65535, 65535)})
    full.data[0, 0] = 600
    with pytest.raises(BadData, match=r"b1: 100\.0 per cent of the pixels are saturated"):
        made([good, full], detector)
    small = replace(good, name="b1", images={"": good.data[:128]})
    with pytest.raises(BadData, match=r"b1: image of \(128, 256\) pixels"):
        made([good, small], detector)


def test_a_frame_that_can_not_be_a_bias_costs_itself_alone(detector: Detector, shoot: Shoot) -> None:
    frames = [shoot(f"b{i}", seed=i) for i in range(3)]
    wrong = [
        replace(frames[0], name="c0", images={"": np.zeros((256, 256), np.uint16)}),
        shoot("c1", seed=9, GAIN=None),
        shoot("c2", seed=9, GAIN=1.5),
    ]
    result = made([*frames, *wrong], detector)
    assert np.array_equal(result.master_bias.data, made(frames, detector).master_bias.data)
    assert [caveat.split(":")[1] for caveat in result.caveats] == [" c0", " c1", " c2"]
    assert "every pixel reads 0" in result.caveats[0]
    assert result.caveats[2].endswith("c2: GAIN is 1.5 where b0 has 2.0 (try: repair the card GAIN)")
