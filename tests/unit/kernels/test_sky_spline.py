"""The sky's spline against scipy's, its cumulants against a numerical convolution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BSpline

from tracecube.kernels.sky_spline import BAND, accumulate, derivatives, intervals, reshaped, seen, solve

FIRST, STEP, SIZE = 5000.0, 0.6, 120
INSIDE = (FIRST + 1e-6, FIRST + STEP * (SIZE - BAND + 1) - 1e-6)


def twin(coefficients):
    return BSpline(FIRST + STEP * (np.arange(SIZE + 6) - 5), coefficients, 5)


def places(rng, n):
    return rng.uniform(*INSIDE, n)


def test_value_and_derivatives_are_those_of_scipy():
    rng = np.random.default_rng(1)
    coefficients, wave = rng.normal(0, 1, SIZE), places(rng, 500)
    found = derivatives(wave, coefficients, FIRST, STEP)
    for order in range(5):
        expected = twin(coefficients).derivative(order)(wave) if order else twin(coefficients)(wave)
        assert np.allclose(found[order], expected, rtol=1e-6, atol=1e-7)


def test_beyond_the_spline_there_is_nothing():
    wave = np.array([FIRST - 0.1, FIRST + STEP * (SIZE - BAND + 1) + 0.1])
    assert np.all(derivatives(wave, np.ones(SIZE), FIRST, STEP) == 0.0)
    matrix, rhs = np.zeros((BAND, SIZE)), np.zeros(SIZE)
    accumulate(wave, np.ones(2), np.ones(2), 1.0, FIRST, STEP, matrix, rhs)
    assert not matrix.any()
    assert not rhs.any()


def test_normal_equations_are_those_of_the_dense_design():
    rng = np.random.default_rng(2)
    wave = places(rng, 800)
    data, weight = rng.normal(0, 1, wave.size), rng.uniform(0.5, 2, wave.size)
    weight[::5] = 0.0
    gain = 1.07
    design = gain * np.stack([twin(np.eye(SIZE)[j])(wave) for j in range(SIZE)], axis=1)
    full, right = design.T @ (weight[:, None] * design), design.T @ (weight * data)
    matrix, rhs = np.zeros((BAND, SIZE)), np.zeros(SIZE)
    accumulate(wave, data, weight, gain, FIRST, STEP, matrix, rhs)
    scale = np.abs(full).max()
    for below in range(BAND):
        assert np.allclose(matrix[below, : SIZE - below], np.diag(full, -below), atol=1e-9 * scale)
    assert np.allclose(rhs, right, atol=1e-9 * np.abs(right).max())


def lines(wave):
    """Lines as narrow as the spectrograph makes them, on a continuum."""
    at = np.array([5010.3, 5021.7, 5033.2, 5052.9])
    return 1.0 + (np.array([5, 20, 9, 14]) * np.exp(-0.5 * ((wave[:, None] - at) / 1.1) ** 2)).sum(axis=1)


def fitted(coefficient_of, n=6000):
    """Spline through samples of a function without noise."""
    wave = np.linspace(*INSIDE, n)
    matrix, rhs = np.zeros((BAND, SIZE)), np.zeros(SIZE)
    accumulate(wave, coefficient_of(wave), np.ones(n), 1.0, FIRST, STEP, matrix, rhs)
    return solve(matrix, rhs)


def test_the_spline_holds_the_lines():
    wave = np.linspace(5004.0, 5060.0, 3000)
    assert np.abs(derivatives(wave, fitted(lines), FIRST, STEP)[0] - lines(wave)).max() < 0.004


@pytest.mark.parametrize(
    ("shares", "steps"),
    [((0.5, 0.5), (-0.35, 0.35)), ((0.9, 0.1), (-0.08, 0.72)), ((0.1, 0.8, 0.1), (-0.7, 0.0, 0.7))],
    ids=["wider", "skewed", "winged"],
)
def test_cumulants_make_of_a_line_what_a_convolution_makes(shares, steps):
    p, v = np.array(shares), np.array(steps)
    assert abs(np.sum(p * v)) < 1e-12
    e, k = np.sum(p * v**2), np.sum(p * v**3)
    f = np.sum(p * v**4) - 3 * e**2
    wave = np.linspace(5008.0, 5056.0, 2000)
    s = derivatives(wave, fitted(lines), FIRST, STEP)
    moved = np.array([lines(wave - step) for step in v])
    middle = reshaped(fitted(lines), STEP, np.array([e, k, f]), np.zeros(3), 1.0)[1]
    found = derivatives(wave, middle, FIRST, STEP)[0]
    worst, of = np.abs(found - p @ moved).max(), np.abs(s[0] - p @ moved).max()
    assert worst < 0.05 * of  # what is left is of fifth order


def test_cumulants_that_change_along_the_spectrum_are_those_of_the_ends_at_the_ends():
    shape, change = np.array([0.1, 0.05, 0.02]), np.array([0.06, -0.04, 0.0])
    found = reshaped(fitted(lines), STEP, shape, change, 1.05)
    for row, z in enumerate((-1.05, 0.0, 1.05)):
        alone = reshaped(fitted(lines), STEP, shape + change * z, np.zeros(3), 1.05)
        assert np.allclose(alone[0], alone[2])
        assert np.allclose(found[row], alone[1], atol=1e-10)


def test_between_nodes_what_is_seen_changes_by_straight_lines():
    rng = np.random.default_rng(4)
    nodes, wave = rng.normal(0, 1, (3, SIZE)), places(rng, 300)
    z = rng.uniform(-1.2, 1.2, wave.size)
    found = seen(wave, z, intervals(nodes), FIRST, STEP, 1.05, 5)
    ends = np.array([derivatives(wave, node, FIRST, STEP) for node in nodes])
    below, at = np.where(z < 0, 0, 1), np.abs(np.where(z < 0, z / 1.05 + 1.0, z / 1.05))
    share = np.where((z < -1.05), z / 1.05 + 1.0, at)
    every = np.arange(wave.size)
    expected = ends[below, :, every] * (1 - share)[:, None] + ends[below + 1, :, every] * share[:, None]
    assert np.allclose(found, expected.T, atol=1e-9)
    assert np.array_equal(seen(wave, z, intervals(nodes), FIRST, STEP, 1.05, 1)[0], found[0])


def test_a_spectrum_is_recovered_from_slices_of_unlike_brightness_with_pulls_of_one():
    rng = np.random.default_rng(3)
    truth = fitted(lines)
    pulls = []
    for _ in range(30):
        matrix, rhs = np.zeros((BAND, SIZE)), np.zeros(SIZE)
        for gain in (0.9, 1.0, 1.1):
            wave = places(rng, 400)
            data = gain * derivatives(wave, truth, FIRST, STEP)[0] + rng.normal(0, 0.2, wave.size)
            accumulate(wave, data, np.full(wave.size, 25.0), gain, FIRST, STEP, matrix, rhs)
        found = solve(matrix, rhs)
        full = sum(
            np.diag(matrix[b, : SIZE - b], -b) + (np.diag(matrix[b, : SIZE - b], b) if b else 0) for b in range(BAND)
        )
        at = np.linspace(5006.0, 5062.0, 40)
        basis = np.stack([twin(np.eye(SIZE)[j])(at) for j in range(SIZE)], axis=1)
        error = np.sqrt(np.einsum("ij,jk,ik->i", basis, np.linalg.inv(full + 1e-9 * np.eye(SIZE)), basis))
        pulls.append((derivatives(at, found, FIRST, STEP)[0] - derivatives(at, truth, FIRST, STEP)[0]) / error)
    assert abs(np.std(pulls) - 1.0) < 0.05
    assert abs(np.mean(pulls)) < 0.1


def test_where_nothing_was_seen_the_spectrum_goes_on_as_its_neighbours_do():
    wave = places(np.random.default_rng(5), 4000)
    wave = wave[(wave < 5030.0) | (wave > 5040.0)]
    wave = wave[wave > 5003.01]
    matrix, rhs = np.zeros((BAND, SIZE)), np.zeros(SIZE)
    accumulate(wave, 2.0 + 0.01 * (wave - 5000.0), np.ones(wave.size), 1.0, FIRST, STEP, matrix, rhs)
    everywhere = np.linspace(INSIDE[0], INSIDE[1], 500)
    found = derivatives(everywhere, solve(matrix, rhs), FIRST, STEP)[0]
    assert np.abs(found - 2.0 - 0.01 * (everywhere - 5000.0)).max() < 1e-3


def test_a_spectrum_of_which_little_was_seen_is_solved_too():
    matrix, rhs = np.zeros((BAND, 8000)), np.zeros(8000)
    assert not solve(matrix, rhs).any()
    wave = FIRST + np.linspace(600.0, 700.0, 2000)
    accumulate(wave, np.full(wave.size, 3.0), np.full(wave.size, 1e7), 1.0, FIRST, STEP, matrix, rhs)
    found = derivatives(np.linspace(FIRST + 601.0, FIRST + 699.0, 50), solve(matrix, rhs), FIRST, STEP)[0]
    assert np.allclose(found, 3.0, atol=1e-5)
