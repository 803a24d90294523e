"""Bad input and bad places: each has its sentence, and none stops the rest."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from astropy.io import fits

from tracecube.archive.ledger import Ledger
from tracecube.cli.results import target_items
from tracecube.core.errors import BadData, MissingInput


def reasons(summary) -> dict[str, str]:
    return {Path(file.path).name: file.reason for file in summary.unclassified}


def test_a_truncated_file_is_named_and_the_rest_is_reduced(raw, tmp_path, reduced):
    victim = raw / "sci1.fits"
    victim.write_bytes(victim.read_bytes()[:3000])
    summary = reduced(raw, tmp_path / "out")
    assert "truncated" in reasons(summary)["sci1.fits"]
    assert not summary.good
    assert {result.state for result in summary.results} == {"done"}
    assert "flux sci0" in {result.label for result in summary.results}


def test_a_file_that_is_no_fits_at_all(raw, tmp_path, reduced):
    (raw / "notes.fits").write_text("this is no FITS file")
    assert "not a FITS file" in reasons(reduced(raw, tmp_path / "out"))["notes.fits"]


def test_pixels_that_are_corrupt_fail_their_own_job_alone(raw, tmp_path, reduced, toy):
    import gzip

    whole = gzip.compress((raw / "sci1.fits").read_bytes())
    (raw / "sci1.fits").unlink()
    (raw / "sci1.fits.gz").write_bytes(whole[:-200] + bytes(192) + whole[-8:])  # its size still reads well
    summary = reduced(raw, tmp_path / "out")
    assert {r.label: r.state for r in summary.results if r.state != "done"} in (
        {"star sci1": "failed", "flux sci1": "blocked"},
        {},  # found before, when the header was read
    )
    assert not summary.good


@pytest.mark.parametrize("card", ["EXPTIME", "SPEED", "KIND"])
def test_a_missing_card_is_named(raw, tmp_path, reduced, toy, card):
    toy.write_frame(raw, "lame", "SCIENCE", minutes=60, seed=60, **{card: None})
    summary = reduced(raw, tmp_path / "out")
    assert reasons(summary) == {"lame.fits": f"lame: no card {card} (try: repair the card {card} of this file)"}
    assert not summary.good
    assert not summary.of("failed", "incomplete", "blocked")


def test_a_frame_of_another_instrument_is_left_out_and_harmless(raw, tmp_path, reduced, toy):
    toy.write_frame(raw, "other", "SCIENCE", minutes=60, seed=60, INSTRUME="OTHER")
    summary = reduced(raw, tmp_path / "out")
    assert reasons(summary) == {"other.fits": "not a file of toy"}
    assert summary.good


def test_a_copy_of_a_file_is_used_once_and_named(raw, tmp_path, reduced):
    shutil.copy(raw / "b1.fits", raw / "b1_copy.fits")
    summary = reduced(raw, tmp_path / "out")
    [copy] = summary.copies
    assert (Path(copy.path).name, Path(copy.copy_of).name) == ("b1_copy.fits", "b1.fits")
    assert summary.good


def test_a_folder_without_biases_says_what_is_missing_for_each_target(raw, tmp_path, reduced):
    for path in raw.glob("b*.fits"):
        path.unlink()
    summary = reduced(raw, tmp_path / "out")
    assert {result.state for result in summary.results} == {"incomplete"}
    [reason] = {result.reason for result in summary.results if result.label == "flux sci0"}
    assert reason == "SPECTRUM_UNCAL <- MASTER_BIAS: no BIAS in the raw folder (try: take biases of this speed)"


def test_too_few_biases_are_counted(raw, tmp_path, reduced):
    for name in ("b0", "b1"):
        (raw / f"{name}.fits").unlink()
    reason = next(r.reason for r in reduced(raw, tmp_path / "out").results if r.label == "flux sci0")
    assert "MASTER_BIAS: 1 BIAS where at least 2 are needed" in reason


def test_biases_of_another_speed_do_not_count(tmp_path, reduced, toy):
    raw = toy.write_night(tmp_path / "raw", SPEED=2.0)
    for i in range(3):
        (raw / f"b{i}.fits").unlink()
        toy.write_frame(raw, f"b{i}", "BIAS", minutes=i, seed=i, SPEED=0.1)
    summary = reduced(raw, tmp_path / "out", targets=["lamp"])
    [reason] = {result.reason for result in summary.of("incomplete")}
    assert "1 MASTER_BIAS found, but fewer than 1 with speed 2.0 and between -7 and 7 days of it" in reason


def test_no_standard_star_leaves_the_spectra_uncalibrated_but_made(raw, tmp_path, reduced):
    for path in raw.glob("std*.fits"):
        path.unlink()
    summary = reduced(raw, tmp_path / "out")
    assert {r.task: r.state for r in summary.results} == {
        "bias": "done", "lamp": "done", "star": "done", "flux": "incomplete",
    }  # fmt: skip
    assert "observe a standard star" in summary.of("incomplete")[0].reason


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("FAINT", "NoConvergence: sci9: no star found (try: look at the guide frame)"),
        ("FAULT", "ZeroDivisionError: division by zero (a fault in the recipe; try: tracecube status OUT --log)"),
    ],
)
def test_a_job_that_fails_blocks_what_needs_it_and_nothing_else(raw, tmp_path, reduced, toy, name, sentence):
    toy.write_frame(raw, "sci9", "SCIENCE", minutes=60, seed=60, OBJECT=name)
    summary = reduced(raw, tmp_path / "out")
    assert {r.label: r.state for r in summary.results if r.state != "done"} == {
        "star sci9": "failed",
        "flux sci9": "blocked",
    }
    assert summary.of("failed")[0].reason == sentence
    assert summary.of("blocked")[0].reason == f"star sci9 failed: {sentence}"


def test_a_failed_standard_is_left_out_of_the_response_with_a_caveat(raw, tmp_path, reduced, toy):
    toy.write_frame(raw, "std9", "STANDARD", minutes=25, seed=60, OBJECT="FAINT")
    summary = reduced(raw, tmp_path / "out")
    [response] = [result for result in summary.results if result.task == "response"]
    assert response.state == "done"
    assert response.caveats[0].startswith("stars is without one input: star std9 failed: NoConvergence")


def test_a_failure_is_tried_again_at_the_next_run(raw, tmp_path, reduced, toy):
    toy.write_frame(raw, "sci9", "SCIENCE", minutes=60, seed=60, OBJECT="FAINT")
    reduced(raw, tmp_path / "out")
    again = reduced(raw, tmp_path / "out")
    assert {r.label for r in again.of("failed")} == {"star sci9"}
    assert len(again.of("reused")) == 13


def test_an_empty_field_is_no_failure(raw, tmp_path, reduced, toy):
    toy.write_frame(raw, "sci9", "SCIENCE", minutes=60, seed=60, OBJECT="EMPTY")
    summary = reduced(raw, tmp_path / "out")
    assert summary.good
    [skipped] = summary.of("skipped")
    assert (skipped.label, skipped.reason) == ("flux sci9", "star sci9 made no SPECTRUM_UNCAL")


def test_an_empty_folder(tmp_path, tracecube):
    (tmp_path / "raw").mkdir()
    done = tracecube("reduce", tmp_path / "raw", "-o", tmp_path / "out")
    assert done.returncode == 1
    assert "no raw file of an installed instrument here" in done.stdout


def test_no_such_folder(tmp_path, reduced):
    with pytest.raises(MissingInput, match="no such folder"):
        reduced(tmp_path / "nowhere", tmp_path / "out")


def test_no_instrument_installed(raw, tmp_path):
    from tracecube.workflow.executor import InProcess
    from tracecube.workflow.reduce import reduce_folder

    with pytest.raises(MissingInput, match="no instrument is installed"):
        reduce_folder(raw, tmp_path / "out", InProcess(), instruments=dict)


def test_an_output_folder_that_cannot_be_made(raw, tmp_path, reduced):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadData, match="the output folder cannot be written"):
        reduced(raw, tmp_path / "file" / "out")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="tracecube-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be nobody for a while, when the tests are run by root, who may write anywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_read_only_output_folder(open_folder, toy, reduced):
    raw = toy.write_night(open_folder / "raw")
    out = open_folder / "out"
    out.mkdir(mode=0o555)
    with unprivileged(), pytest.raises(BadData) as caught:
        reduced(raw, out)
    assert str(caught.value) == (
        f"{out}: the output folder cannot be written (Permission denied) "
        "(try: choose another folder with -o, or change the rights of this one)"
    )


def test_a_finished_folder_can_be_read_without_rights_to_write(open_folder, toy, reduced):
    reduced(toy.write_night(open_folder / "raw"), open_folder / "out")
    for path in (open_folder / "out", *(open_folder / "out").rglob("*")):
        path.chmod(path.stat().st_mode & 0o555)
    with unprivileged(), Ledger.open(open_folder / "out") as ledger:
        assert {item["object"] for item in target_items(ledger)} == {"SN0", "SN1", "SN2"}
    for path in (open_folder / "out", *(open_folder / "out").rglob("*")):
        path.chmod(0o755)


def test_a_ledger_that_is_no_database(raw, tmp_path, reduced):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "tracecube.db").write_text("not a database, but long enough to be looked at " * 40)
    with pytest.raises(BadData, match="cannot be opened as a ledger"):
        reduced(raw, tmp_path / "out")


def test_a_product_inside_the_raw_folder_is_not_taken_for_a_raw_file(raw, reduced):
    reduced(raw, raw / "out")
    summary = reduced(raw, raw / "out")
    assert {result.state for result in summary.results} == {"reused"}
    with fits.open(next((raw / "out").rglob("*_TRACE.fits"))) as hdus:
        assert hdus[0].header["PRODTAG"] == "TRACE"
