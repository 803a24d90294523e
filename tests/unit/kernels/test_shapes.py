"""Profiles of blended traces, found with the fluxes eliminated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BSpline

from tracecube.kernels.profiles import profile_knots
from tracecube.kernels.shapes import BASIS_STEP, RowTraces, mixed_matrix, shape_equations

REACH = 8.0


def splines():
    knots = profile_knots(REACH)
    half = round(REACH / BASIS_STEP)
    u = np.arange(-half, half + 1) * BASIS_STEP
    count = knots.size - 4
    values = [np.nan_to_num(BSpline.basis_element(knots[i : i + 5], extrapolate=False)(u)) for i in range(count)]
    return u, np.array(values)


def truth(u):
    core = np.exp(-0.5 * (u / 1.0) ** 2)
    wing = 0.03 / (1.0 + (u / 2.5) ** 2) ** 1.5 * (1.0 + 0.1 * np.tanh(u))
    whole = np.where(np.abs(u) < REACH - 0.1, core + wing * np.cos(0.5 * np.pi * u / REACH) ** 2, 0.0)
    return whole / (whole.sum() * BASIS_STEP)


def rows(rng, n_rows=60, width=200, empty=0.0):
    place, first = [], [0]
    for row in range(n_rows):
        x = np.arange(8.0, width - 8.0, 5.1) + 0.37 * row % 5.1
        x = x[rng.random(x.size) >= empty]
        place.append(x)
        first.append(first[-1] + x.size)
    return RowTraces(np.array(first), np.concatenate(place), np.zeros(first[-1]))


def test_mixed_matrix_is_what_pixels_receive_and_its_slope_moves_it() -> None:
    u, _ = splines()
    shapes = np.stack([truth(u), 0.1 * np.sin(u) * np.exp(-0.5 * u**2)], axis=1)
    across = np.array([20.0, 20.3, 19.51])
    mix = np.array([[1.0, 1.0, 1.0], [0.0, 0.5, -1.0]], np.float32)
    zero, kind = np.zeros(3), {"shape": (41, 1), "half_width": 8}
    a = mixed_matrix(zero, across, mix, u, shapes, **kind)
    for j, centre in enumerate(across):
        pixels = a.origin[j, 0] + np.arange(17)
        want = [np.interp(pixels - centre, u, one, left=0, right=0) for one in shapes.T]
        assert a.weight[j, :, 0] == pytest.approx(mix[0, j] * want[0] + mix[1, j] * want[1], abs=2e-5)
    slope = mixed_matrix(zero, across, mix, u, shapes, shift_across=True, **kind)
    moved = mixed_matrix(zero, across + 0.01, mix, u, shapes, **kind)
    assert slope.weight == pytest.approx((moved.weight - a.weight) / 0.01, abs=5e-3)


def test_profile_with_wings_comes_back() -> None:
    rng = np.random.default_rng(3)
    u, basis = splines()
    values = truth(u)
    traces = rows(rng, empty=0.3)  # gaps tell the wings from the neighbours
    image = np.zeros((200, 60))
    for row in range(60):
        for x in traces.place[traces.first[row] : traces.first[row + 1]]:
            image[:, row] += rng.uniform(500, 3000) * np.interp(np.arange(200) - x, u, values, left=0, right=0)
    variance = image + 9.0
    data = image + 5.0 + rng.normal(0, 1, image.shape) * np.sqrt(variance)
    start = np.exp(-0.5 * (u / 1.1) ** 2)
    start /= start.sum() * BASIS_STEP
    found = np.linalg.lstsq(basis.T, start, rcond=None)[0][None].repeat(2, axis=0)
    area = basis.sum(axis=1) * BASIS_STEP
    for _ in range(4):
        one = shape_equations(data, 1 / variance, traces, basis, found, zone=(10, 190, 0, 60), every=1)
        n = found.shape[1]
        matrix, rhs = one.matrix[:n, :n], one.rhs[:n]
        matrix = matrix + 1e8 * np.outer(area, area)
        found[0] += np.linalg.solve(matrix, rhs + 1e8 * area * (1 - area @ found[0]))
    assert one.chi2 / one.samples == pytest.approx(1.0, abs=0.05)
    assert found[0] @ basis == pytest.approx(values, abs=0.004)
