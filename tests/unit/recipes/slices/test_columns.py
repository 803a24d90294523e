"""Warm columns beside each other, and at the end of a slice, do not pass for light."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.recipes.slices.test_segments import FIELD, PIECES, _narrow_star, _sky_with, cut

MIDDLE = int(FIELD.traces.centre[1, 2000]) + 4
INSIDE = np.abs(np.arange(FIELD.rows) - 2000) < 500


def change(added: np.ndarray) -> np.ndarray:
    """By how much pieces of the middle slice are brighter for what is added."""
    return (cut(_sky_with(added)).flux - cut(_sky_with(0.0 * added)).flux)[PIECES : 2 * PIECES]


@pytest.mark.parametrize("sizes", [(0.2, 0.2), (0.1, 0.1), (0.2, 0.1), (2.0, 1.5)])
def test_two_warm_columns_beside_each_other_do_not_count(sizes):
    """They were as bright together as a star: all of their light was in the piece."""
    added = np.zeros(FIELD.shape)
    added[:, MIDDLE], added[:, MIDDLE + 1] = sizes
    assert np.abs(np.nanmean(change(added)[:, INSIDE], axis=1)).max() < 5e-4


def test_a_warm_column_at_the_end_of_a_slice_does_not_count():
    added = np.zeros(FIELD.shape)
    rows = np.arange(FIELD.rows)
    first = np.rint(FIELD.traces.left[1] + 2.5).astype(int)
    added[rows, first] = 0.2
    assert np.abs(np.nanmean(change(added)[0, INSIDE])) < 1e-3


@pytest.mark.parametrize("fwhm", [2.0, 2.5, 4.0])
@pytest.mark.parametrize("off", [0.0, 0.25, 0.5, 0.75])
def test_stars_as_narrow_as_there_are_between_two_columns_count(fwhm, off):
    star = _narrow_star(MIDDLE + off, 1.0, fwhm)
    light = np.nanmean(change(star)[3:6][:, np.abs(np.arange(FIELD.rows) - 2000) < 100], axis=1).sum()
    assert light == pytest.approx(fwhm * 1.0645 / 9.0, rel=0.03)
