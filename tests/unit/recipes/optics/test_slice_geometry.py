"""Slices on a grid of pinholes: places, directions and lengths with their errors."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.errors import BadData, NoConvergence
from tracecube.core.flags import Flag
from tracecube.core.slice_field import MaskLight
from tracecube.recipes.optics import mask_fit
from tracecube.recipes.optics.mask_fit import fit_grid
from tracecube.recipes.optics.slice_geometry import Pitch, place_channel, place_slices, samples_of

PITCH = Pitch(5.0212, 1.0460)  # arcsec
SLICES, STEPS, WIDTH = 12, 60, 76.0
RNG = np.random.default_rng(5)
X = 22.6 + RNG.normal(0, 0.05, SLICES)  # arcsec
Y = 0.2 * (5.5 - np.arange(SLICES)) + RNG.normal(0, 0.006, SLICES)
ANGLE = RNG.normal(0, 0.05, SLICES)  # degree
LENGTH = 15.04 + RNG.normal(0, 0.02, SLICES)
AT = 0.0268 * np.arange(STEPS) + RNG.normal(0, 0.002, STEPS)  # arcsec, where the mask really was


def light(place: np.ndarray, step: float) -> np.ndarray:
    """What a slice (n, 1) sees at a distance from its centre (n, m): images of pinholes of 0.16 arcsec."""
    along = -place / WIDTH * LENGTH[:, None]
    turn = np.radians(ANGLE)[:, None]
    x, y = X[:, None] + along * np.cos(turn), Y[:, None] + along * np.sin(turn)
    off_x = (x + PITCH.x / 2) % PITCH.x - PITCH.x / 2
    off_y = (y - step + PITCH.y / 2) % PITCH.y - PITCH.y / 2
    return np.exp(-0.5 * (off_x**2 + off_y**2) / 0.16**2)


def masks(rng: np.random.Generator, noise: float, *, told: bool = False, steps: int = STEPS) -> list[MaskLight]:
    made = []
    for k in range(steps):
        place = np.broadcast_to(np.arange(-36.0, 36.5, 0.5), (SLICES, 145)) + 0.1 * (np.arange(SLICES) % 5)[:, None]
        value = light(place, AT[k]) * (1.0 + 0.02 * np.sin(k))
        spread = np.full(value.shape, noise**2)
        value = value + rng.normal(0, noise, value.shape)
        value[3, 10] = np.nan
        zero = np.zeros(1)
        made.append(
            MaskLight(value, spread, place, np.arange(1, SLICES + 1, dtype=np.int32), np.full(SLICES, WIDTH),
                      zero, zero + 1.0,
                      zero, -30.0 * AT[k] if told else np.nan, 58500.0 + k, 1.705)
        )  # fmt: skip
    return made


NOMINAL = {"x": np.full(SLICES, 22.6), "y": 0.2 * (5.5 - np.arange(SLICES))}


def placed(frames: list[MaskLight], *, smooth: bool = False):
    found, notes = place_channel(frames, PITCH, 15.04)
    return place_slices([found], NOMINAL, np.zeros(SLICES, int), smooth=smooth), found, notes


@pytest.mark.parametrize("told", [False, True])
def test_places_angles_and_lengths_are_found_wherever_the_mask_was(told):
    found, channel, notes = placed(masks(np.random.default_rng(1), 0.01, told=told)[::-1])
    assert (len(notes) == 0) is told
    for name, truth, goal in (("x", X, 0.004), ("y", Y, 0.004), ("width", LENGTH, 0.01), ("angle", ANGLE, 0.01)):
        off = found.value[name] - truth
        off = off - off.mean() if name in {"x", "y"} else off
        assert off.std() < goal, name
    order = -1 if told else 1
    place = found.direction * channel.step_place[::order]
    assert np.std(np.diff(place - AT)) < 0.001
    assert found.direction == (-1 if told else 1)


def test_errors_are_those_of_repeated_measurements():
    rng = np.random.default_rng(2)
    runs = [placed(masks(rng, 0.05, steps=50))[0] for _ in range(10)]
    for name in ("x", "y", "angle", "width"):
        value = np.array([one.value[name] for one in runs])
        if name in {"x", "y"}:
            value = value - value.mean(axis=1, keepdims=True)
        scatter = np.sqrt(np.mean(value.var(axis=0, ddof=1)))
        claimed = np.sqrt(np.mean([one.error[name] ** 2 for one in runs]))
        assert 0.7 < scatter / claimed < 1.25, name  # what the steps hide is counted fully


def test_a_slice_without_light_is_placed_by_its_neighbours():
    frames = masks(np.random.default_rng(3), 0.01)
    for one in frames:
        one.light[4] = np.nan
    found = placed(frames, smooth=True)[0]
    assert np.flatnonzero(found.dq).tolist() == [4]
    assert found.dq[4] == Flag.EXTRAPOLATED
    assert abs(found.value["y"][4] - NOMINAL["y"][4]) < 0.03
    assert found.error["y"][4] > 3 * np.median(found.error["y"])
    bare, channel, _ = placed(frames)
    assert channel.dq[4] == bare.dq[4] == Flag.NOT_MEASURED
    assert np.isnan(bare.value["y"][4])


def test_too_little_travel_and_another_grid_are_refused():
    frames = masks(np.random.default_rng(4), 0.01)
    with pytest.raises(BadData, match="of the distance of its pinholes"):
        fit_grid(samples_of(frames[:30])[0], np.full(SLICES, 25.4))
    with pytest.raises(BadData, match="4 steps"):
        samples_of(frames[:4])
    found, _ = place_channel(frames, PITCH, 15.04)
    wrong = {**NOMINAL, "y": np.random.default_rng(5).uniform(-3, 3, SLICES)}
    with pytest.raises(NoConvergence, match="nominal places"):
        place_slices([found], wrong, np.zeros(SLICES, int), smooth=False)


def test_the_period_is_the_shortest_that_explains_the_light_and_steps_must_settle(monkeypatch):
    step = np.arange(80) / 20.0  # four pitches and more, of which two and three explain the light too
    curves = np.exp(-0.5 * (((step[:, None] - [0.2, 0.7] + 0.5) % 1.0 - 0.5) / 0.17) ** 2)
    assert mask_fit._period(step, curves) == pytest.approx(1.0, abs=0.02)
    monkeypatch.setattr(mask_fit, "_ROUNDS", 1)
    with pytest.raises(NoConvergence, match="still move"):
        fit_grid(samples_of(masks(np.random.default_rng(6), 0.01))[0], np.full(SLICES, 25.4))
