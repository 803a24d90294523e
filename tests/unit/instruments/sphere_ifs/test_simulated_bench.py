"""What a simulated night is judged by is what the product states."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tracecube.instruments.sphere_ifs.guess import MODES
from tracecube.instruments.sphere_ifs.simulation import light, optics
from tracecube.instruments.sphere_ifs.simulation.sky import COMPANIONS


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[4] / "bench"))
    yield __import__("sphere_ifs_simulated")
    for name in ("sphere_ifs_simulated", "sphere_ifs_limits"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("mode", MODES)
def test_the_true_mean_contrast_is_even_in_wavelength_as_the_products_is(bench, mode: str) -> None:
    """The simulator's own wavelengths are even in pixels: a plain mean over them is some per cent lower."""
    wave, width = optics.sampling(MODES[mode])
    low, high, count = MODES[mode].channels
    through = light.star_light(wave, MODES[mode]) * wave**3
    half = 0.5 * (high - low) / (count - 1)
    band = (through > 0.3 * through.max()) & (wave > low - half) & (wave < high + half)
    for one in COMPANIONS:
        contrast = one.spectrum(wave)
        found = bench.mean_contrast(np.linspace(low, high, count), wave, contrast, through)
        assert found == pytest.approx((contrast * width)[band].sum() / width[band].sum(), rel=0.01)
        assert found > 1.008 * contrast[band].mean()
