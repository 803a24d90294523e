"""Interpolation of a band-limited field from a hexagonal lattice: exact for its own detail, no light lost."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.bandlimited import derivative_weights, interpolation_weights

PITCH, UNIT = 1.0, 2.4  # the lattice samples lambda / D finer than twice


def lattice() -> np.ndarray:
    i, j = (a.ravel().astype(float) for a in np.mgrid[-8:9, -8:9])
    return PITCH * np.column_stack([i + 0.5 * j, np.sqrt(0.75) * j])


def nearest(target: np.ndarray, count: int = 37) -> np.ndarray:
    places = lattice()
    return places[np.argsort(np.hypot(*(places - target).T), kind="stable")[:count]]


def wave(place: np.ndarray, direction: float, phase: float) -> np.ndarray:
    """A ripple of half the finest detail of the aperture."""
    along = place @ [np.cos(direction), np.sin(direction)]
    return 2.0 + np.cos(np.pi * along / UNIT + phase)


def test_a_ripple_of_the_aperture_is_found_between_the_samples() -> None:
    rng = np.random.default_rng(1)
    for target in rng.uniform(-0.5, 0.5, (20, 2)):
        near, direction, phase = nearest(target), rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
        weights = interpolation_weights((near - target)[None], UNIT)[0]
        assert weights @ wave(near, direction, phase) == pytest.approx(wave(target, direction, phase), abs=0.02)


def test_weights_sum_to_one_and_absent_samples_have_none() -> None:
    target = np.array([0.2, 0.1])
    near = (nearest(target, 19) - target)[None].repeat(2, axis=0)
    near[0, 3] = np.nan
    near[1] = np.nan
    weights = interpolation_weights(near, UNIT)
    assert weights.sum(axis=1) == pytest.approx([1.0, 0.0])
    assert weights[0, 3] == 0.0
    assert not weights[1].any()


def test_a_sample_at_the_target_is_the_target() -> None:
    weights = interpolation_weights(nearest(np.zeros(2), 19)[None], UNIT)[0]
    assert weights[0] == pytest.approx(1.0, abs=0.1)
    assert np.abs(weights[1:]).max() < 0.1


def test_slopes_of_a_ripple_and_none_of_an_even_field() -> None:
    near = nearest(np.zeros(2))
    across, up = derivative_weights(near, UNIT, noise=1e-4)
    assert [across.sum(), up.sum()] == pytest.approx([0.0, 0.0], abs=1e-12)
    for direction in (0.0, 0.7, 2.0):
        slope = -np.pi / UNIT * np.sin(0.9)
        found = [weights @ wave(near, direction, 0.9) for weights in (across, up)]
        assert found == pytest.approx([slope * np.cos(direction), slope * np.sin(direction)], abs=0.05)


def test_noise_makes_slopes_humbler() -> None:
    near = nearest(np.zeros(2))
    quiet, noisy = (np.sum(derivative_weights(near, UNIT, noise=noise)[0] ** 2) for noise in (1e-4, 1.0))
    assert noisy < quiet
