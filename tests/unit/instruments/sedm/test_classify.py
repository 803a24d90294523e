"""Headers of ten years of robots, and what they are found to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracecube.core.errors import BadData, MissingInput
from tracecube.instruments.sedm import instrument
from tracecube.instruments.sedm.classify import RAW_TAGS, RULES, classify, recognises
from tracecube.io.headers import read_header

NIGHT = Path(__file__).parents[5] / "shared" / "nights" / "sedm" / "A"
NAME = "ifu20190704_10_04_29.fits"

# A science frame of 2018 as the robot wrote it: day-of-year stamps, no MJD
PIXIS = {
    "EXPTIME": 2250.0,
    "ADCSPEED": 0.1,
    "GAIN": 1.78,
    "CAM_NAME": "IFU Cam",
    "INSTRUME": "Palomar-60",
    "UTC": "2019:185:10:04:29.2",
    "DOMEST": "open",
    "OBJECT": "ZTF18abdfydj [A]",
    "IMGTYPE": "Science",
    "NAME": "ZTF18abdfydj",
}
ANDOR = {
    **PIXIS,
    "ADCSPEED": 1.0,
    "GAIN": 0.9,
    "INSTRUME": "SEDM-P60",
    "PSCANX0": 1,
    "PSCANX1": 20,
    "OSCANX0": 2069,
    "OSCANX1": 2088,
    "UTC": "2024-02-03T04:05:06.789123",
}


@pytest.mark.parametrize(
    ("object_", "imgtype", "exptime", "tag"),
    [
        ("Calib: bias 1 of 10", "Calibration", 0.0, "BIAS"),
        ("Calib: dome 1 of 5", "Calibration", 12.0, "DOME"),
        ("Calib: Hg 1 of 5", "Calibration", 15.0, "ARC_HG"),
        ("Calib:  Xe 3 of 5", "lamp", 45.0, "ARC_XE"),
        ("calib: cd 2 of 5", "Calibration", 60.0, "ARC_CD"),
        ("Calib: twilight", "Calibration", 60.0, "TWILIGHT"),
        ("dome", "flat", 5.0, "DOME"),
        ("STD-BD+28d4211", "Standard", 120.0, "STANDARD"),
        ("STD-Feige34", "Science", 120.0, "STANDARD"),
        ("ZTF18abdfydj [A]", "Science", 2250.0, "SCIENCE"),
        ("ZTF20aadomez", "NA", 2250.0, "SCIENCE"),
    ],
)
@pytest.mark.parametrize("generation", [PIXIS, ANDOR], ids=["pixis", "andor"])
def test_spellings_of_object(
    generation: dict[str, object], object_: str, imgtype: str, exptime: float, tag: str
) -> None:
    header = {
        **generation,
        "OBJECT": object_,
        "IMGTYPE": imgtype,
        "EXPTIME": exptime,
        "NAME": object_.rsplit(maxsplit=1)[-1],
    }
    found = classify(NAME, header)
    assert found.tag == tag
    assert found.setup["raw_tag"] == tag


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"OBJECT": "test"}, "test"),
        ({"OBJECT": "Focus: 16.2"}, "focus"),
        ({"OBJECT": "dark 600"}, "dark"),
        ({"NAME": "STOW"}, "stowed"),
        ({"OBJECT": " ", "NAME": ""}, "without OBJECT"),
        ({"DOMEST": "closed"}, "closed dome"),
        ({"OBJECT": "Calib: bias 1 of 5", "EXPTIME": 3.0}, "exposed"),
        ({"EXPTIME": 0.0}, "neither a bias nor exposed"),
        ({"OBJECT": "Calib: Ne 1 of 5", "NAME": "Ne"}, "no known kind"),
    ],
)
def test_what_the_robot_skips_is_refused_with_the_reason(changes: dict[str, object], why: str) -> None:
    with pytest.raises(BadData, match=why) as error:
        classify(NAME, {**PIXIS, **changes})
    assert error.value.what.startswith(NAME)


@pytest.mark.parametrize("card", ["EXPTIME", "ADCSPEED"])
@pytest.mark.parametrize("value", [None, "", "NA", "absent"])
def test_missing_card_names_file_card_and_remedy(card: str, value: object) -> None:
    header = {key: content for key, content in PIXIS.items() if key != card}
    if value != "absent":
        header[card] = value
    with pytest.raises(MissingInput) as error:
        classify(NAME, header)
    assert NAME in error.value.what
    assert card in error.value.what
    assert "log" in error.value.hint


@pytest.mark.parametrize(
    ("cards", "mjd"),
    [
        ({"MJD_OBS": 58668.5, "JD": 1.0}, 58668.5),
        ({"MJD_OBS": 0.0, "JD": 2458669.0}, 58668.5),
        ({"MJD_OBS": -999.0, "JD": 0.0, "UTC": "2019:185:12:00:00.0"}, 58668.5),
        ({"JD": -1.0, "UTC": "2019-07-04T12:00:00.000"}, 58668.5),
        ({"JD": "NA", "UTC": "NA"}, 58668.41978),
        ({"UTC": None}, 58668.41978),
        ({"MJD_OBS": 1e9, "JD": 1e300}, 58668.41978),
        ({"MJD_OBS": 40587.0, "UTC": "1970-01-01T00:00:00"}, 58668.41978),
    ],
)
def test_start_is_rebuilt_from_what_there_is(cards: dict[str, object], mjd: float) -> None:
    found = classify(NAME, {**PIXIS, **cards})
    assert found.mjd == pytest.approx(mjd, abs=2e-5)
    assert found.setup["night"] == "2019-07-04"


def test_a_telescope_that_is_days_away_from_the_camera_is_refused() -> None:
    with pytest.raises(BadData) as error:
        classify(NAME, {**PIXIS, "MJD_OBS": 59033.4})
    assert "MJD_OBS says that the exposure began on 2020-07-03" in error.value.what
    assert "the camera's clock (UTC, or the file name) says 2019-07-04" in error.value.what
    assert "repair MJD_OBS" in error.value.hint
    assert classify(NAME, {**PIXIS, "MJD_OBS": 58668.1}).mjd == 58668.1  # a clock of local time tells the day


def test_no_time_at_all_is_an_error() -> None:
    with pytest.raises(MissingInput, match="no start of exposure"):
        classify("frame.fits", {**PIXIS, "UTC": ""})


def test_calibrations_of_the_afternoon_belong_to_the_coming_night() -> None:
    nights = {
        classify(f"ifu2019{day}.fits", {**PIXIS, "UTC": ""}).setup["night"]
        for day in ("0703_23_30_00", "0704_00_05_00", "0704_11_59_00", "0704_13_10_00")
    }
    assert nights == {"2019-07-04"}


def test_both_generations_are_told_apart() -> None:
    assert classify(NAME, PIXIS).setup["generation"] == "pixis"
    found = classify("ifu20240203_04_05_06.fits", ANDOR)
    assert found.setup["generation"] == "andor"
    assert found.setup["speed"] == 1.0
    assert found.setup["night"] == "2024-02-03"


def test_target_and_nod_position() -> None:
    found = classify(NAME, PIXIS)
    assert (found.object, found.setup["nod"]) == ("ZTF18abdfydj", "A")
    assert classify(NAME, {**PIXIS, "OBJECT": "Calib: dome 1 of 5"}).object is None


@pytest.mark.parametrize(
    ("imgtype", "tag"), [("GUIDER", "GUIDER"), ("ACQUISITION", "GUIDER"), ("Science", "RAINBOW"), ("bias", "RAINBOW")]
)
def test_frames_of_the_rainbow_camera(imgtype: str, tag: str) -> None:
    header = {**PIXIS, "CAM_NAME": "RC Cam", "ADCSPEED": 2.0, "IMGTYPE": imgtype}
    found = classify("rc20190704_10_05_00.fits", header)
    assert found.tag == tag
    assert found.setup["camera"] == "rc"
    del header["CAM_NAME"]
    assert classify("rc20190704_10_05_00.fits", header).tag == tag


def test_star_catalogue_is_known_by_its_columns() -> None:
    header = {"FILETYPE": "csv", "COLUMNS": "field,source_id,ra,dec,rmag"}
    assert recognises("field_stars.csv", header)
    assert classify("field_stars.csv", header).tag == "STAR_CATALOGUE"
    assert not recognises("truth/sources.csv", {"COLUMNS": "object,file,kind,ra,dec"})


def test_files_of_others_are_not_recognised() -> None:
    assert recognises(NAME, PIXIS)
    assert recognises("ifu20190704_10_04_29 (copy).fits", {k: v for k, v in PIXIS.items() if k != "INSTRUME"})
    assert not recognises(NAME, {**PIXIS, "INSTRUME": "MUSE"})
    assert not recognises("lenslets.fits", {})


def test_every_tag_of_the_table_is_described() -> None:
    assert {rule.tag for rule in RULES if rule.tag} | {"STAR_CATALOGUE"} == set(RAW_TAGS)
    assert instrument.raw_tags == RAW_TAGS
    assert all(rule.reason for rule in RULES if rule.tag is None)


@pytest.mark.skipif(not NIGHT.is_dir(), reason="the given night is not here")
def test_given_night() -> None:
    counts: dict[str, int] = {}
    for path in sorted([*NIGHT.glob("*.fits.fz"), *NIGHT.glob("*.csv")]):
        header = read_header(path)
        assert recognises(path.name, header)
        found = classify(path.name, header)
        counts[found.tag] = counts.get(found.tag, 0) + 1
        assert found.setup["night"] in {"2021-04-21", None}
    assert counts == {
        "BIAS": 3, "DOME": 3, "ARC_HG": 2, "ARC_CD": 2, "ARC_XE": 2, "TWILIGHT": 1,
        "STANDARD": 2, "SCIENCE": 4, "GUIDER": 6, "STAR_CATALOGUE": 1,
    }  # fmt: skip
