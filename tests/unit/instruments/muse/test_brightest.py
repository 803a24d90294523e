"""Where a standard star is, from the pieces of slices."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.instruments.muse.flux_steps import _brightest


def pieces(flux: np.ndarray) -> SimpleNamespace:
    return SimpleNamespace(flux=flux, x=np.arange(len(flux)) * 2.0, y=np.arange(len(flux)) * 0.2)


def test_a_piece_that_the_star_leaves_few_samples_of_is_the_brightest() -> None:
    flux = np.full((5, 400), 0.001)
    flux[3] = np.nan
    flux[3, ::8] = 2.0
    flux[1] = np.nan
    flux[1, :3] = 900.0  # hits
    assert _brightest([pieces(flux), pieces(0.5 * flux)]) == (6.0, pytest.approx(0.6))  # type: ignore[list-item]


def test_no_light_is_an_error() -> None:
    with pytest.raises(BadData, match="no piece of a slice holds light"):
        _brightest([pieces(np.full((4, 400), np.nan))])  # type: ignore[list-item]
