from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tracecube.kernels.log_spectrum import STEP
from tracecube.recipes.classify import posterior
from tracecube.recipes.classify.library import templates
from tracecube.recipes.classify.matches import best_rows, peak
from tracecube.recipes.classify.measures import measured
from tracecube.recipes.classify.networks import learnt

SHIFTS = posterior.SHIFTS
HELD = templates()


def scores(*places: tuple[int, float, float]) -> np.ndarray:
    """Scores of templates: (row, shift, height), parabolas about their places."""
    made = np.zeros((len(HELD.name), SHIFTS.size))
    for row, shift, height in places:
        made[row] = np.maximum(height - 2.0 * (SHIFTS - shift) ** 2, 0.0)
    return made


def spread(shift: float, width: float = 1.0) -> np.ndarray:
    made = np.exp(-0.5 * ((SHIFTS - shift) / width) ** 2)
    return made / made.sum()


def of(name: str, count: int) -> list[int]:
    return np.flatnonzero((HELD.name == name) & np.isfinite(HELD.age))[:count].tolist()


def test_a_parabola_is_found_between_steps() -> None:
    [row] = of("sn1999em", 1)
    assert peak(scores((row, 12.3, 50.0))[row], 12) == pytest.approx(12.3)
    assert peak(np.arange(5.0), 4) == 4.0


def test_best_rows_hold_one_template_of_an_object_best_first() -> None:
    one, two = of("sn1999em", 2)
    [other] = of("sn2004et", 1)
    far = of("sn2005cf", 1)[0]
    score = scores((one, 12.0, 40.0), (two, 13.0, 50.0), (other, 11.0, 45.0), (far, 60.0, 90.0))
    assert best_rows(score, HELD, np.arange(len(HELD.name)), 12, 10) == [(two, 13), (other, 11)]


def test_templates_make_a_redshift_finer_unless_it_is_known() -> None:
    [row] = of("sn1999em", 1)
    score = scores((row, 12.4, 50.0))
    rows = best_rows(score, HELD, np.array([row]), 12, 5)
    free = measured(spread(12.0), score, rows, HELD, learnt(), known=False)
    held = measured(spread(12.0), score, rows, HELD, learnt(), known=True)
    assert np.log1p(free.z) / STEP == pytest.approx(12.2, abs=0.01)
    assert np.log1p(held.z) / STEP == pytest.approx(12.0, abs=0.01)
    assert free.age == pytest.approx(HELD.age[row])


def test_a_second_peak_makes_the_error_larger() -> None:
    [row] = of("sn1999em", 1)
    score = scores((row, 12.0, 50.0))
    rows = best_rows(score, HELD, np.array([row]), 12, 5)
    one = measured(spread(12.0), score, rows, HELD, learnt(), known=False)
    two = measured(0.6 * spread(12.0) + 0.4 * spread(50.0), score, rows, HELD, learnt(), known=False)
    assert two.z == pytest.approx(one.z, abs=1e-4)
    assert two.z_error > 1.4 * one.z_error


def test_scatter_of_ages_is_their_error_and_none_is_unknown() -> None:
    rows = [of("sn1999em", 1)[0], of("sn2004et", 1)[0]]
    held = replace(HELD, age=np.where(np.isin(np.arange(len(HELD.age)), rows), 10.0, np.nan))
    score = scores((rows[0], 12.0, 50.0), (rows[1], 12.0, 50.0))
    places = best_rows(score, held, np.array(rows), 12, 5)
    same = measured(spread(12.0), score, places, held, learnt(), known=False)
    held.age[rows[1]] = 30.0
    apart = measured(spread(12.0), score, places, held, learnt(), known=False)
    assert same.age == 10.0
    assert apart.age == pytest.approx(20.0)
    assert apart.age_error > 3.0 * same.age_error
    held.age[:] = np.nan
    assert np.isnan(measured(spread(12.0), score, places, held, learnt(), known=False).age)
