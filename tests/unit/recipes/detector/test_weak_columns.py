"""Columns that lose charge, found on an even lamp, and the samples of fibres that fall on them."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.frame import Frame
from tracecube.recipes.detector.weak_columns import WeakColumnParams, flag_samples, weak_columns

ROWS, COLUMNS = 500, 300
PARAMS = WeakColumnParams()


def lamp(response: np.ndarray, seed: int = 1) -> Frame:
    """Draw the mean of two exposures: fibres 8.76 px apart that run a little aslant, a lamp that rises to the red."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    light = 20.0 + 500.0 * np.exp(-0.5 * (((y - 0.012 * x) % 8.76 - 4.38) / 1.8) ** 2)
    light = light * (0.5 + x / COLUMNS) * response * (1.0 + 0.007 * rng.standard_normal(light.shape))
    data = rng.poisson(2.0 * light) / 2.0 + rng.normal(0.0, 2.6 / 2.0**0.5, light.shape)
    variance = np.full(light.shape, 2.6**2 / 2.0, np.float32)
    return Frame(data.astype(np.float32), variance, np.zeros(light.shape, np.int32), {"NCOMBINE": 2})


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.9])
def test_a_column_that_keeps_less_is_found_from_where_it_begins(kept: float) -> None:
    response = np.ones((ROWS, COLUMNS))
    response[180:, 97] = kept
    found = weak_columns(lamp(response), PARAMS) != 0
    assert found[200:, 97].mean() > 0.9
    assert not found[:150, 97].any()
    found[:, 97] = False
    assert found.mean() < 1e-4


def test_two_columns_beside_each_other_do_not_hide_one_another() -> None:
    response = np.ones((ROWS, COLUMNS))
    response[:, 97] = 0.3
    response[:, 100] = 0.7
    found = weak_columns(lamp(response), PARAMS) != 0
    assert (found[:, [97, 100]].mean(axis=0) > 0.9).all()
    found[:, [97, 100]] = False
    assert found.mean() < 2e-4


def test_an_even_chip_has_none() -> None:
    for seed in range(3):
        assert np.count_nonzero(weak_columns(lamp(np.ones((ROWS, COLUMNS)), seed), PARAMS)) < 20


def test_samples_on_weak_pixels_are_flagged_and_their_neighbours_are_not() -> None:
    flags = np.zeros((ROWS, COLUMNS), np.int32)
    flags[100:, 50] = 1
    centre = np.repeat(np.array([[60.0], [99.0], [150.0], [np.nan]]), COLUMNS, axis=1)
    found = flag_samples(flags, centre, PARAMS)
    assert not found[0].any()
    assert found[1:3, 50].all()
    assert np.count_nonzero(found) == 2
