"""Cubes of exposures: what they lack is said."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tests.unit.instruments.muse.small_products import META, traces
from tracecube.core.frame import RawFrame
from tracecube.instruments.muse import object_light
from tracecube.instruments.muse.autocal_steps import user_factors
from tracecube.instruments.muse.object_steps import _lacking, _notes, _unlisted
from tracecube.instruments.muse.of_detector import closest_by_detector


def test_detectors_without_light_in_an_exposure_are_named() -> None:
    assert _lacking(("CHAN03", "CHAN01"), ("CHAN01", "CHAN03")) == ()
    [said] = _lacking(("CHAN02",), ("CHAN01", "CHAN02", "CHAN03"))
    assert said.startswith("no CHAN01, CHAN03 in this exposure")


def factors(*slices: int) -> RawFrame:
    """Factors of these slices of channel 7."""
    one = np.ones(len(slices), int)
    table = {"ifu": 7 * one, "sli": np.array(slices), "quad": one, "corr": 1.01 * one}
    return RawFrame("factors", "AUTOCAL_FACTORS", {}, {}, {"AUTOCAL_FACTORS": table})


def test_slices_that_a_users_factors_do_not_list_are_counted() -> None:
    exposures = [SimpleNamespace(meta=META)]
    assert _unlisted(user_factors(factors(1, 2)), exposures, [traces()]) == ()
    [said] = _unlisted(user_factors(factors(2, 5)), exposures, [traces()])
    assert said.startswith("1 slices are not in AUTOCAL_FACTORS")


def test_bands_that_stay_in_the_spectra_are_said() -> None:
    given = SimpleNamespace(
        exposures=[SimpleNamespace(meta=META)], traces=[traces()], raman=None, telluric=None, user_factors=None,
        extinct_table="a table",
    )  # fmt: skip
    light = SimpleNamespace(
        given=given, places={"CHAN07": None}, factors=None, notes=(), pointing=SimpleNamespace(caveats=()),
        trace_of=closest_by_detector(given.traces, META, "traces"),
    )  # fmt: skip
    assert _notes(light) == ("no TELLURIC is taken off: the bands of the atmosphere stay in",)
    given.telluric = "bands"
    assert _notes(light) == ()


def test_the_sky_that_is_taken_off_is_told_in_the_units_of_the_cube(monkeypatch) -> None:
    wave = np.array([5000.0, 6000.0, 7000.0])
    seen = SimpleNamespace(wave=wave, light=np.array([2.0, 2.0, 4.0]))
    monkeypatch.setattr(object_light, "spectra_of", lambda _: (seen, None))
    light = object_light.ExposureLight.__new__(object_light.ExposureLight)
    light.given = SimpleNamespace(sky=None)  # type: ignore[assignment]
    light.worth = wave, np.array([10.0, 20.0, 30.0])
    assert light.sky_level(4900.0, 6100.0) == pytest.approx(30.0)
