"""What is said of pieces that were taken for sky and have lines of their own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from tests.unit.recipes.slices.test_sky_exposure import FIRST, STEP, continuum, exposure, splined
from tracecube.instruments.muse.sky_steps import _lit, _lit_everywhere
from tracecube.recipes.slices.sky_fit import SkyFit


@pytest.mark.parametrize(
    ("share", "method", "masked", "said"),
    [
        (0.0, "own", False, None),
        (0.2, "own", False, None),
        (0.2, "own", True, "20 per cent of the pieces that SKY_MASK takes for sky have lines"),
        (
            0.7,
            "own",
            False,
            "70 per cent of the pieces taken for sky have lines of their own: an object",
        ),
        (0.7, "own", True, "give a SKY exposure or a SKY_MASK"),
        (0.7, "subtract-model", False, None),
        (0.7, "model", False, None),
        (0.7, "none", False, None),
    ],
)
def test_pieces_of_sky_with_lines_of_their_own_are_told(share, method, masked, said):
    caveats = _lit(cast("SkyFit", SimpleNamespace(lit=share)), method, masked=masked)
    assert len(caveats) == (said is not None)
    assert said is None or said in caveats[0]


def gas(wave: np.ndarray) -> np.ndarray:
    """Both lines of O III at 900 km/s."""
    light = np.zeros(wave.size)
    for line, height in ((5006.84, 0.6), (4958.91, 0.2)):
        light += height * np.exp(-0.5 * ((wave - line * (1.0 + 900.0 / 299792.458)) / 1.1) ** 2)
    return light


@pytest.mark.parametrize(
    ("wanted", "lit", "there", "masked", "expected"),
    [
        ("auto", True, True, False, "model"),
        ("auto", False, True, False, "own"),
        ("auto", True, False, False, "own"),
        ("auto", True, True, True, "own"),
        ("own", True, True, False, "own"),
    ],
)
def test_gas_as_even_as_the_sky_asks_for_the_sky_exposure(wanted, lit, there, masked, expected):
    """Its pieces are all as bright: that they differ does not tell that it fills the field, its lines do."""
    coefficient = splined(lambda wave: continuum(wave) + (gas(wave) if lit else 0.0), 0.003)
    fit = cast("SkyFit", SimpleNamespace(coefficient=coefficient, first=FIRST, step=STEP))
    method, said = _lit_everywhere(fit, wanted, "own", exposure() if there else None, masked=masked)
    assert method == expected
    assert bool(said) == (expected == "model")
