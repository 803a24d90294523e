"""Stars of a field matched to a catalogue, and the linear map that they tell."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.errors import NoConvergence
from tracecube.recipes.sky.linear_wcs import match_stars, solve_map

MATRIX = np.array([[1.002, -0.012], [0.011, 0.999]])
SHIFT = np.array([1.7, -3.1])  # arcsec


def field(
    rng: np.random.Generator, count: int, *, wrong: int = 0, error: float = 0.01
) -> tuple[np.ndarray, np.ndarray]:
    """Found stars (n, 2), the last ones of no catalogue, and a catalogue with as many again that were not found."""
    true = rng.uniform(-28, 28, (count, 2))
    found = np.concatenate([true + rng.normal(0, error, true.shape), rng.uniform(-28, 28, (wrong, 2))])
    others = rng.uniform(-40, 40, (count + wrong, 2))
    return found, np.concatenate([true @ MATRIX.T + SHIFT, others])


def solved(found: np.ndarray, catalogue: np.ndarray, error: float = 0.01):
    pair = match_stars(found, catalogue, reach=8.0, turn=2.0, tolerance=0.6)
    sky = np.where((pair >= 0)[:, None], catalogue[pair], np.nan)
    return pair, solve_map(found, np.full(found.shape, error), sky)


@pytest.mark.parametrize("wrong", [0, 15])
def test_map_is_found_among_wrong_stars(wrong):
    pair, one = solved(*field(np.random.default_rng(1), 20, wrong=wrong))
    assert (pair[:20] == np.arange(20)).all()
    assert one.terms == 6
    assert np.abs(one.matrix - MATRIX).max() < 1e-3
    assert np.abs(one.shift - SHIFT).max() < 0.02
    assert one.used[:20].sum() >= 18


@pytest.mark.parametrize(("count", "terms"), [(4, 4), (9, 6)])
def test_pulls_are_one(count, terms):
    rng = np.random.default_rng(2)
    pulls = []
    turn = np.array([[1.0, -0.01], [0.01, 1.0]])
    matrix = turn if terms == 4 else MATRIX
    for _ in range(150):
        found = rng.uniform(-28, 28, (count, 2))
        sky = found @ matrix.T + SHIFT
        one = solve_map(found + rng.normal(0, 0.01, found.shape), np.full(found.shape, 0.01), sky)
        assert one.terms == terms
        off = np.concatenate([(one.matrix - matrix).ravel(), one.shift - SHIFT])
        pulls.append(off / np.sqrt(np.diag(one.covariance)))
    # where chi-square is above one the errors are raised, and by chance that is so half of the time
    assert 0.8 < np.sqrt(np.mean(np.square(pulls))) < 1.1


def test_two_stars_tell_the_centre_alone_and_one_wrong_pair_is_given_up():
    rng = np.random.default_rng(3)
    found = rng.uniform(-28, 28, (2, 2))
    one = solve_map(found, np.full((2, 2), 0.01), found + SHIFT)
    assert one.terms == 2
    assert np.allclose(one.matrix, np.eye(2))
    assert np.allclose(one.shift, SHIFT)
    found = rng.uniform(-28, 28, (10, 2))
    sky = found @ MATRIX.T + SHIFT
    sky[4] += 0.4
    one = solve_map(found, np.full((10, 2), 0.01), sky)
    assert np.flatnonzero(~one.used).tolist() == [4]


def test_another_field_is_refused():
    rng = np.random.default_rng(4)
    with pytest.raises(NoConvergence, match="would by chance"):
        match_stars(rng.uniform(-28, 28, (12, 2)), rng.uniform(-40, 40, (40, 2)), reach=8.0, turn=2.0, tolerance=0.6)
