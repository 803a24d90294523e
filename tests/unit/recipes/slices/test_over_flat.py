"""An exposure over its flat: shift and brightness of its slices, light relative to the lamp."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.slice_detector import SliceDetector, expose
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame
from tracecube.core.slice_light import SliceIllumination
from tracecube.recipes.slices.evenness import evenness
from tracecube.recipes.slices.over_flat import edge_shift, over_flat, slice_ratios

FIELD = SliceDetector(count=4, rows=1200)
LAMP = 2e4 * (1.0 + 0.3 * FIELD.u)[:, None]
GAIN = np.array([1.0, 0.97, 1.04, 1.0])


@pytest.fixture(scope="module")
def flat():
    return expose(LAMP * FIELD.light(), np.random.default_rng(1), noise=0.5)


def inside(shift=0.0, keep=0.0):
    x = np.arange(FIELD.shape[1])[None, None, :]
    left, right = FIELD.traces.left[:, :, None] + shift + keep, FIELD.traces.right[:, :, None] + shift - keep
    return ((x >= left) & (x <= right)).any(axis=0)


def test_shift_of_the_slices_has_pulls_of_one():
    rng = np.random.default_rng(2)
    pulls = []
    for _ in range(20):
        shift = rng.uniform(-0.4, 0.4)
        found = edge_shift(expose(400.0 * FIELD.light(shift=shift), rng), FIELD.traces)
        assert found.error < 0.02
        pulls.append((found.value - shift) / found.error)
    assert 0.6 < np.std(pulls) < 1.5
    assert abs(np.mean(pulls)) < 1.0


def test_a_dark_exposure_tells_of_no_shift():
    found = edge_shift(expose(np.zeros(FIELD.shape), np.random.default_rng(3)), FIELD.traces)
    assert found.error == np.inf
    assert found.value == 0.0


def test_brightness_of_slices(flat):
    frame = expose(0.05 * LAMP * FIELD.light(level=GAIN), np.random.default_rng(4))
    value, error = slice_ratios(frame, flat, FIELD.traces, (300, 900))
    assert np.all(error < 1e-4)
    assert np.abs((value - 0.05 * GAIN) / error).max() < 4.5
    lost, _ = slice_ratios(frame, flat, replace(FIELD.traces, dq=np.array([0, 1, 0, 0], np.int32)), (300, 900))
    assert np.isnan(lost).tolist() == [False, True, False, False]


@pytest.mark.parametrize("shift", [0.0, 0.35, -0.3])
def test_light_relative_to_the_lamp_up_to_the_edges_with_pulls_of_one(flat, shift):
    frame = expose(0.03 * LAMP * FIELD.light(shift=shift, level=GAIN), np.random.default_rng(5))
    data, variance, flags = over_flat(frame, flat, FIELD.traces, shift=shift, gain=GAIN, light=None)
    good = flags == 0
    assert np.array_equal(good, inside(shift) & good)
    assert good[inside(shift, keep=1.0)].all()
    pulls = (data - 0.03)[good] / np.sqrt(variance[good])
    assert abs(pulls.std() - 1.0) < 0.03
    assert abs(pulls.mean()) < 0.03
    edge = good & ~inside(shift, keep=2.0)
    assert abs(np.average(data[edge], weights=1 / variance[edge]) / 0.03 - 1.0) < 0.003


def test_flags_of_both_frames_hold_and_gaps_are_not_lit(flat):
    frame = expose(0.03 * LAMP * FIELD.light(), np.random.default_rng(6))
    x = int(FIELD.traces.centre[1, 500])
    frame.flags[500, x], flags_of_flat = int(Flag.COSMIC_RAY), flat.flags.copy()
    flags_of_flat[501, x] = int(Flag.BAD_PIXEL)
    _, variance, flags = over_flat(
        frame, replace(flat, flags=flags_of_flat), FIELD.traces, shift=0.0, gain=np.ones(4), light=None
    )
    assert flags[500, x] == int(Flag.COSMIC_RAY)
    assert flags[501, x] == int(Flag.BAD_PIXEL)
    gap = int(0.5 * (FIELD.traces.right[1, 500] + FIELD.traces.left[2, 500]))
    assert flags[500, gap] == int(Flag.NOT_ILLUMINATED)
    assert np.isinf(variance[500, gap])


def test_light_along_the_slices_is_taken_off(flat):
    across = np.arange(-46.0, 47.0)
    light = SliceIllumination(
        ratio=np.tile(1.2 + 0.004 * across, (4, 1)), error=np.zeros((4, across.size)), across=across[None],
        aperture=FIELD.traces.aperture, level=np.full(4, 1.2), measured=np.full(4, 1.2), dq=np.zeros(4, np.int32),
    )  # fmt: skip
    frame = expose(0.03 * LAMP * FIELD.light(), np.random.default_rng(7))
    plain, _, _ = over_flat(frame, flat, FIELD.traces, shift=0.0, gain=np.ones(4), light=None)
    data, _, flags = over_flat(frame, flat, FIELD.traces, shift=0.0, gain=np.ones(4), light=light)
    y, x = 600, int(FIELD.traces.centre[2, 600]) + 25
    assert flags[y, x] == 0
    assert data[y, x] / plain[y, x] == pytest.approx(1 / (1.2 + 0.004 * (x - FIELD.traces.centre[2, y])), rel=1e-5)


TALL = SliceDetector(count=24, rows=900)
NUMBER = np.arange(24)
FOUR = replace(TALL.geometry, x=-22.5 + 15.0 * (NUMBER // 6), y=0.2 * (NUMBER % 6))


def over(rng, value, noise=0.02):
    """A frame over its flat: ``value(row, wave, across)`` within slices, what `over_flat` leaves beyond."""
    clean = TALL.each(value, beyond=1.0)
    x = np.arange(TALL.shape[1])[None, :]
    lit = np.zeros(TALL.shape, bool)
    for left, right in zip(TALL.traces.left, TALL.traces.right, strict=True):
        lit |= (x >= left[:, None]) & (x <= right[:, None])
    data = np.where(lit, clean + rng.normal(0, noise, TALL.shape), 0.0)
    variance = np.where(lit, noise**2, np.inf)
    flags = np.where(lit, 0, int(Flag.NOT_ILLUMINATED)).astype(np.int32)
    return Frame(data.astype(np.float32), variance.astype(np.float32), flags, {})


def test_light_of_the_twilight_along_slices_is_found_with_pulls_of_one():
    level = 0.5 * (1.0 + 0.05 * FOUR.x / 30.0 - 0.3 * (FOUR.y - FOUR.y.mean()) / 30.0)
    jump = np.where(NUMBER == 9, 1.03, 1.0)  # a slice that brightens with temperature
    frame = over(np.random.default_rng(8), lambda row, _wave, x: level[row] * jump[row] * (1.0 + 0.002 * x) + 0.0 * x)
    found = evenness(frame, TALL.traces, TALL.solution, FOUR, shift=0.0, band=(5000.0, 9000.0))
    across = found.across[0]
    assert not found.dq.any()
    assert np.allclose(found.measured / (level * jump), 1.0, atol=1e-3)
    assert np.allclose(found.level / level, 1.0, atol=1e-3)
    assert found.measured[9] / found.level[9] == pytest.approx(1.03, abs=2e-3)
    inner = np.abs(across) < 34.0
    shape = found.ratio / found.level[:, None] - (1.0 + 0.002 * across)
    pulls = (shape / (found.error / found.level[:, None]))[:, inner]
    assert abs(pulls.std() - 1.0) < 0.06
    # at the very edges, and beyond: as light as inside, nothing of the gap or of the neighbour
    edge = np.abs(across) >= 37.0
    beyond = found.ratio / found.level[:, None] - (1.0 + 0.002 * np.clip(across, -38.0, 38.0))
    assert np.abs(beyond[:, edge]).max() < 0.01
    assert np.isfinite(found.error).all()


def test_slices_outside_the_band_are_not_measured():
    frame = over(np.random.default_rng(9), lambda _row, wave, _x: 0.0 * wave + 1.0)
    found = evenness(frame, TALL.traces, TALL.solution, TALL.geometry, shift=0.0, band=(2000.0, 3000.0))
    assert (found.dq & int(Flag.NOT_MEASURED) > 0).all()
    assert np.isnan(found.measured).all()


def test_a_column_that_is_bad_in_half_the_rows_has_the_light_of_its_neighbours():
    """The twilight is bluer than the lamp: half of the rows have another ratio to it than all."""
    frame = over(np.random.default_rng(10), lambda _row, wave, _x: 0.5 - 0.3 * (wave - 7000.0) / 2300.0, 0.005)
    column = round(float(TALL.traces.centre[5, 450])) + 12
    frame.flags[:450, column] |= int(Flag.BAD_PIXEL)
    found = evenness(frame, TALL.traces, TALL.solution, FOUR, shift=0.0, band=(5000.0, 9000.0))
    inner = np.abs(found.across[0]) < 34.0
    assert np.allclose(found.ratio[5, inner] / found.level[5], 1.0, atol=3e-3)
