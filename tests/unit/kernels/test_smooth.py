"""Smooth surfaces through weighted pixels."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.smooth import smooth_surface


@pytest.mark.parametrize("scale", [3.0, 10.0, 25.0])
def test_a_plane_comes_back_whole_up_to_the_border_and_across_holes(scale: float):
    y, x = np.mgrid[:120, :90].astype(float)
    plane = 100.0 + 0.3 * x - 0.2 * y
    rng = np.random.default_rng(1)
    weight = (rng.random(plane.shape) > 0.2).astype(float)
    weight[40:60, 30:50] = 0.0
    image = np.where(weight > 0, plane, np.nan)
    assert np.abs(smooth_surface(image, weight, scale) - plane).max() < 0.25


def test_noise_goes_down_as_the_number_of_pixels_says():
    rng = np.random.default_rng(2)
    image = rng.normal(0, 1, (300, 300))
    surface = smooth_surface(image, np.ones_like(image), 12.0)
    inner = surface[60:-60, 60:-60]
    assert np.std(inner) == pytest.approx(1.0 / np.sqrt(4.0 * np.pi * 12.0**2), rel=0.25)


def test_far_from_every_pixel_nothing_is_told():
    weight = np.zeros((200, 200))
    weight[:20, :20] = 1.0
    surface = smooth_surface(np.ones((200, 200)), weight, 8.0)
    assert np.isnan(surface[-1, -1])
    assert surface[5, 5] == pytest.approx(1.0)
