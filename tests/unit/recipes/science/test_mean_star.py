"""Several frames of the star beside its mask: their mean, what is left out, and what is told of the air."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.flags import Flag
from tracecube.core.star import StarPsf
from tracecube.recipes.science.mean_star import mean_star

WAVE, FLUX = np.linspace(9600.0, 16400.0, 20), np.linspace(2e5, 5e5, 20)
RADIUS = 0.2 * (np.arange(40) + 0.5)


def frame(level: float, seed: int = 0, dit: float = 16.0) -> StarPsf:
    """A star so many times as bright as usual, known to 0.3 per cent a channel."""
    noise = 0.003 * FLUX * level
    flux = (FLUX * level + np.random.default_rng(seed).normal(0.0, noise)) * dit / 16.0
    profile = np.tile(np.exp(-(RADIUS**2)), (20, 1)) * level
    none = np.zeros((20, 3))
    return StarPsf(
        WAVE, flux, (noise * dit / 16.0) ** 2, np.zeros(20, np.int32), RADIUS, profile, profile * 1e-6, np.zeros(3),
        np.zeros(3), none, none, dit, 1.0, at_x=0.1 * level, at_y=-0.2,
    )  # fmt: skip


def test_one_frame_is_what_it_is():
    one = frame(1.0)
    made = mean_star([one])
    assert made.psf is one
    assert made.quality == ()


def test_frames_are_averaged_with_honest_errors_whatever_their_dit():
    pulls = []
    for seed in range(40):
        made = mean_star([frame(1.0, 3 * seed), frame(1.0, 3 * seed + 1, dit=8.0), frame(1.0, 3 * seed + 2)])
        assert made.used.all()
        pulls.append((made.psf.flux - FLUX) / np.sqrt(made.psf.variance))
    assert np.sqrt(np.mean(np.square(pulls))) == pytest.approx(1.0, abs=0.08)
    assert np.sqrt(made.psf.variance) == pytest.approx(0.003 * FLUX / np.sqrt(3.0), rel=0.02)
    assert made.psf.dit == 16.0


def test_what_the_air_does_is_told_and_the_mean_is_that_of_the_frames():
    levels = [0.97, 1.0, 1.03, 1.01, 0.99]
    made = mean_star([frame(level, k) for k, level in enumerate(levels)])
    told = {one.name: one.value for one in made.quality}
    assert told["FLUX FRAMES"] == 5.0
    assert told["FLUX FRAMES SCATTER"] == pytest.approx(100.0 * np.std(np.log(levels), ddof=1), rel=0.1)
    assert np.mean(made.psf.flux / FLUX) == pytest.approx(1.0, abs=0.002)
    assert made.psf.profile[0, 0] == pytest.approx(np.mean([frame(level).profile[0, 0] for level in levels]))
    assert made.psf.at_x == pytest.approx(0.1)


def test_a_frame_far_off_is_left_out_of_three_and_no_one_can_say_of_two():
    made = mean_star([frame(1.0, 1), frame(0.4, 2), frame(1.01, 3)])
    assert made.used.tolist() == [True, False, True]
    assert np.mean(made.psf.flux / FLUX) == pytest.approx(1.005, abs=0.003)
    assert mean_star([frame(1.0, 1), frame(0.4, 2)]).used.all()


def test_a_saturated_channel_is_told_by_the_frames_where_it_is_not():
    spoilt = frame(1.1, 5)
    flux, flags = spoilt.flux.copy(), spoilt.flags.copy()
    flux[4], flags[4] = 0.5 * flux[4], int(Flag.SATURATED)
    made = mean_star([frame(0.9, 6), replace(spoilt, flux=flux, flags=flags)]).psf
    assert made.flags[4] == 0
    assert made.flux[4] / FLUX[4] == pytest.approx(1.0, abs=0.01)  # at the level of both, not of the dimmer one
    both = mean_star([replace(spoilt, flags=flags)] * 2).psf
    assert both.flags[4] == int(Flag.SATURATED)


def test_frames_reduced_otherwise_are_refused():
    with pytest.raises(BadData, match="radii"):
        mean_star([frame(1.0), replace(frame(1.0), radius=RADIUS * 2.0)])


def test_of_a_first_frame_that_is_left_out_only_the_integration_time_stays():
    off = replace(frame(0.4, 2, dit=8.0), x=np.full(3, 9.0), meta={"PLANE": 0})
    made = mean_star([off, replace(frame(1.0, 1), meta={"PLANE": 1}), frame(1.01, 3)])
    assert made.used.tolist() == [False, True, True]
    assert made.psf.dit == 8.0
    assert np.mean(made.psf.flux / FLUX) == pytest.approx(0.5 * 1.005, abs=0.003)
    assert not made.psf.x.any()  # its lenslets tell of the image that was left out
    assert made.psf.meta["PLANE"] == 1
