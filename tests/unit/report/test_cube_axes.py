"""Axes of cubes as pictures need them, from the cards of one layout or another."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tracecube.report.figures.cube_axes import spaxel, wavelengths


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({"CRVAL3": 5000.0, "CD3_3": 2.0, "CRPIX3": 1.0}, [5000.0, 5002.0, 5004.0]),
        ({"CRVAL3": 5000.0, "CDELT3": 2.0}, [5000.0, 5002.0, 5004.0]),
        ({"CRVAL3": 5000.0, "CD3_3": 2.0, "CRPIX3": 2.0}, [4998.0, 5000.0, 5002.0]),
        ({}, [0.0, 1.0, 2.0]),
    ],
)
def test_wavelengths_of_planes(cards, expected):
    assert wavelengths(SimpleNamespace(data=np.zeros((3, 2, 2)), meta=cards)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({"CD1_1": -0.2 / 3600 * np.cos(1.0), "CD2_1": 0.2 / 3600 * np.sin(1.0)}, 0.2),
        ({"CDELT1": -1.0 / 3600, "CDELT2": 1.0 / 3600, "CUNIT2": "deg"}, 1.0),
        ({"CDELT1": -0.5, "CDELT2": 0.5, "CUNIT2": "arcsec"}, 0.5),
        ({}, 1.0),
    ],
)
def test_side_of_a_spaxel(cards, expected):
    assert spaxel(SimpleNamespace(meta=cards)) == pytest.approx(expected)
