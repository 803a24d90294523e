"""Responses of pixels from exposures of several levels and wavelengths."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.amplifiers import amplifier_pattern
from tracecube.kernels.hits import single_pixel_hits
from tracecube.kernels.responses import fit_responses

SHAPE = (200, 200)


def scene(seed: int, spread: float) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    rng = np.random.default_rng(seed)
    truth = {
        "offset": rng.uniform(0, 5, SHAPE),
        "response": 1.0 + rng.normal(0, 0.01, SHAPE),
        "slope": rng.normal(0, spread, SHAPE),
    }
    levels = [30.0, 150.0, 30.0, 150.0, 500.0]
    steps = [-0.23, -0.23, 0.3, 0.3, 0.0]
    signals, variances = [], []
    for level, step in zip(levels, steps, strict=True):
        variance = np.full(SHAPE, 0.5 + level / 200.0)
        value = truth["offset"] + level * (truth["response"] + step * truth["slope"])
        signals.append((value + rng.normal(0, 1, SHAPE) * np.sqrt(variance)).astype(np.float32))
        variances.append(variance.astype(np.float32))
    dark = truth["offset"] + rng.normal(0, 0.7, SHAPE)
    given = {
        "signals": signals,
        "variances": variances,
        "levels": [np.full(SHAPE, v, np.float32) for v in levels],
        "steps": steps,
        "dark": (dark.astype(np.float32), np.full(SHAPE, 0.49, np.float32)),
        "typical": np.ones(SHAPE, bool),
    }
    return truth, given


def test_pulls_have_unit_width_and_the_spread_of_slopes_is_found():
    truth, given = scene(1, 0.012)
    fit = fit_responses(**given)
    assert fit.slope_spread == pytest.approx(0.012, rel=0.1)
    for step in (0.0, -0.25, 0.3):
        value = fit.response + step * fit.slope
        variance = fit.variance + 2 * step * fit.covariance + step**2 * fit.slope_variance
        pull = (value - truth["response"] - step * truth["slope"]) / np.sqrt(variance)
        assert np.std(pull) == pytest.approx(1.0, abs=0.05)
    assert np.mean(fit.chi2) == pytest.approx(1.0, abs=0.05)


def test_without_a_change_with_wavelength_no_noise_of_slopes_is_added():
    truth, given = scene(2, 0.0)
    fit = fit_responses(**given)
    assert fit.slope_spread < 0.004
    pull = (fit.response - truth["response"]) / np.sqrt(fit.variance)
    assert np.std(pull) == pytest.approx(1.0, abs=0.05)


def test_one_wavelength_has_no_slope():
    _, given = scene(3, 0.0)
    given["steps"] = [0.1] * 5
    fit = fit_responses(**given)
    assert fit.slope_spread == 0.0
    assert not fit.slope.any()


def test_a_robust_fit_bears_a_hit():
    truth, given = scene(4, 0.0)
    given["signals"][1][::10, ::10] += 60.0
    plain, robust = fit_responses(**given), fit_responses(**given, robust=True)
    hit = np.s_[::10, ::10]
    assert np.median(np.abs(robust.response - truth["response"])[hit]) < 0.6 * np.median(
        np.abs(plain.response - truth["response"])[hit]
    )
    assert np.median(plain.chi2[hit]) > 10.0


def test_gains_of_outputs_and_columns_come_back():
    rng = np.random.default_rng(5)
    outputs = [(i, i + 64) for i in range(0, 2048, 64)]
    gain = np.repeat(1.0 + rng.normal(0, 0.005, 32), 64) * np.where(np.arange(2048) % 2 == 0, 0.998, 1.002)
    light = 1.0 + 0.02 * np.sin(np.arange(2048) / 300.0)
    found = amplifier_pattern(light * gain * (1.0 + rng.normal(0, 2e-4, 2048)), outputs)
    wrong = found / (gain / gain.mean()) - 1.0
    place = np.arange(2048) - 1023.5
    wrong -= place * (place @ wrong) / (place @ place)  # a slope is light as likely as gain
    assert np.std(wrong) < 1.5e-3
    steps = np.array([wrong[b] - wrong[b - 1] for b, _ in outputs[1:]])
    assert np.std(steps) < 5e-4


def test_outputs_without_measurement_keep_gain_one():
    outputs = [(0, 16), (16, 32)]
    profile = np.ones(32)
    profile[16:] = np.nan
    assert np.allclose(amplifier_pattern(profile, outputs), 1.0)


def test_hits_are_found_and_images_of_points_are_not():
    rng = np.random.default_rng(6)
    y, x = np.mgrid[:200, :200].astype(float)
    image = np.zeros((200, 200))
    for _ in range(400):
        cy, cx = rng.uniform(5, 195, 2)
        image += rng.uniform(50, 20000) * np.exp(-0.5 * ((y - cy) ** 2 + (x - cx) ** 2) / 0.93**2)  # FWHM 2.2 px
    variance = 30.0 + image
    image += rng.normal(0, 1, image.shape) * np.sqrt(variance)
    good = np.ones(image.shape, bool)
    assert not single_pixel_hits(image, variance, good, clip=8.0, contrast=3.0).any()
    ys, xs = rng.integers(5, 195, (2, 30))
    image[ys, xs] += 3.0 * image.max()
    found = single_pixel_hits(image, variance, good, clip=8.0, contrast=3.0)
    assert found[ys, xs].mean() > 0.9
    assert found.sum() <= 30
