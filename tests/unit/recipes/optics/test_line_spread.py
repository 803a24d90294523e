"""Width of the line-spread function of lenslet spectra."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tracecube.recipes.optics.lenslet_traces import _line_spread

U = np.arange(-160, 161) / 8.0
STAMP = np.arange(-34, 35) / 8.0


def spread(profile: np.ndarray, along: float = 0.95) -> float:
    """Width found for one profile across, with laser cores of some width along dispersion."""
    lenslets = SimpleNamespace(
        template=np.exp(-0.5 * ((STAMP[:, None] / along) ** 2 + (STAMP / 0.95) ** 2))[None, None, None],
        step=0.125,
        laser=np.array([12000.0]),
    )
    traces = SimpleNamespace(profile=profile[:, None], profile_u=U, mix=np.ones((1, 2, 5)))
    wave = np.full((2, 5), 12000.0)
    wave[1, 4] = np.nan
    found = _line_spread(lenslets, traces, wave)
    assert np.isnan(found[1, 4])
    return float(found[0, 0])


def gaussian(sigma: float) -> np.ndarray:
    """Profile of unit integral."""
    return np.exp(-0.5 * (U / sigma) ** 2) / (sigma * np.sqrt(2.0 * np.pi))


def test_a_gaussian_has_its_width() -> None:
    """Cores that are wider along dispersion than across make it wider."""
    assert spread(gaussian(0.95)) == pytest.approx(0.95, rel=0.01)
    assert spread(gaussian(0.95), along=1.05) == pytest.approx(1.05, rel=0.03)


def test_near_wings_blur_and_far_ones_do_not() -> None:
    """A Gaussian of the width found blurs bands of ten pixels as near wings do."""
    winged = 0.9 * gaussian(0.9) + 0.1 * gaussian(2.0)
    line = np.where(np.abs(U) < 4.0, winged, 0.0)
    kept = np.sum(line * np.cos(2.0 * np.pi * U / 10.0)) / np.sum(line)
    width = spread(winged)
    assert np.exp(-2.0 * (np.pi * width / 10.0) ** 2) == pytest.approx(kept, rel=0.01)
    assert width > 1.0
    assert spread(0.97 * gaussian(0.95) + 0.03 * gaussian(8.0)) == pytest.approx(0.95, abs=0.06)
