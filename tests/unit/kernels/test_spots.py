"""Spots: unbiased places with honest errors, templates made of the spots themselves."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.spots import (
    SpotTemplate,
    build_template,
    core_centre,
    fit_spots,
    gaussian_template,
    render_spots,
)

NOISE = 6.0


def places(rng, side: int = 56, pitch: float = 16.0):
    node = 20.0 + pitch * np.stack([axis.ravel() for axis in np.meshgrid(range(side), range(side))], axis=1)
    return node + rng.uniform(-0.5, 0.5, node.shape)


def image_of(template, at, flux, rng, shape=(940, 940)):
    light = np.zeros(shape, np.float32)
    n = at.shape[0]
    good = np.ones(n, bool)
    first = fit_spots(light, light, at, template)._replace(x=at[:, 0], y=at[:, 1], flux=np.full(n, flux), good=good)
    render_spots(light, first, template)
    variance = NOISE**2 + light
    return (light + rng.normal(0, 1, shape) * np.sqrt(variance)).astype(np.float32), (1 / variance).astype(np.float32)


def lopsided() -> SpotTemplate:
    """A core with a foot on one side."""
    core, foot = gaussian_template(0.95), gaussian_template(1.6)
    values = core.values + 0.2 * np.roll(foot.values, 10, axis=1)
    return SpotTemplate(values / (values.sum() * core.step**2), core.step)


def test_a_round_template_is_centred_and_of_unit_flux() -> None:
    template = gaussian_template(0.95)
    assert template.values.sum() * template.step**2 == pytest.approx(1.0)
    assert core_centre(template) == pytest.approx([0.0, 0.0], abs=1e-9)


@pytest.mark.parametrize("flux", [400.0, 4000.0])
def test_pulls_have_unit_width(flux: float) -> None:
    rng = np.random.default_rng(5)
    at, template = places(rng), gaussian_template(0.95)
    image, ivar = image_of(template, at, flux, rng)
    found = fit_spots(image, ivar, at + rng.normal(0, 0.2, at.shape), template)
    assert found.good.mean() > 0.99
    for value, error, truth in ((found.x, found.x_error, at[:, 0]), (found.y, found.y_error, at[:, 1])):
        pull = (value - truth)[found.good] / error[found.good]
        assert pull.std() == pytest.approx(1.0, abs=0.06)
        assert abs(pull.mean()) < 0.08
    pull = (found.flux - flux)[found.good] / found.flux_error[found.good]
    assert pull.std() == pytest.approx(1.0, abs=0.06)


def test_a_template_of_the_spots_takes_off_the_bias_of_a_round_one() -> None:
    rng = np.random.default_rng(6)
    truth = lopsided()
    at = places(rng)
    image, ivar = image_of(truth, at, 4000.0, rng)
    round_one = fit_spots(image, ivar, at, gaussian_template(0.95))
    own = build_template(image, ivar, round_one)
    found = fit_spots(image, ivar, at, own)
    centre = core_centre(truth)
    assert np.mean(found.x - at[:, 0]) == pytest.approx(centre[0], abs=0.004)
    assert np.mean(found.y - at[:, 1]) == pytest.approx(centre[1], abs=0.004)
    assert np.median(found.chi2) < np.median(round_one.chi2)


def test_bad_pixels_weigh_nothing_and_a_lost_core_is_said() -> None:
    rng = np.random.default_rng(7)
    at, template = places(rng, side=12), gaussian_template(0.95)
    image, ivar = image_of(template, at, 4000.0, rng, shape=(240, 240))
    hit = np.rint(at).astype(int)
    image[hit[::2, 1], hit[::2, 0] + 2] = 1e6
    ivar[hit[::2, 1], hit[::2, 0] + 2] = 0.0
    ivar[hit[1::2, 1] + 1, hit[1::2, 0] - 1] = ivar[hit[1::2, 1], hit[1::2, 0]] = 0.0
    ivar[hit[1, 1] - 1 : hit[1, 1] + 2, hit[1, 0] - 1 : hit[1, 0] + 2] = 0.0
    found = fit_spots(image, ivar, at, template)
    assert not found.good[1]
    rest = np.delete(np.arange(len(at)), 1)
    assert found.good[rest].all()
    assert np.abs(found.x - at[:, 0])[rest].max() < 0.15
