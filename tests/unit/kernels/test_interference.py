"""Sine waves of the electronics, taken off without touching light."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.interference import interference

SHAPE = (256, 256)


def _wave(amplitude: float, fy: float, fx: float) -> np.ndarray:
    y, x = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    return np.asarray(amplitude * np.sin(2.0 * np.pi * (fy * y + fx * x) + 0.3), np.float32)


@pytest.mark.parametrize(("fy", "fx", "left"), [(54 / 256, 120 / 256, 0.05), (0.21, 0.47, 0.3)])
def test_a_wave_is_found_and_white_noise_is_left(fy: float, fx: float, left: float) -> None:
    """A wave between two frequencies of the grid leaks beyond those that are taken off with it."""
    noise = np.random.default_rng(1).normal(0.0, 2.6, SHAPE).astype(np.float32)
    wave = _wave(1.0, fy, fx)
    found = interference(noise + wave, 16.0)
    assert np.std(found - wave) < left + 0.05
    assert np.std(noise + wave - found) < np.std(noise) * 1.01


def test_nothing_is_taken_off_white_noise() -> None:
    noise = np.random.default_rng(2).normal(0.0, 2.6, SHAPE).astype(np.float32)
    assert not interference(noise, 16.0).any()


def test_lines_and_hits_are_not_touched() -> None:
    rng = np.random.default_rng(3)
    x = np.arange(SHAPE[1])
    light = np.tile(40.0 * np.exp(-0.5 * ((x - 100.3) / 1.2) ** 2), (SHAPE[0], 1)).astype(np.float32)
    light += rng.normal(0.0, 2.6, SHAPE).astype(np.float32)
    light[40, 200:203] = 3000.0
    found = interference(light - light.mean(axis=0), 16.0)
    assert np.abs(found).max() < 0.3
