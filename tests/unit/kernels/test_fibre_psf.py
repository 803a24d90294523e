"""Light of a star in a fibre."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.fibre_disc import alpha_of
from tracecube.kernels.fibre_psf import fibre_share


def test_share_of_a_fibre_on_the_star_is_the_closed_form() -> None:
    fwhm, beta, radius = 1.7, 3.5, 0.75
    exact = 1.0 - (1.0 + (radius / alpha_of(np.array(fwhm), beta)) ** 2) ** (1.0 - beta)
    assert fibre_share(fwhm, beta, radius, 4.0)(np.array(0.0)) == pytest.approx(exact, rel=1e-4)


def test_fibres_that_tile_the_plane_collect_all_light() -> None:
    share = fibre_share(1.7, 3.5, 0.75, 40.0)
    r = share.distance
    # Over all places of the fibre its share integrates to its area.
    assert np.trapezoid(2.0 * np.pi * r * share(r), r) == pytest.approx(np.pi * 0.75**2, rel=1e-3)


def test_no_light_beyond_the_table() -> None:
    share = fibre_share(1.7, 3.5, 0.75, 4.0)
    assert share.reach == pytest.approx(4.0, abs=0.011)
    assert share(np.array(4.1)) == 0.0
