"""One exposure whose halo is not that of the others spoils no search, and is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.science.test_high_contrast import ANGLE, EMPTY, PARAMS, brought_together
from tracecube.recipes.science.odd_exposures import even_exposures, odd_factors
from tracecube.recipes.science.speckle_learning import learn_speckles
from tracecube.recipes.science.star_sequence import StarSequence
from tracecube.simulate.coronagraph import observe_star

ODD = 3


@pytest.fixture(scope="module")
def good() -> StarSequence:
    return brought_together(observe_star(EMPTY, 1))


@pytest.fixture(scope="module")
def spoilt(good: StarSequence) -> StarSequence:
    """The fourth exposure has speckles of its own, six times as bright: the loop was open."""
    other = brought_together(observe_star(replace(EMPTY, speckles=6.0 * EMPTY.speckles), 77))
    flux, weight = good.flux.copy(), good.weight.copy()
    flux[ODD], weight[ODD] = other.flux[ODD], other.weight[ODD]
    return replace(good, flux=flux, weight=weight)


def test_speckles_that_change_with_time_alone_are_not_odd(good):
    for seed in (2, 3):
        assert odd_factors(brought_together(observe_star(replace(EMPTY, memory=0.9), seed))).tolist() == [1.0] * 6
    same, factor = even_exposures(good)
    assert same is good
    assert factor.tolist() == [1.0] * ANGLE.size
    brighter = replace(good, flux=good.flux * np.float32([1, 1, 1.5, 1, 0.7, 1])[:, None, None])
    assert odd_factors(brighter).tolist() == [1.0] * 6  # haze changes brightness, not the halo


def test_an_odd_exposure_is_told_and_leaves_the_others_as_they_were(good, spoilt):
    even, factor = even_exposures(spoilt)
    assert np.flatnonzero(factor > 1.0).tolist() == [ODD]
    assert factor[ODD] > 30.0
    assert even.weight[ODD] == pytest.approx(spoilt.weight[ODD] / factor[ODD], rel=1e-5)
    rest = [t for t in range(ANGLE.size) if t != ODD]
    spread = [float(np.std(learn_speckles(one, PARAMS.speckles).residual[rest])) for one in (good, spoilt, even)]
    assert spread[1] > 1.3 * spread[0]
    assert spread[2] < 1.1 * spread[0]


def test_of_three_no_one_can_say_which_is_odd(spoilt):
    few = replace(
        spoilt, flux=spoilt.flux[2:5], weight=spoilt.weight[2:5], star_x=spoilt.star_x[2:5],
        star_y=spoilt.star_y[2:5], angle=spoilt.angle[2:5], brightness=spoilt.brightness[2:5],
    )  # fmt: skip
    assert odd_factors(few).tolist() == [1.0] * 3


@pytest.mark.parametrize("longer", [8.0, 16.0])
def test_a_long_exposure_has_less_noise_and_no_other_halo(longer):
    """Brought to the integration time of the others; speckles that change with time are the same in all."""
    changing = brought_together(observe_star(replace(EMPTY, memory=0.5), 2))
    weight = changing.weight * np.float32([1, 1, longer, 1, 1, 1])[:, None, None]
    assert odd_factors(replace(changing, weight=weight)).tolist() == [1.0] * 6
