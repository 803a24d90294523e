"""The summary of a night: from the ledger, in words, tables and one picture an extraction."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from tracecube.archive.ledger import Ledger
from tracecube.archive.records import PlannedRecord
from tracecube.archive.sendings import UploadRecord, begin_upload, end_upload
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.reporting import Column, Publishing, Reporting, TextTable
from tracecube.report import summary as module
from tracecube.report.extractions import gather_summary, nights_of
from tracecube.report.figures.one_page import one_page, thumbnail
from tracecube.report.night import write_report
from tracecube.report.summary import tables_of, write_summary, write_tables

NIGHT = "2021-04-21"
OBJECT = Column("Object", lambda it: it.object)
QUALITY = Column("Qual", lambda it: it.text("QUALITY"), right=True)
UPLOAD = Column("Upload", lambda it: it.sent.state)


def toy(text: str = "SPECTRUM") -> dict[str, Reporting]:
    publishing = Publishing(
        lists=lambda name: name.startswith("ZTF"),
        held_back=lambda it: "" if it.text("REASON") else "no reason",
        tag=text,
        text=str,
        filename=lambda it: it.raw,
        columns=(0, 1, 2),
        annotations=lambda *_: (),
    )
    columns = (OBJECT, QUALITY, UPLOAD)
    table = TextTable("report.txt", "Night of {night}", columns)
    return {"toy": Reporting(columns, (table,), lambda it: f"page_{it.raw}_{it.object}.png", publishing)}


@pytest.fixture
def out(reduced) -> Path:
    return reduced(NIGHT)


def test_cards_and_numbers_of_all_products_of_an_exposure_come_together(out):
    with Ledger.open(out) as ledger:
        [one] = gather_summary(ledger, toy()).extractions
    assert (one.object, one.raw, one.night, one.mjd, one.exptime) == ("ZTF21abc", "ifu1", NIGHT, 59325.4, 900.0)
    assert one.text("QUALITY") == "3"
    assert one.text("OBJECT") == "ZTF21abc [A]"  # of the spectrum
    assert one.numbers["WAVE RMS"] == pytest.approx(0.3123456)
    assert not any(key.startswith(("PROD", "PROVKEY")) for key in one.cards)


def test_a_classification_beside_the_verdict_is_used(out, sketch, reduced):
    typed = {**sketch, "CLASSIFICATION": module.replace(sketch["TARGET"], type="Ia", z=0.05, probability=0.9)}
    reduced.func(out, typed, NIGHT, only=("CLASSIFICATION",))
    with Ledger.open(out) as ledger:
        found = gather_summary(ledger, toy())
    [one] = found.extractions
    assert found.headline.startswith("1 target, 0 standards, 1 of quality 3, 1 Ia, ")
    assert (one.text("CLSTYPE"), one.number("CLSZ"), one.number("CLSPROB")) == ("Ia", 0.05, 0.9)


def test_the_newest_verdict_on_an_exposure_counts(out, reduced):
    reduced(NIGHT, only=("TARGET",))
    with Ledger.open(out) as ledger:
        assert len(gather_summary(ledger, toy()).listed) == 1


def test_nights_are_found_and_the_last_is_taken(reduced):
    out = reduced(NIGHT, "2021-04-22")
    with Ledger.open(out) as ledger:
        assert nights_of(ledger, toy()) == [NIGHT, "2021-04-22"]
        assert gather_summary(ledger, toy()).night == "2021-04-22"
        assert gather_summary(ledger, toy(), NIGHT).night == NIGHT
        with pytest.raises(MissingInput, match=r"no extraction of night 1999-01-01 .try: there is 2021-04-21"):
            gather_summary(ledger, toy(), "1999-01-01")
        with pytest.raises(MissingInput, match="no extraction to report"):
            gather_summary(ledger, {})


def test_jobs_that_did_not_end_and_runs_under_way_are_told(out):
    with Ledger.open(out) as ledger:
        found = gather_summary(ledger, toy())
        assert found.problems == ("extract other: incomplete: no DOME",)
        assert found.under_way
        run = ledger.start_run(
            about={"raw_folder": "/", "targets": [], "settings": {}, "software": {}, "host": "h", "fingerprint": ""},
            jobs=[PlannedRecord(instrument="toy", task="t", name="n", night=NIGHT, state="skipped", reason="no star")],
        )
        ledger.finish_run(run)
        found = gather_summary(ledger, toy())
    assert (found.problems, found.under_way, found.notes) == ((), False, ["all jobs came to their end"])


def test_of_a_night_that_the_last_run_did_not_plan_nothing_is_claimed(reduced):
    out = reduced(NIGHT)
    reduced("2021-04-22")
    with Ledger.open(out) as ledger:
        assert "not known" in gather_summary(ledger, toy(), NIGHT).notes[0]


@pytest.mark.parametrize(
    ("state", "same", "told"),
    [
        ("sent", True, "sent"),
        ("sending", True, "unclear"),
        ("refused", True, "refused"),
        ("failed", True, "failed"),
        ("sent", False, "changed"),
        ("failed", False, "waiting"),
    ],
)
def test_the_state_of_the_upload_is_that_of_this_very_spectrum(out, state, same, told):
    with Ledger.open(out) as ledger:
        [one] = gather_summary(ledger, toy()).listed
        assert one.extraction.sent.state == "waiting"
        product = one.product("SPECTRUM")
        assert product is not None
        record = UploadRecord(
            server="s", kind="spectrum", content="c", product=product.sha256 if same else "other", object="ZTF21abc",
            raw="ifu1", night=NIGHT, name="n",
        )  # fmt: skip
        number = begin_upload(ledger, record)
        if state != "sending":
            end_upload(ledger, number, state, url="https://page" if state == "sent" else None, remark="why")
        sent = gather_summary(ledger, toy()).extractions[0].sent
    assert sent.state == told
    assert sent.url == ("https://page" if state == "sent" else "")


def test_without_a_text_an_object_is_held_back(out):
    with Ledger.open(out) as ledger:
        sent = gather_summary(ledger, toy(text="SPECTRUM_ASCII")).extractions[0].sent
    assert (sent.state, sent.reason) == ("held back", "no spectrum")


def test_page_tables_and_pictures_are_written_and_drawn_but_once(out, monkeypatch):
    with Ledger.open(out) as ledger:
        found = gather_summary(ledger, toy())
    files = write_summary(out, found)
    page = files.page.read_text(encoding="utf-8")
    assert "ZTF21abc" in page
    assert "no DOME" in page
    for link in re.findall(r'(?:src|href)="([^"#][^"]*)"', page):
        assert (files.page.parent / link).is_file(), link
    [table] = files.tables
    assert table.read_text() == tables_of(found)["report.txt"]
    assert "ZTF21abc     3  waiting" in table.read_text()
    assert "not done: extract other: incomplete: no DOME" in table.read_text()
    assert files.pictures["ifu1"].read_bytes().startswith(b"\x89PNG")

    def drawn(*_: object, **__: object) -> Figure:
        raise AssertionError("drawn again")

    monkeypatch.setattr(module, "one_page", drawn)
    monkeypatch.setattr(module, "thumbnail", drawn)
    assert write_summary(out, found).pictures == files.pictures


def test_tables_are_written_without_drawing_for_the_night_s_page_to_name(reduced, monkeypatch):
    out = reduced(NIGHT, only=("TARGET",))
    monkeypatch.setattr(module, "png", lambda _figure: pytest.fail("drawn"))
    [table] = write_tables(out, toy())
    assert table == out / "report" / NIGHT / "report.txt"
    assert "ZTF21abc" in table.read_text()
    assert write_tables(out, {}) == []
    page = write_report(out)
    assert f'<a href="{NIGHT}/report.txt">report.txt</a>' in page.read_text(encoding="utf-8")


def test_tables_of_nights_that_the_last_run_was_not_about_stay(reduced):
    out = reduced(NIGHT)
    reduced("2021-04-22")
    assert [path.parent.name for path in write_tables(out, toy())] == ["2021-04-22"]


def test_a_folder_that_cannot_be_written_is_told(out):
    with Ledger.open(out) as ledger:
        found = gather_summary(ledger, toy())
    (out / "report").write_text("in the way")
    with pytest.raises(BadData, match="cannot be written"):
        write_summary(out, found)


def test_pictures_of_what_is_gone_are_removed_and_nothing_else(out):
    with Ledger.open(out) as ledger:
        found = gather_summary(ledger, toy())
    files = write_summary(out, found)
    (files.page.parent / "kept.png").write_bytes(b"of somebody")
    write_summary(out, module.replace(found, listed=()))
    left = {path.name for path in files.page.parent.iterdir()}
    assert "kept.png" in left
    assert not any(name.startswith(("page_", "small_")) for name in left)


def test_a_page_shows_what_there_is(sketch, typed):
    target, fit, spectra, spectrum = (sketch[tag] for tag in ("TARGET", "PSF_FIT", "SPECTRA", "SPECTRUM"))
    whole = one_page("title", [("Object", "ZTF21abc")], target, spectra, fit, spectrum=spectrum)
    titles = [ax.get_title(loc="left") for ax in whole.axes]
    assert "field; target by auto (+)\nregion (white), FWHM (circle)" in titles
    match = one_page("title", [], target, spectrum=spectrum, typed=typed).axes
    assert any(ax.get_title(loc="left").startswith("Ia (Ia-norm) 97%") for ax in match)
    assert any(title.startswith("data,") for title in titles)
    outside = module.replace(target, x=30.0)
    assert "field; target by auto, outside" in [
        ax.get_title(loc="left") for ax in one_page("t", [], outside, spectra).axes
    ]
    empty = one_page("t", [], module.replace(target, x=float("nan")))
    assert "no spectrum was extracted" in [text.get_text() for ax in empty.axes for text in ax.texts]
    assert thumbnail(spectrum).axes[0].lines


def test_long_words_stand_in_lines_of_their_own(sketch):
    said = [("Reason", "recovered: a person found the brightest source to be the target"), ("z", "0.05")]
    texts = [text for ax in one_page("t", said, sketch["TARGET"]).axes for text in ax.texts]
    places = {text.get_text(): text.get_position()[1] for text in texts}
    assert (
        places["recovered: a person found"] > places["the brightest source to be"] > places["the target"] > places["z"]
    )
