"""A background with the shutter open in the place of a dark, where no dark was taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.detector.infrared.test_darks import dark, usual
from tracecube.recipes.detector.dark import dark_for


@pytest.fixture(scope="module")
def long_dark(array):
    return dark(array, 16.0, 10).master_dark


@pytest.fixture(scope="module")
def per_second(long_dark):
    """The same as a background is kept: electron / s."""
    f = np.float32(1.0 / 16.0)
    return replace(
        long_dark, data=long_dark.data * f, rms=long_dark.rms * f, variance=long_dark.variance * f**2,
        meta={**long_dark.meta, "BUNIT": "electron/s"},
    )  # fmt: skip


def test_it_is_brought_to_the_integration_time_and_said(array, long_dark, per_second):
    made, [caveat] = dark_for([per_second], 4.0)
    assert caveat.startswith("no dark at all: a background with the shutter open stands in")
    assert caveat.endswith("(DIT 16 s, for 4 s)")
    same, _ = dark_for([long_dark], 4.0)
    assert made.data == pytest.approx(same.data, rel=1e-5, abs=1e-4)
    assert made.variance == pytest.approx(same.variance, rel=1e-5)
    assert made.meta["BUNIT"] == "electron"
    assert np.median(made.data[usual(array)] - 4.0 * array.dark[usual(array)]) == pytest.approx(0.0, abs=0.5)


def test_where_there_is_a_dark_it_does_not_count(long_dark, per_second):
    alone, none = dark_for([long_dark], 16.0)
    beside, caveats = dark_for([per_second, long_dark], 16.0)
    assert np.array_equal(alone.data, beside.data)
    assert caveats == none == ()
