from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.pattern import fixed_pattern


def frames(rng: np.random.Generator, pixel: float, n: int = 4) -> tuple[np.ndarray, np.ndarray]:
    truth = rng.normal(0, 2, (300, 1)) + rng.normal(0, 1, (1, 200)) + pixel * rng.normal(size=(300, 200))
    return truth, (truth + rng.normal(0, 4.0, (n, 300, 200))).astype(np.float32)


@pytest.mark.parametrize("pixel", [0.0, 1.0, 5.0])
def test_error_is_as_stated_and_never_more_than_that_of_the_mean(pixel: float) -> None:
    truth, stack = frames(np.random.default_rng(1), pixel)
    found = fixed_pattern(stack, stack.mean(axis=0), 4.0)
    error = found.image - truth
    assert np.var(error) < 1.03 * 16.0 / 4
    assert np.mean(error**2 / found.variance) == pytest.approx(1.0, abs=0.1)


def test_pure_rows_and_columns_cost_no_noise() -> None:
    truth, stack = frames(np.random.default_rng(2), 0.0)
    found = fixed_pattern(stack, stack.mean(axis=0), 4.0)
    assert found.share < 0.01
    assert np.std(found.image - truth) < 0.2  # 2.0 for the mean of four


def test_hot_pixel_keeps_its_value() -> None:
    _, stack = frames(np.random.default_rng(3), 0.0)
    stack[:, 100, 50] += 300.0
    found = fixed_pattern(stack, stack.mean(axis=0), 4.0)
    assert found.image[100, 50] == pytest.approx(stack[:, 100, 50].mean(), abs=1e-3)
    assert found.variance[100, 50] == pytest.approx(4.0)


def test_frames_that_never_change_are_all_structure() -> None:
    stack = np.full((3, 20, 30), 7.0, np.float32)
    found = fixed_pattern(stack, stack[0], 0.0)
    assert (found.image == 7.0).all()
    assert found.share == 0.0
    assert not found.variance.any()
