"""When there is nothing to do: the same files, software, choices and standing products."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tracecube.archive.hashing import hash_of_file
from tracecube.archive.ledger import Ledger
from tracecube.archive.records import JobRecord, PlannedRecord, ProductRecord
from tracecube.workflow import unchanged as module
from tracecube.workflow.unchanged import as_reused, fingerprint, unchanged


@pytest.fixture
def folder(tmp_path) -> Path:
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("a.fits", "b.fits.fz"):
        (raw / name).write_text(name)
    return raw


def test_fingerprint_is_steady(folder):
    assert fingerprint(folder, ["science"], {"bias": {"clip": 3}}) == fingerprint(
        folder, ["science"], {"bias": {"clip": 3}}
    )


def test_fingerprint_feels_every_change(folder):
    seen = [fingerprint(folder, [], {})]

    def note():
        seen.append(fingerprint(folder, [], {}))

    (folder / "c.fits").write_text("new")
    note()
    os.utime(folder / "c.fits", ns=(1, 1))
    note()
    (folder / "a.fits").write_text("longer than before")
    note()
    (folder / "a.fits").rename(folder / "z.fits")
    note()
    (folder / "z.fits").unlink()
    note()
    seen.append(fingerprint(folder, ["science"], {}))
    seen.append(fingerprint(folder, [], {"bias": {"clip": "3"}}))
    assert len(set(seen)) == len(seen)


def test_fingerprint_does_not_feel_what_is_no_data(folder):
    before = fingerprint(folder, [], {})
    (folder / "README.md").write_text("notes")
    assert fingerprint(folder, [], {}) == before


def test_fingerprint_feels_a_change_of_the_software(folder, monkeypatch):
    before = fingerprint(folder, [], {})
    real = list(module._software())
    assert any(path.endswith("workflow/unchanged.py") for path, _, _ in real)
    touched = [(path, size, time + 1) for path, size, time in real]
    monkeypatch.setattr(module, "_software", lambda: iter(touched))
    assert fingerprint(folder, [], {}) != before


@pytest.fixture
def finished(tmp_path):
    """A ledger with a finished run of two jobs; gives states another than 'done' on request."""

    def make(state: str = "done", *, finish: bool = True) -> Ledger:
        ledger = Ledger.open(tmp_path / "out", create=True)
        path = tmp_path / "out" / "p.fits"
        path.write_text("pixels")
        about = {"raw_folder": "/r", "fingerprint": "mark", "targets": [], "settings": {}, "software": {}, "host": ""}
        jobs = [PlannedRecord(instrument="i", task="t", name=n, night=None, state="waiting") for n in ("x", "y")]
        run = ledger.start_run(about=about, jobs=jobs)
        made = ProductRecord(
            output="o", tag="T", path=str(path), sha256=hash_of_file(path), size=6, data_sha256="", setup={}, mjd=None,
            exptime=None, object=None, night=None, raw=None, detector=None, header={}, qc={},
        )  # fmt: skip
        job = JobRecord(
            instrument="i", task="t", name="x", night=None, recipe="r", version="1", provenance_key="k", params={},
            state="done", level=0, products=(made,),
        )  # fmt: skip
        ledger.record(run, 0, job)
        ledger.note(run, {1: (state, "because", None)})
        if finish:
            ledger.finish_run(run)
        return ledger

    return make


@pytest.mark.parametrize("state", ["skipped", "incomplete", "reused"])
def test_a_finished_run_stands(finished, state):
    with finished(state) as ledger:
        last = unchanged(ledger, "mark")
        assert last is not None
        assert [result.state for result in as_reused(last).results] == ["reused", state]


@pytest.mark.parametrize("state", ["failed", "blocked", "waiting"])
def test_what_may_do_better_is_tried_again(finished, state):
    with finished(state) as ledger:
        assert unchanged(ledger, "mark") is None


def test_another_fingerprint_or_an_unfinished_run_does_not_stand(finished):
    with finished("skipped") as ledger:
        assert unchanged(ledger, "other") is None
    with finished("skipped", finish=False) as ledger:
        assert unchanged(ledger, "mark") is None


def test_a_damaged_product_is_noticed(finished, tmp_path):
    with finished("skipped") as ledger:
        (tmp_path / "out" / "p.fits").write_text("pixelz")
        assert unchanged(ledger, "mark") is None


def test_an_empty_ledger(tmp_path):
    with Ledger.open(tmp_path / "out", create=True) as ledger:
        assert unchanged(ledger, "mark") is None
