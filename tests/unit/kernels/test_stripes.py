"""Levels of outputs and slow rows, from blind pixels."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.rounding import rounded_levels
from tracecube.kernels.stripes import find_stripes, smooth_series

OUTPUTS = [(i, i + 32) for i in range(0, 256, 32)]


def blind() -> np.ndarray:
    mask = np.zeros((400, 256), bool)
    mask[:4] = mask[-4:] = True
    mask[:, :4] = mask[:, -4:] = True
    return mask


def frame(rng: np.random.Generator, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    offsets = rng.normal(0, 2, len(OUTPUTS))
    rows = np.sin(np.arange(400) / 30.0)
    image = rng.normal(0, noise, (400, 256)) + np.repeat(offsets, 32) + rows[:, None]
    return image.astype(np.float32), offsets, rows


def test_levels_and_rows_come_back_within_their_errors():
    rng = np.random.default_rng(1)
    pulls, row_errors, stated = [], [], []
    for _ in range(40):
        image, offsets, rows = frame(rng, 3.0)
        found = find_stripes(image, OUTPUTS, blind())
        total = found.offsets[:, None] + found.rows
        wrong = total - (offsets[:, None] + rows)
        pulls.append((wrong.mean(axis=1) - wrong.mean()) / found.offset_error)
        row_errors.append(np.std(found.rows - rows))
        stated.append(found.row_error)
        assert found.noise == pytest.approx(3.0, rel=0.06)
    assert np.std(pulls) == pytest.approx(1.0, abs=0.15)  # 320 levels: known to 4 per cent, less one mean a frame
    assert np.median(row_errors) == pytest.approx(np.median(stated), rel=0.35)
    assert np.median(row_errors) < 0.5 * 3.0 / np.sqrt(8.0)  # smoothing pays: well below the mean of eight pixels


def test_unlit_pixels_sharpen_the_rows():
    rng = np.random.default_rng(2)
    image, _, rows = frame(rng, 3.0)
    few = find_stripes(image, OUTPUTS, blind())
    many = find_stripes(image, OUTPUTS, blind() | (rng.random(image.shape) < 0.3))
    assert np.std(many.rows - rows) < 0.6 * np.std(few.rows - rows)


def test_a_hit_on_a_blind_pixel_does_no_harm():
    rng = np.random.default_rng(3)
    image, _, _ = frame(rng, 3.0)
    hit = image.copy()
    hit[1, 10], hit[200, 2] = 1e5, 3e4
    a, b = find_stripes(image, OUTPUTS, blind()), find_stripes(hit, OUTPUTS, blind())
    assert np.abs(a.offsets - b.offsets).max() < 0.1
    assert np.abs(a.rows - b.rows).max() < 0.2


def test_an_output_without_blind_pixels_is_refused():
    mask = blind()
    mask[:, 32:64] = False
    with pytest.raises(ValueError, match="output 1"):
        find_stripes(np.zeros((400, 256), np.float32), OUTPUTS, mask)


@pytest.mark.parametrize("sigma", [0.22, 0.25, 0.35, 0.5])
def test_levels_of_rounded_counts(sigma: float):
    rng = np.random.default_rng(4)
    level = rng.uniform(-2, 2, 32)
    group = np.repeat(np.arange(32), 512)
    found, noise = rounded_levels(np.round(level[group] + rng.normal(0, sigma, group.size)), group, 32, 1.0)
    assert noise == pytest.approx(sigma, rel=0.05)
    assert np.abs(found - level).max() < 0.15
    assert abs(np.mean(found - level)) < 0.02


def test_coarse_counts_have_the_noise_of_rounding_besides():
    rng = np.random.default_rng(5)
    offsets = rng.normal(0, 1, len(OUTPUTS))
    image = np.round(rng.normal(0, 0.25, (400, 256)) + np.repeat(offsets, 32)).astype(np.float32)
    found = find_stripes(image, OUTPUTS, blind(), step=1.0)
    assert found.noise == pytest.approx(np.hypot(0.25, 1 / np.sqrt(12.0)), rel=0.05)
    assert np.abs(found.offsets - offsets).max() < 0.1


def test_smoothing_follows_the_signal_and_keeps_quiet_where_there_is_none():
    rng = np.random.default_rng(6)
    noise = rng.normal(0, 1, 2000)
    smooth, error, width = smooth_series(noise, np.ones(2000))
    assert width >= 64
    assert np.std(smooth) < 0.15
    signal = 5.0 * np.sin(np.arange(2000) / 3.0)
    smooth, error, width = smooth_series(signal + noise, np.ones(2000))
    assert width < 2.0
    assert np.std(smooth - signal) == pytest.approx(error, rel=0.1)


def test_a_series_with_gaps_is_bridged():
    values = np.ones(50)
    variance = np.where(np.arange(50) % 5 == 0, np.inf, 1.0)
    values[~np.isfinite(variance)] = 1e6
    smooth, _, width = smooth_series(values, variance)
    assert width > 0
    assert np.allclose(smooth, 1.0)
    with pytest.raises(ValueError, match="no sample"):
        smooth_series(values, np.full(50, np.inf))
