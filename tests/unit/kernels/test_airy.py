"""The diffraction pattern: closed forms of centre, dark rings and enclosed light."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import j0, j1

from tracecube.kernels.airy import LARGEST_RADIUS, airy_density, airy_enclosed, airy_table


@pytest.mark.parametrize("obstruction", [0.0, 0.14, 0.4])
def test_the_peak_is_the_area_of_the_aperture(obstruction: float) -> None:
    peak = airy_density(np.zeros(1), obstruction)[0]
    assert peak[0] == pytest.approx(0.25 * np.pi * (1.0 - obstruction**2), rel=1e-6)


def test_dark_rings_lie_at_the_zeros_of_the_bessel_function() -> None:
    rings = np.array([1.2196699, 2.2331306, 3.2383155])
    assert airy_density(rings, 0.0)[0] == pytest.approx(np.zeros(3), abs=1e-5)


def test_enclosed_light_is_rayleighs() -> None:
    radius = np.array([0.5, 1.2196699, 2.2331306, 5.0])
    closed = 1.0 - j0(np.pi * radius) ** 2 - j1(np.pi * radius) ** 2
    assert airy_enclosed(radius, 0.0) == pytest.approx(closed, abs=2e-5)


@pytest.mark.parametrize("obstruction", [0.0, 0.3])
def test_the_whole_plane_holds_all_light(obstruction: float) -> None:
    # beyond r lies 2 / (pi**2 r) of it, and of an obstructed aperture (1 - o)**-1 as much
    far = airy_enclosed(np.array([50.0]), obstruction)[0]
    assert 1.0 - far == pytest.approx(2.0 / (np.pi**2 * 50.0 * (1.0 - obstruction)), rel=0.05)


def test_the_slope_is_that_of_the_density() -> None:
    radius = np.linspace(0.3, 4.0, 60)
    step = 0.01
    density = [airy_density(radius + sign * step, 0.14)[0] for sign in (1.0, -1.0)]
    assert airy_density(radius, 0.14)[1] == pytest.approx((density[0] - density[1]) / (2.0 * step), abs=0.01)


def test_beyond_the_table_is_nothing_and_the_table_is_not_to_be_changed() -> None:
    assert airy_density(np.array([LARGEST_RADIUS + 5.0]), 0.0)[0][0] == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(ValueError, match="read-only"):
        airy_table(0.0)[1][0] = 1.0
