"""Edges of slices: recovered with their errors, whatever a column or a narrow gap does."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from tracecube.kernels.slice_edges import find_slices, fit_edges

WIDTH, COLUMNS = 76.3, 96


def cuts(rng, n, *, level=20000.0, blur=0.8, noise=4.0, beside=None):
    """Cuts through slices of varying light: light, variance, true edges; another slice `beside` px further right."""
    left = rng.uniform(8.5, 9.5, n)
    right = left + WIDTH
    x = np.arange(COLUMNS)[None, :]
    t = (2 * x - left[:, None] - right[:, None]) / WIDTH
    light = level * (1 + 0.1 * t - 0.05 * t**2) + 0 * x
    clean = light * (ndtr((x - left[:, None]) / blur) - ndtr((x - right[:, None]) / blur)) + 12.0
    if beside is not None:
        clean = clean + level * ndtr((x - right[:, None] - beside) / blur)
    variance = clean + noise**2
    return clean + rng.normal(0, np.sqrt(variance)), variance, left, right


def test_edges_are_found_with_their_errors():
    rng = np.random.default_rng(1)
    data, variance, left, right = cuts(rng, 4000)
    guess = rng.uniform(-0.7, 0.7, (2, left.size))
    fit = fit_edges(data, variance, np.ones(data.shape, bool), left + guess[0], right + guess[1], blur=0.9)
    pulls = np.concatenate([(fit.left - left) / fit.error, (fit.right - right) / fit.error])
    assert abs(pulls.std() - 1.0) < 0.05
    assert abs(pulls.mean()) < 5 / np.sqrt(pulls.size)
    centre, width = 0.5 * (fit.left + fit.right - left - right), fit.right - fit.left - right + left
    assert abs((centre / fit.centre_error).std() - 1.0) < 0.05
    assert abs((width / fit.width_error).std() - 1.0) < 0.05
    assert abs(np.median(fit.chi2) - 1.0) < 0.05
    assert abs(np.mean(fit.blur) - 0.8) < 0.002


def test_without_noise_edges_and_blur_are_exact():
    data, variance, left, right = cuts(np.random.default_rng(2), 50, noise=0.0)
    x = np.arange(COLUMNS)[None, :]
    t = (2 * x - left[:, None] - right[:, None]) / WIDTH
    clean = 2e4 * (1 + 0.1 * t - 0.05 * t**2) * (ndtr((x - left[:, None]) / 0.8) - ndtr((x - right[:, None]) / 0.8))
    fit = fit_edges(clean + 12.0, variance, np.ones(data.shape, bool), left + 1.2, right - 1.2, blur=1.0)
    assert np.abs(fit.left - left).max() < 1e-4
    assert np.abs(fit.right - right).max() < 1e-4
    assert np.abs(fit.blur - 0.8).max() < 1e-4


def test_dead_columns_move_no_edge():
    rng = np.random.default_rng(3)
    data, variance, left, right = cuts(rng, 500)
    data[:, [20, 21, 50]] = 10.0  # not flagged
    data[:, 70] *= 1.6
    fit = fit_edges(data, variance, np.ones(data.shape, bool), left + 0.3, right - 0.3, blur=0.9)
    pulls = np.concatenate([(fit.left - left) / fit.error, (fit.right - right) / fit.error])
    assert abs(pulls.mean()) < 0.15
    assert abs(pulls.std() - 1.0) < 0.07


def test_a_narrow_gap_to_the_next_slice_moves_no_edge():
    rng = np.random.default_rng(4)
    data, variance, left, right = cuts(rng, 500, beside=5.0)
    fit = fit_edges(data, variance, np.ones(data.shape, bool), left, right, blur=0.8)
    assert abs(np.mean(fit.left - left)) < 0.001
    assert abs(np.mean(fit.right - right)) < 0.003


def test_a_cut_without_light_has_no_edges():
    rng = np.random.default_rng(5)
    data = rng.normal(0, 4, (20, COLUMNS))
    data[:10], _, left, _right = cuts(rng, 10)
    variance = np.maximum(data, 0) + 16.0
    start = np.concatenate([left, left])
    fit = fit_edges(data, variance, np.ones(data.shape, bool), start, start + WIDTH, blur=0.8)
    assert np.isfinite(fit.left[:10]).all()
    assert np.all(np.isnan(fit.left[10:]) | (fit.error[10:] > 0.3))
    assert np.all(fit.level[10:] < 5.0)


def test_slices_are_found_however_faint_and_past_a_dead_column():
    x = np.arange(420.0)
    borders = [(10.2, 86.4), (92.1, 168.3), (173.0, 249.5), (255.2, 331.4)]
    cut = sum(
        level * (ndtr((x - a) / 0.8) - ndtr((x - b) / 0.8))
        for level, (a, b) in zip((3e4, 6e3, 3e4, 1e4), borders, strict=True)
    )
    cut += np.random.default_rng(6).normal(0, 20, x.size)
    cut[40] = 0.0
    cut[120] = np.nan
    found = find_slices(cut, width=(62.0, 92.0))
    assert np.abs(np.array(found) - np.array(borders)).max() < 2.0  # as fit_edges wants its guess


def test_runs_of_another_width_are_no_slices():
    x = np.arange(300.0)
    cut = 1e4 * (ndtr((x - 20) / 0.8) - ndtr((x - 60) / 0.8)) + 1e4 * (ndtr((x - 100) / 0.8) - ndtr((x - 176) / 0.8))
    assert np.allclose(find_slices(cut, width=(62.0, 92.0)), [(100.0, 176.0)], atol=1.0)
