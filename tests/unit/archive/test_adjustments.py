"""What persons set for single jobs: all is kept, the newest counts, and a job's run is found again."""

from __future__ import annotations

import pytest

from tracecube.archive.adjustments import adjustments, save_adjustment, standing_adjustments
from tracecube.archive.ledger import Ledger
from tracecube.archive.queries import job_keys, run_for
from tracecube.archive.records import AdjustmentRecord, JobRecord, PlannedRecord

ABOUT = {"fingerprint": "f", "targets": ["science"], "settings": {}, "software": {}, "host": "here"}


def adjustment(name: str, tag: str, night: str | None = "2020-01-01", **more: str) -> AdjustmentRecord:
    params = {"region": [[0.5, 1.0], [2.0, 1.0], [2.0, 3.0]], "aperture": None}
    given = {"instrument": "i", "task": "star", "name": name, "night": night, "params": params, "tag": tag}
    return AdjustmentRecord(**{**given, "reviewer": "Ada", **more})


def test_what_is_saved_comes_back(ledger: Ledger) -> None:
    saved = save_adjustment(ledger, adjustment("a", "redo1"))
    assert saved.made.endswith("+00:00")
    assert adjustments(ledger) == [saved]
    assert saved.params == adjustment("a", "redo1").params


def test_of_each_job_the_newest_counts(ledger: Ledger) -> None:
    for one in (
        adjustment("a", "redo1"),
        adjustment("b", "redo2"),
        adjustment("a", "redo3"),
        adjustment("a", "redo4", night=None),
        adjustment("a", "redo5", task="other"),
    ):
        save_adjustment(ledger, one)
    assert len(adjustments(ledger)) == 5
    assert sorted(one.tag for one in standing_adjustments(ledger)) == ["redo2", "redo3", "redo4", "redo5"]


def run(ledger: Ledger, folder: str, *names: str) -> int:
    plan = [PlannedRecord(instrument="i", task="star", name=name, night=None, state="waiting") for name in names]
    number = ledger.start_run(about={**ABOUT, "raw_folder": folder}, jobs=plan)
    for position, name in enumerate(names):
        record = JobRecord(
            instrument="i", task="star", name=name, night=None, recipe="r", version="1", provenance_key=name, params={},
            state="done", level=0, started="now",
        )  # fmt: skip
        ledger.record(number, position, record)
    ledger.finish_run(number)
    return number


@pytest.fixture
def runs(ledger: Ledger) -> list[int]:
    return [run(ledger, "/one", "a", "b"), run(ledger, "/two", "c"), run(ledger, "/one"), run(ledger, "/three", "d")]


def test_the_run_of_a_job_is_the_last_on_its_raw_folder(ledger: Ledger, runs: list[int]) -> None:
    found = {name: run_for(ledger, ("i", "star", name, None)) for name in ("a", "c", "d", "never")}
    assert {name: one.id for name, one in found.items()} == {
        "a": runs[2], "c": runs[1], "d": runs[3], "never": runs[3],
    }  # fmt: skip
    assert found["a"].raw_folder == "/one"


def test_no_run_at_all(ledger: Ledger) -> None:
    assert run_for(ledger, ("i", "star", "a", None)) is None


def test_jobs_are_listed_once_in_order(ledger: Ledger, runs: list[int]) -> None:
    run(ledger, "/one", "a")
    assert [name for _, _, name, _ in job_keys(ledger, "i", ("star",))] == ["a", "b", "c", "d"]
    assert job_keys(ledger, "i", ("other",)) == job_keys(ledger, "j", ("star",)) == []
