"""Wings of stars taken off the fibres, and the error that is left of them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.recipes.science.test_fibre_targets import known
from tests.unit.recipes.science.test_field import CENTRE, scene, solved
from tracecube.kernels.tangent_plane import sky_to_plane
from tracecube.recipes.flux.fibre_flux import scale_flux
from tracecube.recipes.science.star_wings import StarWingsParams, linked_groups, take_off_wings


@pytest.fixture(scope="module")
def field():
    made = scene(9, wrong=0, scatter=0.0)
    result = solved(made)
    return scale_flux(result.spectra, result.solution), result.solution, made[3]


def distances(spectra, stars) -> np.ndarray:
    east, north = sky_to_plane(np.asarray(spectra.ra), np.asarray(spectra.dec), *CENTRE)
    return np.min([np.hypot(east - x, north - y) for x, y in stars], axis=0)


def test_nothing_is_left_in_the_wings_beyond_the_noise(field):
    spectra, solution, stars = field
    wings = (distances(spectra, stars) > 4.0) & (distances(spectra, stars) < 9.0)
    without = take_off_wings(spectra, known(stars), solution).spectra

    def excess(one):
        """Mean of the fibres' mean light over its error."""
        total = np.sum(1.0 / one.variance[wings], axis=1)
        return np.sum(one.flux[wings] / one.variance[wings], axis=1) / np.sqrt(total)

    # The image of 14 stars of one noise gives the light of wings to two or three per cent.
    assert np.mean(excess(spectra)) > 3.0
    assert abs(np.mean(excess(without))) < 0.03 * np.mean(excess(spectra))
    pull = without.flux[wings] / np.sqrt(without.variance[wings])
    assert np.std(pull) == pytest.approx(1.0, abs=0.03)


def test_fibres_without_stars_stay_as_they_are(field):
    spectra, solution, stars = field
    params = StarWingsParams()
    without = take_off_wings(spectra, known(stars), solution, params).spectra
    far = distances(spectra, stars) > params.reach
    np.testing.assert_array_equal(without.flux[far], spectra.flux[far])
    assert np.all(without.variance >= spectra.variance)


def test_structure_of_the_next_fibre_counts_as_noise(field):
    spectra, solution, stars = field
    flux = np.zeros_like(spectra.flux)
    flux[100, 50] = 1e-13
    lit = type(spectra)(**{**vars(spectra), "flux": flux})
    raised = take_off_wings(lit, known(stars[:1] + 1e3), solution).spectra.variance - spectra.variance
    assert raised[101, 50] == pytest.approx((0.002 * 1e-13) ** 2, rel=0.4)
    assert raised[99, 50] == raised[101, 50]
    assert raised[100, 50] == raised[103, 50] == 0.0


def test_stars_are_linked_from_one_to_the_next():
    groups = linked_groups(np.array([0.0, 5.0, 10.0, 40.0]), np.zeros(4), 6.0)
    assert sorted(sorted(int(i) for i in one) for one in groups) == [[0, 1, 2], [3]]
