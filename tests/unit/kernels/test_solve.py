"""Banded least squares against dense algebra, and its errors against truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracecube.kernels.forward import DesignMatrix, Footprints, cumulative_profile, design_matrix, project
from tracecube.kernels.solve import band_width, estimate, factorise, normal_equations, solve

U = np.linspace(-8.0, 8.0, 3201)
PROFILE = cumulative_profile(U, np.exp(-0.5 * U**2) + 0.004 / (1 + (U / 2) ** 2))
SHAPE = (64, 24)


def columns(pitch: float, *, sigma: float = 1.15) -> DesignMatrix:
    """Traces ``pitch`` apart, on all columns, ordered as the solver wants them."""
    across = np.arange(6.0, SHAPE[0] - 6, pitch)
    along = np.repeat(np.arange(SHAPE[1]), across.size).astype(float)
    place = np.tile(across, SHAPE[1]) + 0.02 * along
    zero = np.zeros(along.size)
    foot = Footprints(along, place, zero, np.full(along.size, sigma), zero)
    return design_matrix(foot, PROFILE, SHAPE, half_width=8)


@given(st.integers(0, 2**32 - 1), st.floats(3.0, 9.0))
@settings(max_examples=25, deadline=None)
def test_band_solution_and_covariance_are_those_of_the_dense_system(seed: int, pitch: float) -> None:
    rng = np.random.default_rng(seed)
    a = columns(pitch)
    data = rng.normal(10, 3, SHAPE).astype(np.float32)
    ivar = rng.uniform(0.2, 2.0, SHAPE).astype(np.float32)
    ivar[rng.random(SHAPE) < 0.05] = 0.0
    equations = normal_equations(a, data, ivar, band=band_width(a))
    found = estimate(factorise(equations), equations.rhs)
    plain = a.sparse()
    dense = (plain.T @ (plain * ivar.ravel()[:, None].astype(float))).toarray()
    inverse = np.linalg.inv(dense)
    ok = np.isfinite(found.flux)
    if ok.all():
        exact = inverse @ (plain.T @ (ivar * data).ravel().astype(float))
        assert found.flux == pytest.approx(exact, rel=1e-4, abs=1e-3)
        assert found.covariance[0] == pytest.approx(np.diag(inverse), rel=1e-4)
        assert found.covariance[1, :-1] == pytest.approx(np.diag(inverse, 1), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("level", [3.0, 30000.0])
def test_pulls_have_unit_width_at_low_and_high_counts(level: float) -> None:
    rng = np.random.default_rng(11)
    a, floor = columns(6.3), 16.0
    band = band_width(a)
    truth = level * rng.uniform(0.3, 1.0, a.origin.shape[0])
    expected = project(a, truth)
    pulls = []
    for _ in range(60):
        data = (rng.poisson(expected) + rng.normal(0, floor**0.5, SHAPE)).astype(np.float32)
        model = expected * 0 + np.float32(expected.mean())
        for _ in range(3):
            ivar = (1.0 / (floor + np.maximum(model, 0))).astype(np.float32)
            equations = normal_equations(a, data, ivar, band=band)
            found = estimate(factorise(equations), equations.rhs)
            model = project(a, found.flux)
        pulls.append((found.flux - truth) / np.sqrt(found.covariance[0]))
    assert np.std(pulls) == pytest.approx(1.0, abs=0.05)
    assert abs(np.mean(pulls)) < 0.05


def test_a_bright_neighbour_leaves_less_than_two_thousandths() -> None:
    a = columns(6.3)
    n_trace = a.origin.shape[0] // SHAPE[1]
    truth = np.zeros((SHAPE[1], n_trace))
    truth[:, n_trace // 2] = 1e5
    ivar = np.ones(SHAPE, np.float32)
    equations = normal_equations(a, project(a, truth.ravel()), ivar, band=band_width(a))
    flux = solve(factorise(equations), equations.rhs).reshape(truth.shape)
    assert np.abs(flux[:, n_trace // 2 + 1]).max() < 0.002 * 1e5
    assert flux[:, n_trace // 2] == pytest.approx(1e5, rel=1e-4)


def test_bad_pixels_weigh_nothing_whatever_they_hold() -> None:
    a = columns(6.3)
    rng = np.random.default_rng(3)
    truth = rng.uniform(50, 100, a.origin.shape[0])
    data, ivar = project(a, truth), np.ones(SHAPE, np.float32)
    bad = rng.random(SHAPE) < 0.1
    data[bad], ivar[bad] = 1e7, 0.0
    equations = normal_equations(a, data, ivar, band=band_width(a))
    found = estimate(factorise(equations), equations.rhs)
    seen = np.isfinite(found.flux)
    assert seen.mean() > 0.95
    assert found.flux[seen] == pytest.approx(truth[seen], rel=1e-3)


def test_an_unknown_without_good_pixels_is_not_measured_and_harms_no_other() -> None:
    a = columns(6.3)
    truth = np.full(a.origin.shape[0], 100.0)
    ivar = np.ones(SHAPE, np.float32)
    ivar[:, 7] = 0.0
    equations = normal_equations(a, project(a, truth), ivar, band=band_width(a))
    found = estimate(factorise(equations), equations.rhs)
    dead = a.origin[:, 1] == 7
    assert np.isnan(found.flux[dead]).all()
    assert found.flux[~dead] == pytest.approx(100.0, rel=1e-4)


def test_footprints_of_one_column_are_summed_as_any_others() -> None:
    rng = np.random.default_rng(8)
    n, shape = 300, (60, 12)
    origin = np.stack([rng.integers(-6, 58, n), rng.integers(0, 12, n)], axis=1).astype(np.int32)
    origin = origin[np.lexsort((origin[:, 0], origin[:, 1]))]
    narrow = DesignMatrix(origin, rng.random((n, 9, 1), np.float32), shape)
    narrow.weight[::37] = 0.0  # unknowns that leave no trace on the detector
    wide = np.zeros((n, 9, 3), np.float32)
    wide[:, :, 1:2] = narrow.weight
    data, ivar = (rng.random(shape, np.float32) for _ in range(2))
    ivar[rng.random(shape) < 0.1] = 0.0
    band = band_width(narrow)
    one = normal_equations(narrow, data, ivar, band=band)
    padded = DesignMatrix(origin - np.array([0, 1], np.int32), wide, shape)
    other = normal_equations(padded, data, ivar, band=band)
    for name in ("matrix", "rhs", "share"):
        assert np.allclose(getattr(one, name), getattr(other, name), rtol=1e-5, atol=1e-6)
