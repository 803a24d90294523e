"""The design matrix against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf

from tracecube.kernels.forward import Footprints, adjoint, cumulative_profile, design_matrix, project

U = np.linspace(-8.0, 8.0, 3201)
GAUSS = cumulative_profile(U, np.exp(-0.5 * U**2))
SHAPE = (48, 40)


def feet(n: int, rng: np.random.Generator, *, lsf: float = 0.0) -> Footprints:
    along = rng.uniform(0, SHAPE[1] - 1, n) if lsf else rng.integers(0, SHAPE[1], n).astype(float)
    return Footprints(
        along, rng.uniform(2, SHAPE[0] - 3, n), rng.uniform(-0.02, 0.02, n), rng.uniform(0.8, 1.6, n), np.full(n, lsf)
    )


def test_gaussian_footprint_is_the_integral_over_pixels() -> None:
    foot = Footprints(*(np.array([v]) for v in (20.0, 23.3, 0.0, 1.2, 0.0)))
    a = design_matrix(foot, GAUSS, SHAPE, half_width=9)
    image = project(a, np.ones(1))
    c = np.arange(SHAPE[0])
    exact = 0.5 * (erf((c + 0.5 - 23.3) / 1.2 / 2**0.5) - erf((c - 0.5 - 23.3) / 1.2 / 2**0.5))
    assert image[:, 20] == pytest.approx(exact, abs=3e-6)
    assert not image[:, :20].any()
    assert not image[:, 21:].any()


def test_line_footprint_is_separable_and_keeps_all_light() -> None:
    foot = Footprints(*(np.array([v]) for v in (19.7, 23.3, 0.0, 1.2, 1.1)))
    image = project(design_matrix(foot, GAUSS, SHAPE, half_width=9), np.array([1000.0]))
    assert image.sum() == pytest.approx(1000.0, rel=1e-4)
    s = np.arange(SHAPE[1])
    line = 0.5 * (erf((s + 0.5 - 19.7) / 1.1 / 2**0.5) - erf((s - 0.5 - 19.7) / 1.1 / 2**0.5))
    assert image.sum(axis=0) == pytest.approx(1000.0 * line, abs=0.1)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1.1]))
@settings(max_examples=20, deadline=None)
def test_project_and_adjoint_agree_with_the_plain_sparse_matrix(seed: int, lsf: float) -> None:
    rng = np.random.default_rng(seed)
    a = design_matrix(feet(30, rng, lsf=lsf), GAUSS, SHAPE, half_width=6)
    flux, image = rng.normal(size=30), rng.normal(size=SHAPE).astype(np.float32)
    plain = a.sparse()
    assert project(a, flux).ravel() == pytest.approx(plain @ flux, abs=1e-5)
    assert adjoint(a, image) == pytest.approx(plain.T @ image.ravel().astype(float), abs=1e-5)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_derivative_is_the_difference_quotient(seed: int) -> None:
    rng = np.random.default_rng(seed)
    foot, flux, h = feet(20, rng), rng.uniform(10, 100, 20), 0.01
    up, down = (
        project(design_matrix(foot._replace(across=foot.across + k * h), GAUSS, SHAPE, half_width=9), flux)
        for k in (1, -1)
    )
    slope = project(design_matrix(foot, GAUSS, SHAPE, half_width=9, shift_across=True), flux)
    assert slope == pytest.approx((up - down) / (2 * h), abs=float(0.02 * np.abs(slope).max()))


def test_light_beyond_the_edge_is_lost_and_nothing_else() -> None:
    foot = Footprints(*(np.array([v]) for v in (5.0, -0.5, 0.0, 1.0, 0.0)))
    assert project(design_matrix(foot, GAUSS, SHAPE, half_width=8), np.ones(1)).sum() == pytest.approx(0.5, abs=1e-4)


def test_cumulative_profile_has_unit_total_whatever_the_scale() -> None:
    profile = cumulative_profile(U, 7.0 / (1 + U**2))
    assert profile.cumulative[-1] == pytest.approx(1.0)
    assert np.all(np.diff(profile.cumulative) >= 0)
