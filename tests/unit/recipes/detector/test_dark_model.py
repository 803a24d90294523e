"""Dark current as a smooth surface."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.recipes.detector.dark_model import model_dark


def test_glow_is_found_under_noise_and_hits_and_its_errors_hold():
    rng = np.random.default_rng(1)
    y, x = np.meshgrid(np.linspace(-1, 1, 768), np.linspace(-1, 1, 640), indexing="ij")
    true = 1.5 + 0.8 * (x + 1) ** 2 * (y + 1) / 4.0
    pulls = []
    for _ in range(6):
        data = true + rng.normal(0, 3.0, true.shape)
        data[rng.random(true.shape) < 0.001] += 500.0
        good = rng.random(true.shape) > 0.02
        found = model_dark(data, np.full(true.shape, 9.0), good, order=3)
        assert np.abs(found.data - true).max() < 0.5
        assert 0.6 < found.chi2 < 1.5  # of 104 degrees of freedom
        pulls.append(((found.data - true) / np.sqrt(found.variance))[20:-20:60, 20:-20:60])
    assert 0.85 < np.sqrt(np.mean(np.square(pulls))) < 1.25


def test_a_dark_of_bad_pixels_is_refused():
    flat = np.ones((640, 640))
    with pytest.raises(BadData, match="0 blocks"):
        model_dark(flat, flat, np.zeros(flat.shape, bool), order=3)
