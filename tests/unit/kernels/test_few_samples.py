from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.few_samples import few_sample_threshold


def test_threshold_is_as_rare_as_it_says() -> None:
    rng = np.random.default_rng(3)
    n, sigma = 10, 2.0  # two sigma happen often enough to be counted
    noise = rng.standard_normal((200_000, n + 1))
    scatter = noise[:, 1:].std(axis=1, ddof=1)
    signal = (noise[:, 0] - noise[:, 1:].mean(axis=1)) / scatter
    share = np.mean(signal > few_sample_threshold(np.array([float(n)]), sigma)[0])
    assert share == pytest.approx(0.02275, rel=0.05)


def test_threshold_of_many_samples_is_that_of_a_gaussian() -> None:
    assert few_sample_threshold(np.array([1e7])) == pytest.approx([5.0], abs=1e-3)
