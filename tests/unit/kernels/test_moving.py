from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.moving import cubic_weights, parabola_weights


def test_parabola_is_exact_for_a_parabola() -> None:
    rng = np.random.default_rng(1)
    offset = rng.uniform(-1.0, 1.0, (50, 13, 2))
    x, y = offset[..., 0], offset[..., 1]
    field = 3.0 + 2.0 * x - y + 0.5 * x * x - x * y + 0.3 * y * y
    assert np.sum(parabola_weights(offset, 0.7) * field, axis=1) == pytest.approx(np.full(50, 3.0), abs=1e-4)


def test_absent_samples_weigh_nothing() -> None:
    offset = np.random.default_rng(2).uniform(-1.0, 1.0, (3, 13, 2))
    offset[1, 4] = np.nan
    offset[2, 5:] = np.nan
    weights = parabola_weights(offset, 0.7)
    assert weights[1, 4] == 0.0
    assert weights[1].sum() == pytest.approx(1.0)
    assert not weights[2].any()


def test_cubic_weights_are_exact_for_a_parabola() -> None:
    t = np.linspace(0.0, 1.0, 11)
    points = np.arange(-1.0, 3.0)
    assert cubic_weights(t) @ (1.0 + points + points**2) == pytest.approx(1.0 + t + t**2)
