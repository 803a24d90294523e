"""Brightness of slices from the continuum: told where the field is smooth, left to the lines where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.recipes.slices import continuity
from tracecube.recipes.slices.continuity import Columns, columns, continuum_excess, even_slices

SLICES, PARTS, LINES, NOISE = 36, 8, 0.002, 0.002


def star(x0: float, y0: float, flux: float, wide: float = 4.0) -> np.ndarray:
    """A Moffat function of 0.8 arcsec, or as wide as it is told, in spaxels of 0.2."""
    y, x = np.mgrid[:SLICES, :72.0]
    a2 = (0.5 * wide) ** 2 / (2.0 ** (1.0 / 2.8) - 1.0)
    return flux * 1.8 / np.pi / a2 * (1.0 + ((x - x0) ** 2 + (y - y0) ** 2) / a2) ** -2.8


def field(kind: str, rng: np.random.Generator) -> np.ndarray:
    light = np.zeros((SLICES, 72))
    for _ in range({"blank": 0, "stars": 6, "crowd": 60}[kind]):
        light += star(rng.uniform(0, 72), rng.uniform(0, SLICES), 10 ** rng.uniform(0.5, 2.3))
    return light.reshape(SLICES, PARTS, 9).mean(axis=2)


def drawn(kind: str, seed: int, error: float = LINES):
    """Slices that lines leave too bright by 0.2 per cent; what is left of that, and what is claimed."""
    rng = np.random.default_rng(seed)
    light, change = field(kind, rng), rng.normal(0.0, LINES, SLICES)
    slope = 0.003 * np.linspace(-1.0, 1.0, SLICES)[:, None]
    excess = change[:, None] * (1.0 + light) + light + slope + rng.normal(0.0, NOISE, light.shape)
    row = np.repeat(np.arange(SLICES), PARTS)
    where = Columns(row, np.tile(np.arange(PARTS), SLICES), row + rng.normal(0.0, 0.15, row.size))
    found, scale = even_slices(excess.ravel(), np.full(row.size, NOISE**2), where, np.full(SLICES, error))
    return change - found.change, found, scale


@pytest.mark.parametrize(("kind", "most"), [("blank", 0.5), ("stars", 0.7), ("crowd", 1.1)])
def test_brightness_is_told_as_far_as_objects_let_it(kind, most):
    parts = [drawn(kind, seed)[:2] for seed in range(6)]
    left = np.concatenate([one for one, _ in parts])
    pull = np.concatenate([one / found.error for one, found in parts])
    assert left.std() < most * LINES
    assert 0.75 < pull.std() < 1.2


def test_errors_of_lines_that_are_too_small_are_widened():
    parts = [drawn("blank", seed, 0.5 * LINES) for seed in range(6)]
    assert 1.5 < np.mean([scale for _, _, scale in parts]) < 2.5
    assert np.std(np.concatenate([left for left, _, _ in parts])) < 0.55 * LINES


def test_slices_that_nothing_tells_of_stay():
    row = np.repeat(np.arange(4), PARTS)
    where = Columns(row, np.tile(np.arange(PARTS), 4), row.astype(float))
    found, scale = even_slices(
        np.full(row.size, 0.1), np.full(row.size, 1e-6), where, np.array([0.1, 0.1, 0.1, np.inf])
    )
    assert found.change.tolist() == [0.0] * 4
    assert scale == 1.0


def test_one_that_departs_by_more_than_its_brightness_can_stays():
    """A satellite's trail, or a slice with a dead column: all others go on."""
    rng = np.random.default_rng(8)
    row = np.repeat(np.arange(SLICES), PARTS)
    where = Columns(row, np.tile(np.arange(PARTS), SLICES), row.astype(float))
    excess = rng.normal(0.0, NOISE, row.size) + np.where(row == 20, 0.05, 0.0)
    found, _ = even_slices(excess, np.full(row.size, NOISE**2), where, np.full(SLICES, LINES))
    assert found.change[20] == 0.0
    assert np.abs(found.change).max() < 0.002


def test_columns_are_those_of_a_stack():
    """Two stacks side by side, slices of each 0.2 arcsec above each other, none quite in place."""
    rng = np.random.default_rng(3)
    slice_, piece = (part.ravel() for part in np.mgrid[:24, :8])
    stack, level = slice_ % 2, slice_ // 2
    x = 15.06 * stack + 1.88 * (piece - 3.5) + rng.normal(0.0, 0.05, 24)[slice_]
    y = 0.2 * level + rng.normal(0.0, 0.006, 24)[slice_]
    x[5] = np.nan
    found = columns(slice_, piece, x, y)
    assert np.array_equal(found.column, 8 * stack + piece)
    assert found.place - found.place[0] == pytest.approx(level, abs=0.25)


def test_the_excess_of_a_piece_is_that_of_its_continuum():
    rng = np.random.default_rng(4)
    row = np.arange(4000)
    sky = 1.0 + 0.3 * np.sin(row / 900.0) + 30.0 * (row % 97 < 3)
    noise = 0.1 * np.sqrt(sky)
    flux = sky * (1.0 + 0.01 * (row % 97 >= 3)) + rng.normal(0.0, noise)
    weight = np.where(row % 11 == 0, 0.0, noise**-2)
    flux[row % 11 == 0] = 1e6
    value, variance = continuum_excess(flux, weight, sky)
    assert value == pytest.approx(0.01, abs=4.0 * np.sqrt(variance))
    assert np.sqrt(variance) < 0.002
    assert np.isnan(continuum_excess(flux, 0.0 * weight, sky)[0])


def _in_seeing(wide: float, monkeypatch: pytest.MonkeyPatch, tried: tuple[float, ...]) -> tuple[float, float]:
    """What is left of brightness beside stars as wide as told (slices), over the lines' error, and over its own."""
    monkeypatch.setattr(continuity, "_SMOOTH", tried)
    left, pull, noise = [], [], 0.5 * NOISE
    row = np.repeat(np.arange(SLICES), PARTS)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        stars = sum(star(*rng.uniform(0, (72, SLICES)), 10 ** rng.uniform(0.5, 2.3), wide) for _ in range(6))
        light, change = stars.reshape(SLICES, PARTS, 9).mean(axis=2), rng.normal(0.0, LINES, SLICES)
        excess = change[:, None] * (1.0 + light) + light + rng.normal(0.0, noise, light.shape)
        where = Columns(row, np.tile(np.arange(PARTS), SLICES), row + rng.normal(0.0, 0.15, row.size))
        found, _ = even_slices(excess.ravel(), np.full(row.size, noise**2), where, np.full(SLICES, LINES))
        left.append(change - found.change)
        pull.append(left[-1] / found.error)
    return float(np.std(left)) / LINES, float(np.std(pull))


def test_the_pieces_tell_how_smooth_the_seeing_makes_the_field(monkeypatch):
    every = continuity._SMOOTH
    for wide in (2.0, 8.0):
        sharp, (found, pull) = _in_seeing(wide, monkeypatch, every[:1])[0], _in_seeing(wide, monkeypatch, every)
        assert found < (0.96 if wide > 4.0 else 1.0) * sharp
        assert 0.75 < pull < 1.1
