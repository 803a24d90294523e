from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracecube.kernels.combine import clipped_moments, combine_stack, relative_scale, typical


def test_clipped_moments_of_a_gaussian_with_outliers() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(10.0, 2.0, 200_000)
    x[:2000] += 500.0
    mean, sigma, n = clipped_moments(x)
    assert mean == pytest.approx(10.0, abs=0.02)
    assert sigma == pytest.approx(2.0, rel=0.01)
    assert n < x.size - 1990


def test_clipped_moments_of_whole_counts() -> None:
    # rounding adds 1/12 to the variance, which is noise like any other
    rng = np.random.default_rng(4)
    x = np.round(rng.normal(612.3, 1.4, 400_000))
    mean, sigma, _ = clipped_moments(x)
    assert mean == pytest.approx(612.3, abs=0.01)
    assert sigma == pytest.approx(np.sqrt(1.4**2 + 1 / 12), rel=0.01)


def test_clipped_moments_of_constant_counts() -> None:
    assert clipped_moments(np.full(100, 7.0)) == (7.0, 0.0, 100)


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**31))
def test_typical_sample_is_median_or_the_lower_of_two(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    stack = rng.normal(size=(n, 7)).astype(np.float32)
    good = rng.random((n, 7)) < 0.8
    found = typical(stack, good)
    for i in range(7):
        kept = np.sort(stack[good[:, i], i])
        if kept.size == 0:
            assert np.isnan(found[i])
        elif kept.size <= 2:
            assert found[i] == kept[0]
        else:
            assert found[i] == pytest.approx(np.median(kept), rel=1e-6)


@pytest.mark.parametrize("n", [199, 200, 201, 1001])
def test_typical_sample_of_many_is_their_median(n: int) -> None:
    stack = np.random.default_rng(n).normal(size=(n, 5))
    assert np.array_equal(typical(stack, np.ones(stack.shape, bool)), np.median(stack, axis=0).astype(np.float32))


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_hits_are_rejected_by_the_noise_model_alone(n: int) -> None:
    rng = np.random.default_rng(n)
    stack = rng.normal(100.0, 4.0, (n, 100, 100)).astype(np.float32)
    hit = rng.random((100, 100)) < 0.05
    stack[0][hit] += 60.0
    variance = np.full_like(stack, 16.0)
    mean, var, outlier = combine_stack(stack, variance, np.ones(stack.shape, bool), clip=5.0)
    assert outlier[0][hit].mean() > 0.99
    assert outlier[:, ~hit].mean() < 1e-3
    assert np.allclose(var[~hit], 16.0 / n, rtol=0.01 * n)
    pull = (mean - 100.0) / np.sqrt(var)
    assert np.std(pull) == pytest.approx(1.0, abs=0.06 if n > 2 else 0.1)
    # the lower of two pulls the mean down only where one was rejected
    assert np.mean(pull[~hit]) == pytest.approx(0.0, abs=0.05)


def test_weights_follow_the_noise() -> None:
    stack = np.stack([np.full((2, 2), 10.0), np.full((2, 2), 16.0)])
    variance = np.stack([np.full((2, 2), 1.0), np.full((2, 2), 2.0)])
    mean, var, outlier = combine_stack(stack, variance, np.ones(stack.shape, bool), clip=10.0)
    assert not outlier.any()
    assert np.allclose(mean, (10.0 + 16.0 / 2) / 1.5)
    assert np.allclose(var, 1.0 / 1.5)


def test_a_sample_without_a_variance_has_no_weight() -> None:
    stack = np.array([[[10.0, 7.0]], [[12.0, 7.0]], [[11.0, 7.0]]])
    variance = np.array([[[0.0, 0.0]], [[2.0, 0.0]], [[2.0, 0.0]]])
    mean, var, _ = combine_stack(stack, variance, np.ones(stack.shape, bool), clip=5.0)
    assert (mean[0, 0], var[0, 0]) == (11.5, 1.0)
    assert np.isnan(mean[0, 1])
    assert np.isinf(var[0, 1])


def test_pixel_without_a_good_sample_is_nan() -> None:
    mean, _, _ = combine_stack(np.ones((3, 1, 2)), np.ones((3, 1, 2)), np.array([[[True, False]]] * 3), clip=5.0)
    assert mean[0, 0] == 1.0
    assert np.isnan(mean[0, 1])


def test_relative_scale_ignores_defects() -> None:
    rng = np.random.default_rng(1)
    reference = rng.uniform(100, 1000, (50, 50))
    image = 1.07 * reference + rng.normal(0, 5, reference.shape)
    image[:5] = 1e5
    assert relative_scale(image, reference, np.ones(image.shape, bool)) == pytest.approx(1.07, abs=2e-3)
    with pytest.raises(ValueError, match="no bright pixel"):
        relative_scale(image, reference, np.zeros(image.shape, bool))
