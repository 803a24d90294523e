"""Fields and shrinkage: exact where they must be, honest about their errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracecube.kernels.polynomials import fit_field, monomials, shrink_to_field


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_field_meets_a_polynomial_and_its_slope(seed: int, degree: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform(-300.0, 2300.0, (60, 2))
    true = rng.normal(size=((degree + 1) * (degree + 2) // 2, 2))
    values = monomials((points - 1000.0) / 1000.0, degree) @ true
    field = fit_field(points, values, degree=degree)
    assert np.allclose(field(points), values)
    step = 1e-2
    for axis in (0, 1):
        move = np.zeros(2)
        move[axis] = step
        slope = (field(points + move) - field(points - move)) / (2 * step)
        assert np.allclose(field.jacobian(points)[:, :, axis], slope, atol=1e-6)


def test_points_without_weight_count_for_nothing() -> None:
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [5.0, 5.0]])
    values = np.array([[1.0], [2.0], [3.0], [99.0]])
    field = fit_field(points, values, degree=1, weight=np.array([1.0, 1.0, 1.0, 0.0]))
    assert np.allclose(field(points)[:, 0], [1.0, 2.0, 3.0, 16.0])


def measured(
    rng: np.random.Generator, n: int, scatter: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Straight-line fits whose offset is free and whose slope follows a field with some scatter."""
    points = rng.uniform(-1, 1, (n, 2))
    design = monomials(points, 2)
    field = rng.normal(size=(design.shape[1], 2))
    true = design @ field + rng.normal(size=(n, 2)) * scatter
    t = rng.uniform(-1, 1, (n, 30))
    basis = np.stack([np.ones_like(t), t], axis=2)
    error = rng.uniform(0.5, 3.0, (n, 1))
    data = (basis @ true[:, :, None])[:, :, 0] + error * rng.normal(size=t.shape)
    matrix = np.einsum("lij,lik->ljk", basis, basis) / error[:, :, None] ** 2
    rhs = np.einsum("lij,li->lj", basis, data) / error**2
    return true, design, matrix, rhs


@pytest.mark.parametrize("scatter", [0.0, 0.05, 0.5, 5.0])
def test_scatter_is_found_and_pulls_have_unit_width(scatter: float) -> None:
    rng = np.random.default_rng(7)
    true, design, matrix, rhs = measured(rng, 1500, (3.0, scatter))
    fit = shrink_to_field(matrix, rhs, design, free=np.array([True, False]))
    assert np.isinf(fit.scatter[0])
    assert abs(fit.scatter[1] - scatter) < 0.05 * scatter + 0.05
    pull = (fit.coefficients - true) / np.sqrt(np.einsum("ljj->lj", fit.covariance))
    assert 0.95 < np.std(pull[:, 0]) < 1.05
    if scatter > 0.1:
        assert 0.95 < np.std(pull[:, 1]) < 1.05
    alone = np.linalg.solve(matrix, rhs[:, :, None])[:, :, 0]
    assert np.std(fit.coefficients[:, 1] - true[:, 1]) <= 1.001 * np.std(alone[:, 1] - true[:, 1])


def test_a_free_coefficient_of_another_size_does_not_end_the_search_for_the_scatter() -> None:
    rng = np.random.default_rng(9)
    _, design, matrix, rhs = measured(rng, 400, (1e5, 0.0))
    fit = shrink_to_field(matrix, rhs, design, free=np.array([True, False]))
    alone = np.sqrt(np.median(np.linalg.inv(matrix)[:, 1, 1]))
    assert fit.scatter[1] < 0.2 * alone


def test_a_fit_without_data_takes_the_value_of_the_field() -> None:
    rng = np.random.default_rng(8)
    true, design, matrix, rhs = measured(rng, 300, (0.0, 0.01))
    matrix[0], rhs[0] = 0.0, 0.0
    fit = shrink_to_field(matrix, rhs, design, free=np.array([False, False]))
    assert np.allclose(fit.coefficients[0], true[0], atol=0.1)
    assert np.allclose(fit.coefficients[0], design[0] @ fit.field, atol=1e-6)


def test_few_fits_know_that_their_field_is_uncertain() -> None:
    """With as many field terms as a fifth of the fits, the field's own error counts."""
    pulls = []
    for seed in range(40):
        true, design, matrix, rhs = measured(np.random.default_rng(seed), 30, (3.0, 0.0))
        fit = shrink_to_field(matrix, rhs, design, free=np.array([True, False]))
        pulls.append((fit.coefficients[:, 1] - true[:, 1]) / np.sqrt(fit.covariance[:, 1, 1]))
    assert 0.85 < np.std(pulls) < 1.15
