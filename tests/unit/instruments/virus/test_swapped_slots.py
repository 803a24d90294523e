"""Bundles that stood elsewhere than their headers say on some nights."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from tracecube.core.frame import RawFrame
from tracecube.instruments.virus.field_caveats import elsewhere
from tracecube.instruments.virus.field_steps import _nominal
from tracecube.instruments.virus.headers import day_of
from tracecube.instruments.virus.science_steps import _slot_place
from tracecube.instruments.virus.simulation.geometry import slots

SWAPPED, PLAIN = {"DATE-OBS": "2020-02-01"}, {"DATE-OBS": "2021-02-01"}
TABLE = {"IFUSLOT": np.array([15, 24, 47]), "X_FP": np.array([-450.0, -350.0, -150.0]), "Y_FP": np.zeros(3)}


def places(slot: int, night: dict[str, str]) -> np.ndarray:
    fplane = RawFrame("fplane.txt", "FPLANE", {}, {}, {"": TABLE})
    about = (np.array([slot]), np.array([1]))
    return np.array(_nominal(np.zeros(1), np.zeros(1), about, fplane, {**night, "PARANGLE": 60.0})).ravel()


def test_places_are_those_of_the_slot_in_which_a_bundle_stood() -> None:
    np.testing.assert_array_equal(places(24, SWAPPED), places(15, PLAIN))
    np.testing.assert_array_equal(places(15, SWAPPED), places(24, PLAIN))
    np.testing.assert_array_equal(places(47, SWAPPED), places(47, PLAIN))
    assert _slot_place(24, SWAPPED) == _slot_place(15, PLAIN)


def test_a_bundle_that_stood_elsewhere_is_named() -> None:
    [said] = elsewhere(np.array([24, 24, 47]), SWAPPED)
    assert "slot 024 stood in slot 015" in said
    assert not elsewhere(np.array([24, 47]), PLAIN)


def test_the_day_is_that_of_the_header_and_unknown_without_one() -> None:
    assert day_of({"DATE-OBS": "", "DATE": "2018-05-22T02:38:23"}) == date(2018, 5, 22)
    assert day_of({}) is None


@pytest.mark.parametrize("day", [date(2020, 1, 20), date(2021, 1, 20)])
def test_simulated_bundles_stand_where_headers_say(day: date) -> None:
    chosen = {number for number, _, _ in slots(np.random.default_rng(1), 78, day)}
    assert len(chosen) == 78
    assert (chosen & {15, 24, 78} != set()) == (day.year == 2021)
