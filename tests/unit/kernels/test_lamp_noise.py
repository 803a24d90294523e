"""Pixels under an even lamp: the scatter of their response, and their weights."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.lamp_noise import lamp_weights, response_scatter


@pytest.mark.parametrize("scatter", [0.004, 0.01, 0.03])
def test_the_scatter_of_the_response_is_found_whatever_smooth_error_the_model_has(scatter: float) -> None:
    rng = np.random.default_rng(1)
    model = np.broadcast_to(np.linspace(2000.0, 8000.0, 400, dtype=np.float32), (300, 400)).copy()
    light = model * (1.0 + scatter * rng.normal(size=model.shape))
    data = (rng.poisson(light) + rng.normal(0.0, 3.0, model.shape)).astype(np.float32)
    wrong = (model * (1.0 + 0.02 * np.sin(np.arange(400) / 60.0))).astype(np.float32)
    planes = data, wrong, np.full_like(data, 9.0), np.ones_like(data)
    found = 0.0
    for _ in range(4):
        found = response_scatter(planes, 1.0, found, 5.0)
    assert found == pytest.approx(scatter, rel=0.05)


def test_weights_are_inverse_variances_and_none_where_a_pixel_is_off() -> None:
    model = np.full((2, 3), 100.0, np.float32)
    data = model.copy()
    data[0, 0], data[1, 2] = 300.0, -50.0
    found = lamp_weights((data, model, np.full_like(model, 9.0)), (0.5, 0.01), (5.0, 0.04))
    assert found[0, 0] == found[1, 2] == 0.0
    assert np.allclose(found[data == model], 1.0 / (9.0 + 50.0 + 1.0))
