"""Centres of lines: pulls of one, and a place that brightness does not move."""

from __future__ import annotations

import numpy as np
from scipy.optimize import least_squares
from scipy.special import ndtr

from tracecube.kernels.gaussian_lines import AMPLITUDE, CENTRE, ERROR, GROUND, SIGMA, fit_gaussians

SIZE, MIDDLE = 13, 6


def gaussians(centre, sigma, amplitude, ground):
    i = np.arange(SIZE)
    return ground + amplitude * np.exp(-0.5 * ((i - centre[:, None]) / sigma) ** 2)


def fit(cuts, variance, good=None, centre=None):
    good = np.ones(cuts.shape, bool) if good is None else good
    centre = np.full(len(cuts), float(MIDDLE)) if centre is None else centre
    return fit_gaussians(cuts, variance, good, centre, np.full(len(cuts), 0.9))


def test_centres_have_pulls_of_one():
    rng = np.random.default_rng(1)
    centre = MIDDLE + rng.uniform(-0.6, 0.6, 6000)
    clean = gaussians(centre, 1.05, 2000.0, 30.0)
    variance = clean + 16.0
    found = fit(clean + rng.normal(0, np.sqrt(variance)), variance)
    pulls = (found[:, CENTRE] - centre) / found[:, ERROR]
    assert np.isfinite(pulls).all()
    assert abs(pulls.std() - 1.0) < 0.03
    assert abs(pulls.mean()) < 5 / np.sqrt(pulls.size)
    assert abs(np.mean(found[:, SIGMA]) - 1.05) < 0.002
    assert abs(np.mean(found[:, AMPLITUDE]) / 2000.0 - 1) < 0.003
    assert abs(np.mean(found[:, GROUND]) - 30.0) < 0.5


def test_it_is_the_gaussian_of_least_squares():
    rng = np.random.default_rng(2)
    cuts = gaussians(MIDDLE + rng.uniform(-0.5, 0.5, 20), 1.2, 500.0, 10.0) + rng.normal(0, 8, (20, SIZE))
    found = fit(cuts, np.full(cuts.shape, 64.0))
    for cut, row in zip(cuts, found, strict=True):
        i = np.arange(SIZE)
        twin = least_squares(
            lambda p, cut=cut, i=i: p[3] + p[2] * np.exp(-0.5 * ((i - p[0]) / p[1]) ** 2) - cut,
            [MIDDLE, 1.0, cut.max(), 0.0],
            xtol=1e-12,
        )
        assert np.allclose(row[:4], twin.x, rtol=1e-4, atol=1e-3)
        noise = np.sqrt(64.0 * np.linalg.inv(twin.jac.T @ twin.jac)[0, 0])
        assert np.isclose(row[ERROR], noise, rtol=1e-3)


def asymmetric(amplitude):
    """A line whose red half is wider, integrated over pixels."""
    i = np.arange(SIZE)
    core = ndtr((i + 0.5 - MIDDLE) / 0.9) - ndtr((i - 0.5 - MIDDLE) / 0.9)
    wing = ndtr((i + 0.5 - MIDDLE - 1.1) / 1.2) - ndtr((i - 0.5 - MIDDLE - 1.1) / 1.2)
    return amplitude * (0.8 * core + 0.2 * wing)


def test_an_asymmetric_line_does_not_move_with_its_brightness():
    rng = np.random.default_rng(3)
    places, errors = [], []
    for amplitude in (1e3, 1e4, 1e6):
        clean = asymmetric(amplitude)
        variance = np.broadcast_to(clean + 16.0, (4000, SIZE))
        found = fit(clean + rng.normal(0, np.sqrt(variance)), np.ascontiguousarray(variance))
        places.append(np.mean(found[:, CENTRE]))
        errors.append(np.std(found[:, CENTRE]) / np.sqrt(len(found)))
    assert abs(places[0] - places[2]) < 4 * errors[0] + 2e-4
    assert abs(places[1] - places[2]) < 4 * errors[1] + 2e-5


def test_bad_samples_tell_nothing():
    clean = gaussians(np.array([5.7, 5.7, 5.7]), 1.1, 1e3, 5.0)
    good = np.ones(clean.shape, bool)
    good[1, 11], good[2, 6] = False, False
    cuts = clean.copy()
    cuts[1, 11], cuts[2, 6] = 1e6, 1e6
    found = fit(cuts, np.full(cuts.shape, 16.0), good)
    assert np.allclose(found[1, :4], found[0, :4], atol=1e-4)
    assert np.isnan(found[2]).all()  # a bad sample in the core: no centre


def test_what_is_no_line_has_no_centre():
    flat, step = np.full(SIZE, 7.0), np.where(np.arange(SIZE) < 3, 100.0, 1.0)
    dark = 100.0 - gaussians(np.array([6.0]), 1.1, 50.0, 0.0)[0]
    edge = gaussians(np.array([0.4]), 1.1, 1e3, 0.0)[0]
    cuts = np.stack([flat, step, dark, edge])
    found = fit(cuts, np.ones(cuts.shape))[:, CENTRE]
    assert np.isnan(found[[0, 1, 3]]).all()
    assert not abs(found[2] - MIDDLE) < 3.0  # a hump beside the dark line at most
