"""Errors of a fitted spline are those of many fits."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.common_spectrum import accumulate, empty_system, evaluate, solve_common
from tracecube.kernels.spline_error import spline_covariance, spline_variance

FIRST, STEP, KNOTS = 3990.0, 1.5, 60


def test_variance_is_that_of_many_fits() -> None:
    rng = np.random.default_rng(1)
    wave = np.sort(rng.uniform(4000.0, 4060.0, 900))
    scale, excess, weight = rng.uniform(0.5, 2.0, 900), np.full(900, 0.3), rng.uniform(0.2, 1.0, 900)
    at, wide = np.linspace(4003.0, 4055.0, 40), np.full(40, 0.3)
    values = []
    for _ in range(400):
        matrix, rhs = empty_system(KNOTS)
        accumulate(wave, scale, excess, rng.normal(0.0, weight**-0.5), weight, FIRST, STEP, matrix, rhs)
        values.append(evaluate(solve_common(matrix, rhs, FIRST, STEP), at, wide)[0])
    told = spline_variance(
        spline_covariance([(wave, scale, excess, weight)], FIRST, STEP, KNOTS), at, wide, FIRST, STEP
    )
    ratio = np.var(values, axis=0) / told
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.05)
    assert np.abs(ratio - 1.0).max() < 0.35


def test_nothing_is_known_beyond_the_data() -> None:
    wave = np.linspace(4000.0, 4030.0, 300)
    one = np.ones(300)
    covariance = spline_covariance([(wave, one, 0.0 * one, one)], FIRST, STEP, KNOTS)
    far = np.array([4050.0, 5000.0])
    assert np.isinf(spline_variance(covariance, far, np.zeros(2), FIRST, STEP)).all()
