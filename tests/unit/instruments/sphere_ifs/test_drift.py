"""The light drifts between two frames of a night by the less the sooner they follow each other."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tracecube.instruments.sphere_ifs import sky
from tracecube.instruments.sphere_ifs.drift import HOUR, drift
from tracecube.instruments.sphere_ifs.filters import passed_by
from tracecube.recipes.optics.lenslet_shift import Shift
from tracecube.recipes.optics.night_shift import ShiftParams

OPTICS = SimpleNamespace(lamp=SimpleNamespace(), wavelength=SimpleNamespace(lsf_sigma=np.ones(3)))
CENTRE = {"SHIFTDX": 0.1, "SHIFTDY": 0.2, "SHIFTTN": 0.0, "SHIFTST": 0.0, sky.SHIFT_ERROR: 0.04}


def at(hour: float, **cards: float | str) -> dict[str, float | str]:
    """Header of a DIT of 16 s that begins so many hours after midnight."""
    minutes, seconds = divmod(round(3600.0 * hour), 60)
    begin = f"2018-11-18T{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}.000"
    return {"DATE-OBS": begin, "ESO DET SEQ1 DIT": 16.0, "ESO DET NDIT": 1, "ESO DET DITDELAY": 0.2, **cards}


def test_the_variance_of_the_drift_grows_with_time() -> None:
    minute, hour, nine = (drift(at(1.0 + dt), at(1.0), "one").sigma for dt in (1.0 / 60.0, 1.0, 9.0))
    assert hour == pytest.approx(HOUR, rel=0.01)
    assert nine == pytest.approx(3.0 * hour, rel=0.01)
    assert HOUR / 60.0**0.5 < minute < 0.02
    assert drift(at(1.0), at(2.0), "one") == drift(at(2.0), at(1.0), "one")


def test_a_frame_without_time_is_taken_an_hour_off_and_that_is_said() -> None:
    found = drift({"ESO DET SEQ1 DIT": 16.0}, at(1.0), "one")
    assert found.sigma == HOUR
    assert "an hour is assumed" in found.caveats[0]
    assert not drift(at(1.0), at(1.1), "one").caveats


@pytest.mark.parametrize(("after", "far"), [(1.0 / 60.0, False), (4.0, True)])
def test_a_frame_soon_after_that_with_spots_stays_where_that_was(
    monkeypatch: pytest.MonkeyPatch, after: float, far: bool
) -> None:
    monkeypatch.setattr(sky, "shift_along", lambda *_, **__: (0.3, 0.06))  # by itself 0.1 px off it
    drifting = drift(at(1.0 + after), at(1.0), "one")
    expected = sky._expected(SimpleNamespace(meta={**at(1.0), **CENTRE}), drifting)
    found = sky._shift_along(SimpleNamespace(), OPTICS, Shift(dx=0.1), ShiftParams(), expected)[0]
    assert (found.dy > 0.28) if far else (found.dy < 0.21)
    assert found.dy_error > CENTRE[sky.SHIFT_ERROR]


def test_light_that_jumped_across_may_have_jumped_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sky, "shift_along", lambda *_, **__: (0.3, 0.02))
    expected = sky._expected(SimpleNamespace(meta={**at(1.0), **CENTRE}), drift(at(1.01), at(1.0), "one"))
    found = sky._shift_along(SimpleNamespace(), OPTICS, Shift(dx=0.4), ShiftParams(), expected)[0]
    assert found.dy == pytest.approx(0.3, abs=0.01)


def test_a_filter_is_taken_into_account_and_one_not_known_is_said() -> None:
    curve, said = passed_by({"ESO INS4 FILT2 NAME": "ND_2.0"}, "one")
    assert curve is not None
    blue, red = curve.at(np.array([10000.0, 12000.0]))
    assert blue > 2.0 * red
    assert not said
    assert passed_by({"ESO INS4 FILT2 NAME": "OPEN"}, "one") == (None, ())
    curve, said = passed_by({}, "one")
    assert curve is None
    assert "as if no filter had been in" in said[0]
