"""Slices under a sky too faint to tell them apart: no noise is put into brightness, shift and shape of lines."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.recipes.slices.alike import drawn_to_alike, drawn_together, mean_places, told_by_lines

NAMES = np.repeat(["CHAN07", "CHAN18"], 48)


def terms(width: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Brightness, shift, stretch of the slices of two detectors, which lie 0.3 Angstrom apart; errors claimed."""
    rng = np.random.default_rng(seed)
    value = np.stack([1.0 + rng.normal(0.0, 0.01, 96), rng.normal(0.0, width, 96), rng.normal(0.0, width, 96)], axis=1)
    value[48:, 1] += 0.3
    return value, np.full(value.shape, 0.02)


def test_shifts_that_scatter_by_more_than_slices_move_are_those_of_the_detector() -> None:
    off = []
    for seed in range(6):
        value, error = terms(0.13, seed)
        found, sure = drawn_together(value, error, NAMES)
        assert np.array_equal(found[:, 0], value[:, 0])
        assert np.ptp(found[:48, 1]) == np.ptp(found[48:, 2]) == 0.0
        off.append([found[0, 1], found[50, 1] - 0.3])
        assert (sure[:, 1] > 0.02).all()
        assert (sure[:, 1] < 0.05).all()
    assert np.std(off) < 0.04


def test_shifts_of_slices_that_move_together_stay() -> None:
    value, error = terms(0.02, 1)
    found, sure = drawn_together(value, error, NAMES)
    assert np.array_equal(found, value)
    assert np.array_equal(sure, error)
    few, wide = terms(0.13, 1)
    assert np.array_equal(drawn_together(few[:8], wide[:8], NAMES[:8])[0], few[:8])


def test_brightness_that_objects_feign_is_drawn_to_one_however_small_its_error_seems() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.uniform(-30, 30, 96), rng.uniform(-4, 4, 96)
    gain = 1.0 + rng.normal(0.0, 0.1, 96)
    found, _ = drawn_to_alike(gain, np.full(96, 0.04), x, y)
    assert found.std() < 0.3 * gain.std()
    plain = 1.0 + rng.normal(0.0, 0.03, 96)  # no illumination flat, and a sky that tells
    assert np.abs(drawn_to_alike(plain, np.full(96, 0.0012), x, y)[0] - plain).max() < 0.001


@pytest.mark.parametrize(("error", "told"), [(0.004, True), (0.036, False), (np.inf, False)])
def test_the_continuum_evens_slices_where_lines_tell_their_brightness(error: float, told: bool) -> None:
    assert told_by_lines(np.ones((4, 8)), np.full((4, 8), error)) is told


def test_slices_without_pieces_lie_in_the_middle() -> None:
    found = mean_places(np.array([1.0, 3.0, 9.0]), np.array([0.0, 2.0, 4.0]), [np.array([0, 1]), np.array([], int)])
    assert found.tolist() == [[2.0, 0.0], [1.0, 0.0]]
