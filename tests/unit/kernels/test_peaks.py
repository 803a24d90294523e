"""Matched filters against closed forms and least squares."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tracecube.kernels.peaks import bin_along, filter_across, isolated_maxima, match_along, spikes, vertex


def gaussian(across: np.ndarray, centre: float, sigma: float) -> np.ndarray:
    return np.exp(-0.5 * ((across - centre) / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma)


def test_binning_counts_good_pixels_only() -> None:
    data = np.array([[1.0, 3.0, 5.0, 100.0, 7.0]])
    weight = np.array([[1.0, 1.0, 1.0, 0.0, 1.0]])
    mean, power = bin_along(data, weight, size=2)
    assert mean.tolist() == [[2.0, 5.0]]
    assert power.tolist() == [[1.0, 0.5]]


@given(st.floats(10.0, 1e4), st.floats(-50.0, 50.0), st.integers(-3, 3))
@settings(max_examples=30, deadline=None)
def test_filter_gives_the_flux_whatever_the_ground_and_the_bad_pixel(flux: float, ground: float, bad: int) -> None:
    across = np.arange(41.0)
    data = (flux * gaussian(across, 20.0, 1.2) + ground)[:, None]
    weight = np.ones_like(data)
    data[20 + bad], weight[20 + bad] = np.nan, 0.0
    found, _ = filter_across(data, weight, sigma=1.2, half_width=4)
    assert np.isclose(found[20, 0], flux, rtol=1e-9, atol=1e-6)


def test_filter_is_the_weighted_fit_and_knows_its_error() -> None:
    rng = np.random.default_rng(4)
    ivar = rng.uniform(0.1, 2.0, (9, 1))
    u = np.arange(9.0) - 4
    design = np.stack([gaussian(u, 0.0, 1.2), np.ones(9)], axis=1)
    inverse = np.linalg.inv(design.T @ (ivar * design))
    data = rng.normal(0, 1, (9, 400)) / np.sqrt(ivar)
    flux, power = filter_across(data, np.broadcast_to(ivar, data.shape).copy(), sigma=1.2, half_width=4)
    expected = inverse @ design.T @ (ivar * data)
    assert np.allclose(flux[4], expected[0])
    assert np.allclose(power[4], 1.0 / inverse[0, 0])
    assert 0.9 < np.std(flux[4] * np.sqrt(power[4])) < 1.1


def test_filter_is_silent_where_too_few_pixels_are_left() -> None:
    weight = np.ones((11, 3))
    weight[4:7, 1] = 0.0
    flux, power = filter_across(np.full((11, 3), 7.0), weight, sigma=1.0, half_width=3)
    assert power[5, 1] == 0.0
    assert flux[5, 1] == 0.0
    assert power[5, 0] > 0.0


def test_match_finds_a_tilted_shape_and_tells_it_from_a_streak() -> None:
    shape = np.array([0.2, 0.7, 1.0, 0.8, 0.5, 0.3, 0.2, 0.1])
    image = np.zeros((30, 60))
    for k, value in enumerate(shape):
        image[10 + round(0.25 * (k - 2)), 30 + k - 2] = 40.0 * value
    image[22, 15] = 500.0
    match = match_along(image, np.ones_like(image), shape, before=2, tilt=0.25)
    assert np.isclose(match.amplitude[10, 30], 40.0)
    assert np.isclose(match.likeness[10, 30], 1.0)
    assert np.isclose(match.power[10, 30], (shape**2).sum())
    assert match.likeness[22].max() < 0.75


def test_match_counts_only_what_lies_on_the_detector() -> None:
    shape = np.ones(10)
    match = match_along(np.full((3, 20), 5.0), np.ones((3, 20)), shape, before=0, tilt=0.0)
    assert np.allclose(match.amplitude, 5.0)
    assert match.power[1, 15] == 5.0


def test_maxima_stand_alone() -> None:
    score = np.zeros((20, 20))
    score[5, 5:8] = 3.0  # a plateau is one place
    score[6, 9] = 2.0  # near a larger one
    score[15, 15] = 1.0
    score[15, 2] = 0.1
    places = isolated_maxima(score, half_size=(2, 4), floor=0.5)
    assert places.tolist() == [[5, 5], [15, 15]]


@given(st.floats(-0.49, 0.49))
def test_vertex_of_a_parabola_is_exact(offset: float) -> None:
    x = np.arange(7.0)
    score = np.tile(4.0 - (x - 3.0 - offset) ** 2, (3, 1))
    place = np.array([[1, 3], [1, 0]])
    assert np.allclose(vertex(score, place, axis=1), [offset, 0.0])


def test_spikes_are_single_pixels_and_columns_but_no_spectrum() -> None:
    lamp = np.exp(-0.5 * ((np.arange(200.0) - 100) / 30) ** 2)
    data = np.tile(5000 * lamp, (20, 1))
    variance = data + 30.0
    hit = np.zeros(data.shape, dtype=bool)
    hit[3, 50] = hit[12, 150] = True
    hit[:, 100] = True
    data[3, 50] += 4000.0
    data[12, 150] = -500.0
    data[:, 100] *= 0.3
    assert np.array_equal(spikes(data, variance, sigmas=8.0, share=0.15), hit)
