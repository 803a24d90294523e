"""What raw files are, by their cards alone."""

from __future__ import annotations

import pytest

from tracecube.core.errors import BadData, MissingInput
from tracecube.instruments.sphere_ifs.classify import RAW_TAGS, RULES, classify, recognises

CARDS = {
    "INSTRUME": "SPHERE",
    "ESO SEQ ARM": "IFS",
    "DATE-OBS": "2018-11-18T03:43:25.807",
    "ESO DET SEQ1 DIT": 16.0,
    "ESO DET NDIT": 2,
    "ESO DET DITDELAY": 0.2,
    "ESO DET FRAM UTC": "2018-11-18T03:43:59.567",
    "OBJECT": "HIP 999101",
}


def header(catg: str, kind: str, comb: str, tech: str = "IFU", **more: object) -> dict[str, object]:
    cards = {"ESO DPR CATG": catg, "ESO DPR TYPE": kind, "ESO DPR TECH": tech, "ESO INS2 COMB IFS": comb}
    return {**CARDS, **cards, **more}


KINDS = [
    ("CALIB", "DARK", "CAL_BB_2_YJH", "DARK"),
    ("CALIB", "DARK,BACKGROUND", "OBS_H", "BACKGROUND"),
    ("SCIENCE", "SKY", "OBS_H", "SKY"),
    ("CALIB", "FLAT,LAMP", "CAL_NB1_1_YJ", "DETFLAT"),
    ("CALIB", "FLAT,LAMP", "CAL_BB_2_YJH", "DETFLAT"),
    ("CALIB", "SPECPOS,LAMP", "OBS_YJ", "SPECPOS"),
    ("CALIB", "FLAT,LAMP", "OBS_H", "IFUFLAT"),
    ("CALIB", "WAVE,LAMP", "OBS_H", "WAVE"),
    ("CALIB", "LAMP,DISTORT", "OBS_H", "DISTORT"),
    ("CALIB", "FLAT,LAMP,RONGAIN", "CAL_BB_2_YJH", "GAIN"),
    ("TECHNICAL", "LAMP,PERSIST,REFERENCE", "CAL_BB_2_YJH", "PERSISTENCE"),
    ("SCIENCE", "OBJECT,FLUX", "OBS_H", "FLUX"),
    ("CALIB", "OBJECT,CENTER", "OBS_H", "CENTER"),
    ("SCIENCE", "OBJECT", "OBS_YJ", "OBJECT"),
    ("CALIB", "STD,ASTROMETRY", "OBS_H", "STD_ASTROMETRY"),
    ("CALIB", "STD", "OBS_H", "STD_FLUX"),
]


@pytest.mark.parametrize(("catg", "kind", "comb", "tag"), KINDS)
def test_every_kind_of_frame(catg, kind, comb, tag):
    found = classify("a", header(catg, kind, comb))
    assert found.tag == tag
    assert found.setup["raw_tag"] == tag
    assert found.setup["night"] == "2018-11-18"


def test_every_tag_is_explained_and_has_a_rule():
    assert {rule.tag for rule in RULES} == set(RAW_TAGS)
    assert {tag for *_, tag in KINDS} == set(RAW_TAGS)


def test_modes_and_lamps():
    assert classify("a", header("SCIENCE", "OBJECT", "OBS_YJ")).setup["mode"] == "YJ"
    assert classify("a", header("SCIENCE", "OBJECT", "OBS_H")).setup["mode"] == "YJH"
    flat = classify("a", header("CALIB", "FLAT,LAMP", "CAL_NB4_2_YJH")).setup
    assert (flat["mode"], flat["lamp"]) == ("YJH", "NB4")
    by_prism = header("SCIENCE", "OBJECT", "", **{"ESO INS2 OPTI2 NAME": "PRI_YJ"})
    assert classify("a", by_prism).setup["mode"] == "YJ"
    with pytest.raises(MissingInput, match="tell no mode"):
        classify("a", header("SCIENCE", "OBJECT", ""))
    assert classify("a", header("CALIB", "DARK", "")).setup["mode"] is None


