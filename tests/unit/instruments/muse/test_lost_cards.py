"""Cards that are lost: what is refused says which, and what goes on without."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.instruments.muse.test_classify import KINDS, header
from tracecube.core.errors import BadData, MissingInput
from tracecube.instruments.muse.classify import classify

SEEN = [one for one in KINDS if one[0] not in {"BIAS", "DARK", "MASK", "AMPL", "LINGAIN_LAMP_OFF", "LINGAIN_LAMP_ON"}]


def cards(catg: str, kind: str, **more: Any) -> dict[str, Any]:
    return {**header(), "ESO DPR CATG": catg, "ESO DPR TYPE": kind, **more}


@pytest.mark.parametrize(("tag", "catg", "kind"), SEEN)
def test_an_exposure_without_its_mode_is_refused_by_the_name_of_the_card(tag: str, catg: str, kind: str) -> None:
    with pytest.raises(MissingInput, match=r"a\.fits: no mode of the instrument .*ESO INS MODE") as refused:
        classify("a.fits", cards(catg, kind, **{"ESO INS MODE": " "}))
    assert "WFM-NOAO-N" in str(refused.value.hint)
    assert classify("a.fits", cards(catg, kind)).tag == tag


def test_biases_and_darks_need_no_mode() -> None:
    for kind in ("BIAS", "DARK"):
        assert classify("a", cards("CALIB", kind, **{"ESO INS MODE": None})).tag == kind


def test_cards_of_the_read_out_that_are_absent_are_named_where_calibrations_are_looked_for() -> None:
    found = classify("a", cards("SCIENCE", "OBJECT", **{"ESO DET READ CURID": None}))
    assert found.setup["readout"] == "no ESO DET READ CURID/1"
    assert classify("a", cards("SCIENCE", "OBJECT")).setup["readout"] == "1/1"


@pytest.mark.parametrize(("catg", "kind"), [("CALIB", "DARK"), ("SCIENCE", "OBJECT"), ("CALIB", "FLAT,LAMP")])
def test_what_was_not_exposed_is_no_exposure(catg: str, kind: str) -> None:
    with pytest.raises(BadData, match=r"exposed for 0 s \(EXPTIME\)"):
        classify("a", cards(catg, kind, EXPTIME=0.0))
    assert classify("a", cards("CALIB", "BIAS", EXPTIME=0.0)).exptime == 0.0
