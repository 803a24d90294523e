"""Questions to the ledger."""

from __future__ import annotations

from dataclasses import replace

from tracecube.archive import queries
from tracecube.archive.ancestry import ancestry
from tracecube.archive.records import InputRecord
from tracecube.archive.summary import last_summary


def test_products_by_tag_and_object_in_order_of_time(ledger, job, product, started):
    run = started("x")
    made = [
        product("late", mjd=3.0),
        product("early", mjd=1.0),
        product("undated", mjd=None, object=None),
        product("other", tag="OTHER", mjd=2.0),
    ]
    ledger.record(run, 0, job("x", *made))
    assert [p.raw for p in queries.products(ledger)] == ["undated", "early", "other", "late"]
    assert [p.raw for p in queries.products(ledger, tag="TAG", object_="M31")] == ["early", "late"]
    assert queries.products(ledger)[1].instrument == "i"
    assert queries.products(ledger)[1].task == "t"


def test_done_jobs_gives_the_latest_of_many_keys(ledger, job, product, started):
    run = started(*(f"j{i}" for i in range(700)))
    for i in range(700):
        ledger.record(run, i, job(f"j{i}", product(f"p{i}")))
    again, _ = ledger.record(run, 0, job("j0", product("p0")))
    found = queries.done_jobs(ledger, [f"key-j{i}" for i in range(700)] + ["key-unknown"])
    assert len(found) == 700
    assert found["key-j0"][0] == again
    assert found["key-j5"][1][0].sha256 == "sha-p5"


def test_failed_jobs_are_not_done(ledger, job, started):
    ledger.record(started("x"), 0, job("x", state="failed", error="no"))
    assert queries.done_jobs(ledger, ["key-x"]) == {}


def test_find_product_by_path_and_content(ledger, job, product, started):
    run = started("x")
    ledger.record(run, 0, job("x", product("one", sha256="old")))
    ledger.record(run, 0, job("x", product("one", sha256="new")))
    path = str(ledger.folder / "one.fits")
    assert queries.find_product(ledger, path=path).sha256 == "new"
    assert queries.find_product(ledger, sha256="old").current is False
    assert queries.find_product(ledger, path="/nowhere") is None


def test_raw_with_hash(ledger, raw):
    ledger.save_raw([raw("a"), raw("b", sha256="sha-a"), raw("c")])
    assert [file.name for file in queries.raw_with_hash(ledger, "sha-a")] == ["a", "b"]


def test_last_run(ledger, started):
    assert queries.last_run(ledger) is None
    started("x")
    number = started("y", targets=["calibration"])
    ledger.finish_run(number)
    run = queries.last_run(ledger)
    assert (run.id, run.targets, run.settings) == (number, ("calibration",), {"bias": {"clip": 3}})
    assert run.finished >= run.started


def test_summary_tells_states_reasons_and_files(ledger, raw, job, product, started):
    ledger.save_raw(
        [
            raw("a"),
            raw("b", tag=None, reason="no card", instrument="i"),
            raw("c", tag=None, reason="not ours", foreign=True),
            raw("d", tag=None, copy_of="/raw/a.fits"),
            raw("z", path="/elsewhere/z.fits"),
        ]
    )
    run = started("x", "y", "z")
    ledger.record(run, 0, job("x", product("one"), caveats=("careful",), seconds=2.0))
    ledger.record(run, 1, job("y", state="failed", error="no light"))
    summary = last_summary(ledger)
    assert [(r.label, r.state, r.reason) for r in summary.results] == [
        ("t x", "done", None), ("t y", "failed", "no light"), ("t z", "waiting", None),
    ]  # fmt: skip
    assert summary.results[0].caveats == ("careful",)
    assert [file.name for file in summary.unclassified] == ["b", "c"]
    assert [file.name for file in summary.copies] == ["d"]
    assert summary.tags == {"BIAS": 1}
    assert not summary.good


def test_a_run_is_good_when_all_is_there_and_only_foreign_files_are_left_out(ledger, raw, job, started):
    ledger.save_raw([raw("c", tag=None, reason="not ours", foreign=True)])
    run = started("x")
    assert not last_summary(ledger).good
    ledger.record(run, 0, job("x"))
    assert last_summary(ledger).good
    ledger.save_raw([raw("b", tag=None, reason="no card")])
    assert not last_summary(ledger).good
    started()
    assert not last_summary(ledger).good  # nothing was asked for


def test_ancestry_goes_down_to_raw_files_and_shows_each_product_once(ledger, job, product, started):
    run = started("bias", "flat", "cube")
    bias, flat, cube = (product(name) for name in ("bias", "flat", "cube"))

    def used(made, role) -> InputRecord:
        return InputRecord(role=role, main=False, raw=False, tag="T", name=role, path=made.path, sha256=made.sha256)

    ledger.record(run, 0, job("bias", bias))
    ledger.record(run, 1, job("flat", flat, inputs=(used(bias, "bias"),)))
    lost = replace(used(bias, "lost"), sha256="unknown")
    ledger.record(run, 2, job("cube", cube, inputs=(used(bias, "bias"), used(flat, "flat"), lost)))
    made, parents = ancestry(ledger, queries.find_product(ledger, path=cube.path))
    assert made.name == "cube"
    assert [(p.given.role, p.job.name if p.job else None, p.again) for p in parents] == [
        ("bias", "bias", False), ("flat", "flat", False), ("lost", None, False),
    ]  # fmt: skip
    assert parents[0].parents[0].given.raw
    assert parents[1].parents[0].again
    assert parents[1].parents[0].parents == ()
