"""The dispersion law owns up to lines it does not meet."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.recipes.small_field import nominal_law
from tracecube.recipes.optics.dispersion import fit_dispersion, fit_law, leave_one_out

LAW = nominal_law()
NOMINAL = (LAW.wave, LAW.pixel)
WAVE = np.array([3651.0, 4047.0, 4359.0, 4679.0, 5087.0, 5462.0, 5781.0, 6440.0, 7380.0, 8250.0, 8822.0, 9165.0])
TRUE = np.interp(WAVE, LAW.wave, LAW.pixel)


def test_errors_of_the_law_hold() -> None:
    rng, error = np.random.default_rng(1), np.full(WAVE.size, 0.02)
    table = np.arange(3700.0, 9200.0, 100.0)
    true = np.interp(table, LAW.wave, LAW.pixel)
    pulls = []
    for _ in range(200):
        law = fit_law(WAVE, TRUE + rng.normal(0, error), 1 / error**2, NOMINAL)
        pulls.append((law.z(table) - true) / law.error(table))
    assert 0.7 < np.std(pulls) < 1.1


def test_a_line_left_out_is_predicted_without_its_help() -> None:
    wrong = TRUE.copy()
    wrong[5] += 0.5
    missed = leave_one_out(WAVE, wrong, np.full(WAVE.size, 2500.0), NOMINAL)
    assert missed[5] == pytest.approx(0.5, abs=0.05)


def test_the_residual_shows_a_line_that_is_off_in_all_apertures_alike() -> None:
    rng = np.random.default_rng(2)
    x = TRUE + rng.uniform(0, 900, (80, 1)) + rng.normal(0, 0.01, (80, WAVE.size))
    x[:, 8] += 0.3
    weight = np.where(np.arange(WAVE.size) == 8, 1.0, 1e4)
    law = fit_law(WAVE, TRUE + np.where(weight < 2, 0.3, 0.0), weight, NOMINAL)
    fit = fit_dispersion(law, WAVE, x, np.full(x.shape, 0.01), rng.uniform(-1, 1, (80, 2)))
    assert np.median(fit.residual[:, 8]) == pytest.approx(0.3, abs=0.05)
