"""Profiles of blended traces, found with the fluxes eliminated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BSpline

from tracecube.kernels.forward import Footprints, design_matrix
from tracecube.kernels.profiles import profile_knots
from tracecube.kernels.shapes import BASIS_STEP, RowTraces, effective_profile, shape_equations

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


def test_effective_profile_is_what_a_pixel_receives() -> None:
    u, _ = splines()
    values = truth(u)
    foot = Footprints(np.zeros(3), np.array([20.0, 20.3, 19.51]), np.zeros(3), np.ones(3), np.zeros(3))
    a = design_matrix(foot, effective_profile(u, values), (41, 1), half_width=8)
    for j, centre in enumerate(foot.across):
        pixels = a.origin[j, 0] + np.arange(17)
        assert a.weight[j, :, 0] == pytest.approx(np.interp(pixels - centre, u, values), abs=2e-5)
        assert a.weight[j].sum() == pytest.approx(1.0, abs=2e-3)


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
