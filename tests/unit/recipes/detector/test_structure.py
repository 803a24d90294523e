"""Structure, dark current, read noise and bad pixels of an amplifier, from few frames."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.flags import Flag
from tracecube.recipes.detector.structure import StructureParams, amplifier_structure, read_noise

NOISE = 2.6
SHAPE = (300, 320)


def _frames(n: int, add: np.ndarray | float = 0.0, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (add + rng.normal(0.0, NOISE, (n, *SHAPE))).astype(np.float32)


def _surface() -> np.ndarray:
    y, x = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]] / 300.0
    wave = 0.8 * np.sin(2.0 * y + x) + 1.2 * np.exp(-(1.067 - x) * 40.0)
    return np.asarray(wave - wave.mean())


@pytest.mark.parametrize("n", [1, 2, 3])
def test_read_noise_is_unbiased_for_few_frames(n: int) -> None:
    found = np.mean([read_noise(_frames(n, seed=seed)) for seed in range(5)])
    assert found == pytest.approx(NOISE, rel=0.004)


def test_whole_counts_do_not_bias_the_read_noise() -> None:
    counts = np.round(_frames(3, 1000.0) / 2.0) * 2.0
    assert read_noise(counts) == pytest.approx((NOISE**2 + 2.0**2 / 12.0) ** 0.5, rel=0.006)


def test_structure_is_found_and_less_noisy_than_the_frames() -> None:
    true = _surface()
    found = amplifier_structure(
        _frames(3, true), _frames(2, true + 0.4, 2), np.array([400.0, 400.0]), NOISE, StructureParams()
    )
    assert np.std(found.surface - true) < 0.25
    assert np.std(found.surface - true) < 0.25 * NOISE / 5**0.5 + 0.2
    assert found.level == pytest.approx(0.0, abs=0.05)
    assert found.dark == pytest.approx(0.4 / 400.0, abs=5.0 * found.dark_error)


def test_noise_alone_gives_no_structure() -> None:
    found = amplifier_structure(_frames(3), _frames(2, seed=2), np.array([360.0, 360.0]), NOISE, StructureParams())
    assert np.abs(found.surface).max() < 0.8
    assert np.std(found.surface) < 0.1
    assert np.count_nonzero(found.flags) < 20


def test_hot_pixels_are_flagged_and_hits_are_not() -> None:
    darks = _frames(2, seed=3)
    darks[:, 50, 60] += 200.0
    darks[:, 51, 200] += 25.0
    darks[0, 150, 100:110] += 500.0
    found = amplifier_structure(_frames(3), darks, np.array([360.0, 360.0]), NOISE, StructureParams())
    assert found.flags[50, 60] & Flag.HOT_PIXEL
    assert found.flags[51, 200] & Flag.HOT_PIXEL
    assert not found.flags[150, 100:110].any()
    assert np.abs(found.surface[45:55, 50:70]).max() < 1.0


def test_a_trap_along_a_column_is_flagged_and_a_clean_column_is_not() -> None:
    trap = np.zeros(SHAPE)
    trap[100:220, 77] = -3.0
    found = amplifier_structure(
        _frames(3, trap), _frames(2, trap, 2), np.array([360.0, 360.0]), NOISE, StructureParams()
    )
    assert np.mean(found.flags[104:216, 77] != 0) > 0.9
    assert np.mean(found.flags[:, 79:] != 0) < 1e-3


def test_without_darks_the_current_is_not_invented() -> None:
    found = amplifier_structure(_frames(3), np.zeros((0, *SHAPE), np.float32), np.zeros(0), NOISE, StructureParams())
    assert found.dark == 0.0
    assert np.isnan(found.dark_error)