def test_cubes_have_planes_and_means_have_none():
    cube = classify("a", header("SCIENCE", "OBJECT", "OBS_H", **{"ESO DET FRAM FORMAT": "cube"}))
    assert cube.setup["planes"] == 2
    assert cube.setup["plane_step"] == pytest.approx(16.88 / 86400.0)
    assert cube.setup["timing"] == "header"
    assert cube.object == "HIP 999101"
    mean = classify("a", header("CALIB", "DARK", "OBS_H", **{"ESO DET FRAM FORMAT": "single"}))
    assert mean.setup["planes"] is None
    assert mean.object is None


@pytest.mark.parametrize("end", [None, "", "2018-11-18T03:43:30"])
def test_without_the_end_of_the_last_integration_its_length_serves(end):
    found = classify("a", header("SCIENCE", "OBJECT", "OBS_H", **{"ESO DET FRAM UTC": end}))
    assert found.setup["plane_step"] == pytest.approx(16.2 / 86400.0)
    assert found.setup["timing"] == "DIT alone"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("ESO DET NDIT", None, "ESO DET NDIT"),
        ("ESO DET NDIT", "many", "ESO DET NDIT"),
        ("ESO DET SEQ1 DIT", 0.0, "integration time"),
        ("DATE-OBS", None, "start of exposure"),
    ],
)
def test_a_card_that_nothing_stands_in_for(key, value, words):
    with pytest.raises(MissingInput, match=words) as error:
        classify("SPHER.x", header("SCIENCE", "OBJECT", "OBS_H", **{key: value}))
    assert "SPHER.x" in str(error.value)


def test_cards_that_others_stand_in_for():
    cards = header("SCIENCE", "OBJECT", "OBS_H", **{"DATE-OBS": "", "MJD-OBS": 58440.155, "ESO DET SEQ1 DIT": None})
    found = classify("a", {**cards, "EXPTIME": 16.0})
    assert found.mjd == 58440.155
    assert found.exptime == 16.0


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("SPHER.2018-11-18T03:43:25.807", {}),
        ("SPHER.2018-11-18T03_43_25.807", {}),
        ("renamed", {"ARCFILE": "SPHER.2018-11-18T03:43:25.807.fits"}),
    ],
)
def test_the_archives_name_tells_the_time_that_no_card_does(name, more):
    found = classify(name, header("SCIENCE", "OBJECT", "OBS_H", **{"DATE-OBS": None, "MJD-OBS": None, **more}))
    assert found.mjd == pytest.approx(classify("a", header("SCIENCE", "OBJECT", "OBS_H")).mjd, abs=1e-9)
    assert found.setup["timing"] == "archive name"
    dark = classify(name, header("CALIB", "DARK", "", **{"DATE-OBS": "", "ESO DET FRAM FORMAT": "single", **more}))
    assert dark.setup["timing"] == "archive name"


def test_what_no_rule_knows_is_said():
    with pytest.raises(BadData, match="match no rule"):
        classify("a", header("CALIB", "FOCUS", "OBS_H"))


def test_only_this_arm_of_the_instrument():
    assert recognises("a", CARDS)
    assert not recognises("a", {**CARDS, "ESO SEQ ARM": "IRDIS"})
    assert not recognises("a", {**CARDS, "INSTRUME": "NACO"})
    assert recognises("a", {"INSTRUME": "SPHERE", "ESO DET NAME": "IFS"})


def test_a_background_without_prism_is_of_the_mode_that_its_dichroic_leaves():
    for dichroic, mode in (("DIC_K", "YJH"), ("DIC_H", "YJ"), ("MIRROR", None)):
        cards = header("CALIB", "DARK,BACKGROUND", "CLEAR", **{"ESO INS4 OPTI13 NAME": dichroic})
        assert classify("a", cards).setup["mode"] == mode
