"""From planned inputs to files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tracecube.archive.records import ProductRecord
from tracecube.workflow.jobs import Missing
from tracecube.workflow.plan import make_plan
from tracecube.workflow.resolve import Files, Outcome, Resolved
from tracecube.workflow.settings import resolve


@pytest.fixture
def jobs(small, whole_night):
    return {job.task.name: job for job in make_plan([small], whole_night, Path("/out")).jobs}


@pytest.fixture
def files(small) -> Files:
    return Files(resolve({}, [small.instrument]))


def made(item, sha: str) -> ProductRecord:
    return ProductRecord(
        output=item.output, tag=item.tag, path=item.path, sha256=sha, size=1, data_sha256="", setup={}, mjd=None,
        exptime=None, object=None, night=None, raw=None, detector=None, header={}, qc={},
    )  # fmt: skip


def test_raw_inputs_are_there_from_the_start(jobs, files):
    resolved = files.resolve(jobs["bias"])
    assert isinstance(resolved, Resolved)
    assert [(g.role, g.main, g.raw, g.name, g.sha256) for g in resolved.inputs] == [
        ("raw", True, True, "b0", "sha-b0"),
        ("raw", True, True, "b1", "sha-b1"),
    ]


def test_what_a_job_goes_without_is_a_caveat(jobs, files):
    lack = Missing("no BIAS of speed 2", "take one", ("CUBE lost",))
    resolved = files.resolve(replace(jobs["bias"], without=(lack,)))
    assert resolved.caveats == ("raw is without one input: CUBE lost: no BIAS of speed 2 (try: take one)",)
    assert resolved.key == files.resolve(jobs["bias"]).key


def test_keys_follow_from_the_hashes_of_products(jobs, files):
    bias = jobs["bias"]
    keys = []
    for sha in ("one", "one", "two"):
        files.keep(bias, [made(bias.outputs[0], sha)])
        keys.append(files.resolve(jobs["flat"]).key)
    assert keys[0] == keys[1] != keys[2]
    assert files.resolve(jobs["flat"]).inputs[-1].name == "20200101_0.1_MASTER_BIAS"


@pytest.mark.parametrize(
    ("state", "reason", "told"),
    [
        ("failed", "BadData: dark", "bias 20200101_0.1 failed: BadData: dark"),
        ("incomplete", "no BIAS", "bias 20200101_0.1 incomplete: no BIAS"),
        ("blocked", "x failed: y", "x failed: y"),
    ],
)
def test_what_is_lost_blocks_and_the_root_is_told(jobs, files, state, reason, told):
    files.lose(Outcome(jobs["bias"], state, reason))
    assert files.resolve(jobs["flat"]) == Outcome(jobs["flat"], "blocked", told)


def test_an_optional_input_that_is_lost_is_done_without(jobs, files):
    flat = jobs["flat"]
    files.keep(flat, [made(flat.outputs[0], "f")])
    cube = files.resolve(jobs["cube"])
    assert [given.role for given in cube.inputs] == ["frame", "flat", "guide"]
    assert cube.level == 0
    assert cube.caveats == ()


def test_an_incomplete_job_says_what_is_missing(small, whole_night, files):
    plan = make_plan([small], [f for f in whole_night if f.tag != "XE"], Path("/out"))
    outcome = files.resolve(plan.jobs[1])
    assert outcome.state == "incomplete"
    assert outcome.reason.startswith("no XE among 1 HG")
