"""Four quadrants of a channel: where they lie, their bias level, what is dead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.instruments.muse.raw_channel import EDGE, GAIN, HIGH, NOISE, ORIGIN, WIDE, bend, cards, raw
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.flags import Flag
from tracecube.instruments.muse.ccd import SATURATED, Channel, gain_card, level_card, noise_card, quadrants
from tracecube.instruments.muse.detector_steps import BiasParams, DarkParams, master_bias, master_dark
from tracecube.instruments.muse.exposure import open_channels, read_noises


def part_of(image, output):
    right, upper = ORIGIN[output]
    return image[HIGH if upper else 0 :, WIDE if right else 0 :][:HIGH, :WIDE]


def spoilt(frame, output, value, *, edges=False):
    """The same frame with the counts of one quadrant replaced, those of its overscan too where asked for."""
    image = frame.data.copy()
    part = quadrants(frame)[output - 1]
    part.data.of(image)[:] = value
    if edges:
        part.overscan.of(image)[:] = value
    return replace(frame, images={"CHAN07": image})


def test_quadrants_tile_the_chip_and_keep_away_from_the_light():
    frame = raw(np.random.default_rng(1))
    chip = np.zeros((2 * HIGH, 2 * WIDE), int)
    for part in quadrants(frame):
        part.chip.of(chip)[:] += part.output
        assert part.data.shape == (HIGH, WIDE)
        assert part.overscan.shape == (HIGH, EDGE - 3)
        assert (part.gain, part.noise) == (GAIN[part.output], NOISE[part.output])
        beside = part.data.x0 - part.overscan.x1 if ORIGIN[part.output][0] else part.overscan.x0 - part.data.x1
        assert beside == 3
    assert all((part_of(chip, output) == output).all() for output in ORIGIN)


def test_bias_levels_with_a_slope_and_a_bend_are_followed_in_every_quadrant():
    channel = Channel.of(raw(np.random.default_rng(2)))
    for part, level, noise in zip(channel.parts, channel.levels, channel.noise, strict=True):
        error = NOISE[part.output] / GAIN[part.output] / np.sqrt((EDGE - 3) * HIGH / 4)
        assert np.abs(level - bend(part.output)).max() < 6 * error
        assert abs(noise / NOISE[part.output] - 1) < 0.03  # rounding to whole adu adds 0.7 per cent
    meta = channel.meta
    assert all(abs(meta[noise_card(k)] / NOISE[k] - 1) < 0.03 for k in ORIGIN)
    assert all(abs(meta[level_card(k)] - bend(k).mean()) < 0.2 for k in ORIGIN)


def test_electrons_and_variance_have_pulls_of_one():
    light = np.full((2 * HIGH, 2 * WIDE), 900.0)
    light[:, WIDE:] = 300.0
    channel = Channel.of(raw(np.random.default_rng(3), light))
    data, flags = channel.rows(0, 2 * HIGH)
    pulls = (data - light) / np.sqrt(light + channel.floor(0, 2 * HIGH))
    for output in ORIGIN:
        assert abs(part_of(pulls, output).std() - 1.0) < 0.03
        assert abs(part_of(pulls, output).mean()) < 0.05
    assert not flags.any()


def test_bands_across_the_seam_are_those_of_the_whole():
    channel = Channel.of(raw(np.random.default_rng(4), np.full((2 * HIGH, 2 * WIDE), 50.0)))
    whole, flags = channel.rows(0, 2 * HIGH)
    band, some = channel.rows(HIGH - 10, HIGH + 10)
    assert np.array_equal(band, whole[HIGH - 10 : HIGH + 10])
    assert np.array_equal(some, flags[HIGH - 10 : HIGH + 10])
    assert np.array_equal(channel.floor(HIGH - 10, HIGH + 10), channel.floor(0, 2 * HIGH)[HIGH - 10 : HIGH + 10])
    known = channel.floor(0, 4, {1: 5.0})
    assert np.allclose(known[:, :WIDE], 25.0)
    assert np.allclose(known[:, WIDE:], channel.noise[1] ** 2)


def test_a_dead_output_is_flagged_and_the_others_go_on():
    frame = spoilt(raw(np.random.default_rng(5), np.full((2 * HIGH, 2 * WIDE), 100.0)), 3, 65535.0)
    channel = Channel.of(frame)
    assert channel.dead == (3,)
    [said] = open_channels([frame])[1]
    assert "read-out 3 is dead or saturated" in said
    data, flags = channel.rows(0, 2 * HIGH)
    assert (part_of(flags, 3) & int(Flag.BAD_PIXEL) > 0).all()
    assert not part_of(flags, 1).any()
    assert abs(part_of(data, 1).mean() - 100.0) < 1.0
    with pytest.raises(BadData, match="all four read-outs are dead"):
        Channel.of(replace(frame, images={"CHAN07": np.full(frame.data.shape, 7.0, np.float32)}))


def test_saturated_pixels_are_flagged():
    frame = raw(np.random.default_rng(6))
    frame.data[quadrants(frame)[0].data.y0 + 5, quadrants(frame)[0].data.x0 + 7] = SATURATED
    _, flags = Channel.of(frame).rows(0, 2 * HIGH)
    assert np.argwhere(flags).tolist() == [[5, 7]]
    assert flags[5, 7] == int(Flag.SATURATED)


@pytest.mark.parametrize("shape", [(2 * HIGH + 4 * EDGE, 2 * WIDE + 3 * EDGE), (HIGH, WIDE)])
def test_another_shape_is_refused(shape):
    frame = raw(np.random.default_rng(7))
    with pytest.raises(BadData, match="its OUT cards describe"):
        Channel.of(replace(frame, images={"CHAN07": np.zeros(shape, np.float32)}))


def test_a_chip_that_is_not_live_and_cards_that_are_not_there():
    with pytest.raises(BadData, match="not live"):
        Channel.of(raw(np.random.default_rng(8), **{"ESO DET CHIP LIVE": False}))
    frame = raw(np.random.default_rng(8))
    without = {key: value for key, value in cards().items() if key != gain_card(2)}
    with pytest.raises(MissingInput, match="OUT2 GAIN"):
        Channel.of(replace(frame, meta=without))
    without = {key: value for key, value in cards().items() if key != "ESO DET OUT4 NX"}
    with pytest.raises(MissingInput, match="OUT4 NX"):
        Channel.of(replace(frame, meta=without))


def test_exposures_that_cannot_be_used_are_named():
    good, dead = (
        raw(np.random.default_rng(9), name="b"),
        raw(np.random.default_rng(10), name="a", **{"ESO DET CHIP LIVE": False}),
    )
    channels, notes = open_channels([good, dead])
    assert [channel.raw.name for channel in channels] == ["b"]
    assert notes[0].startswith("a: its chip is not live")
    with pytest.raises(BadData, match="no exposure of this channel"):
        open_channels([dead])


def test_master_bias_knows_the_noise_of_each_output_and_its_hot_pixels():
    rng = np.random.default_rng(11)
    hot = np.zeros((2 * HIGH, 2 * WIDE))
    hot[40, 30] = 4000.0
    made = master_bias(raw=[raw(rng, hot, name=f"b{k}") for k in range(5)], params=BiasParams())
    noises = read_noises(made.master_bias)
    assert all(abs(noises[k] / NOISE[k] - 1) < 0.02 for k in ORIGIN)
    assert np.argwhere(made.master_bias.flags).tolist() == [[40, 30]]
    clean = made.master_bias.flags == 0
    assert np.abs(made.master_bias.data[clean]).mean() < 0.3  # no pattern, hence nearly nothing is kept
    with pytest.raises(BadData, match="one bias"):
        master_bias(raw=[raw(rng)], params=BiasParams())


def test_master_dark_in_electrons_an_hour():
    rng = np.random.default_rng(12)
    bias = master_bias(raw=[raw(rng, name=f"b{k}") for k in range(5)], params=BiasParams()).master_bias
    current = np.full((2 * HIGH, 2 * WIDE), 36.0)
    current[100, 20] = 4000.0
    frames = [raw(rng, current * hours, name=f"d{hours}", EXPTIME=3600.0 * hours) for hours in (1, 2, 2)]
    made = master_dark(raw=frames, bias=bias, params=DarkParams(order=0))
    dark = made.master_dark
    good = dark.flags == 0
    assert abs(np.mean(dark.data[good]) - 36.0) < 0.3
    assert dark.flags[100, 20] & int(Flag.HOT_PIXEL)
    assert dark.meta["BUNIT"] == "electron/h"


def test_an_output_that_never_changes_is_bad_in_the_master_bias_and_the_others_are_as_without_it():
    rng = np.random.default_rng(12)
    frames = [raw(rng, name=f"b{k}") for k in range(3)]
    sound, made = (
        master_bias(raw=given, params=BiasParams())
        for given in (frames, [spoilt(one, 3, 2000.0, edges=True) for one in frames])
    )
    assert (part_of(made.master_bias.flags, 3) & int(Flag.BAD_PIXEL) > 0).all()
    assert np.isfinite(made.master_bias.data).all()
    assert np.isfinite(part_of(made.master_bias.variance, 3)).all()
    noise = next(one.value for one in made.quality if one.name == "READ NOISE 3")
    assert noise == pytest.approx(GAIN[3] / 12**0.5)
    for output in (1, 2, 4):
        assert np.array_equal(part_of(made.master_bias.data, output), part_of(sound.master_bias.data, output))


def test_a_read_out_that_is_dead_in_one_bias_is_that_of_the_others():
    rng = np.random.default_rng(21)
    biases = [raw(rng, name=f"bias{i}") for i in range(4)]
    biases[1] = spoilt(biases[1], 2, 65535.0, edges=True)
    made = master_bias(raw=biases, params=BiasParams())
    frame = made.master_bias
    assert not part_of(frame.flags, 2).any()
    assert abs(read_noises(frame)[2] / NOISE[2] - 1.0) < 0.03
    assert any("bias1: read-out 2 is dead" in said for said in made.caveats)
    lost = master_bias(
        raw=[spoilt(one, 2, 65535.0, edges=True) for one in biases[:3]] + biases[3:], params=BiasParams()
    )
    assert (part_of(lost.master_bias.flags, 2) & int(Flag.BAD_PIXEL) > 0).all()
    assert not part_of(lost.master_bias.flags, 1).any()


def test_whole_counts_take_two_bytes_and_others_stay_as_they_are():
    frame = raw(np.random.default_rng(21), np.full((2 * HIGH, 2 * WIDE), 500.0))
    whole = Channel.of(frame)
    assert whole.counts.dtype == np.uint16
    np.testing.assert_array_equal(whole.counts, frame.data)
    pixels = frame.data.copy()
    pixels[5, 5] += 0.25
    broken = Channel.of(replace(frame, images={"CHAN07": pixels}))
    assert broken.counts.dtype == np.float32
    np.testing.assert_array_equal(broken.counts, pixels)
    data, flags = whole.rows(0, whole.shape[0])
    other, marks = broken.rows(0, broken.shape[0])
    assert (data != other).sum() <= 1
    np.testing.assert_array_equal(flags, marks)
