"""Brightness of slices from the sky around them, in fields that are empty, hold a source, and are full."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d

from tracecube.core.slice_light import SliceFactors, SliceSky
from tracecube.core.slices import SliceSegments
from tracecube.kernels import sky_spline
from tracecube.recipes.slices.autocalibration import EDGES, AutocalParams, autocalibrate

SLICES, PIECES = 96, 8
FIRST, STEP = 4600.0, 5.0


def sky_of(detector: str) -> SliceSky:
    """An even sky of light 1, alike in all slices."""
    knots = np.arange(FIRST, 9500.0, STEP)
    matrix, rhs = np.zeros((sky_spline.BAND, knots.size)), np.zeros(knots.size)
    wave = np.arange(4640.0, 9400.0, 1.0)
    sky_spline.accumulate(wave, np.ones(wave.size), np.ones(wave.size), 1.0, FIRST, STEP, matrix, rhs)
    zeros = np.zeros(SLICES)
    return SliceSky(
        coefficient=sky_spline.solve(matrix, rhs),
        detector=np.array([detector] * SLICES),
        aperture=np.arange(1, SLICES + 1, dtype=np.int32),
        gain=np.ones(SLICES),
        gain_error=zeros,
        shift=zeros,
        shift_error=zeros,
        stretch=zeros,
        excess=np.zeros((SLICES, 2)),
        skew=np.zeros((SLICES, 2)),
        flat=zeros,
        dq=np.zeros(SLICES, np.int32),
        line_wave=np.zeros(0),
        line_offset=np.zeros(0),
        line_error=np.zeros(0),
        own_shift=0.0,
        own_stretch=0.0,
        width=1.1,
        first=FIRST,
        step=STEP,
    )


def segments(seed: int, brightness: np.ndarray, light) -> SliceSegments:
    """Pieces of four stacks of slices, with ``brightness`` (slices, 2) and its slope, and ``light`` of (x, y)."""
    rng = np.random.default_rng(seed)
    rows, piece = np.repeat(np.arange(SLICES), PIECES), np.tile(np.arange(PIECES), SLICES)
    x = 15.0 * (rows // 24 - 1.5) + 15.0 * ((piece + 0.5) / PIECES - 0.5)
    y = 0.2 * (rows % 24)
    wave = np.broadcast_to(np.arange(4700.0, 9300.0, 5.0), (rows.size, 920)).copy()
    gain = 1.0 + brightness[rows, :1] + brightness[rows, 1:] * (wave - 7000.0) / 2300.0
    noise = 0.02
    flux = gain * (1.0 + light(x, y)[:, None]) + rng.normal(0, noise, wave.shape)
    return SliceSegments(
        flux=flux.astype(np.float32),
        variance=np.full(wave.shape, noise**2, np.float32),
        wave=wave,
        flags=np.zeros(wave.shape, np.int32),
        aperture=(rows + 1).astype(np.int32),
        piece=piece.astype(np.int32),
        x=x,
        y=y,
        spread=np.zeros(rows.size),
        white=np.ones(rows.size),
        white_error=np.ones(rows.size),
        meta={"DETECTOR": "CHAN01"},
    )


def brightness(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(-0.005, 0.005, SLICES), rng.normal(0, 0.001, SLICES)], axis=1)


def found(seed: int, light):
    true = brightness(seed)
    made = autocalibrate([segments(seed + 50, true, light)], sky_of("CHAN01"), AutocalParams())
    z = (0.5 * (EDGES[1:] + EDGES[:-1]) - 7000.0) / 2300.0
    expected = true[:, :1] + true[:, 1:] * z
    left = expected - made.value
    stacks = left.reshape(4, 24, -1)  # what changes slowly over the field is not the slices' own
    return made, true, (stacks - uniform_filter1d(stacks, 9, axis=1, mode="nearest")).reshape(left.shape)


def star(x, y):
    return 3.0 * np.exp(-0.5 * ((x - 4.0) ** 2 + (y - 2.2) ** 2) / 0.5**2)


def gradient(x, y):
    return 0.004 * x / 30.0 + 0.003 * y / 4.8


def full(x, y):
    return 0.6 + 0.5 * np.sin(4.0 * x) * np.sin(5.0 * y + x)


@pytest.mark.parametrize("light", [lambda x, y: 0.0 * x, star, gradient], ids=["empty", "star", "gradient"])
def test_brightness_of_slices_is_found_and_light_of_objects_is_not_taken_for_it(light):
    made, true, left = found(1, light)
    white = left[:, 2:-2].mean(axis=1)
    assert true[:, 0].std() > 0.0025
    assert white.std() < 0.0008
    assert np.median(made.trust) > 0.8
    pull = (left / made.error)[:, 5:15]
    assert 0.4 < pull.std() < 1.3  # errors hold the least difference between pieces besides


def test_a_full_field_falls_back_to_one_and_says_so():
    made, _, _ = found(2, full)
    assert np.median(made.trust) < 0.1
    assert np.abs(made.value).max() < 0.01
    assert made.value.std() < 0.001


def test_factors_lie_on_straight_lines_between_ranges_and_are_1_elsewhere():
    one = np.ones(2, np.int32)
    factors = SliceFactors(
        one,
        one,
        np.array([1, 2], np.int32),
        one,
        np.array([1.0, 1.2]),
        np.zeros(2),
        np.array([5000.0, 6000.0]),
        np.array([6000.0, 7000.0]),
        np.ones(2),
    )
    wave = np.array([5000.0, 5500.0, 6000.0, 6500.0])
    assert np.allclose(factors.at(1, 1, wave), [1.0, 1.0, 1.1, 1.2])
    assert np.allclose(factors.at(2, 1, wave), 1.0)


@pytest.mark.parametrize("light", [lambda x, y: 0.0 * x, star, gradient], ids=["empty", "star", "gradient"])
def test_slices_that_are_as_bright_as_each_other_stay_so(light):
    """What scatters no more than its errors let expect is noise, in brightness and in colours."""
    made = autocalibrate([segments(61, np.zeros((SLICES, 2)), light)], sky_of("CHAN01"), AutocalParams())
    assert made.value.std() < 3e-4
    assert made.width < 1e-3
    assert np.median(made.trust) > 0.5  # they are well seen all the same
    one = autocalibrate([segments(61, brightness(3) * [1.0, 0.0], light)], sky_of("CHAN01"), AutocalParams())
    assert (one.value - one.value.mean(axis=1, keepdims=True)).std() < 3e-4  # brightness without colours
    assert one.width > 2e-3
