"""What files are: every rule on the DPR cards, static calibrations, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tracecube.core.errors import BadData, MissingInput
from tracecube.instruments.muse import instrument
from tracecube.instruments.muse.associations import ASTROMETRY
from tracecube.instruments.muse.classify import GIVEN_TAGS, RAW_TAGS, STATIC_TAGS, classify, recognises
from tracecube.workflow.associate import Candidates, choose, reference
from tracecube.workflow.items import Item

ALL = " ".join(f"CHAN{number:02d}" for number in range(1, 25))

KINDS = [
    ("BIAS", "CALIB", "BIAS"), ("DARK", "CALIB", "DARK"), ("FLAT", "CALIB", "FLAT,LAMP"),
    ("ILLUM", "CALIB", "FLAT,LAMP,ILLUM"), ("SKYFLAT", "CALIB", "FLAT,SKY"), ("ARC", "CALIB", "WAVE"),
    ("ARC_LSF", "CALIB", "WAVE,LSF"), ("MASK", "CALIB", "WAVE,MASK"), ("ASTROMETRY", "CALIB", "ASTROMETRY"),
    ("STD", "CALIB", "STD"), ("SKY", "CALIB", "SKY"), ("SKY", "SCIENCE", "SKY"), ("OBJECT", "SCIENCE", "OBJECT"),
    ("AMPL", "TECHNICAL", "FLAT,LAMP,THRUPUT"), ("LINGAIN_LAMP_OFF", "CALIB", "BIAS,DETCHECK"),
    ("LINGAIN_LAMP_ON", "CALIB", "LINEARITY,FLAT,DETCHAR"),
]  # fmt: skip


def header(**more: Any) -> dict[str, Any]:
    return {
        "INSTRUME": "MUSE", "MJD-OBS": 58500.15, "EXPTIME": 30.0, "EXTENSIONS": f"SGS_IMG {ALL}",
        "ESO DPR CATG": "CALIB", "ESO DPR TYPE": "BIAS", "ESO INS MODE": "WFM-NONAO-N", "ESO DET READ CURID": 1,
        "ESO DET BINX": 1, "ESO TPL START": "2019-01-17T03:00:00", "ESO OBS TARG NAME": "NGC 1",
        "ESO OBS ID": 42, **more,
    }  # fmt: skip


def as_item(name: str, cards: dict[str, Any]) -> Item:
    found = classify(name, cards)
    return Item(tag=found.tag, name=name, identity=name, path="", setup=found.setup, mjd=found.mjd)


@pytest.mark.parametrize(("tag", "catg", "kind"), KINDS)
def test_every_rule(tag, catg, kind):
    found = classify("a", header(**{"ESO DPR CATG": catg, "ESO DPR TYPE": kind.lower()}))
    assert found.tag == tag
    assert found.setup["raw_tag"] == tag
    assert found.tag in RAW_TAGS
    assert found.object == ("NGC 1" if tag in {"OBJECT", "SKY", "STD", "ASTROMETRY"} else None)


def test_the_rules_are_all_the_raw_tags():
    assert {tag for tag, _, _ in KINDS} | set(STATIC_TAGS) | set(GIVEN_TAGS) == set(RAW_TAGS)
    assert instrument.raw_tags == RAW_TAGS


def test_setup_of_an_exposure():
    found = classify("MUSE.2019", header(**{"ESO DPR CATG": "SCIENCE", "ESO DPR TYPE": "OBJECT"}))
    assert (found.mjd, found.exptime) == (58500.15, 30.0)
    assert found.setup["night"] == "2019-01-17"
    assert found.setup["mode"] == "WFM-NOAO-N"
    assert found.setup["readout"] == "1/1"
    assert found.setup["extensions"] == ALL
    assert found.setup["exposure"] == "MUSE.2019"
    assert found.setup["block"] == "42"


def test_lamps_are_part_of_the_setup():
    lit = {"ESO INS LAMPNUM": 6, "ESO INS LAMP5 ST": True, "ESO INS SHUT5 ST": True, "ESO INS LAMP5 NAME": "CU-LAMP5"}
    assert classify("a", header(**{"ESO DPR TYPE": "WAVE", **lit})).setup["lamp"] == "HgCd"


@pytest.mark.parametrize("catg", sorted(STATIC_TAGS))
def test_static_calibrations_need_no_time(catg):
    found = classify("a", {"INSTRUME": "MUSE", "ESO PRO CATG": catg})
    assert (found.tag, found.setup["night"], found.mjd) == (catg, None, None)


@pytest.mark.parametrize(("which", "side"), [("WFM", 0.2), ("NFM", 0.025)])
def test_the_scale_of_a_field_is_for_exposures_of_that_field(which, side):
    """Of the two tables of a folder each exposure takes its own, whether they tell their mode or their scale alone."""
    kinds = {"ESO DPR CATG": "SCIENCE", "ESO DPR TYPE": "OBJECT", "ESO INS MODE": f"{which}-AO-N"}
    main = as_item("exposure", header(**kinds))
    static = {"INSTRUME": "MUSE", "ESO PRO CATG": "ASTROMETRY_WCS"}
    told = [as_item(f"told{one}", {**static, "ESO INS MODE": f"{one}-NOAO-N"}) for one in ("NFM", "WFM")]
    scaled = [as_item(f"scale{one}", {**static, "CD1_1": -one / 3600.0}) for one in (0.2, 0.025)]
    for tables, name in ((told, f"told{which}"), (scaled, f"scale{side}")):
        for rule in ASTROMETRY:
            found = choose(reference([main]), Candidates(tables, rule), rule)
            assert [item.name for item in found.items] == [name]
    assert choose(reference([main]), Candidates([as_item("bare", static)], ASTROMETRY[0]), ASTROMETRY[0]) is None


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"ESO DPR TYPE": "BIAS,OTHER"}, "match no rule"),
        ({"ESO DPR CATG": "ACQUISITION", "ESO DPR TYPE": "OBJECT"}, "match no rule"),
        ({"EXTENSIONS": "SGS_IMG CHAN25"}, "none of its images is called CHAN01 to CHAN24"),
        ({"EXTENSIONS": ""}, "none of its images"),
        ({"ESO PRO CATG": "MASK_REDUCED"}, "a product"),
    ],
)
def test_what_is_refused(more, message):
    with pytest.raises(BadData, match=message):
        classify("a", header(**more))


def test_a_file_without_extension_names_or_time_is_not_guessed():
    without = {key: value for key, value in header().items() if key != "EXTENSIONS"}
    with pytest.raises(BadData, match="none of its images"):
        classify("a", without)
    without = {key: value for key, value in header().items() if key != "MJD-OBS"}
    with pytest.raises(MissingInput, match="no start of exposure"):
        classify("a", without)
    without = {key: value for key, value in header().items() if key != "EXPTIME"}
    with pytest.raises(MissingInput, match="EXPTIME"):
        classify("a", without)


def test_whose_file_it_is():
    assert recognises("a", {"INSTRUME": "muse "})
    assert not recognises("a", {"INSTRUME": "SPHERE"})
    assert not recognises("a", {})
