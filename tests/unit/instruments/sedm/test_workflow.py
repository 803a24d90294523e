"""What goes with what in a night."""

from __future__ import annotations

from pathlib import Path

from tracecube.archive.records import RawRecord
from tracecube.instruments.sedm import instrument
from tracecube.workflow.discover import Found
from tracecube.workflow.plan import make_plan

NIGHTS = {"2021-04-21": 59325.0, "2021-04-23": 59327.0}
FRAMES = ["BIAS", "BIAS", "DOME", "ARC_HG", "ARC_CD", "ARC_XE", "STANDARD", "SCIENCE", "SCIENCE"]


def frame(tag: str, night: str, number: int, *, step: float = 0.03) -> RawRecord:
    name = f"{night}-{number}"
    setup = {"night": night, "speed": 0.1, "generation": "pixis"}
    return RawRecord(
        path=f"/raw/{name}.fits", name=name, size=1, mtime_ns=1, sha256=f"sha-{name}", header={}, instrument="sedm",
        tag=tag, setup=setup, mjd=NIGHTS[night] + step * number, exptime=600.0, night=night,
    )  # fmt: skip


def bound(*nights: str, step: float = 0.03) -> dict[tuple[str, str], dict[str, list[str]]]:
    """Return (task, name) -> argument -> raw frames of what fills it."""
    files = [frame(tag, night, number, step=step) for night in nights for number, tag in enumerate(FRAMES)]
    plan = make_plan([Found("nowhere:instrument", instrument)], files, Path("/out"))
    assert all(job.complete for job in plan.jobs)
    return {
        (job.task.name, job.name): {one.role: [item.raw or item.name for item in one.items] for one in job.bindings}
        for job in plan.jobs
    }


def test_a_spectrum_gets_the_verdict_on_its_own_exposure() -> None:
    jobs = {name: given for (task, name), given in bound(*NIGHTS).items() if task == "classify"}
    assert len(jobs) == 6
    assert all(given["target"] == [name] for name, given in jobs.items())


def test_exposures_of_one_start_keep_their_own_verdicts() -> None:
    jobs = {name: given for (task, name), given in bound("2021-04-21", step=0.0).items() if task == "classify"}
    assert len(jobs) == 3
    assert all(given["target"] == [name] for name, given in jobs.items())


def test_alignment_is_that_of_the_night() -> None:
    jobs = {name: given for (task, name), given in bound(*NIGHTS).items() if task == "extract_star"}
    assert len(jobs) == 4
    assert all(given["standards"] == [f"{name[:10]}-6"] for name, given in jobs.items())


def test_text_form_has_its_suffix() -> None:
    [classify] = (task for task in instrument.workflow.tasks if task.name == "classify")
    assert classify.output_suffixes() == {"classification": ".fits", "spectrum_ascii": ".txt"}
    assert classify.output_tags()["spectrum_ascii"] == "SPECTRUM_ASCII"
    assert "classify" in {task.name for task in instrument.workflow.tasks if "science" in task.targets}
