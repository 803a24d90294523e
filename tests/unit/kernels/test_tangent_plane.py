"""From the tangent plane to the sky and back."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.tangent_plane import plane_to_sky, sky_to_plane


@pytest.mark.parametrize("centre", [(214.8, 52.6), (0.001, -89.0), (359.999, 0.0)])
def test_it_is_the_inverse_of_the_projection(centre: tuple[float, float]) -> None:
    east, north = np.array([-600.0, 0.0, 25.5]), np.array([600.0, 0.0, -3.25])
    back = sky_to_plane(*plane_to_sky(east, north, *centre), *centre)
    assert np.allclose(back, (east, north), atol=1e-6)


def test_what_is_near_lies_in_the_plane_and_the_far_side_does_not() -> None:
    east, north = sky_to_plane(np.array([10.0, 10.01, 190.0]), np.array([60.0, 60.0, -60.0]), 10.0, 60.0)
    assert (east[0], north[0]) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert east[1] == pytest.approx(36.0 * np.cos(np.radians(60.0)), rel=1e-5)
    assert abs(north[1]) < 0.01
    assert np.isnan(east[2])
