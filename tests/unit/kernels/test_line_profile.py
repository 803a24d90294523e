"""The shape of lines as splines, against dense twins."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import BSpline

from tracecube.kernels.line_profile import Shape, evaluate_shape, line_terms, shape_system

SHAPE = Shape(-6.0, 0.5, 27, 2)
LINES = 9


def samples(rng, n=4000):
    offset = rng.uniform(-7.0, 8.5, n)  # some beyond the splines
    line = rng.integers(0, LINES, n)
    return offset, line, rng.uniform(0.5, 2.0, n)


def basis(offset):
    """Every spline at the samples (k, splines), zero beyond the whole ones."""
    knots = SHAPE.first + SHAPE.step * (np.arange(SHAPE.splines + 4) - 3)
    inside = (offset >= SHAPE.first) & (offset < SHAPE.first + SHAPE.step * (SHAPE.splines - 3))
    columns = [
        BSpline(knots, np.eye(SHAPE.splines)[j], 3)(np.clip(offset, knots[3], knots[-4])) for j in range(SHAPE.splines)
    ]
    return np.where(inside[:, None], np.stack(columns, axis=1), 0.0)


def test_the_normal_equations_are_those_of_the_dense_design():
    rng = np.random.default_rng(1)
    offset, line, weight = samples(rng)
    weight[::7] = 0.0
    value = rng.normal(0, 1, offset.size)
    strength, ground, z = rng.uniform(10, 100, LINES), rng.normal(0, 1, LINES), rng.uniform(-1, 1, LINES)
    powers = z[line][:, None] ** np.arange(SHAPE.degree + 1)
    design = (strength[line][:, None, None] * basis(offset)[:, :, None] * powers[:, None, :]).reshape(offset.size, -1)
    matrix, rhs = shape_system((offset, value, weight, line), strength, ground, z, SHAPE)
    assert matrix.shape == (SHAPE.size, SHAPE.size)
    assert np.allclose(matrix, design.T @ (weight[:, None] * design), rtol=1e-9, atol=1e-7)
    assert np.allclose(rhs, design.T @ (weight * (value - ground[line])), rtol=1e-9, atol=1e-7)


def test_the_shape_is_the_sum_of_its_splines():
    rng = np.random.default_rng(2)
    offset, line, _ = samples(rng)
    z = rng.uniform(-1, 1, LINES)
    coefficients = rng.normal(0, 1, (SHAPE.splines, SHAPE.degree + 1))
    seen = evaluate_shape(offset, line, z, coefficients, SHAPE.first, SHAPE.step)
    powers = z[line][:, None] ** np.arange(SHAPE.degree + 1)
    assert np.allclose(seen, np.einsum("kj,jp,kp->k", basis(offset), coefficients, powers), atol=1e-12)


def test_strength_and_ground_are_those_of_least_squares():
    rng = np.random.default_rng(3)
    offset, line, weight = samples(rng)
    model = np.exp(-0.5 * (offset / 1.1) ** 2)
    strength, ground = rng.uniform(100, 1000, LINES), rng.normal(0, 5, LINES)
    noise = 1 / np.sqrt(weight)
    value = strength[line] * model + ground[line] + noise * rng.normal(0, 1, offset.size)
    found, floor, chi2 = line_terms(value, weight, line, model, LINES)
    for number in range(LINES):
        own = line == number
        root = np.sqrt(weight[own])
        design = np.stack([model[own], np.ones(own.sum())], axis=1) * root[:, None]
        twin = np.linalg.lstsq(design, value[own] * root, rcond=None)[0]
        assert np.allclose([found[number], floor[number]], twin, rtol=1e-9)
    assert abs(chi2.mean() - 1.0) < 0.1


def test_a_line_without_samples_has_no_strength():
    line = np.zeros(40, np.int64)
    offset = np.linspace(-5, 5, 40)
    model = np.exp(-0.5 * offset**2)
    strength, ground, chi2 = line_terms(3.0 * model + 1.0, np.ones(40), line, model, 2)
    assert np.allclose([strength[0], ground[0]], [3.0, 1.0])
    assert (strength[1], ground[1], chi2[1]) == (0.0, 0.0, 0.0)


def test_a_shape_that_changes_with_wavelength_is_recovered_within_its_errors():
    rng = np.random.default_rng(4)
    pulls = []
    for _ in range(20):
        z = np.linspace(-1, 1, LINES)
        offset, line, _ = samples(rng, 3000)
        offset = np.clip(offset, -5.9, 5.9)
        truth = rng.normal(1.0, 0.3, (SHAPE.splines, SHAPE.degree + 1))
        strength, ground = rng.uniform(50, 100, LINES), np.zeros(LINES)
        clean = strength[line] * evaluate_shape(offset, line, z, truth, SHAPE.first, SHAPE.step)
        value = clean + rng.normal(0, 2.0, offset.size)
        matrix, rhs = shape_system((offset, value, np.full(offset.size, 0.25), line), strength, ground, z, SHAPE)
        covariance = np.linalg.inv(matrix)
        pulls.append((covariance @ rhs - truth.ravel()) / np.sqrt(np.diag(covariance)))
    assert abs(np.std(pulls) - 1.0) < 0.05
