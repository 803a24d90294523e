"""The runner: order, window, failures, lost workers, reuse; with workers that only pretend."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from tracecube.archive.hashing import hash_of_file
from tracecube.archive.ledger import Ledger
from tracecube.archive.records import PlannedRecord
from tracecube.archive.summary import last_summary
from tracecube.workflow.call import JobCall, JobResult, Made
from tracecube.workflow.forecast import forecast
from tracecube.workflow.plan import make_plan
from tracecube.workflow.run import WINDOW, Runner
from tracecube.workflow.settings import resolve


class Pretender:
    """Writes a small file for every output, unless told otherwise."""

    def __init__(self, slots: int = 1) -> None:
        self.slots = slots
        self.calls: list[str] = []
        self.behave: dict[str, Callable[[JobCall], JobResult]] = {}
        self.flying: list[Future[JobResult]] = []
        self.most = 0

    def warm(self, modules):
        pass

    def close(self):
        pass

    def submit(self, call: JobCall) -> Future[JobResult]:
        self.calls.append(call.task)
        future: Future[JobResult] = Future()
        self.flying = [one for one in self.flying if not one.done()]
        self.flying.append(future)
        self.most = max(self.most, len(self.flying))
        try:
            future.set_result(self.behave.get(call.task, write)(call))
        except BrokenProcessPool as error:
            future.set_exception(error)
        return future


def write(call: JobCall, *, without: tuple[str, ...] = ()) -> JobResult:
    made = []
    for output, path in call.outputs.items():
        if output not in without:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(f"{output} {call.key}")
            size = Path(path).stat().st_size
            made.append(Made(output=output, path=path, sha256=hash_of_file(path), size=size, data_sha256="", header={}))
    return JobResult(made=tuple(made), qc={}, started="2020-01-01", seconds=1.0)


def fail(_call: JobCall) -> JobResult:
    return JobResult(qc={}, error="NoConvergence: none (try: again)")


class Bench:
    """A ledger, a plan and an executor."""

    def __init__(self, folder: Path, found, files, settings=None) -> None:
        self.out = folder / "out"
        self.plan = make_plan([found], files, self.out)
        self.params = resolve(settings or {}, [found.instrument])
        self.executor = Pretender()
        self.seen: list[str] = []

    def run(self) -> dict[str, str]:
        jobs = self.plan.needed(self.plan.end_jobs(["science"]))
        planned = [
            PlannedRecord(instrument="small", task=j.task.name, name=j.name, night=j.night, state="waiting")
            for j in jobs
        ]
        about = {"raw_folder": "/raw", "fingerprint": "", "targets": [], "settings": {}, "software": {}, "host": ""}
        with Ledger.open(self.out, create=True) as ledger:
            run_id = ledger.start_run(about=about, jobs=planned)
            runner = Runner(ledger, self.executor, self.params, self.out / "scratch", self)
            outcomes = runner.run(run_id, jobs)
            ledger.finish_run(run_id)
            self.summary = last_summary(ledger)
        assert [r.state for r in self.summary.results] == [o.state for o in outcomes]
        return {outcome.job.label: outcome.state for outcome in outcomes}

    def planned(self, jobs):
        self.seen.append(f"planned {len(jobs)}")

    def started(self, job):
        self.seen.append(f"started {job.task.name}")

    def settled(self, outcome):
        self.seen.append(f"settled {outcome.job.task.name} {outcome.state}")


@pytest.fixture
def bench(tmp_path, small, whole_night) -> Bench:
    return Bench(tmp_path, small, whole_night)


def test_runs_in_order_and_tells(bench):
    assert set(bench.run().values()) == {"done"}
    assert bench.executor.calls == ["bias", "flat", "cube"]
    assert bench.seen == [
        "planned 3",
        "started bias", "settled bias done",
        "started flat", "settled flat done",
        "started cube", "settled cube done",
    ]  # fmt: skip


def test_a_second_run_reuses_all(bench):
    bench.run()
    bench.executor.calls.clear()
    assert set(bench.run().values()) == {"reused"}
    assert bench.executor.calls == []


def test_a_failure_blocks_only_what_needs_it(tmp_path, small, whole_night, raw):
    other = [raw("SCIENCE", "far", 300.0, night="2020-11-01"), raw("XE", "x2", 300.0, night="2020-11-01")]
    other += [
        raw("HG", "h2", 300.0, night="2020-11-01"),
        *(raw("BIAS", f"c{i}", 300.0, night="2020-11-01") for i in "ab"),
    ]
    bench = Bench(tmp_path, small, [*whole_night, *other])
    bench.executor.behave["flat"] = lambda call: fail(call) if "20200101" in call.outputs["flat"] else write(call)
    states = bench.run()
    assert {label for label, state in states.items() if state == "done"} == {
        "bias 20200101_0.1", "bias 20201101_0.1", "flat 20201101", "cube far",
    }  # fmt: skip
    assert states["flat 20200101"] == "failed"
    assert states["cube s0"] == "blocked"
    [blocked] = bench.summary.of("blocked")
    assert blocked.reason == "flat 20200101 failed: NoConvergence: none (try: again)"


def test_a_failed_job_is_run_again(bench):
    bench.executor.behave["flat"] = fail
    bench.run()
    bench.executor.behave.clear()
    bench.executor.calls.clear()
    assert bench.run() == {"bias 20200101_0.1": "reused", "flat 20200101": "done", "cube s0": "done"}


def test_a_main_input_that_was_not_made_skips_and_a_calibration_blocks(tmp_path, small, whole_night):
    bench = Bench(tmp_path, small, whole_night)
    bench.executor.behave["flat"] = lambda call: write(call, without=("flat",))
    assert bench.run()["cube s0"] == "blocked"
    [blocked] = bench.summary.of("blocked")
    assert blocked.reason == "flat 20200101 made no FLAT"


def test_not_more_than_a_window_is_handed_out(tmp_path, small, whole_night, raw):
    class Slow(Pretender):
        def submit(self, call):
            future = super().submit(call)
            later: Future[JobResult] = Future()
            self.flying[-1] = later
            self.pending = [*getattr(self, "pending", []), (later, future.result())]
            if len(self.pending) == WINDOW * self.slots or call.task != "cube":
                self.flush()
            return later

        def flush(self):
            for later, result in self.pending:
                later.set_result(result)
            self.pending = []

    many = [raw("SCIENCE", f"s{i}", 0.5 + i / 1000) for i in range(8)]
    bench = Bench(tmp_path, small, [*(f for f in whole_night if f.tag != "SCIENCE"), *many])
    bench.executor = Slow(2)
    assert set(bench.run().values()) == {"done"}
    assert bench.executor.most <= WINDOW * 2


def test_a_lost_worker_is_suspected_alone(tmp_path, small, whole_night, raw):
    """Of the jobs under way when a worker died, the innocent are done and the culprit fails."""

    def killed(call):
        if "bad" in call.outputs["cube"]:
            raise BrokenProcessPool
        return write(call)

    bench = Bench(tmp_path, small, [*whole_night, raw("SCIENCE", "bad", 0.4)])
    bench.executor.behave["cube"] = killed
    states = bench.run()
    assert (states["cube bad"], states["cube s0"]) == ("failed", "done")
    assert "its worker was killed (try: look for lack of memory" in bench.summary.of("failed")[0].reason


def test_a_call_that_cannot_reach_its_worker_fails_alone(bench):
    class Mute(Pretender):
        def submit(self, call):
            future = super().submit(call)
            if call.task == "flat":
                future = Future()
                future.set_exception(TypeError("cannot pickle"))
            return future

    bench.executor = Mute()
    assert bench.run() == {"bias 20200101_0.1": "done", "flat 20200101": "failed", "cube s0": "blocked"}
    assert bench.summary.of("failed")[0].reason.startswith("TypeError: cannot pickle")


def test_forecast_says_what_run_does(tmp_path, small, whole_night):
    bench = Bench(tmp_path, small, whole_night)
    jobs = bench.plan.needed(bench.plan.end_jobs(["science"]))
    assert [o.state for o in forecast(jobs, bench.params, None)] == ["run", "run", "run"]
    bench.run()
    changed = resolve({"flat": {"order": 5}}, [small.instrument])
    with Ledger.open(bench.out) as ledger:
        assert [o.state for o in forecast(jobs, bench.params, ledger)] == ["reused"] * 3
        assert [o.state for o in forecast(jobs, changed, ledger)] == ["reused", "run", "run"]
    incomplete = Bench(tmp_path, small, [f for f in whole_night if f.tag != "XE"])
    jobs = incomplete.plan.needed(incomplete.plan.end_jobs(["science"]))
    assert {o.job.label: o.state for o in forecast(jobs, bench.params, None)} == {"cube s0": "incomplete"}


def test_products_of_a_group_without_a_member_carry_a_caveat(tmp_path, instrument_of, small, whole_night, raw):
    from tracecube.core.workflow import Main, Task
    from tracecube.workflow.discover import Found

    average = small.instrument.workflow.tasks[2].recipe
    mean = Task(
        "mean", average, Main("raw", ("CUBE",), ("raw_tag",)), targets=("science",), tags={"master_bias": "MEAN"}
    )
    found = Found("x:y", instrument_of(*small.instrument.workflow.tasks, mean))
    bench = Bench(tmp_path, found, [*whole_night, raw("SCIENCE", "bad", 0.4)])
    bench.executor.behave["cube"] = lambda call: fail(call) if "bad" in call.outputs["cube"] else write(call)
    assert bench.run()["mean SCIENCE"] == "done"
    [mean_result] = [r for r in bench.summary.results if r.task == "mean"]
    assert mean_result.caveats == ("raw is without one input: cube bad failed: NoConvergence: none (try: again)",)
