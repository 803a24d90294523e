"""The ledger: every write whole or not at all, replaced products retired, other folders refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from tracecube.archive import queries, statements, tables
from tracecube.archive.ledger import LEDGER_NAME, Ledger, make_writable
from tracecube.core.errors import BadData, MissingInput


def test_raw_files_come_back_as_they_were(ledger, raw):
    ledger.save_raw([raw("a"), raw("b", tag=None, reason="why", header=None)])
    assert queries.raw_files(ledger) == {
        "/raw/a.fits": raw("a"),
        "/raw/b.fits": raw("b", tag=None, reason="why", header=None),
    }


def test_raw_files_are_replaced_and_forgotten_by_path(ledger, raw):
    ledger.save_raw([raw("a"), raw("b")])
    ledger.save_raw([raw("a", size=99)], gone=["/raw/b.fits"])
    assert [file.size for file in queries.raw_files(ledger).values()] == [99]
    ledger.save_raw([])
    assert len(queries.raw_files(ledger)) == 1


def test_raw_files_of_one_folder(ledger, raw):
    ledger.save_raw([raw("a"), raw("b", path="/raw_other/b.fits"), raw("c", path="/raw/deep/c.fits")])
    from pathlib import Path

    assert set(queries.raw_files(ledger, Path("/raw"))) == {"/raw/a.fits", "/raw/deep/c.fits"}


def test_a_job_comes_back_with_inputs_and_products(ledger, job, product, started):
    run = started("x")
    done = job("x", product("one"), product("two"), caveats=("careful",), log="line\n" * 100, seconds=3.0)
    number, left = ledger.record(run, 0, done)
    found = queries.job_of(ledger, number)
    assert left == []
    assert (found.caveats, found.log, found.params) == (("careful",), done.log, {"a": 1})
    assert found.inputs == done.inputs
    assert [made.path for made in found.products] == [made.path for made in done.products]
    assert found.products[0].header == {"OBJECT": "M31"}
    assert queries.planned_of(ledger, run)[0].state == "done"


def test_paths_of_products_move_with_the_folder(ledger, job, product, started, tmp_path, url):
    ledger.record(started("x"), 0, job("x", product("one")))
    ledger.close()
    moved = (tmp_path / "out").rename(tmp_path / "moved")
    with Ledger.open(moved, url=url) as again:
        assert [made.path for made in queries.products(again)] == [str(moved / "one.fits")]


def test_products_of_an_earlier_job_of_the_same_name_are_retired(ledger, job, product, started):
    run = started("x")
    ledger.record(run, 0, job("x", product("one"), product("two")))
    _, left = ledger.record(run, 0, job("x", replace(product("one"), sha256="new"), provenance_key="other"))
    assert left == [str(ledger.folder / "two.fits")]
    assert [made.sha256 for made in queries.products(ledger)] == ["new"]


def test_a_path_written_by_another_job_is_taken_over(ledger, job, product, started):
    run = started("x", "y")
    ledger.record(run, 0, job("x", product("one")))
    ledger.record(run, 1, job("y", replace(product("one"), sha256="new")))
    assert [(made.sha256, made.current) for made in queries.products(ledger)] == [("new", True)]


def test_a_failed_job_retires_but_leaves_files(ledger, job, product, started):
    run = started("x")
    ledger.record(run, 0, job("x", product("one")))
    _, left = ledger.record(run, 0, job("x", state="failed", error="no"))
    assert left == []
    assert queries.products(ledger) == []
    assert queries.done_jobs(ledger, ["key-x"])["key-x"][1][0].path.endswith("one.fits")


def test_notes_retire_what_cannot_run_and_bring_back_what_is_reused(ledger, job, product, started):
    run = started("x", "y")
    number, _ = ledger.record(run, 0, job("x", product("one")))
    ledger.record(run, 1, job("y", product("two")))
    ledger.note(run, {0: ("blocked", "why", None)})
    assert [made.raw for made in queries.products(ledger)] == ["two"]
    assert ledger.leftovers(run, [0]) == [str(ledger.folder / "one.fits")]
    ledger.note(run, {0: ("reused", None, number)})
    assert [made.raw for made in queries.products(ledger)] == ["one", "two"]
    ledger.note(run, {})


def test_many_notes_in_one_transaction(ledger, started):
    run = started(*(f"j{i}" for i in range(1200)))
    ledger.note(run, {i: ("blocked", f"r{i}", None) for i in range(1200)})
    assert [plan.reason for plan in queries.planned_of(ledger, run)] == [f"r{i}" for i in range(1200)]


def test_what_a_folder_cannot_give_any_more_leaves_the_list(ledger, job, product, started):
    run = started("x", "y")
    ledger.record(run, 0, job("x", product("one")))
    ledger.record(run, 1, job("y", product("two")))
    ledger.retire_others("/elsewhere", set())
    assert len(queries.products(ledger)) == 2
    ledger.retire_others("/raw", {("i", "t", "y", "2020-01-01")})
    assert [made.raw for made in queries.products(ledger)] == ["two"]


def test_only_the_last_run_keeps_its_plan(ledger, started):
    first = started("x")
    second = started("y", "z")
    assert queries.planned_of(ledger, first) == []
    assert [plan.name for plan in queries.planned_of(ledger, second)] == ["y", "z"]


def test_a_write_that_fails_leaves_nothing(ledger, job, product, started):
    run = started("x")
    broken = replace(product("one"), sha256=None)
    with pytest.raises(sa.exc.IntegrityError):
        ledger.record(run, 0, job("x", product("zero"), broken))
    assert queries.products(ledger) == []
    assert queries.done_jobs(ledger, ["key-x"]) == {}
    with ledger.engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.job)).scalar() == 0


def test_a_second_reader_sees_only_committed_work(ledger, job, product, started, tmp_path, url):
    run = started("x")
    with Ledger.open(tmp_path / "out", url=url) as other:
        assert queries.products(other) == []
        ledger.record(run, 0, job("x", product("one")))
        assert len(queries.products(other)) == 1


def test_folders_without_a_ledger(tmp_path):
    with pytest.raises(MissingInput, match=r"no tracecube\.db here"):
        Ledger.open(tmp_path)
    assert not (tmp_path / LEDGER_NAME).exists()


def test_a_file_that_is_no_ledger(tmp_path):
    (tmp_path / LEDGER_NAME).write_bytes(b"something else entirely" * 100)
    with pytest.raises(BadData, match="cannot be opened as a ledger"):
        Ledger.open(tmp_path)


def test_make_writable_makes_the_folder_and_leaves_no_trace(tmp_path):
    make_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(BadData, match="the output folder cannot be written"):
        make_writable(tmp_path / "file")


def test_another_database_by_its_address(tmp_path, raw):
    with Ledger.open(tmp_path / "out", create=True, url=f"sqlite:///{tmp_path / 'other.db'}") as ledger:
        ledger.save_raw([raw("a")])
        assert len(queries.raw_files(ledger)) == 1
    assert not (tmp_path / "out" / LEDGER_NAME).exists()


@pytest.mark.parametrize("name", [name for name in statements.__all__ if name.isupper()])
def test_every_statement_can_be_said_to_postgresql(name):
    text = str(getattr(statements, name).compile(dialect=postgresql.dialect()))
    assert text.startswith(("SELECT", "UPDATE"))


@pytest.mark.parametrize("table", tables.metadata.sorted_tables, ids=str)
def test_every_table_can_be_made_in_postgresql(table):
    text = str(sa.schema.CreateTable(table).compile(dialect=postgresql.dialect()))
    assert "BLOB" not in text


def test_a_database_that_refuses_to_work_is_told(tmp_path):
    refused = sa.exc.OperationalError("INSERT", {}, Exception("database or disk is full"))
    with pytest.raises(BadData, match=r"the ledger cannot be used \(database or disk is full\)"):  # noqa: SIM117
        with Ledger.open(tmp_path / "out", create=True):
            raise refused
