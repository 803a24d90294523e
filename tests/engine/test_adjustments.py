"""A person sets parameters of one job: it and what follows are made anew, all else stands."""

from __future__ import annotations

import fcntl
import hashlib
import threading
import time
from pathlib import Path

import pytest

from tracecube.archive import queries
from tracecube.archive.adjustments import adjustments, save_adjustment, standing_adjustments
from tracecube.archive.ledger import Ledger
from tracecube.archive.records import AdjustmentRecord
from tracecube.core.errors import BadData, MissingInput
from tracecube.workflow.executor import InProcess
from tracecube.workflow.forecast import forecast
from tracecube.workflow.preview import adjust, tried
from tracecube.workflow.reduce import prepare
from tracecube.workflow.rerun import rerun


def wider(name: str = "sci1", tag: str = "redo120000", **params: object) -> AdjustmentRecord:
    values = params or {"radius": 4.0}
    return AdjustmentRecord(
        instrument="toy", task="star", name=name, night="2021-04-21", params=values, tag=tag, reviewer="Ada"
    )


def made(summary) -> list[str]:
    return [result.label for result in summary.of("done")]


def contents(folder: Path) -> dict[str, str]:
    """Every file of a folder, hidden ones too."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def out(raw, tmp_path, reduced) -> Path:
    reduced(raw, tmp_path / "out")
    return tmp_path / "out"


def test_only_the_adjusted_job_and_its_followers_are_made_anew(out, raw, installed, reduced, toy):
    before = toy.hashes(out)
    summary = adjust(out, wider(), InProcess(), instruments=installed)
    assert made(summary) == ["star sci1", "flux sci1"]
    changed = {name for name, sha in toy.hashes(out).items() if sha != before[name]}
    assert {Path(name).name.split("_")[0] for name in changed} == {"sci1"}
    with Ledger.open(out) as ledger:
        job = queries.job_of(ledger, queries.products(ledger, tag="SPECTRUM_UNCAL", object_="SN1")[0].job_id)
    assert job.params["radius"] == 4.0
    again = reduced(raw, out)
    assert made(again) == []


def test_a_later_reduce_keeps_the_adjustment_and_its_own_parameters_apart(out, raw, installed, reduced):
    adjust(out, wider(), InProcess(), instruments=installed)
    summary = reduced(raw, out, settings={"star": {"weights": [3.0, 1.0]}})
    assert {"star sci0", "star sci1", "star sci2"} <= set(made(summary))
    with Ledger.open(out) as ledger:
        params = {
            name: queries.job_of(ledger, queries.products(ledger, tag="TARGET", object_=name)[0].job_id).params
            for name in ("SN0", "SN1")
        }
    assert params["SN0"] == {"radius": 3.0, "weights": [3.0, 1.0], "pause": 0.0}
    assert params["SN1"] == {"radius": 4.0, "weights": [3.0, 1.0], "pause": 0.0}


def test_the_newest_adjustment_counts_and_none_is_forgotten(out, installed, toy):
    usual = toy.hashes(out)
    adjust(out, wider(), InProcess(), instruments=installed)
    back = adjust(out, wider(tag="redo130000", radius=3.0), InProcess(), instruments=installed)
    assert made(back) == ["star sci1", "flux sci1"]
    assert toy.hashes(out) == usual
    with Ledger.open(out) as ledger:
        assert [one.tag for one in adjustments(ledger)] == ["redo120000", "redo130000"]
        assert [one.tag for one in standing_adjustments(ledger)] == ["redo130000"]
        assert all(one.made and one.reviewer == "Ada" for one in adjustments(ledger))


def test_products_of_an_adjusted_job_are_made_again_exactly(out, installed):
    adjust(out, wider(), InProcess(), instruments=installed)
    with Ledger.open(out) as ledger:
        [product] = queries.products(ledger, tag="SPECTRUM_UNCAL", object_="SN1")
        assert rerun(ledger, product, installed()).same


def test_a_plan_knows_adjustments(out, raw, installed):
    with Ledger.open(out) as ledger:
        save_adjustment(ledger, wider())
        prepared = prepare(raw.resolve(), out, installed(), adjusted=standing_adjustments(ledger))
        expected = forecast(prepared.jobs, prepared.params, ledger, prepared.by_hand)
    assert [one.job.label for one in expected if one.state == "run"] == ["star sci1", "flux sci1"]


def test_trying_leaves_no_trace(out, installed):
    before = contents(out)
    with tried(out, wider(), InProcess(), instruments=installed) as preview:
        assert made(preview.summary) == ["star sci1", "flux sci1"]
        assert preview.folder.is_dir()
    assert not preview.folder.exists()
    assert contents(out) == before


def test_what_was_tried_is_what_acceptance_makes(out, installed, toy):
    with tried(out, wider(), InProcess(), instruments=installed) as preview:
        seen = toy.hashes(preview.folder)
    adjust(out, wider(), InProcess(), instruments=installed)
    assert toy.hashes(out) == seen


def test_what_is_not_allowed_is_said_before_anything_changes(out, installed):
    before = contents(out)
    wrong = wider(radius=-1.0)
    with (
        pytest.raises(BadData, match=r"redo120000 of star sci1: radius=-1.0"),
        tried(out, wrong, InProcess(), instruments=installed),
    ):
        pass
    assert contents(out) == before


def test_where_nothing_was_reduced_nothing_is_adjusted(tmp_path, installed):
    with pytest.raises(MissingInput, match=r"no tracecube\.db"), tried(tmp_path, wider(), InProcess()):
        pass
    Ledger.open(tmp_path / "new", create=True).close()
    with pytest.raises(MissingInput, match="nothing was run here yet"):
        adjust(tmp_path / "new", wider(), InProcess(), instruments=installed)


def test_without_its_raw_files_nothing_is_adjusted(out, raw, installed):
    raw.rename(raw.with_name("elsewhere"))
    with pytest.raises(MissingInput, match="not there any more"):
        adjust(out, wider(), InProcess(), instruments=installed)
    with Ledger.open(out) as ledger:
        assert adjustments(ledger) == []


def test_a_run_under_way_is_waited_for(out, installed):
    with (out / ".tracecube.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BadData, match="another run"):
            adjust(out, wider(), InProcess(), instruments=installed)
        free = threading.Thread(target=lambda: (time.sleep(0.7), fcntl.flock(file, fcntl.LOCK_UN)))
        free.start()
        summary = adjust(out, wider(tag="redo2"), InProcess(), instruments=installed, patience=20.0)
        free.join()
    assert made(summary) == ["star sci1", "flux sci1"]


def test_a_part_of_the_night_that_was_asked_for_is_done_again_and_no_more(raw, tmp_path, installed, reduced, toy):
    part = tmp_path / "part"
    reduced(raw, part)
    with Ledger.open(part) as ledger:
        exposure = queries.products(ledger, tag="TARGET", object_="SN1")[0]
    key, value = next((k, v) for k, v in sorted(exposure.setup.items()) if k not in {"night", "raw_tag"} and v)
    out = tmp_path / "out"
    reduced(raw, out, only=(f"{key}={value}",))
    with Ledger.open(out) as ledger:
        before = [job.name for job in queries.planned_of(ledger, queries.last_run(ledger).id)]
    adjust(out, wider(), InProcess(), instruments=installed)
    with Ledger.open(out) as ledger:
        run = queries.last_run(ledger)
        assert run.conditions == (f"{key}={value}",)
        assert [job.name for job in queries.planned_of(ledger, run.id)] == before
