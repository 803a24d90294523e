"""The page of a night of a star: one strip an exposure, companions in a place of their own."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.unit.report.star_night import fill, sketch
from tracecube.report.night import write_report

DITS = 7


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an output folder with its report, to be looked at only."""
    folder = fill(tmp_path_factory.mktemp("star") / "out", sketch(), DITS)
    write_report(folder)
    return folder


def text_of(out: Path) -> str:
    return (out / "report" / "index.html").read_text(encoding="utf-8")


def test_each_picture_is_there_once_however_many_integrations(out: Path) -> None:
    drawn = Counter(path.name.rsplit("-", 1)[0] for path in (out / "report" / "pictures").iterdir())
    calibrations = {"detector": 1, "lenslets": 1, "wavelength": 1, "lines": 1, "flat": 1}
    exposures = {"spaxels": 3, "centre": 1, "star": 1, "channels": 1}
    star = {"detection": 1, "companions": 1, "contrast": 1, "drift": 1}
    assert drawn == {**calibrations, **exposures, **star}
    assert text_of(out).count("<figure") == sum(drawn.values())


def test_an_exposure_of_many_integrations_is_one_and_says_which_is_shown(out: Path) -> None:
    text = text_of(out)
    assert text.count('id="ifs1"') == 1
    assert f"integration 4, one of {DITS}, is shown" in text
    assert re.findall(r'id="(ifs\w)"', text) == ["ifs0", "ifsf", "ifs1"]
    assert 'id="lamp1"' not in text, "a lamp is no exposure of the sky"


def test_companions_are_listed_with_their_errors(out: Path) -> None:
    text = text_of(out)
    assert "400.00 ± 1.00" in text
    assert "90.000 ± 0.100" in text
    assert "0.0001 ± 1e-06" in text
    assert f"{DITS} integrations together" in text
    assert 'id="targets"' in text


def test_every_picture_says_what_good_looks_like(out: Path) -> None:
    text = text_of(out)
    assert text.count("Good: ") == text.count("<figure")


def test_a_list_of_companions_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    folder = fill(tmp_path / "out", sketch(), 0, whole=False)
    (folder / "companions--SOURCES.fits").write_bytes(b"SIMPLE  =")
    text = write_report(folder).read_text(encoding="utf-8")
    assert "no END card" in text
    assert "<th>companion</th>" not in text
