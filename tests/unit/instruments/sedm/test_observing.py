"""Airmass and parallactic angle where the header has them, and where it has not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracecube.core.errors import MissingInput
from tracecube.instruments.sedm.observing import KITT_PEAK, PALOMAR, airmass, parallactic_angle, site
from tracecube.io.headers import read_header

NIGHT = Path(__file__).parents[5] / "shared" / "nights" / "sedm" / "A"
NAME = "ifu20210421_10_47_05.fits"
HEADER = {
    "EXPTIME": 900.0,
    "AIRMASS": 1.308,
    "ENDAIR": 1.377,
    "MJD_OBS": 59325.44936342593,
    "TELESCOP": "60",
    "RA": "14:04:04.38",
    "DEC": "+21:24:27.8",
}


def test_header_values_are_interpolated() -> None:
    assert airmass(HEADER, NAME) == 1.308
    assert airmass(HEADER, NAME, fraction=0.5) == pytest.approx(1.3425)


@pytest.mark.parametrize("blank", [None, "", "NA", 0.0, -999.0])
def test_blank_airmass_is_computed_not_assumed(blank: object) -> None:
    header = {**HEADER, "AIRMASS": blank, "ENDAIR": -999}
    assert airmass(header, NAME) == pytest.approx(1.308, abs=0.003)
    assert airmass(header, NAME, fraction=1.0) == pytest.approx(1.374, abs=0.004)


def test_blank_tel_ra_falls_back_on_the_object() -> None:
    header = {**HEADER, "AIRMASS": "", "TEL_RA": "", "RA": " ", "OBJRA": "14:04:04.3780", "TEL_DEC": "", "DEC": ""}
    with pytest.raises(MissingInput, match="neither AIRMASS nor coordinates"):
        airmass(header, NAME)
    assert airmass({**header, "OBJDEC": "+21:24:27.810"}, NAME) == pytest.approx(1.308, abs=0.003)


def test_meridian_and_zenith() -> None:
    # hour angle zero: the parallactic angle is 0 south of the zenith, 180 north of it
    sidereal = (280.46061837 + 360.98564736629 * (59325.0 - 51544.5) + PALOMAR.longitude) % 360.0 / 15.0
    hours, rest = divmod(sidereal, 1.0)
    ra = f"{int(hours):02d}:{int(rest * 60):02d}:{(rest * 60 % 1) * 60:05.2f}"
    header = {"EXPTIME": 0.0, "MJD_OBS": 59325.0, "RA": ra, "DEC": "+10:00:00.0"}
    assert parallactic_angle(header, NAME) % 360.0 == pytest.approx(0.0, abs=0.1) or parallactic_angle(
        header, NAME
    ) == pytest.approx(360.0, abs=0.1)
    assert parallactic_angle({**header, "DEC": "+60:00:00.0"}, NAME) == pytest.approx(180.0, abs=0.1)
    assert airmass({**header, "DEC": "+33:21:22.7"}, NAME) == pytest.approx(1.0, abs=1e-4)


def test_sites() -> None:
    assert site({"TELESCOP": "60"}) is PALOMAR
    assert site({"TELESCOP": "KP 2.1m"}) is KITT_PEAK


@pytest.mark.skipif(not NIGHT.is_dir(), reason="the given night is not here")
def test_given_night_agrees_with_its_headers() -> None:
    for path in sorted(NIGHT.glob("ifu20210421_[01][0-9]*.fits.fz")):
        header = read_header(path)
        if header["EXPTIME"] < 100:
            continue
        assert airmass({**header, "AIRMASS": ""}, path.name) == pytest.approx(header["AIRMASS"], abs=0.003)
        assert parallactic_angle(header, path.name) == pytest.approx(header["TEL_PA"], abs=0.3)
