"""Lines of gas in the sky's spectrum are told from lines of the sky."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.recipes.slices.nebular import nebula_in

WAVE = np.arange(4660.0, 9340.0, 0.3)
BASE = 1.0 + 0.1 * (WAVE - 7000.0) / 2300.0


def lines(at: dict[float, float], velocity: float = 0.0) -> np.ndarray:
    return sum(
        (peak * np.exp(-0.5 * ((WAVE - line * (1.0 + velocity / 299792.458)) / 1.1) ** 2) for line, peak in at.items()),
        np.zeros(WAVE.size),
    )


def sky(seed: int = 1) -> np.ndarray:
    """Airglow, bright in the red; geocoronal H alpha and [N I] 5199; noise of a hundredth."""
    rng = np.random.default_rng(seed)
    glow = lines({5577.34: 30.0, 6300.3: 12.0, 6562.8: 0.6, 5198.0: 0.5, 5006.1: 0.02})
    red = lines(dict(zip(rng.uniform(5200.0, 9300.0, 200), rng.gamma(0.5, 4.0, 200), strict=True)))
    return BASE + glow + red + rng.normal(0.0, 0.003, WAVE.size)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_sky_without_gas_has_no_nebula(seed):
    assert nebula_in(WAVE, sky(seed), BASE) is None


@pytest.mark.parametrize("velocity", [-300.0, 40.0, 1350.0])
def test_oxygen_tells_of_gas_and_how_fast_it_is(velocity):
    light = sky() + lines({5006.84: 0.3, 4958.91: 0.1, 4861.33: 0.12, 6562.8: 0.4}, velocity)
    found = nebula_in(WAVE, light, BASE)
    assert found is not None
    assert abs(found.velocity - velocity) < 60.0
    assert "[O III] 5007" in found.lines
    assert 0.25 < found.strength < 0.45


def test_lines_of_hydrogen_alone_are_not_told_from_airglow():
    assert nebula_in(WAVE, sky() + lines({4861.33: 0.2, 6562.8: 0.6}, 150.0), BASE) is None


def test_without_a_continuum_nothing_is_told():
    assert nebula_in(WAVE, np.zeros(WAVE.size), np.zeros(WAVE.size)) is None
