"""Time and orientation of a DIT, and what stands in for missing cards."""

from __future__ import annotations

import pytest

from tracecube.core.errors import BadData, MissingInput
from tracecube.instruments.sphere_ifs.filters import neutral_density
from tracecube.instruments.sphere_ifs.observing import astrometry, moment, orientation, pointing

HEADER = {
    "DATE-OBS": "2018-11-18T03:43:25.807",
    "RA": 44.511476,
    "DEC": -32.1,
    "ESO DET SEQ1 DIT": 16.0,
    "ESO DET NDIT": 2,
    "ESO DET DITDELAY": 0.2,
    "ESO DET FRAM UTC": "2018-11-18T03:43:59.567",
    "ESO INS4 DROT2 MODE": "ELEV",
    "ESO INS4 DROT2 BEGIN": 318.002,
    "ESO INS4 DROT2 POSANG": 0.0,
    "ESO INS4 DROT2 RA": 25802.754,
    "ESO INS4 DROT2 DEC": -320600.0,
    "ESO TEL PARANG START": -14.641,
    "ESO TEL PARANG END": -13.699,
    "ESO TEL ALT": 82.3696,
    "ESO TEL GEOLAT": -24.6268,
    "ESO TEL GEOLON": -70.4045,
    "ESO TEL GEOELEV": 2648.0,
    "PLANE": 1,
}


def without(*keys: str, **more: object) -> dict[str, object]:
    return {**{k: v for k, v in HEADER.items() if k not in keys}, **more}


def test_middle_of_a_dit() -> None:
    first, second = (moment({**HEADER, "PLANE": p}, "f") for p in (0, 1))
    assert (first.middle - first.start) * 86400 == pytest.approx(8.0, abs=1e-4)
    assert (second.middle - first.middle) * 86400 == pytest.approx(16.88, abs=1e-3)
    assert first.caveats == ()


@pytest.mark.parametrize(
    ("missing", "word"),
    [("ESO DET FRAM UTC", "FRAM UTC"), ("ESO DET DITDELAY", "DITDELAY"), ("ESO DET NDIT", "NDIT")],
)
def test_missing_time_cards_are_caveats(missing: str, word: str) -> None:
    found = moment(without(missing), "f")
    assert any(word in text for text in found.caveats)
    assert abs(found.middle - moment(HEADER, "f").middle) * 86400 < 40.0


def test_a_broken_end_of_exposure_is_not_believed() -> None:
    found = moment({**HEADER, "ESO DET FRAM UTC": "2018-11-18T03:43:26.000"}, "f")
    assert any("FRAM UTC" in text for text in found.caveats)


def test_no_time_and_no_dit_are_refused() -> None:
    with pytest.raises(MissingInput, match="DATE-OBS"):
        moment(without("DATE-OBS"), "f")
    with pytest.raises(MissingInput, match="DIT"):
        moment(without("ESO DET SEQ1 DIT"), "f")


def test_parallactic_angle_agrees_with_the_header() -> None:
    found = orientation(HEADER, "f")
    assert -14.641 < found.parallactic < -13.699
    assert found.caveats == ()
    assert found.angle == pytest.approx((found.parallactic + 135.99 - 100.48 - 1.75) % 360.0)
    assert found.smear == pytest.approx(0.447, abs=0.01)


def test_a_contradicting_header_is_said() -> None:
    found = orientation({**HEADER, "ESO TEL PARANG START": 20.0, "ESO TEL PARANG END": 21.0}, "f")
    assert any("PARANG" in text for text in found.caveats)


def test_without_coordinates_the_header_angles_serve() -> None:
    bare = without("RA", "DEC", "ESO INS4 DROT2 RA", "ESO INS4 DROT2 DEC")
    found = orientation(bare, "f")
    assert found.parallactic == pytest.approx(orientation(HEADER, "f").parallactic, abs=0.05)
    assert any("interpolated" in text for text in found.caveats)
    with pytest.raises(MissingInput, match="coordinates"):
        orientation({k: v for k, v in bare.items() if "PARANG" not in k}, "f")


def test_modes_of_the_derotator() -> None:
    field = orientation({**HEADER, "ESO INS4 DROT2 MODE": "SKY", "ESO INS4 DROT2 POSANG": 10.0}, "f")
    assert field.angle == pytest.approx((10.0 - 100.48 - 1.75) % 360.0)
    assert field.smear == 0.0
    still = orientation({**HEADER, "ESO INS4 DROT2 MODE": "STAT"}, "f")
    assert any("STAT" in text for text in still.caveats)
    with pytest.raises(MissingInput, match="derotator"):
        orientation({**HEADER, "ESO INS4 DROT2 MODE": ""}, "f")


def test_clock_fault_before_july_2016() -> None:
    old = {
        **HEADER,
        "DATE-OBS": "2015-11-18T03:43:25.807",
        "ESO DET FRAM UTC": "2015-11-18T03:43:59.567",
        "ESO TEL ALT": 80.0,
        "ESO INS4 DROT2 BEGIN": 39.9,
    }
    found = orientation(old, "f")
    plain = (found.parallactic + 135.99 - 100.48 - 1.75) % 360.0
    assert found.angle - plain == pytest.approx(0.2, abs=1e-6)
    silent = orientation({k: v for k, v in old.items() if k != "ESO TEL ALT"}, "f")
    assert any("clock" in text for text in silent.caveats)


def test_target_by_the_finer_of_two_cards_that_agree() -> None:
    assert pointing(HEADER) == (44.511476, -32.1)
    assert pointing({**HEADER, "RA": 44.6}) == pytest.approx((44.511475, -32.1), abs=1e-9)
    assert pointing(without("RA", "DEC", "ESO INS4 DROT2 RA")) is None


def test_constants_have_dates() -> None:
    assert astrometry(58440.0).true_north == -1.75
    with pytest.raises(BadData, match="constants"):
        astrometry(50000.0)


def test_filters() -> None:
    assert neutral_density({"ESO INS4 FILT2 NAME": "OPEN"}, "f")[1].max() == 1.0
    wave, curve = neutral_density({"ESO INS4 FILT2 NAME": "ND_2.0"}, "f")
    assert curve[wave == 12210.0] == pytest.approx(3.10761e-3)
    with pytest.raises(MissingInput, match="ND_9"):
        neutral_density({"ESO INS4 FILT2 NAME": "ND_9"}, "f")


def test_without_any_time_card_the_archives_name_serves() -> None:
    cards = without("DATE-OBS", ARCFILE="SPHER.2018-11-18T03:43:25.807.fits")
    found = moment(cards, "f")
    assert any("archive's name of the file" in text for text in found.caveats)
    assert found.start == pytest.approx(moment(HEADER, "f").start, abs=1e-8)
    by_mjd = moment(without("DATE-OBS", **{"MJD-OBS": 58440.1551598}), "f")
    assert "no card DATE-OBS: MJD-OBS taken as start of the exposure" in by_mjd.caveats
