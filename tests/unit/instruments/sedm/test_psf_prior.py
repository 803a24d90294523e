from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.target import Target
from tracecube.instruments.sedm.psf_prior import halo_of_night, halos_of_night, place_and_shape
from tracecube.recipes.science.chromatic_fit import NAMES


def standard(ratio: float, beta: float, core: float) -> Target:
    return Target(
        object="STD-Feige34",
        quality=0,
        reason="",
        x=0.0,
        y=0.0,
        x_error=0.1,
        y_error=0.1,
        source_position="brightest",
        meta={"PSFRATIO": ratio, "PSFBETA": beta, "PSFCORE": core},
    )


def test_without_standards_the_halo_is_that_of_the_literature() -> None:
    halo = halo_of_night([])
    assert halo["logit_core"] == (-0.36, 0.6)
    assert halo == halo_of_night([Target("a", 0, "", 0.0, 0.0, 0.1, 0.1, "auto", {})])


def test_standards_tell_the_halo_far_better_than_the_literature() -> None:
    found = halo_of_night([standard(0.29, 0.39, 0.61), standard(0.31, 0.41, 0.59)])
    assert [round(mean, 6) for mean, _ in found.values()] == [0.3, 0.4, 0.6]
    loose, one = halo_of_night([]), halo_of_night([standard(0.3, 0.4, 0.6)])
    assert all(one[name][1] == pytest.approx(0.2 * loose[name][1]) for name in one)
    assert all(0.1 * loose[name][1] < found[name][1] < 0.15 * loose[name][1] for name in found)


def test_the_width_of_the_halo_goes_with_the_scatter_of_the_standards() -> None:
    rng = np.random.default_rng(3)
    loose = np.array([width for _, width in halo_of_night([]).values()])
    stars = [standard(*(np.array([0.3, 0.4, 0.6]) + share)) for share in 0.5 * loose * rng.normal(size=(40, 3))]
    width = np.array([width for _, width in halo_of_night(stars).values()])
    np.testing.assert_allclose(width / loose, 0.5, rtol=0.15)


def test_the_prior_names_its_numbers_in_order() -> None:
    prior = place_and_shape(1.0, -2.0, 0.3, fwhm=2.3548, measured=True, standards=[standard(0.3, 0.4, 0.5)])
    by_name = dict(zip(NAMES, prior.mean, strict=True))
    assert (by_name["x"], by_name["y"]) == (1.0, -2.0)
    assert by_name["log_sigma"] == pytest.approx(0.0, abs=1e-3)
    assert (by_name["log_ratio"], by_name["log_beta"], by_name["logit_core"]) == pytest.approx((0.3, 0.4, 0.5))
    assert np.all(prior.sd > 0)


def test_halos_of_single_standards_in_the_order_of_the_fit() -> None:
    found = halos_of_night(
        [standard(0.2, 0.3, 0.9), standard(0.4, 0.6, 0.3), Target("a", 0, "", 0.0, 0.0, 0.1, 0.1, "auto", {})]
    )
    np.testing.assert_array_equal(found, [[0.2, 0.3, 0.9], [0.4, 0.6, 0.3]])
    assert halos_of_night([]).shape == (0, 3)
