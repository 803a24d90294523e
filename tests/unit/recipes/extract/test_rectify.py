"""Spectra on a common grid."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.recipes.extract.rectify import rectify

WAVE = np.linspace(3470.0, 3870.0, 196)[None, :] + np.array([[0.0], [0.9]])
GRID = np.arange(3480.0, 3860.0, 2.0)
ALL = np.ones(WAVE.shape, bool)


def test_light_is_kept() -> None:
    line = np.exp(-0.5 * ((WAVE - 3650.3) / 2.5) ** 2) / (2.5 * np.sqrt(2.0 * np.pi))
    made = rectify(line, np.ones_like(WAVE), WAVE, GRID, good=ALL)
    assert made.good.all()
    assert made.flux.sum(axis=1) * 2.0 == pytest.approx([1.0, 1.0], abs=1e-6)


def test_variance_and_covariances_are_those_of_noise() -> None:
    rng = np.random.default_rng(2)
    first = rng.normal(size=(3000, WAVE.shape[1]))
    second = 0.3 * first + np.sqrt(1.0 - 0.09) * rng.normal(size=first.shape)
    blend = np.full(WAVE.shape, 0.3)
    wave = np.repeat(WAVE[:1], 2, axis=0)
    drawn = np.stack([rectify(np.stack(pair), np.ones_like(wave), wave, GRID, good=ALL).flux
                      for pair in zip(first, second, strict=True)])  # fmt: skip
    made = rectify(np.zeros_like(wave), np.ones_like(wave), wave, GRID, good=ALL, blend=blend)
    assert np.mean(drawn.var(axis=0) / made.variance) == pytest.approx(1.0, abs=0.01)
    along = np.mean(drawn[:, :, :-1] * drawn[:, :, 1:], axis=0)
    assert np.mean(along) == pytest.approx(np.mean(made.covariance[:, :-1]), abs=0.005)
    assert np.mean(drawn[:, 0] * drawn[:, 1]) == pytest.approx(np.mean(made.blend[0]), abs=0.01)


def test_what_is_not_measured_is_said() -> None:
    good = ALL.copy()
    good[0, 90:100] = False
    made = rectify(np.ones_like(WAVE), np.ones_like(WAVE), WAVE, np.arange(3400.0, 3900.0, 2.0), good=good)
    assert not made.good[:, :30].any()  # before the first pixel
    assert made.good[1, 40:200].all()
    assert 8 <= np.sum(~made.good[0, 40:200]) <= 12
    assert np.all(made.flux[~made.good] == 0.0)
