"""The measured profile: splines, gauge, and the parting of wings from ground."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tracecube.kernels.forward import cumulative_profile
from tracecube.kernels.profiles import (
    gaussian_density,
    profile_basis,
    profile_coefficients,
    profile_knots,
    solve_profile,
    to_core_gauge,
)

KNOTS = profile_knots(12.0)


def winged(u: np.ndarray) -> np.ndarray:
    """Gaussian core with 4 per cent of its light in wings three times as wide."""
    return (0.96 * np.exp(-0.5 * u**2) + 0.04 / 3.0 * np.exp(-0.5 * (u / 3.0) ** 2)) / np.sqrt(2 * np.pi)


def test_knots_are_even_about_the_centre_and_end_where_asked() -> None:
    assert np.allclose(KNOTS, -KNOTS[::-1])
    assert KNOTS[-1] == 12.0
    assert np.all(np.diff(KNOTS) > 0.4)


def test_basis_integrates_to_the_known_area_of_b_splines() -> None:
    basis = profile_basis(KNOTS)
    areas = np.array([one.cumulative[-1] for one in basis])
    assert np.allclose(areas, (KNOTS[4:] - KNOTS[:-4]) / 4.0, rtol=1e-9)
    assert all(np.all(np.diff(one.cumulative) >= 0.0) for one in basis)


def test_splines_meet_a_profile_with_wings() -> None:
    u, _ = gaussian_density(12.0)
    profile = cumulative_profile(u, winged(u))
    coefficients = profile_coefficients(KNOTS, profile)
    total = sum(c * one.cumulative for c, one in zip(coefficients, profile_basis(KNOTS), strict=True))
    nodes = KNOTS[0] + 0.005 * np.arange(total.size)
    expected = np.interp(nodes, profile.low + profile.step * np.arange(profile.cumulative.size), profile.cumulative)
    assert np.max(np.abs(total - expected)) < 3e-4


@given(st.floats(-0.3, 0.3), st.floats(0.85, 1.15))
@settings(max_examples=20, deadline=None)
def test_gauge_finds_centre_and_width_of_the_core(shift: float, stretch: float) -> None:
    u = np.linspace(-12, 12, 4801)
    density = np.exp(-0.5 * ((u - shift) / stretch) ** 2) / (np.sqrt(2 * np.pi) * stretch)
    coefficients = profile_coefficients(KNOTS, cumulative_profile(u, density))
    new_u, new, found_shift, found_stretch = to_core_gauge(KNOTS, coefficients)
    assert abs(found_shift - shift) < 1e-3
    assert abs(found_stretch - stretch) < 2e-3
    assert np.isclose(new.sum() * (new_u[1] - new_u[0]), 1.0)
    assert np.max(np.abs(new - np.exp(-0.5 * new_u**2) / np.sqrt(2 * np.pi))) < 1e-3


def equations(data: np.ndarray, start: np.ndarray, *, blind: bool) -> tuple[np.ndarray, np.ndarray]:
    """Normal equations of profile changes and a sloping ground, blind to the height of the profile if asked."""
    values = np.stack([np.gradient(one.cumulative, one.step)[::2] for one in profile_basis(KNOTS)], axis=1)
    u = KNOTS[0] + 0.01 * np.arange(values.shape[0])
    design = np.concatenate([values, np.stack([np.ones_like(u), u / 12.0], axis=1)], axis=1)
    rest = data - values @ start
    if blind:
        height = values @ start
        height /= np.linalg.norm(height)
        design -= np.outer(height, height @ design)
        rest -= height * (height @ rest)
    return design.T @ design, design.T @ rest


def sampled() -> tuple[np.ndarray, np.ndarray]:
    """Places of the samples, and a winged profile on a sloping ground there."""
    u = KNOTS[0] + 0.01 * np.arange(profile_basis(KNOTS)[0].cumulative[::2].size)
    return u, winged(u) + 0.01 + 0.002 * u / 12.0


AREA = np.array([one.cumulative[-1] for one in profile_basis(KNOTS)])
START = profile_coefficients(KNOTS, cumulative_profile(*gaussian_density(12.0)))


def test_wings_and_ground_are_found_in_one_step() -> None:
    u, data = sampled()
    coefficients, ground = solve_profile(*equations(data, START, blind=False), START, AREA)
    truth = profile_coefficients(KNOTS, cumulative_profile(u, winged(u)))
    assert np.allclose(coefficients, truth, atol=2e-3)
    assert np.allclose(ground, [0.01, 0.002], atol=2e-4)


def test_the_height_that_fluxes_take_up_stays() -> None:
    u, data = sampled()
    coefficients, ground = solve_profile(*equations(data, START, blind=True), START, AREA)
    assert np.isclose(AREA @ coefficients, AREA @ START, rtol=1e-3)
    truth = profile_coefficients(KNOTS, cumulative_profile(u, winged(u)))
    assert np.allclose(coefficients / coefficients.max(), truth / truth.max(), atol=5e-3)
    assert np.allclose(ground, [0.01, 0.002], atol=2e-4)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_even_part_falls_from_the_centre_whatever_the_noise(seed: int) -> None:
    _, data = sampled()
    noisy = data + np.random.default_rng(seed).normal(0, 0.02, data.size)
    coefficients, _ = solve_profile(*equations(noisy, START, blind=False), START, AREA)
    even = 0.5 * (coefficients + coefficients[::-1])
    assert np.all(np.diff(even[: even.size // 2 + 1]) >= -1e-12)
    assert np.all(even >= -1e-12)
