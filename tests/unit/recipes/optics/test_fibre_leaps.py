"""A fibre whose ends tell nothing in one turn of the fit stays where it was: it is found again in the next."""

from __future__ import annotations

import numpy as np

from tracecube.kernels.polynomials import Shrunk
from tracecube.recipes.optics.fibre_profile import gaussian_profile
from tracecube.recipes.optics.fibre_traces import FibreTraceParams, _Amplifier, _basis, _take

FIBRES, COLUMNS, TERMS = 5, 64, 8


def test_a_leap_is_not_taken_and_steps_are() -> None:
    params = FibreTraceParams()
    start = np.zeros((FIBRES, TERMS))
    start[:, 0] = 10.0 + 8.8 * np.arange(FIBRES)
    one = _Amplifier(
        slice(0, 60),
        np.ones(FIBRES, bool),
        start,
        np.zeros((FIBRES, TERMS, TERMS)),
        gaussian_profile(params.profile, 2.2, FIBRES),
    )
    found = start.copy()
    found[:, 1] += 0.3
    found[-1, 7] = 500.0  # as of a last fibre whose ends lay 0.3 px off: 1014 px at the edge of the detector
    shrunk = Shrunk(found, np.ones((FIBRES, TERMS, TERMS)), np.zeros((1, TERMS)), np.ones(TERMS))
    place = 8.8 * np.arange(FIBRES)
    _take(one, shrunk, np.ones((FIBRES, 1)), (place, _basis(COLUMNS, TERMS)))
    np.testing.assert_allclose(one.coefficients[:-1], found[:-1])
    np.testing.assert_allclose(one.coefficients[-1], start[-1])
    assert np.diff(one.centre(COLUMNS), axis=0).min() > 8.0
