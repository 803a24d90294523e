"""Products that are texts: made, reused, made again when damaged, rerun and found like all others."""

from __future__ import annotations

import pytest

from tracecube.archive import queries
from tracecube.archive.hashing import hash_of_file
from tracecube.archive.ledger import Ledger
from tracecube.core.text import TextFile
from tracecube.io import read_product
from tracecube.workflow.discover import Found, load
from tracecube.workflow.rerun import rerun


@pytest.fixture(scope="session")
def installed(toy):
    return lambda: {"toy": Found("toytext:instrument", load("toytext:instrument"))}


@pytest.fixture
def out(raw, tmp_path, reduced):
    assert reduced(raw, tmp_path / "out").good
    return tmp_path / "out"


def texts(out):
    return {path.name: path.read_bytes() for path in out.glob("2021-04-21/*/*.txt")}


def test_texts_lie_under_their_own_suffix_and_match_their_exposure(out):
    with Ledger.open(out) as ledger:
        notes, letters = (queries.products(ledger, tag=tag) for tag in ("NOTE", "LETTER"))
    assert [made.path.rpartition("/")[2] for made in letters if made.raw == "sci0"] == ["sci0_LETTER.txt"]
    told = {made.raw: read_product(made.path, TextFile).text for made in notes}
    assert len(set(told.values())) == len(told) == len(letters)
    for made in letters:
        assert read_product(made.path, TextFile).text == f"{made.object}: {told[made.raw]}"


def test_the_ledger_keeps_the_cards_that_a_text_cannot_hold(out):
    with Ledger.open(out) as ledger:
        [note] = (made for made in queries.products(ledger, tag="NOTE") if made.raw == "sci0")
    assert note.sha256 == note.data_sha256 == hash_of_file(note.path)
    assert (note.header["PRODTAG"], note.header["RECIPE"], note.header["RAW1"]) == ("NOTE", "toy_note", "sci0_SPECTRUM")
    assert note.header["QC MEAN"] == pytest.approx(float(read_product(note.path, TextFile).text.split()[1]), rel=1e-5)


@pytest.mark.parametrize("damage", [lambda p: p.write_text("mean 1\n"), lambda p: p.unlink()], ids=["changed", "gone"])
def test_a_damaged_text_is_made_again(out, raw, reduced, damage):
    before = texts(out)
    assert not reduced(raw, out).of("done")
    damage(out / "2021-04-21" / "note" / "sci0_NOTE.txt")
    assert [result.label for result in reduced(raw, out).of("done")] == ["note sci0"]
    assert texts(out) == before


def test_a_text_is_rerun_from_its_record(out, installed):
    with Ledger.open(out) as ledger:
        compared = [rerun(ledger, made, installed()) for tag in ("NOTE", "LETTER") for made in
                    queries.products(ledger, tag=tag)]  # fmt: skip
    assert compared
    assert all(one.same and one.same_data for one in compared)


def test_a_text_may_have_a_name_that_its_readers_expect(out, raw, reduced, installed):
    def letters() -> set[str]:
        return {path.name for path in (out / "2021-04-21" / "letter").iterdir()}

    named = {"settings": {"letter": {"name": "for Ada"}}}
    assert [result.task for result in reduced(raw, out, **named).of("done")] == ["letter"] * 5
    assert letters() == {f"for-Ada-{name}.txt" for name in ("SN0", "SN1", "SN2", "HZ0", "HZ1")}  # the old are gone
    (out / "2021-04-21" / "letter" / "for-Ada-SN1.txt").write_text("other")
    assert [result.label for result in reduced(raw, out, **named).of("done")] == ["letter sci1"]
    assert not reduced(raw, out, **named, targets=["letter"]).of("done")
    with Ledger.open(out) as ledger:
        [letter] = (made for made in queries.products(ledger, tag="LETTER") if made.raw == "sci1")
        assert letter.path.endswith("letter/for-Ada-SN1.txt")
        assert rerun(ledger, letter, installed()).same_data
    reduced(raw, out)
    assert letters() == {f"{name}_LETTER.txt" for name in ("sci0", "sci1", "sci2", "std0", "std1")}
