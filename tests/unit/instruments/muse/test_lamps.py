"""Arc exposures by lamp: which lamp shines, what is left out, and one lamp in memory at a time."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.instruments.muse.raw_channel import HIGH, WIDE, raw
from tracecube.core.errors import BadData
from tracecube.instruments.muse import optics_steps
from tracecube.instruments.muse.detector_steps import BiasParams, master_bias
from tracecube.instruments.muse.exposure import combine_lamps, open_channels

NE, XE, HG = (3, 4, 5)  # lamps as the headers count them


def lit(*numbers: int):
    """Cards of the lamps that shine."""
    found = {"ESO INS LAMPNUM": 6}
    for number in range(1, 7):
        shines = number in numbers
        found |= {
            f"ESO INS LAMP{number} NAME": f"CU-LAMP{number}",
            f"ESO INS LAMP{number} ST": shines, f"ESO INS SHUT{number} ST": shines,
        }  # fmt: skip
    return found


@pytest.fixture(scope="module")
def bias():
    rng = np.random.default_rng(1)
    return master_bias(raw=[raw(rng, name=f"bias{k}") for k in range(3)], params=BiasParams()).master_bias


def arcs(numbers, seed=2, count=2):
    rng, light = np.random.default_rng(seed), np.full((2 * HIGH, 2 * WIDE), 400.0)
    return [raw(rng, light, name=f"arc_{k}_{i}", **lit(k)) for k in numbers for i in range(count)]


def test_lamps_are_told_apart_and_one_that_is_absent_is_named(bias):
    frames, absent, notes = optics_steps._by_lamp(arcs((NE, XE)), bias, dark=True)
    assert len(frames) == 2
    assert len(absent) == 1
    assert not notes
    for lamp in frames.values():
        assert abs(np.median(lamp.frame.data) - 400.0) < 3.0


def test_variance_without_light_is_alike_for_lamps_of_as_many_exposures(bias):
    frames, _, _ = optics_steps._by_lamp([*arcs((NE, XE)), *arcs((HG,), count=3)], bias, dark=True)
    two, other, three = frames.values()
    alike = [
        pair
        for pair in ((two, other), (two, three), (other, three))
        if pair[0].frame.variance is pair[1].frame.variance
    ]
    assert len(alike) == 1
    alone = optics_steps._by_lamp(arcs((NE,)), bias, dark=True)[0]
    same = next(iter(alone.values())).frame.variance
    assert any(np.array_equal(same, lamp.frame.variance) for lamp in frames.values())
    lines = optics_steps._by_lamp(arcs((NE,)), bias)[0]
    assert np.median(next(iter(lines.values())).frame.variance) > 5.0 * np.median(same)


def test_two_lamps_together_and_one_that_cannot_be_used_are_left_out_in_words(bias):
    rng = np.random.default_rng(5)
    both, dark = raw(rng, name="both", **lit(NE, XE)), raw(rng, name="dark", **lit())
    dead = raw(rng, name="dead", **{**lit(XE), "ESO DET CHIP LIVE": False})
    frames, absent, notes = optics_steps._by_lamp([both, dark, dead, *arcs((NE,))], bias)
    assert len(frames) == 1
    assert len(absent) == 2
    text = " ".join(notes)
    assert all(word in text for word in ("shine together", "no arc lamp shines", "dead: its chip is not live"))
    with pytest.raises(BadData, match="no arc lamp alone is on"):
        optics_steps._by_lamp([both, dark], bias)
    with pytest.raises(BadData, match="no exposure of this channel can be used"):
        optics_steps._by_lamp([dead], bias)


def test_exposures_of_one_lamp_are_gone_when_those_of_the_next_are_opened(bias, monkeypatch):
    held, alive = [], []
    opening = optics_steps.open_channels

    def watched(frames):
        gc.collect()
        alive.append(sum(one() is not None for one in held))
        channels, notes = opening(frames)
        held.extend(weakref.ref(channel.counts) for channel in channels)
        return channels, notes

    monkeypatch.setattr(optics_steps, "open_channels", watched)
    optics_steps._by_lamp(arcs((NE, XE, HG)), bias)
    assert alive == [0, 0, 0]


def test_an_exposure_without_the_others_light_is_left_out(bias):
    """A lamp that warms up, or that did not light, costs one exposure and not the night."""
    rng, light = np.random.default_rng(5), np.full((2 * HIGH, 2 * WIDE), 400.0)
    frames = [raw(rng, share * light, name=f"flat{k}") for k, share in enumerate((1.0, 0.02, 1.0, 1.02))]
    channels, _ = open_channels(frames)
    found = combine_lamps(channels, bias, clip=5.0, tolerance=0.02)
    assert found.kept == (0, 2, 3)
    [said] = found.notes
    assert said.startswith("flat1: 0.02 of the light of the other exposures")
    assert np.median(found.data) == pytest.approx(400.0, rel=0.02)
    assert np.median(found.variance) == pytest.approx((400.0 + 7.0) / 3.0, rel=0.1)


def test_a_lamp_that_did_not_light_is_named_and_the_others_are_taken(bias):
    dark = raw(np.random.default_rng(6), name="arc_dark", **lit(XE))
    frames, absent, said = optics_steps._by_lamp([*arcs((NE,)), dark], bias)
    assert list(frames) == [1]
    assert absent == ["HgCd", "Xe"]
    assert any(word.startswith("Xe: arc_dark and 0 more: no pixel holds light") for word in said)


def test_a_frame_whose_cards_are_lost_is_left_out(bias):
    del bias
    frames = [raw(np.random.default_rng(k), name=f"bias{k}") for k in range(4)]
    broken = replace(frames[2], meta={key: card for key, card in frames[2].meta.items() if key != "ESO DET OUT3 GAIN"})
    channels, [said] = open_channels([*frames[:2], broken, frames[3]])
    assert [channel.raw.name for channel in channels] == ["bias0", "bias1", "bias3"]
    assert "bias2: no ESO DET OUT3 GAIN" in said


def test_an_exposure_that_is_there_under_two_names_counts_once(bias):
    """Two copies of one bias do not differ: noise that is found from differences would be too small."""
    del bias
    frames = [raw(np.random.default_rng(k), name=f"bias{k}") for k in range(3)]
    copy = replace(frames[1], name="copy_of_bias1")
    channels, [said] = open_channels([*frames, copy])
    assert [channel.raw.name for channel in channels] == ["bias0", "bias1", "bias2"]
    assert said == "copy_of_bias1: the same exposure as bias1: it counts once"


class _Damaged(dict[str, np.ndarray]):
    """Pixels that cannot be read."""

    def values(self):
        raise BadData("bias1.fits: pixels cannot be read (bad tile)", hint="fetch the file again, or leave it out")


def test_a_frame_whose_pixels_cannot_be_read_is_left_out(bias):
    del bias
    frames = [raw(np.random.default_rng(k), name=f"bias{k}") for k in range(3)]
    damaged = replace(frames[1], images=_Damaged(frames[1].images))
    channels, [said] = open_channels([frames[0], damaged, frames[2]])
    assert [channel.raw.name for channel in channels] == ["bias0", "bias2"]
    assert "pixels cannot be read" in said
    with pytest.raises(BadData, match="no exposure of this channel can be used"):
        open_channels([damaged])
