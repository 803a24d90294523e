"""Light counted in an aperture: unbiased for a point source, with errors that are what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.flags import Flag
from tracecube.kernels.psf import Shape, hexagon_area, hexagon_nodes, lenslet_fractions
from tracecube.recipes.science.aperture import ApertureChoices, extract_aperture
from tracecube.recipes.science.chromatic_fit import Geometry, Prior, fractions
from tracecube.recipes.science.scene import Scene, Track

PITCH = 0.64
WAVE = np.linspace(3800.0, 9200.0, 60)
GROWTH = np.log(WAVE / 6200.0)
TRACK = Track(-0.8 * np.exp(-2 * GROWTH) + 0.8, 0.3 * np.exp(-2 * GROWTH) - 0.3, GROWTH)
SHAPE = Shape(sigma=0.78, alpha=1.4, beta=2.2, core=0.4, rho=-0.2, e1=0.0, e2=0.0)
PLACE = (0.7, -1.2)
# the prior's numbers that say this place and shape, in the order of chromatic_fit.NAMES
MEAN = np.array([*PLACE, 0.0, 0.0, np.log(0.78), np.log(1.4 / 0.78), np.log(1.2), np.log(0.4 / 0.6), -0.2, 0.0, 0.0])
SD = np.array([0.1, 0.1, 0.03, 0.03, 0.1, 0.05, 0.05, 0.05, 0.05, 0.02, 0.02])
PRIOR = Prior(MEAN, SD)
CHOICES = ApertureChoices(
    radius=2.5, inner=1.4, outer=2.2, point=True, fit_low=4000.0, fit_high=9000.0, slices=8
)  # fmt: skip
FLUX = 4000.0 * (WAVE / 6000.0) ** -1


def scene(seed: int | None = 1, *, sky: float = 40.0, flux: np.ndarray = FLUX, correlation: float = 0.0) -> Scene:
    q, r = (index.ravel() for index in np.mgrid[-20:21, -20:21])
    x, y = PITCH * (q + r / 2), PITCH * r * np.sqrt(0.75)
    keep = np.hypot(x, y) < 12
    x, y = x[keep], y[keep]
    share = lenslet_fractions(
        x, y, (PLACE[0] + TRACK.east, PLACE[1] + TRACK.north), np.exp(-0.2 * GROWTH), SHAPE,
        hexagon_nodes(PITCH, 0.0), area=hexagon_area(PITCH),
    )  # fmt: skip
    light = flux[:, None] * share + sky
    variance = light + 25.0
    noise = np.zeros_like(light)
    if seed is not None:
        white = np.random.default_rng(seed).standard_normal((WAVE.size + 1, x.size))
        noise = np.sqrt(1 - correlation) * white[1:] + np.sqrt(correlation) * white[:-1]
    pair = np.sqrt(correlation * (1 - correlation))
    covariance = np.zeros_like(variance)
    covariance[:-1] = pair * np.sqrt(variance[:-1] * variance[1:])
    return Scene(
        WAVE, np.arange(x.size), x, y, light + np.sqrt(variance) * noise, variance, covariance,
        np.ones(light.shape, dtype=bool),
    )  # fmt: skip


def test_the_light_of_a_point_source_is_all_there() -> None:
    found = extract_aperture(scene(None), TRACK, PRIOR, PRIOR, CHOICES)
    np.testing.assert_allclose(found.flux / FLUX, 1.0, atol=0.002)
    np.testing.assert_allclose(found.sky, 40.0, rtol=0.1)  # wings of the star lie in the ring
    assert not found.flags.any()
    assert 0.5 < found.counted.min() < found.counted.max() < 0.9


def test_without_correction_the_light_is_what_was_counted() -> None:
    whole = extract_aperture(scene(None), TRACK, PRIOR, PRIOR, CHOICES)
    found = extract_aperture(scene(None), TRACK, PRIOR, PRIOR, replace(CHOICES, point=False))
    np.testing.assert_allclose(found.counted, 1.0)
    np.testing.assert_allclose(found.flux, whole.flux * whole.counted, rtol=1e-9)


@pytest.mark.parametrize("correlation", [0.0, 0.3])
def test_errors_are_what_they_say(correlation: float) -> None:
    found = [extract_aperture(scene(seed, correlation=correlation), TRACK, PRIOR, PRIOR, CHOICES) for seed in range(30)]
    flux = np.array([one.flux for one in found])
    pull = (flux - FLUX) / np.sqrt([one.variance for one in found])
    assert pull.std() == pytest.approx(1.0, abs=0.04)
    assert abs(pull.mean()) < 0.05
    seen = np.mean((flux - flux.mean(0))[:, :-1] * (flux - flux.mean(0))[:, 1:])
    told = np.mean([one.covariance[:-1] for one in found])
    scale = np.mean([one.variance for one in found])
    assert seen / scale == pytest.approx(told / scale, abs=0.09)
    assert (told / scale > 0.2) == (correlation > 0)


def test_stars_and_hits_in_the_ring_are_no_sky() -> None:
    given = scene(3)
    flux = given.flux.copy()
    far = np.hypot(given.x - PLACE[0], given.y - PLACE[1])
    beside = np.flatnonzero((far > 4.0) & (far < 5.0))[:4]
    flux[:, beside] += 800.0
    found = extract_aperture(replace(given, flux=flux), TRACK, PRIOR, PRIOR, CHOICES)
    clean = extract_aperture(given, TRACK, PRIOR, PRIOR, CHOICES)
    assert np.mean(found.flux / clean.flux) == pytest.approx(1.0, abs=0.01)


def test_bad_samples_inside_are_made_up_for_and_too_many_are_flagged() -> None:
    given = scene(None)
    far = np.hypot(given.x - PLACE[0], given.y - PLACE[1])
    good = given.good.copy()
    good[20:30, np.argsort(far)[5]] = False
    good[40:45, far < 2.0] = False
    found = extract_aperture(replace(given, good=good), TRACK, PRIOR, PRIOR, CHOICES)
    np.testing.assert_allclose((found.flux / FLUX)[20:30], 1.0, atol=0.003)
    assert (found.flags[40:45] == Flag.NOT_MEASURED).all()
    assert np.isnan(found.flux[40:45]).all()
    assert not found.flags[:40].any()


def test_the_level_error_holds_what_a_wrong_prior_does() -> None:
    found = extract_aperture(scene(None), TRACK, PRIOR, PRIOR, CHOICES)
    off = []
    for seed in range(15):
        wrong = Prior(MEAN + SD * np.random.default_rng(seed).standard_normal(SD.size), SD)
        off.append(np.mean(extract_aperture(scene(None), TRACK, PRIOR, wrong, CHOICES).flux / FLUX) - 1)
    assert found.level_error == pytest.approx(np.std(off), rel=0.5)


def test_a_place_without_lenslets_is_refused() -> None:
    with pytest.raises(BadData, match=r"aperture of 2.5 arcsec: 0 lenslets inside"):
        extract_aperture(scene(), TRACK, PRIOR._replace(mean=MEAN + np.eye(11)[0] * 30), PRIOR, CHOICES)


def test_the_picture_shows_what_was_counted() -> None:
    picture = extract_aperture(scene(2), TRACK, PRIOR, PRIOR, CHOICES).picture
    inside = np.hypot(picture.x - PLACE[0], picture.y - PLACE[1]) < 1.5
    assert picture.used[inside].all()
    assert picture.data.shape == picture.model.shape == (8, picture.x.size)
    pull = (picture.data - picture.model) / np.sqrt(picture.variance)
    assert np.nanstd(pull) == pytest.approx(1.0, abs=0.3)


def test_the_level_error_knows_that_width_and_halo_trade_for_one_another() -> None:
    """A star's fit tells the whole profile far better than each of its numbers."""
    seen = scene(None)
    lenslets = Geometry.of(seen)

    def slope(row: np.ndarray) -> np.ndarray:
        sides = [fractions(MEAN + sign * row, TRACK, seen.x, seen.y, lenslets) for sign in (1e-3, -1e-3)]
        return np.asarray((sides[0] - sides[1]) / 2e-3).ravel()

    tangent = np.array([slope(row) for row in np.diag(SD)])
    covariance = np.linalg.inv(tangent @ tangent.T / 1e-3**2 + np.eye(SD.size)) * np.outer(SD, SD)
    errors = np.sqrt(np.diag(covariance))
    found = extract_aperture(seen, TRACK, PRIOR, Prior(MEAN, errors), CHOICES, covariance=covariance)
    apart = extract_aperture(seen, TRACK, PRIOR, Prior(MEAN, errors), CHOICES)
    draw = np.random.default_rng(4).multivariate_normal(MEAN, covariance, size=40)
    flux = [np.mean(extract_aperture(seen, TRACK, PRIOR, Prior(row, errors), CHOICES).flux / FLUX) for row in draw]
    assert found.level_error == pytest.approx(np.std(flux), rel=0.3)
    assert found.level_error < 0.5 * apart.level_error
    alike = extract_aperture(seen, TRACK, PRIOR, PRIOR, CHOICES, covariance=np.diag(SD**2))
    assert alike.level_error == pytest.approx(
        extract_aperture(seen, TRACK, PRIOR, PRIOR, CHOICES).level_error, rel=1e-9
    )
