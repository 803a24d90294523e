"""What lamps that light a detector each in its own way leave open of its response."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.recipes.detector.large_scale import open_response

Y, X = np.mgrid[-1.0:1.0:256j, -1.0:1.0:256j]
LIT = np.ones(X.shape, bool)


def test_lamps_leave_open_what_they_differ_by_over_the_root_of_their_number() -> None:
    tilts = np.array([0.03, -0.01, 0.02, 0.0, 0.01])
    response = 1.0 + 0.02 * X * Y  # in all of them: nobody can tell it from a lamp
    found = open_response([level * (1.0 + tilt * X) * response for level, tilt in enumerate(tilts, start=1)], LIT)
    assert found is not None
    rms = np.sqrt(np.mean(X[np.hypot(X, Y) < 0.95] ** 2))
    assert found[0] == pytest.approx(np.std(tilts, ddof=1) / np.sqrt(5.0) * rms, rel=0.01)
    assert np.abs(found[1:]).max() < 0.02 * found[0]


def test_a_single_lamp_or_little_light_tells_nothing() -> None:
    even = np.ones(X.shape)
    assert open_response([even], LIT) is None
    assert open_response([even, 1.0 + 0.1 * X], np.hypot(X, Y) < 0.05) is None
    lost = np.where(X > 0.5, np.nan, 1.0 + 0.01 * X)
    assert np.isfinite(open_response([even, lost], LIT)).all()
