from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracecube.kernels.running import expected_signal, running_median, running_median_oracle


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 40), st.integers(0, 9), st.integers(0, 2**31), st.booleans())
def test_running_median_agrees_with_its_plain_twin(rows: int, columns: int, half: int, seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    image = (rng.integers(0, 4, (rows, columns)) if ties else rng.normal(size=(rows, columns))).astype(np.float32)
    good = rng.random(image.shape) < 0.7
    assert np.array_equal(running_median(image, good, half), running_median_oracle(image, good, half), equal_nan=True)


def test_expected_signal_of_smooth_light_is_that_light() -> None:
    x = np.arange(200.0)
    image = np.tile(500.0 + 100.0 * np.sin(x / 20.0), (5, 1)).astype(np.float32)
    found = expected_signal(image, np.ones(image.shape, bool), 4.0)
    assert np.allclose(found[:, 2:-2], image[:, 2:-2], rtol=1e-3)


def test_expected_signal_never_looks_at_a_bright_pixel_itself() -> None:
    rng = np.random.default_rng(0)
    image = np.full((1, 61), 400.0, np.float32) + rng.normal(0, 20, (1, 61)).astype(np.float32)
    good = np.ones(image.shape, bool)
    before = expected_signal(image, good, 4.0)[0, 30]
    image[0, 30] += 1000.0
    assert expected_signal(image, good, 4.0)[0, 30] == before


def test_expected_signal_of_darkness_is_nearly_unbiased() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(0.0, 4.0, (200, 200)).astype(np.float32)
    found = expected_signal(image, np.ones(image.shape, bool), 4.0)
    assert found.min() >= 0.0
    assert found.mean() < 0.05 * 16.0  # of the variance it is added to


def test_expected_signal_on_the_peak_of_a_line() -> None:
    x = np.arange(41.0)
    line = 1000.0 * np.exp(-0.5 * ((x - 20.0) / 1.1) ** 2)
    found = expected_signal(line[None].astype(np.float32), np.ones((1, 41), bool), 4.0)[0, 20]
    assert found == pytest.approx(818.0, abs=10.0)
