"""Light of the twilight by wavelength: found over the field with errors, and taken off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.slice_detector import SliceDetector
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame
from tracecube.recipes.slices.colours import colours_along, fit_colours, without_colours
from tracecube.recipes.slices.segments import place_of

TALL = SliceDetector(count=24, rows=900)
NUMBER = np.arange(24)
NOISE = 0.01


def places(channel: int):
    return replace(TALL.geometry, x=-22.5 + 15.0 * (NUMBER // 6), y=2.4 * (12.5 - channel) + 0.2 * (NUMBER % 6))


def over(rng, geometry, change, noise=NOISE):
    """The twilight over the flat, bluer than the lamp, uneven by ``change(x, y, wave)`` (arcsec, Angstrom)."""

    def value(row, wave, across):
        x, y = place_of(geometry, row, across, np.full_like(across, 76.0))
        grey = 1.0 + 0.002 * across / 38.0 + 0.01 * np.sin(row)
        return (0.5 - 0.3 * (wave - 7000.0) / 2300.0) * grey * (1.0 + change(x, y, wave))

    clean = TALL.each(value, beyond=1.0)
    x = np.arange(TALL.shape[1])[None, :]
    lit = np.zeros(TALL.shape, bool)
    for left, right in zip(TALL.traces.left, TALL.traces.right, strict=True):
        lit |= (x >= left[:, None]) & (x <= right[:, None])
    data = np.where(lit, clean + rng.normal(0, noise, TALL.shape), 0.0)
    flags = np.where(lit, 0, int(Flag.NOT_ILLUMINATED)).astype(np.int32)
    variance = np.where(lit, noise**2, np.inf)
    return Frame(data.astype(np.float32), variance.astype(np.float32), flags, {})


def measured(frame):
    return colours_along(frame, TALL.traces, TALL.solution, shift=0.0, band=(5000.0, 9000.0), step=500.0)


def slope(x, _y, wave):
    return 0.02 * x / 30.0 * (wave - 7000.0) / 2000.0


def test_a_change_from_blue_to_red_is_found_with_its_error():
    rng, pulls = np.random.default_rng(21), []
    for _ in range(4):
        found = fit_colours([measured(over(rng, places(12), slope, noise=0.05))], [places(12)])
        assert list(zip(found.west, found.north, strict=True)) == [(1, 0), (2, 0)]
        assert found.used[0] == 1
        assert found.significance[0] > 5.0
        x, wave = np.array([-25.0, 25.0])[:, None], np.linspace(5000.0, 9000.0, 9)
        pulls.append((found.coefficient[0, 1] - 0.02) / found.error[0, 1])
        off = found.at(x, np.zeros_like(x), wave) - 1.0 - slope(x, 0.0, wave)
        assert np.abs(off - off.mean(axis=1, keepdims=True)).max() < 0.004
    assert np.abs(pulls).max() < 4.0
    assert 0.4 < np.sqrt(np.mean(np.square(pulls))) < 1.8


def test_light_that_does_not_change_tells_nothing():
    rng, wrong = np.random.default_rng(22), 0
    for _ in range(3):
        found = fit_colours([measured(over(rng, places(12), lambda x, _y, _wave: 0.01 * x / 30.0))], [places(12)])
        wrong += int(np.count_nonzero(found.used))
        assert np.all(np.abs(found.significance) < 5.0)
        assert found.any == bool(np.count_nonzero(found.used))
    assert wrong <= 1


def test_a_change_from_channel_to_channel_needs_many_of_them():
    def north(_x, y, wave):
        return 0.02 * y / 30.0 * (wave - 7000.0) / 2000.0

    channels = (1, 4, 7, 10, 13, 16, 19, 24)
    rng = np.random.default_rng(23)
    found = [measured(over(rng, places(one), north)) for one in channels]
    whole = fit_colours(found, [places(one) for one in channels])
    term = list(zip(whole.west, whole.north, strict=True)).index((0, 1))
    assert whole.used[term] == 1
    assert whole.coefficient[term, 1] == pytest.approx(0.02, abs=max(4.0 * whole.error[term, 1], 1e-3))
    few = fit_colours(found[:3], [places(one) for one in channels[:3]])
    assert 1 not in few.north


def test_what_is_found_is_taken_off_and_nothing_where_nothing_is():
    rng, geometry = np.random.default_rng(24), places(12)
    frame = over(rng, geometry, slope, noise=1e-3)
    colours = fit_colours([measured(frame)], [geometry])
    flat = without_colours(frame, TALL.traces, TALL.solution, geometry, colours, shift=0.0)
    even = measured(flat)
    inner = np.abs(even.across[0]) < 33.0
    assert np.abs(even.light[:, :, inner] - 1.0).max() < 0.003
    assert np.abs(measured(frame).light[:, :, inner] - 1.0).max() > 0.012
    lit = frame.flags == 0
    scale = flat.data[lit] / frame.data[lit]
    assert np.allclose(flat.variance[lit] / frame.variance[lit], scale**2, rtol=1e-4)
    none = replace(colours, used=np.zeros_like(colours.used))
    assert without_colours(frame, TALL.traces, TALL.solution, geometry, none, shift=0.0) is frame
