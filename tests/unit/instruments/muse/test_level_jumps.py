"""Bias levels that jump within a frame: they are followed, and told."""

from __future__ import annotations

import numpy as np

from tests.unit.instruments.muse.raw_channel import HIGH, ORIGIN, bend, raw
from tracecube.instruments.muse.ccd import Channel, quadrants

AT, STEP = 100, 5.0  # row and adu


def jumping(seed: int, output: int) -> Channel:
    frame = raw(np.random.default_rng(seed))
    part = quadrants(frame)[output - 1]
    rows = slice(part.data.y0 + AT, part.data.y1)
    half = frame.data.shape[1] // 2
    frame.data[rows, half if ORIGIN[output][0] else 0 : None if ORIGIN[output][0] else half] += STEP
    return Channel.of(frame)


def test_a_level_that_jumps_is_followed_and_told() -> None:
    channel = jumping(3, 2)
    true = bend(2) + STEP * (np.arange(HIGH) >= AT)
    away = np.abs(np.arange(HIGH) - AT) > 20
    assert np.abs(channel.levels[1] - true)[away].max() < 1.0
    assert np.abs(channel.levels[1] - true)[away].std() < 0.3
    [said] = channel.doubts
    assert "the bias level of read-out 2 is not smooth by" in said
    assert channel.noise[1] < 1.1 * channel.parts[1].noise


def test_smooth_levels_stay_smooth() -> None:
    for seed in range(12):
        channel = Channel.of(raw(np.random.default_rng(seed)))
        assert channel.jumps == (0.0, 0.0, 0.0, 0.0)
        assert not channel.doubts
