"""Get, call, put: what a worker does with one job."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tracecube.archive.hashing import hash_of_file
from tracecube.archive.records import InputRecord
from tracecube.core.errors import MissingInput
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.spectra import Image
from tracecube.core.text import TextFile
from tracecube.core.workflow import Main, Task
from tracecube.io import read_cards, read_product, write_product
from tracecube.workflow import call as calling
from tracecube.workflow.call import JobCall, call_recipe
from tracecube.workflow.executor import InProcess

NO_PARAMS = Params()


@dataclass(frozen=True, kw_only=True)
class TwoOut(Outputs):
    one: Image
    other: Image | TextFile | None = None


def image(value: float, **meta: Any) -> Image:
    data = np.full((3, 4), value)
    return Image(data=data, variance=data, flags=np.zeros((3, 4), np.int32), meta=meta)


def behave_well(source: Image) -> TwoOut:
    return TwoOut(one=image(source.data.mean()), quality=(QualityNumber("RMS", 0.5, "pix"),), caveats=("a caveat",))


Behaviour = Callable[[Image], TwoOut]
behaviour: dict[str, Behaviour] = {"now": behave_well}


@recipe(version="2")
def do(*, source: Image, params: Params = NO_PARAMS) -> TwoOut:
    """Do as told."""
    return behaviour["now"](source)


@pytest.fixture
def call(tmp_path, monkeypatch, instrument_of) -> Callable[[Behaviour], calling.JobResult]:
    """Call the recipe on a written product."""
    task = Task("do", do, Main("source", ("IMAGE",)), tags={"other": "SPARE"})
    monkeypatch.setattr(calling, "load", lambda _reference: instrument_of(task))
    monkeypatch.setattr(calling, "_KEPT", type(calling._KEPT)())
    (tmp_path / "scratch").mkdir()
    source = tmp_path / "source.fits"
    write_product(source, image(7.0, TELESCOP="P60", OBJECT="M31"), cards={"QC OLD": 1.0, "PROVKEY": "old"})

    def run(how: Behaviour = behave_well, *, spare: str = "x_SPARE.fits") -> calling.JobResult:
        monkeypatch.setitem(behaviour, "now", how)
        given = InputRecord(
            role="source",
            main=True,
            raw=False,
            tag="IMAGE",
            name="source",
            path=str(source),
            sha256=hash_of_file(source),
        )
        outputs = {"one": str(tmp_path / "n" / "x_ONE.fits"), "other": str(tmp_path / "n" / spare)}
        job = JobCall(
            reference="x",
            task="do",
            params={},
            inputs=(given,),
            outputs=outputs,
            key="k" * 64,
            scratch=str(tmp_path / "scratch"),
        )
        return call_recipe(job)

    return run


def test_products_are_written_whole_with_their_cards(call, tmp_path):
    result = call()
    assert result.error is None
    assert [made.output for made in result.made] == ["one"]
    path = Path(result.made[0].path)
    assert result.made[0].sha256 == hash_of_file(path)
    assert result.made[0].size == path.stat().st_size
    cards = read_cards(path)
    assert cards == result.made[0].header
    assert (cards["PRODTAG"], cards["RECIPE"], cards["RECIVER"]) == ("ONE", "do", "2")
    assert (cards["RAW1"], cards["RAW1TAG"], cards["QC RMS"]) == ("source", "IMAGE", 0.5)
    assert (cards["TELESCOP"], cards["OBJECT"]) == ("P60", "M31")  # of the input, for the recipe gave no header
    assert "QC OLD" not in cards
    assert cards["PRODSHA"] == result.made[0].data_sha256
    assert np.all(read_product(path, Image).data == 7.0)
    assert list((tmp_path / "scratch").iterdir()) == []
    assert result.caveats == ("a caveat",)
    assert result.qc["RMS"]["value"] == 0.5


def test_a_text_is_written_as_it_is_and_its_cards_are_reported(call, tmp_path):
    result = call(lambda source: replace(behave_well(source), other=TextFile("7\n")), spare="x_SPARE.txt")
    assert result.error is None
    text = result.made[1]
    assert Path(text.path).read_bytes() == b"7\n"
    assert text.sha256 == text.data_sha256 == hash_of_file(text.path)
    assert text.size == 2
    assert (text.header["PRODTAG"], text.header["RAW1"], text.header["QC RMS"]) == ("SPARE", "source", 0.5)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_same_call_gives_the_same_bytes(call):
    assert call().made[0].sha256 == call().made[0].sha256


def test_an_expected_failure_is_a_sentence(call, tmp_path):
    def miss(_source):
        raise MissingInput("no arc lines", hint="look at the lamps")

    result = call(miss)
    assert result.error == "MissingInput: no arc lines (try: look at the lamps)"
    assert "Traceback" in result.log
    assert not (tmp_path / "n").exists()


def test_a_fault_is_told_as_such_and_logged(call):
    def divide(_source):
        return 1 / 0

    result = call(divide)
    assert result.error.startswith("ZeroDivisionError: division by zero (a fault in the recipe")
    assert "1 / 0" in result.log


def test_a_failed_write_leaves_no_file_under_a_final_name(call, tmp_path):
    def half(_source):
        return TwoOut(one=image(1.0), other="not an image")

    result = call(half)
    assert result.error is not None
    assert not list(tmp_path.glob("n/*"))


def test_no_room_on_the_disk_is_no_fault_of_the_recipe(call, monkeypatch):
    def full(*_args: Any, **_more: Any):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tracecube.io.products.write_product", full)
    assert (
        call().error == "[Errno 28] No space left on device (try: check the disk and the rights on the output folder)"
    )


def test_warnings_and_log_lines_are_kept(call):
    def chatty(source):
        warnings.warn("strange pixel", stacklevel=1)
        logging.getLogger("recipe").warning("odd trace %d", 3)
        return behave_well(source)

    log = call(chatty).log
    assert "UserWarning: strange pixel" in log
    assert "WARNING recipe: odd trace 3" in log


def test_products_are_kept_to_hand_by_content(call, tmp_path, monkeypatch):
    read: list[Path] = []
    from tracecube.io import products

    original = products.read_product
    monkeypatch.setattr(products, "read_product", lambda path, noun: read.append(path) or original(path, noun))
    call()
    call()
    assert len(read) == 1
    write_product(tmp_path / "source.fits", image(8.0))
    assert np.all(read_product(Path(call().made[0].path), Image).data == 8.0)


def test_what_is_kept_stays_within_its_bounds(monkeypatch):
    monkeypatch.setattr(calling, "_KEPT", type(calling._KEPT)())
    monkeypatch.setattr(calling, "KEEP_BYTES", 1000)
    for i in range(5):
        calling._keep(f"k{i}", object(), 400)
    assert list(calling._KEPT) == ["k3", "k4"]
    calling._keep("big", object(), 900)
    assert "big" not in calling._KEPT


def test_of_more_products_than_fit_none_is_kept(monkeypatch, tmp_path):
    """A pass through a whole field would push out all that a worker has, and find none of it the next time."""
    monkeypatch.setattr(calling, "_KEPT", type(calling._KEPT)())
    given = []
    for i in range(5):
        path = tmp_path / f"{i}.fits"
        write_product(path, image(float(i)))
        given.append(InputRecord(role="i", main=True, raw=False, name="", tag="I", path=str(path), sha256=str(i)))
    size = calling._bytes_of(read_product(Path(given[0].path), Image))
    for limit, kept in ((5 * size, 5), (5 * size - 1, 0)):
        calling._KEPT.clear()
        monkeypatch.setattr(calling, "KEEP_BYTES", limit)
        assert [float(one.data.flat[0]) for one in calling._Unread(tuple(given), Image)] == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert len(calling._KEPT) == kept


def test_recipes_cannot_change_what_others_will_read(call):
    def spoil(source):
        source.data[:] = 0
        return behave_well(source)

    assert "read-only" in call(spoil).error


def test_memory_and_times_are_measured(call):
    result = call()
    assert result.seconds > 0
    assert result.peak_memory > 2**20
    assert result.started.startswith("20")


def test_in_process_executor_is_done_at_once(monkeypatch):
    monkeypatch.setattr(
        "tracecube.workflow.executor.call_recipe", lambda call: replace(calling.JobResult(qc={}), log=call)
    )
    executor = InProcess()
    executor.warm(["x"])
    assert executor.submit("c").result().log == "c"
    executor.close()
