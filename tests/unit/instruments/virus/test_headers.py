"""Headers of VIRUS: what is unset is unset, and what nothing can stand in for is asked for."""

from __future__ import annotations

import pytest

from tracecube.core.errors import MissingInput
from tracecube.instruments.virus.headers import dark_time, needed, number, pointing, unit


def test_unset_cards_are_none() -> None:
    assert number({"AMBTEMP": -999999.9}, "AMBTEMP") is None
    assert number({"AMBTEMP": 0.0}, "AMBTEMP") == 0.0
    with pytest.raises(MissingInput, match="DITHER"):
        needed({}, "20190204T061705.1_047LL_sci", "DITHER")


def test_dark_time_is_the_exposure_time_where_it_is_not_told() -> None:
    assert dark_time({"DARKTIME": 387.3, "EXPTIME": 360.0}, "a") == 387.3
    assert dark_time({"DARKTIME": -999999.9, "EXPTIME": 0.0}, "a") == 0.0
    with pytest.raises(MissingInput, match="EXPTIME"):
        dark_time({}, "a")


def test_identity_of_a_unit_holds_its_controller() -> None:
    cards = {"IFUSLOT": 47, "SPECID": 308, "IFUID": "24", "CONTID": "S/N 0087"}
    assert unit(cards, "a") == "047/308/024/0087"
    with pytest.raises(MissingInput, match="CONTID"):
        unit({**cards, "CONTID": " "}, "a")


def test_a_corrected_trajectory_far_from_the_plan_is_not_trusted() -> None:
    plan = {"TRAJRA": 14.32, "TRAJDEC": 52.6}
    assert pointing({**plan, "TRAJCRA": 14.3201, "TRAJCDEC": 52.6}, "a")[0] == pytest.approx(15 * 14.3201)
    assert pointing({**plan, "TRAJCRA": 14.40, "TRAJCDEC": 52.6}, "a")[0] == pytest.approx(15 * 14.32)
    assert pointing({**plan, "TRAJCRA": -999999.9, "TRAJCDEC": -999999.9}, "a")[1] == 52.6
