"""Mean contrasts of companions whose bands the line-spread function fills."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.recipes.science.band_mean import band_mean, seen_through

WAVE = np.linspace(9600.0, 16600.0, 39)
FINE = np.linspace(9000.0, 17200.0, 2401)
SIGMA = np.full(WAVE.size, 200.0)  # Angstrom: 1.1 channels
BAND = np.where(np.abs(WAVE - 13850.0) > 400.0, 1.0, 0.0)
SHARE = BAND / BAND.sum()


def peaks(wave: np.ndarray) -> np.ndarray:
    """Where neither methane nor the air's water absorbs."""
    shapes = ((10800.0, 300.0), (12700.0, 350.0), (15800.0, 400.0))
    return np.sum([np.exp(-0.5 * ((wave - at) / width) ** 2) for at, width in shapes], axis=0)


def star(wave: np.ndarray) -> np.ndarray:
    """A star through the air."""
    return (wave / 12000.0) ** -2 * (0.4 + 0.6 * peaks(wave))


def methane(wave: np.ndarray) -> np.ndarray:
    """A companion of which little is seen where the air absorbs too."""
    return 1e-4 * (0.15 + peaks(wave))


def seen(contrast: np.ndarray) -> np.ndarray:
    """The contrast of channels, from a fine spectrum through lines of Gaussian shape."""
    line = np.exp(-0.5 * ((FINE[:, None] - FINE) / SIGMA[0]) ** 2)
    step = WAVE[1] - WAVE[0]
    inside = (np.abs(WAVE[:, None] - FINE) < 0.5 * step).astype(float)
    return (inside @ (line @ (contrast * star(FINE)))) / (inside @ (line @ star(FINE)))


def test_deep_bands_keep_their_mean() -> None:
    """The mean of what is seen is off by per cents, that of what was sent is found, with an honest error."""
    true, sharp = methane(WAVE) @ SHARE, seen(methane(FINE))
    assert abs(sharp @ SHARE / true - 1.0) > 0.02
    noise = np.full(WAVE.size, 0.02 * sharp.max())
    matrix = seen_through(WAVE, star(WAVE), SIGMA)
    rng = np.random.default_rng(5)
    found = [
        band_mean(sharp + noise * rng.standard_normal(WAVE.size), np.diag(noise**2), matrix, SHARE) for _ in range(60)
    ]
    assert np.mean([one.value for one in found]) == pytest.approx(true, rel=0.006)
    pulls = [(one.value - np.mean([o.value for o in found])) / one.error for one in found]
    assert 0.75 < np.std(pulls) < 1.25


def test_a_smooth_companion_has_the_mean_it_had() -> None:
    """No level or slope is drawn anywhere, and channels that are not known do not matter."""
    contrast = 2e-5 * (WAVE / 12000.0)
    noise = np.full(WAVE.size, 1e-7)
    contrast[3] = np.nan
    share = np.where(np.isfinite(contrast), BAND, 0.0)
    share /= share.sum()
    found = band_mean(contrast, np.diag(noise**2), seen_through(WAVE, star(WAVE), SIGMA), share)
    assert found.value == pytest.approx(np.nansum(contrast * share), rel=2e-3)
    none = seen_through(WAVE, star(WAVE), np.zeros(WAVE.size))
    assert none == pytest.approx(np.eye(WAVE.size), abs=1e-6)
