"""Errors of the light's shift along dispersion: what one frame leaves open, the next does not tell."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tracecube.core.errors import NoConvergence
from tracecube.instruments.sphere_ifs import sky
from tracecube.recipes.optics.lenslet_shift import Shift
from tracecube.recipes.optics.night_shift import ShiftParams

CARDS = {"SHIFTDX": 0.1, "SHIFTDY": 0.2, "SHIFTTN": 0.0, "SHIFTST": 0.0, sky.SHIFT_ERROR: 0.25}
OPTICS = SimpleNamespace(lamp=SimpleNamespace(), wavelength=SimpleNamespace(lsf_sigma=np.ones(3)))


def shift(monkeypatch: pytest.MonkeyPatch, cards: dict[str, float], *, told: bool = True) -> Shift:
    """Shift of a frame after one with spots, by itself 0.1 px off it."""

    def measured(*_: object, **__: object) -> tuple[float, float]:
        if not told:
            raise NoConvergence("nothing", hint="")
        return 0.3, 0.1

    monkeypatch.setattr(sky, "shift_along", measured)
    expected = sky._expected(SimpleNamespace(meta=cards))
    return sky._shift_along(SimpleNamespace(), OPTICS, Shift(), ShiftParams(), expected)[0]


@pytest.mark.parametrize("told", [True, False])
def test_the_error_of_the_frame_with_spots_stays(monkeypatch: pytest.MonkeyPatch, told: bool) -> None:
    found = shift(monkeypatch, CARDS, told=told)
    assert 0.25 < found.dy_error < 0.3
    assert 0.2 <= found.dy < 0.3


def test_spectra_that_do_not_say_leave_the_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = {key: value for key, value in CARDS.items() if key != sky.SHIFT_ERROR}
    assert shift(monkeypatch, cards).dy_error < 0.1
