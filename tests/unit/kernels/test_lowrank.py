"""Components of images, images left out, and robust amounts of components."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracecube.kernels.lowrank import left_out_errors, principal_components, robust_fit


def shapes(n: int) -> np.ndarray:
    """Two orthogonal shapes of mean square 1."""
    place = (np.arange(n) + 0.5) / n
    return np.sqrt(2.0) * np.cos(np.pi * np.outer([1, 2], place))


def test_two_shapes_of_known_amounts_come_back():
    n, amounts = 400, np.array([[3.0, 1.0], [-3.0, 1.0], [3.0, -1.0], [-3.0, -1.0]])
    found = principal_components(5.0 + amounts @ shapes(n), np.ones(n))
    assert found.mean == pytest.approx(np.full(n, 5.0))
    assert found.spread == pytest.approx(np.array([3.0, 1.0]) * np.sqrt(4 / 3))
    assert np.abs(found.components @ shapes(n).T / n) == pytest.approx(np.eye(2), abs=1e-12)


@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_components_are_orthogonal_under_the_weights_and_span_the_images(m: int, seed: int):
    rng = np.random.default_rng(seed)
    images, weight = rng.normal(0, 1, (m, 50)), rng.uniform(0.1, 1, 50)
    images[:, 7] += 1e6
    weight[7] = 0.0
    found = principal_components(images, weight)
    share = weight / weight.sum()
    assert (found.components * share) @ found.components.T == pytest.approx(np.eye(m - 1), abs=1e-8)
    assert found.mix @ images == pytest.approx(found.components, abs=1e-6)
    off = images - found.mean
    amounts = (off * share) @ found.components.T
    assert amounts @ found.components == pytest.approx(off, abs=1e-6)
    assert amounts.std(axis=0, ddof=1) == pytest.approx(found.spread)


def test_equal_images_have_no_components():
    assert principal_components(np.ones((4, 10)), np.ones(10)).components.shape == (0, 10)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_images_left_out_tell_how_many_shapes_there_are(count: int):
    rng = np.random.default_rng(count)
    n, m = 3000, 12
    amounts = rng.normal(0, 3.0, (m, count))
    images = amounts @ shapes(n)[:count] + rng.normal(0, 0.3, (m, n))
    told = np.arange(n) % 10 == 0
    errors = left_out_errors(images, np.ones(n), told, most=5)
    assert errors.shape == (6,)
    assert np.argmin(errors) == count
    # noise of the image, of the mean of the eleven others, and of their components by the image's distance from it
    far = 0.0
    for i in range(m):
        others = np.delete(amounts, i, axis=0)
        off = amounts[i] - others.mean(axis=0)
        far += off @ np.linalg.pinv((others - others.mean(axis=0)).T @ (others - others.mean(axis=0))) @ off / m
    assert errors[count] == pytest.approx(0.09 * (1 + 1 / 11 + far), rel=0.03)


def test_without_shapes_the_error_left_out_is_that_of_the_mean():
    images = np.array([[0.0, 0.0], [3.0, 3.0], [6.0, 6.0]])
    errors = left_out_errors(images, np.ones(2), np.array([True, False]), most=8)
    assert errors == pytest.approx([(4.5**2 + 0.0 + 4.5**2) / 3.0, 0.0])


def test_gaussian_noise_gives_the_weighted_least_squares_fit_and_its_error():
    rng = np.random.default_rng(1)
    n = 20000
    design, sigma = shapes(n).T, rng.uniform(0.5, 2.0, n)
    values = design @ [2.0, -1.0] + rng.normal(0, sigma)
    found = robust_fit(values, sigma**-2, design, group=np.arange(n))
    plain = np.linalg.inv((design * sigma[:, None] ** -2).T @ design)
    assert found.covariance == pytest.approx(plain / 0.95, rel=0.05, abs=0.03 * plain[0, 0])
    best = plain @ (design.T @ (values / sigma**2))
    assert np.abs(found.value - best).max() < 0.5 * np.sqrt(plain[0, 0])


def test_light_of_other_things_does_not_pull():
    rng = np.random.default_rng(2)
    n = 20000
    design = shapes(n).T
    values = design @ [2.0, -1.0] + rng.normal(0, 1.0, n)
    spoilt = rng.random(n) < 0.1
    values[spoilt] += rng.exponential(50.0, int(spoilt.sum())) + 10.0
    found = robust_fit(values, np.ones(n), design, group=np.arange(n))
    error = np.sqrt(np.diag(found.covariance))
    assert np.all(np.abs(found.value - [2.0, -1.0]) < 4.0 * error)
    assert error == pytest.approx(np.full(2, np.sqrt(1 / 0.95 / 0.9 / n)), rel=0.1)
    assert found.weight[spoilt].max() == 0.0


def test_what_is_known_before_counts_as_a_measurement():
    values, design = np.full(1000, 3.0) + np.tile([1.0, -1.0], 500), np.ones((1000, 1))
    free = robust_fit(values, np.ones(1000), design, group=np.arange(1000))
    held = robust_fit(values, np.ones(1000), design, prior=np.array([1e9]), group=np.arange(1000))
    assert free.value == pytest.approx([3.0])
    assert held.value == pytest.approx([0.0], abs=1e-4)
    assert held.covariance[0, 0] == pytest.approx(1e-9, rel=0.01)


@pytest.mark.parametrize("outliers", [0.0, 0.03])
def test_pulls_are_of_width_one_with_rows_and_levels_in_error(outliers: float):
    rng = np.random.default_rng(3)
    rows, columns, draws = 50, 30, 1000
    row, column = (axis.ravel() for axis in np.mgrid[:rows, :columns])
    design = np.column_stack([np.sqrt(3.0) * (2.0 * column / (columns - 1) - 1.0), column < 15, column >= 15]) * 1.0
    pulls = []
    for _ in range(draws):
        levels = rng.normal(0, 0.2, 2)
        values = 1.5 * design[:, 0] + design[:, 1:] @ levels + rng.normal(0, 1, row.size)
        values += rng.normal(0, 0.1, rows)[row]
        values[rng.random(row.size) < outliers] += 30.0
        found = robust_fit(values, np.ones(row.size), design, prior=np.array([0.0, 25.0, 25.0]), group=row)
        pulls.append((found.value[0] - 1.5) / np.sqrt(found.covariance[0, 0]))
    assert np.std(pulls) == pytest.approx(1.0, abs=0.05)
    assert abs(np.mean(pulls)) < 4.0 / np.sqrt(draws)


def test_shapes_that_no_pixel_tells_apart_are_refused():
    with pytest.raises(np.linalg.LinAlgError):
        robust_fit(np.ones(10), np.ones(10), np.ones((10, 2)), group=np.arange(10))
