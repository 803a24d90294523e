"""What is known beforehand of pixels and outputs: listed bad pixels, gain and linearity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.instruments.muse.raw_channel import EDGE, GAIN, HIGH, WIDE, raw
from tracecube.core.errors import BadData
from tracecube.core.flags import Flag
from tracecube.core.frame import RawFrame
from tracecube.core.outputs import OutputLinearity
from tracecube.instruments.muse.ccd import Channel
from tracecube.instruments.muse.detector_steps import BiasParams, master_bias
from tracecube.instruments.muse.eso_planes import flags_of
from tracecube.instruments.muse.exposure import reader
from tracecube.instruments.muse.known_pixels import listed_flags

LOSS = 0.02  # at 1e4 adu


def table(x, y, status) -> RawFrame:
    columns = {"xpos": np.array(x), "ypos": np.array(y), "status": np.array(status)}
    return RawFrame("badpix", "BADPIX_TABLE", {}, {}, {"CHAN07": columns})


def listed(pixels: RawFrame, channel: Channel) -> np.ndarray:
    return listed_flags(pixels, "CHAN07", channel.parts, channel.shape)


def test_pixels_of_the_raw_image_are_those_of_the_chip():
    channel = Channel.of(raw(np.random.default_rng(1)))
    # first pixel of the lower left quadrant, one of the upper right, one of the overscan, one that is good
    right, upper = 3 * EDGE + WIDE, 3 * EDGE + HIGH
    pixels = table(
        [EDGE + 1, right + 6, EDGE + WIDE + 5, EDGE + 3], [EDGE + 1, upper + 8, 100, EDGE + 1], [1 << 14, 1 << 8, 1, 0]
    )
    flags = listed(pixels, channel)
    assert np.argwhere(flags).tolist() == [[0, 0], [HIGH + 7, WIDE + 5]]
    assert flags[0, 0] == int(Flag.BAD_PIXEL)
    assert flags[HIGH + 7, WIDE + 5] == int(Flag.HOT_PIXEL)
    assert not listed(RawFrame("other", "BADPIX_TABLE", {}, {}, {"CHAN01": {}}), channel).any()
    with pytest.raises(BadData, match="xpos, ypos, status"):
        listed(RawFrame("none", "BADPIX_TABLE", {}, {}, {"CHAN07": {"a": np.zeros(1)}}), channel)


@pytest.mark.parametrize(
    ("bit", "flag"),
    [
        (6, Flag.LOW_THROUGHPUT), (7, Flag.BAD_PIXEL), (8, Flag.HOT_PIXEL), (9, Flag.BAD_PIXEL), (10, Flag.BAD_PIXEL),
        (11, Flag.SATURATED), (12, Flag.SATURATED), (14, Flag.BAD_PIXEL), (30, Flag.NOT_MEASURED),
        (31, Flag.EXTRAPOLATED),
    ],
)  # fmt: skip
def test_bits_of_the_observatory_mean_the_same_in_tables_and_images(bit, flag):
    assert flags_of(np.array([0, 1 << bit])).tolist() == [0, int(flag)]
    assert flags_of(np.array([1 << bit], np.uint32).view(np.int32)).tolist() == [int(flag)]
    flags = listed(table([EDGE + 1], [EDGE + 1], [1 << bit]), Channel.of(raw(np.random.default_rng(1))))
    assert flags[0, 0] == int(flag)


def test_a_bias_carries_bad_pixels_and_linearity_to_exposures():
    rng = np.random.default_rng(2)
    known = OutputLinearity(
        output=np.array([1, 2, 3, 4]), gain=np.array([2.0, GAIN[2], GAIN[3], GAIN[4]]), gain_error=np.full(4, 1e-3),
        noise=np.full(4, 3.0), noise_error=np.full(4, 0.1), coefficient=np.array([[LOSS], [0.0], [0.0], [0.0]]),
        covariance=np.zeros((4, 1, 1)), limit=np.full(4, 5e4), level_seconds=np.ones(1), level_light=np.ones(1),
        unit=1e4,
    )  # fmt: skip
    frames = [raw(rng, name=f"b{k}") for k in range(4)]
    bias = master_bias(
        raw=frames, bad_pixels=table([EDGE + 1], [EDGE + 1], [1]), linearity=known, params=BiasParams()
    ).master_bias
    assert bias.flags[0, 0] & int(Flag.BAD_PIXEL)
    light = np.full((2 * HIGH, 2 * WIDE), 11000.0)  # electron by the header's gain
    band = reader(Channel.of(raw(rng, light)), bias)(0, 2 * HIGH)
    counts = 11000.0 / GAIN[1]
    assert band.data[:HIGH, :WIDE].mean() == pytest.approx(2.0 * counts * (1.0 + LOSS * counts / 1e4), rel=1e-3)
    plain = reader(Channel.of(raw(rng, light)), replace(bias, meta={**bias.meta, "LINGAIN1": None}))(0, 2 * HIGH)
    assert band.floor[:HIGH, :WIDE] == pytest.approx(plain.floor[:HIGH, :WIDE] * (2.0 / GAIN[1]) ** 2)
    assert band.floor[HIGH:] == pytest.approx(plain.floor[HIGH:])
    assert band.data[HIGH:].mean() == pytest.approx(11000.0, rel=1e-3)
    assert band.flags[0, 0] & int(Flag.BAD_PIXEL)
