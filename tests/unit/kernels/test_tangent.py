"""From the tangent plane to the sky and back."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.tangent import to_sky
from tracecube.recipes.sky.astrometry import tangent_plane


@pytest.mark.parametrize("centre", [(214.8, 52.6), (0.001, -89.0), (359.999, 0.0)])
def test_it_is_the_inverse_of_the_projection(centre: tuple[float, float]) -> None:
    east, north = np.array([-600.0, 0.0, 25.5]), np.array([600.0, 0.0, -3.25])
    back = tangent_plane(*to_sky(east, north, centre), *centre)
    assert np.allclose(back, (east, north), atol=1e-6)
