"""Pieces without any light: nothing is divided by nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np

from tracecube.recipes.slices.sky_pieces import Slices, tightness


def test_pieces_that_are_all_exactly_dark_are_held_by_a_finite_weight() -> None:
    slices = cast("Slices", SimpleNamespace(white=np.zeros(6), slice=np.array([0, 0, 0, 1, 1, 1])))
    value = np.ones((2, 8))
    blank = np.array([True, True, False, True, True, False])
    found = tightness(slices, blank, value)
    assert np.isfinite(found).all()
    assert (found[blank] > 0.0).all()
    assert (found[~blank] == 0.0).all()
