"""A night in tar archives comes to what the same night comes to when its files lie loose."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from tracecube.archive import queries
from tracecube.archive.ledger import Ledger
from tracecube.io import members
from tracecube.workflow.discover import load
from tracecube.workflow.executor import LocalPool
from tracecube.workflow.reduce import prepare
from tracecube.workflow.rerun import rerun
from tracecube.workflow.scan import scan


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members._INDICES, "folder", None)
    members._KNOWN.clear()


@pytest.fixture
def archived(raw: Path, tmp_path: Path) -> Path:
    """The same night, its files in two archives in an order that says nothing."""
    folder = tmp_path / "archived"
    folder.mkdir()
    files = sorted((path for path in raw.rglob("*") if path.is_file()), key=lambda path: path.name[::-1])
    for number in (0, 1):
        with tarfile.open(folder / f"night{number}.tar", "w") as tar:
            for path in files[number::2]:
                tar.add(path, f"night{number}/{path.relative_to(raw)}")
    return folder


def test_the_scan_is_the_same(raw, archived):
    toy = load("toyspec:instrument")
    here, there = (scan(folder, [toy]) for folder in (raw, archived))
    about = [(f.name, f.sha256, f.size, f.tag, f.night, dict(f.setup), f.header) for f in here.files]
    assert [(f.name, f.sha256, f.size, f.tag, f.night, dict(f.setup), f.header) for f in there.files] == about
    assert all(".tar::" in file.path for file in there.files)


def test_plan_and_products_are_the_same(raw, archived, tmp_path, reduced, toy, installed):
    plans = [prepare(folder, tmp_path / "out", installed()).plan for folder in (raw, archived)]
    assert [job.label for job in plans[0].jobs] == [job.label for job in plans[1].jobs]
    pool = LocalPool(2)
    try:
        assert reduced(archived, tmp_path / "there", executor=pool).good
    finally:
        pool.close()
    assert reduced(raw, tmp_path / "here").good
    assert toy.hashes(tmp_path / "here") == toy.hashes(tmp_path / "there")
    assert len(list((tmp_path / "there" / ".tracecube-index").glob("*.json"))) == 2


def test_products_are_made_again_from_members(archived, tmp_path, reduced, installed):
    out = tmp_path / "out"
    reduced(archived, out)
    with Ledger.open(out) as ledger:
        [product] = queries.products(ledger, tag="MASTER_BIAS")
        assert all(".tar::" in given.path for given in queries.job_of(ledger, product.job_id).inputs)
        assert rerun(ledger, product, installed()).same


def test_the_products_of_loose_files_stand_when_these_are_archived(raw, archived, tmp_path, reduced):
    out = tmp_path / "out"
    reduced(raw, out)
    shutil.rmtree(raw)
    shutil.move(archived, raw)
    again = reduced(raw, out)
    assert again.good
    assert not again.of("done")


def test_workers_of_a_later_run_read_through_its_own_index(archived, tmp_path, reduced):
    for out in ("first", "second"):
        pool = LocalPool(2)
        members._KNOWN.clear()
        try:
            assert reduced(archived, tmp_path / out, executor=pool).good
        finally:
            pool.close()
        assert len(list((tmp_path / out / ".tracecube-index").glob("*.json"))) == 2
