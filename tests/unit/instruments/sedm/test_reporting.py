"""The observatory's report: its columns, its gates, and what the survey's server is told."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from astropy.io import ascii as table_reader

from tracecube.core.reporting import Extraction, Sent
from tracecube.core.spectra import Spectrum
from tracecube.core.target import Target
from tracecube.instruments.sedm import instrument
from tracecube.instruments.sedm.ascii_layout import ascii_spectrum
from tracecube.instruments.sedm.reporting import beside_spectrum, held_back, reporting, signal_to_noise, survey_text

GOOD = {"QUALITY": 0, "REASON": "good", "FLUXCAL": True, "AIRMEAN": 1.148, "AIRMASS": 1.1, "P60PRID": "2018A-BCS"}
GOOD |= {"XPOS": -3.285, "YPOS": -0.645, "SRCPOS": "astrom", "CALSRC": "ifu20210421_03_52_10, ifu20210421_11_20_30"}
TYPED = {
    "SNIDTYPE": "Ia",
    "SNIDSUBT": "norm",
    "SNIDRLAP": 12.3401,
    "SNIDZMAT": 0.051703,
    "SNIDAMAT": -2.0,
    "SNIDZMED": 0.05,
}


def extraction(object_: str = "ZTF21zzhtrwd", **cards: Any) -> Extraction:
    return Extraction(
        object=object_, raw="ifu20210421_10_02_40", night="2021-04-21", mjd=59325.0 + (10 * 60 + 2 + 40 / 60) / 1440,
        exptime=2250.0, standard=object_.startswith("STD"), cards={**GOOD, **cards}, numbers={"SIGNAL TO NOISE": 38.04},
        calibration="2021-04-21",
    )  # fmt: skip


def row(it: Extraction, table: int = 0) -> dict[str, str]:
    return {column.title: column.value(it) for column in reporting.tables[table].columns}


def test_the_instrument_reports_so():
    assert instrument.reporting is not None
    assert [table.name for table in instrument.reporting.tables] == ["report.txt", "report_ztf.txt"]
    assert instrument.reporting.publishing is not None
    assert instrument.reporting.publishing.instrument_ids == {"fritz.science": 2}
    assert instrument.reporting.publishing.program(extraction()) == "2018A-BCS"


def test_a_line_tells_what_the_observatory_s_does():
    assert row(extraction(**TYPED)) == {
        "UTStart": "10:02:40", "Object": "ZTF21zzhtrwd", "Exptime": "2250.0", "Air": "1.148", "Qual": "0",
        "Method": "robot", "Allocation": "2018A-BCS", "X": "-3.29", "Y": "-0.65", "Position": "astrom", "S/N": "38.0",
        "Type": "Ia-norm", "z": "0.0500", "Rlap": "12.34", "Prob": "", "Fluxcal": "2std", "Upload": "",
        "Reason": "good",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cards", "column", "cell"),
    [
        ({"CLSTYPE": "Ia", "CLSZ": 0.06, "CLSPROB": 0.987}, "Type", "Ia"),
        ({"CLSTYPE": "Ia", "CLSSUBT": "91T", "SNIDTYPE": "Ic"}, "Type", "Ia-91T"),
        ({"CLSTYPE": "Ia", "CLSZ": 0.06, "CLSPROB": 0.987}, "z", "0.0600"),
        ({"CLSTYPE": "Ia", "CLSZ": 0.06, "CLSPROB": 0.987}, "Prob", "0.987"),
        ({"SNIDTYPE": "II", "SNIDSUBT": "IIP"}, "Type", "IIP"),
        ({"SNIDTYPE": "II", "SNIDSUBT": "-"}, "Type", "II"),
        ({"SNIDTYPE": "None"}, "Type", ""),
        ({"QUALITY": 5}, "Type", "QUALITY_5"),
        ({"QUALITY": None}, "Qual", "9"),
        ({"AIRMEAN": None}, "Air", "1.100"),
        ({"XPOS": None}, "X", ""),
        ({"EXTRTYPE": "auto_redo123456"}, "Method", "redo123456"),
        ({"EXTRTAG": "redo123456", "EXTRTYPE": "auto_robot"}, "Method", "redo123456"),
        ({"CALSRC": None}, "Fluxcal", ""),
    ],
)
def test_what_is_missing_or_of_another_kind_is_told_as_usual(cards, column, cell):
    assert row(extraction(**cards))[column] == cell


def test_standards_and_calibrations_of_other_nights_show():
    assert row(extraction("STD-HZ44"))["Type"] == "STD"
    other = replace(extraction(), calibration="2021-04-19")
    assert row(other)["Fluxcal"] == "2021-04-19:2std"
    assert row(replace(extraction(), calibration=""))["Fluxcal"] == ""


def test_the_survey_s_table_holds_its_objects_with_their_pages():
    table = reporting.tables[1]
    assert [table.lists(extraction(name)) for name in ("ZTF21zzhtrwd", "STD-HZ44", "AT2021x")] == [True, False, False]
    sent = replace(extraction(), sent=Sent("sent", "https://s/source/ZTF21zzhtrwd"))
    assert row(sent, 1)["URL"] == "https://s/source/ZTF21zzhtrwd"


@pytest.mark.parametrize(
    ("quality", "reason"),
    [
        (0, ""),
        (1, ""),
        (2, ""),
        (3, "quality 3: good"),
        (4, "quality 4: good"),
        (5, "quality 5: good"),
        (None, "no quality"),
    ],
)
def test_qualities_above_two_are_held_back(quality, reason):
    found = held_back(extraction(QUALITY=quality))
    assert found.startswith(reason)
    assert bool(found) == bool(reason)


def test_what_is_not_calibrated_is_held_back():
    assert held_back(extraction(FLUXCAL=None)) == "not flux-calibrated"
    assert held_back(extraction(FLUXCAL="False")) == "not flux-calibrated"


@pytest.mark.parametrize(
    ("name", "listed"), [("ZTF21zzhtrwd", True), ("ZTF21", True), ("STD-HZ44", False), ("ztf21zzhtrwd", False)]
)
def test_names_of_the_survey(name, listed):
    assert reporting.publishing is not None
    assert reporting.publishing.lists(name) is listed


def test_an_object_of_the_survey_that_the_server_cannot_know_is_held_back_and_listed_all_the_same():
    misnamed = replace(extraction(), object="ZTF21")
    assert held_back(misnamed) == "the server knows no such name: ZTF21"
    [table] = [one for one in reporting.tables if one.name == "report_ztf.txt"]
    assert table.lists(misnamed)


def spectrum() -> tuple[Spectrum, str]:
    wave = np.linspace(3800.0, 9200.0, 80)
    flux = 1e-16 * (2.0 + np.sin(wave / 300.0))
    variance = (0.04 * flux) ** 2
    nothing = np.zeros(wave.size)
    one = Spectrum(
        wave=wave, flux=flux, variance=variance, flags=np.zeros(wave.size, np.int32), sky=nothing, flux_uncal=flux,
        variance_uncal=variance, covariance_uncal=nothing, lsf_sigma=nothing + 12,
        meta={"OBJECT": "ZTF21zzhtrwd [A]", "P60PRPI": "Müller", "UTC": "2021-04-21T10:02:40.000"},
    )  # fmt: skip
    target = Target("ZTF21zzhtrwd", 0, "good", 0.0, 0.0, 0.1, 0.1, "astrom")
    return one, ascii_spectrum(one, target, one.meta)


def test_the_server_reads_flux_and_its_standard_error_from_what_it_is_sent():
    one, text = spectrum()
    sent = survey_text(text)
    sent.encode("ascii")
    read = table_reader.read(io.BytesIO(sent.encode("ascii")), comment="#", header_start=None)  # as SkyPortal does
    columns = [np.asarray(read[name], np.float64) for name in read.colnames]
    assert len(columns) == 3
    np.testing.assert_allclose(columns[0], one.wave, atol=0.06)
    np.testing.assert_allclose(columns[1], one.flux, rtol=1e-3)
    np.testing.assert_allclose(columns[2], np.sqrt(one.variance), rtol=2e-3)
    assert "# OBJECT: ZTF21zzhtrwd [A]" in sent


def test_the_signal_to_noise_is_that_of_the_band():
    _, text = spectrum()
    median, start, end = signal_to_noise(survey_text(text)) or (0.0, 0.0, 0.0)
    assert median == pytest.approx(25.0, rel=2e-3)
    assert 4000.0 <= start < end <= 8000.0
    assert signal_to_noise("9000.0 1.0 1.0\n") is None
    assert signal_to_noise("# nothing\n") is None


def told(**cards: Any) -> dict[str, Any]:
    _, text = spectrum()
    return {one.origin: dict(one.data) for one in beside_spectrum(extraction(**cards), survey_text(text))}


def test_a_good_match_is_told_beside_the_signal_to_noise():
    found = told(**TYPED)
    assert found["sedm:SNID"] == {"match": "Ia-norm", "rlap": 12.34, "redshift": 0.0517, "age": -2.0}
    assert set(found["sedm:S2N"]) == {"median", "wl_start", "wl_end"}


@pytest.mark.parametrize(
    "cards",
    [
        {"SNIDRLAP": 5.0},
        {"SNIDZMAT": 0.3},
        {"SNIDTYPE": "None"},
        {"SNIDTYPE": None},
        {"SNIDRLAP": None},
        {"SNIDRLAP": "-"},
    ],
)
def test_a_match_that_is_poor_or_far_is_not(cards):
    assert set(told(**{**TYPED, **cards})) == {"sedm:S2N"}


def test_the_long_names_of_the_text_form_count_as_well():
    long = {"SNIDMATCHTYPE": "II", "SNIDMATCHSUBTYPE": "-", "SNIDMATCHRLAP": 8.0, "SNIDMATCHREDSHIFT": 0.02}
    assert told(**long)["sedm:SNID"] == {"match": "II", "rlap": 8.0, "redshift": 0.02}
