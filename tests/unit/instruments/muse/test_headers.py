"""Reading headers: lamps, detectors, modes, times."""

from __future__ import annotations

import pytest

from tracecube.core.errors import MissingInput
from tracecube.instruments.muse.headers import channels, exposure_time, lamps, mode, needed, start_mjd, text

NAMES = {k: f"CU-LAMP{k}" for k in range(1, 7)}


def lit(*numbers: int, shut=()):
    header = {"ESO INS LAMPNUM": 6}
    for k, name in NAMES.items():
        header |= {f"ESO INS LAMP{k} NAME": name, f"ESO INS LAMP{k} ST": k in numbers}
        header[f"ESO INS SHUT{k} ST"] = k in numbers and k not in shut
    return header


@pytest.mark.parametrize(
    ("numbers", "kinds"),
    [((1, 2), ("CONT",)), ((3, 6), ("Ne",)), ((4,), ("Xe",)), ((5,), ("HgCd",)), ((), ()), ((4, 5), ("HgCd", "Xe"))],
)
def test_what_shone(numbers, kinds):
    assert lamps(lit(*numbers)) == kinds


def test_a_lamp_behind_a_closed_shutter_did_not_shine():
    assert lamps(lit(4, 5, shut=(5,))) == ("Xe",)


@pytest.mark.parametrize("state", [True, 1, "T", "true"])
def test_states_however_they_are_written(state):
    assert lamps({"ESO INS LAMP4 ST": state, "ESO INS SHUT4 ST": state, "ESO INS LAMP4 NAME": "CU-LAMP4"}) == ("Xe",)


def test_detectors_of_a_file_in_order():
    assert channels({"EXTENSIONS": "CHAN12 SGS_IMG CHAN02 CHAN24 CHAN25 CHAN00 CHAN1"}) == (
        "CHAN02",
        "CHAN12",
        "CHAN24",
    )
    assert channels({}) == ()


def test_old_and_new_names_of_a_mode():
    assert mode({"ESO INS MODE": "WFM-NONAO-E"}) == mode({"ESO INS MODE": "wfm-noao-e"}) == "WFM-NOAO-E"
    assert mode({}) == ""


def test_start_of_exposure():
    assert start_mjd({"MJD-OBS": 58500.25}, "a") == 58500.25
    assert start_mjd({"MJD-OBS": 0.0, "DATE-OBS": "2018-11-18T12:00:00"}, "a") == 58440.5
    with pytest.raises(MissingInput, match="a: no start of exposure"):
        start_mjd({"DATE-OBS": "unknown"}, "a")


def test_numbers_are_never_made_up():
    assert exposure_time({"EXPTIME": "12.5"}, "a") == 12.5
    assert needed({"RA": 0.0}, "a", "RA") == 0.0
    for value in (None, "", "NA", True):
        with pytest.raises(MissingInput, match="a: header card RA"):
            needed({"RA": value}, "a", "RA")
    assert text({"OBJECT": " m 31 "}, "OBJECT") == "M 31"
