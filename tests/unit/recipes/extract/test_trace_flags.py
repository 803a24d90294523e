"""Flags of pixels in the spectra made of them."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.flags import Flag
from tracecube.core.optics import TraceSet
from tracecube.recipes.extract.trace_flags import flags_in_bins, flags_on_traces

FULL = int(Flag.SATURATED)


def traces(axis: int) -> TraceSet:
    """Two traces of five samples on columns 10 to 14; the second leaves the detector."""
    centre = np.array([[20.0, 20.2, 20.4, 20.6, 20.8], [39.0, 39.4, 39.8, 40.2, np.nan]])
    return TraceSet(
        aperture=np.arange(2),
        start=np.array([10, 10]),
        q=np.zeros(2, int),
        r=np.arange(2),
        dq=np.zeros(2, np.int32),
        centre=centre,
        sigma=np.ones(centre.shape),
        sample_dq=np.zeros(centre.shape, np.int32),
        profile_u=np.linspace(-5, 5, 11),
        profile=np.ones((11, 1)),
        mix=None,
        axis=axis,
    )


@pytest.mark.parametrize("axis", [0, 1])
def test_a_pixel_is_known_to_the_sample_whose_core_it_is_in(axis):
    flags = np.zeros((40, 30), np.int32)
    flags[22, 14] = FULL | int(Flag.HOT_PIXEL)  # 1.2 px off the trace: its core ends at the next pixel
    flags[23, 13] = FULL  # two pixels off
    flags[39, 10] = FULL
    found = flags_on_traces(flags if axis == 1 else flags.T, traces(axis), FULL)
    assert found.tolist() == [[0, 0, 0, 0, FULL], [FULL, 0, 0, 0, 0]]


def test_a_bin_has_the_flags_of_all_it_covers_and_of_no_other():
    samples = np.array([[0, FULL, 0, 0, int(Flag.NON_LINEAR)]])
    edges = np.array([[-0.5, 0.5, 1.5, 2.5, 3.6]])
    assert flags_in_bins(samples, edges).tolist() == [[0, FULL, 0, int(Flag.NON_LINEAR)]]
    assert flags_in_bins(samples, edges[:, ::-1]).tolist() == [[int(Flag.NON_LINEAR), 0, FULL, 0]]
    nowhere = np.full((1, 3), -1e6)  # a spectrum without wavelengths
    assert not flags_in_bins(samples, nowhere).any()
