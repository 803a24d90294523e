"""Lines of a laser that the air scatters: their brightness over the field."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tracecube.core.errors import MissingInput
from tracecube.core.scattered_lines import ScatteredLines
from tracecube.recipes.slices.scattered import field_of_lines, piece_strengths

TRUE = np.array([0.02, 0.5, -0.3, 0.1, 0.05, -0.2])
NOISE = 0.01
LINES = ScatteredLines(
    wave=np.array([6480.0, 6484.0, 6490.0, 6825.0]), share=np.array([0.2, 0.5, 0.3, 1.0]), group=np.array([1, 1, 1, 2]),
    number=np.array([1, 2]), coefficient=np.zeros((2, 6)), covariance=np.zeros((2, 6, 6)), sigma=1.1, unit=30.0,
)  # fmt: skip


def pieces(rng: np.random.Generator, count: int = 200):
    """Places of pieces, their wavelengths, and what the sky leaves in them: lines, objects of all colours, noise."""
    x, y = rng.uniform(-30, 30, (2, count))
    wave = np.broadcast_to(np.arange(6440.0, 6530.0, 1.25), (count, 72)) + rng.uniform(0, 1.25, (count, 1))
    lit = replace(LINES, coefficient=np.stack([TRUE, 0.0 * TRUE]))
    left = lit.seen(np.broadcast_to(x[:, None], wave.shape), np.broadcast_to(y[:, None], wave.shape), wave)
    left = left + rng.exponential(0.3, (count, 1)) * (1.0 + (wave - 6485.0) / 300.0)
    left[::20, 30:33] += 0.5  # an object's own line
    return x, y, wave, left + rng.normal(0, NOISE, wave.shape), np.full(wave.shape, NOISE**2)


def test_brightness_over_the_field_is_found_with_its_errors():
    rng = np.random.default_rng(1)
    pulls = []
    for _ in range(20):
        x, y, wave, left, variance = pieces(rng)
        strength, noise = piece_strengths(LINES, 1, wave, left, variance)
        found, covariance, _ = field_of_lines(LINES, strength, noise, x, y)
        pulls.append((found - TRUE) / np.sqrt(np.diag(covariance)))
    assert 0.8 < np.sqrt(np.mean(np.square(pulls))) < 1.2
    assert np.abs(found - TRUE).max() < 0.05


def test_lines_that_no_piece_sees_are_refused():
    x, y, wave, left, variance = pieces(np.random.default_rng(2), 30)
    strength, noise = piece_strengths(LINES, 2, wave, left, variance)
    assert np.isnan(strength).all()
    with pytest.raises(MissingInput, match="too few pieces"):
        field_of_lines(LINES, strength, noise, x, y)


def test_light_of_a_group_is_its_strength():
    wave = np.arange(6400.0, 6900.0, 0.1)
    assert np.isclose(LINES.density(1, wave).sum() * 0.1, 1.0)
    assert np.isclose(LINES.density(2, wave).sum() * 0.1, 1.0)
    low, high = LINES.band(1)
    assert (low, high) == pytest.approx((6474.5, 6495.5))
