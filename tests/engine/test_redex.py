"""`tracecube redex`: rejected it leaves no trace, accepted it stands, and every way of changing an extraction."""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tracecube.archive import queries
from tracecube.archive.adjustments import adjustments
from tracecube.archive.ledger import Ledger
from tracecube.archive.records import ProductRecord
from tracecube.cli import redex
from tracecube.cli.main import app
from tracecube.core.errors import BadData
from tracecube.workflow.discover import Found, load

STAMP = "10_47_05"
REGION = "0.0 -1.0\n2.0, -1.0  # a corner\n\n2.0 1.0\n"


@pytest.fixture(scope="session")
def installed(toy):
    return lambda: {"toy": Found("toyhand:instrument", load("toyhand:instrument"))}


@pytest.fixture
def out(tmp_path, toy, reduced) -> Path:
    raw = tmp_path / "raw"
    for minutes, stamp in enumerate((STAMP, "11_20_30")):
        toy.write_frame(raw, f"toy_{stamp}", "SCIENCE", minutes=minutes, seed=minutes, OBJECT=f"SN{minutes}")
    assert reduced(raw, tmp_path / "out").good
    return tmp_path / "out"


@pytest.fixture
def drawn() -> None:
    """Asked for by tests that look at pictures and pages; the others are quicker without."""


@pytest.fixture(autouse=True)
def _undrawn(request, monkeypatch) -> None:
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(redex, "report_of", lambda out, *, changed: out / "report" / "index.html")
        monkeypatch.setattr(redex, "_picture", lambda *_: None)


@pytest.fixture(autouse=True)
def sent(monkeypatch, installed) -> list[tuple[Any, ...]]:
    """What would go to the survey; nobody sits at the terminal, and the toy is the only instrument."""
    found: list[tuple[Any, ...]] = []
    monkeypatch.setattr(redex, "discover", installed)
    monkeypatch.setattr("tracecube.cli.reduce.discover", installed)
    monkeypatch.setattr("tracecube.cli.outgoing.send_extraction", lambda *given: found.append(given))
    monkeypatch.setattr(redex, "_has_screen", lambda: False)
    monkeypatch.setenv("TOY_USER", "Ada Lovelace")
    return found


@pytest.fixture
def call(out) -> Callable[..., Any]:
    def with_words(*words: str, stamp: str = STAMP, typed: str | None = None) -> Any:
        return CliRunner().invoke(app, ["redex", stamp, *words, "-o", str(out)], input=typed)

    return with_words


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def of(out: Path, tag: str, stamp: str = STAMP) -> ProductRecord:
    with Ledger.open(out) as ledger:
        [found] = [made for made in queries.products(ledger, tag=tag) if made.raw == f"toy_{stamp}"]
    return found


def params(out: Path) -> dict[str, Any]:
    with Ledger.open(out) as ledger:
        return dict(queries.job_of(ledger, of(out, "TARGET").job_id).params)


def test_rejected_it_leaves_no_trace(out, call, sent):
    before = contents(out)
    done = call("0", "-5", "--reject")
    assert done.exit_code == 0, done.output
    assert "quality 5 -> 0" in done.output
    assert contents(out) == before
    assert sent == []


def test_accepted_it_stands(out, call, sent, drawn):
    done = call("0", "-5", "--accept")
    assert done.exit_code == 0, done.output
    tag = re.search(r"accepted as (redo\d{6}) by Ada Lovelace", done.output)[1]
    verdict = of(out, "TARGET")
    assert {key: verdict.header[key] for key in ("QUALITY", "SRCPOS", "XPOS", "YPOS", "REDUCER", "EXTRTAG")} == {
        "QUALITY": 0, "SRCPOS": "manual", "XPOS": 0.0, "YPOS": -5.0, "REDUCER": "Ada Lovelace", "EXTRTAG": tag,
    }  # fmt: skip
    names = sorted(path.name for path in (out / "2021-04-21" / "star").glob("*.txt"))
    assert names == [f"spec_auto_{tag}_toy_{STAMP}.txt", "spec_auto_robot_toy_11_20_30.txt"]
    with Ledger.open(out) as ledger:
        [kept] = adjustments(ledger)
    assert (kept.tag, kept.reviewer) == (tag, "Ada Lovelace")
    assert f"{tag}_toy_{STAMP}.png" in done.output
    assert (out / "report" / "pictures" / f"verify_auto_{tag}_toy_{STAMP}.png").is_file()
    assert "verify_auto_robot_toy_11_20_30.png" in (out / "report" / "index.html").read_text(encoding="utf-8")
    assert sent == [(out, "2021-04-21", f"toy_{STAMP}")]


def test_a_later_run_keeps_it(out, call, reduced, tmp_path):
    call("0", "-5", "--accept", "--local")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.fits")}
    again = reduced(tmp_path / "raw", out)
    assert {result.state for result in again.results} == {"reused"}
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.fits")} == before


def test_local_sends_nothing(call, sent):
    assert call("0", "-5", "--accept", "--local").exit_code == 0
    assert sent == []


def test_recovery_makes_1_of_5_without_picture_or_question(out, call, sent):
    before = of(out, "SPECTRUM_UNCAL")
    done = call("--recover")
    assert done.exit_code == 0, done.output
    assert of(out, "TARGET").header["QUALITY"] == 1
    assert of(out, "SPECTRUM_UNCAL").header["QUALITY"] == 1
    assert of(out, "SPECTRUM_UNCAL").sha256 != before.sha256
    assert of(out, "SPECTRUM_UNCAL").data_sha256 == before.data_sha256, "no number of the spectrum changes"
    assert Path(of(out, "NOTE").path).read_text(encoding="utf-8") == "quality 1 by Ada Lovelace\n"
    assert sent == [(out, "2021-04-21", f"toy_{STAMP}")]
    again = call("--recover")
    assert again.exit_code == 2
    assert "quality 1, only 5 can be recovered" in again.output


def test_recovery_keeps_what_was_changed_before(out, call):
    call("--exclude", "3", "--accept", "--local")
    assert of(out, "TARGET").header["QUALITY"] == 5
    call("--recover", "--local")
    assert (params(out)["exclude"], params(out)["recovered"]) == ([3], True)
    assert "takes the extraction as it is" in call("--recover", "--aperture", "2").output


def test_region_spaxels_and_aperture_come_from_the_line_and_from_files(out, call, tmp_path):
    (tmp_path / "mine.txt").write_text(REGION)
    (tmp_path / "hit.txt").write_text("7, 3  # cosmic rays\n12\n")
    done = call(
        "-1.5", "2e-1", "--region", str(tmp_path / "mine.txt"), "--exclude", str(tmp_path / "hit.txt"), "--aperture",
        "2.5", "--user", "Grace", "--accept", "--local",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = params(out)
    assert (found["centroid_x"], found["centroid_y"], found["aperture"]) == (-1.5, 0.2, 2.5)
    assert found["region"] == [[0.0, -1.0], [2.0, -1.0], [2.0, 1.0]]
    assert found["exclude"] == [3, 7, 12]
    assert found["reviewer"] == "Grace"


def test_each_call_sets_all_anew(out, call):
    call("0", "-5", "--exclude", "3", "--accept", "--local")
    call("0", "-4", "--accept", "--local")
    assert (params(out)["centroid_y"], params(out)["exclude"]) == (-4.0, [])


def test_a_failed_extraction_changes_nothing(out, call):
    before = contents(out)
    done = call("--aperture", "13", "--accept")
    assert done.exit_code == 1
    assert "an unlucky aperture" in done.output
    assert contents(out) == before


@pytest.mark.parametrize(("answer", "status", "quality"), [("y\n", 0, 0), ("n\n", 1, 5)])
def test_a_person_is_shown_the_picture_and_asked(out, call, drawn, monkeypatch, answer, status, quality):
    monkeypatch.setattr(redex, "_asks", lambda: True)
    before = contents(out)
    done = call("0", "-5", typed=f"\n{answer}")
    assert done.exit_code == status, done.output
    assert "Your name [Ada Lovelace]" in done.output
    assert re.search(r"verification picture: \S+verify_auto_redo\d{6}_toy_10_47_05.png", done.output)
    assert of(out, "TARGET").header["QUALITY"] == quality
    assert (contents(out) == before) == (status == 1)


@pytest.mark.parametrize(
    ("words", "stamp", "said"),
    [
        (["0", "-5"], STAMP, "nobody is here to be asked"),
        (["0", "-5", "--accept", "--reject"], STAMP, "one of them"),
        (["0", "--accept"], STAMP, "no place"),
        (["0", "there", "--accept"], STAMP, "no place"),
        (["0", "-5", "--accept"], "10_47_06", "there is 10_47_05, 11_20_30"),
        (["0", "-5", "--accept"], "10:47:05", "is no time stamp"),
        (["0", "-5", "--night", "20210422", "--accept"], STAMP, "no target was exposed"),
        (["--exclude", "a,b", "--accept"], STAMP, "no numbers of spaxels"),
        (["--region", "/nowhere", "--accept"], STAMP, "cannot be read"),
        (["--aperture", "-2", "--accept"], STAMP, "aperture=-2.0"),
    ],
)
def test_what_is_wrong_is_said(out, call, words, stamp, said):
    before = contents(out)
    done = call(*words, stamp=stamp)
    assert done.exit_code == 2
    assert said in re.sub(r"\s+", " ", done.output)
    assert contents(out) == before


def test_a_night_chooses_among_exposures_of_one_stamp(out, call, toy, tmp_path, reduced):
    toy.write_frame(tmp_path / "raw", f"other_{STAMP}", "SCIENCE", minutes=9, seed=9, OBJECT="SN9", NIGHT="2021-04-22")
    reduced(tmp_path / "raw", out)
    done = call("0", "-5", "--accept", "--local")
    assert done.exit_code == 2
    assert "--night, one of 2021-04-21, 2021-04-22" in done.output
    done = call("0", "-5", "--night", "20210422", "--accept", "--local")
    assert done.exit_code == 0, done.output
    assert of(out, "TARGET").header["QUALITY"] == 5


def test_a_night_of_another_raw_folder_is_still_to_be_had(out, call, toy, tmp_path, reduced):
    toy.write_frame(
        tmp_path / "next", "toy_09_09_09", "SCIENCE", minutes=1440, seed=9, NIGHT="2021-04-22", OBJECT="SN9"
    )
    reduced(tmp_path / "next", out)
    done = call("0", "-5", "--accept", "--local")
    assert done.exit_code == 0, done.output
    assert of(out, "TARGET").header["QUALITY"] == 0
    assert of(out, "TARGET", "09_09_09").header["QUALITY"] == 5
    assert call("0", "-5", "--accept", "--local", stamp="09_09_09").exit_code == 0
    assert of(out, "TARGET", "09_09_09").header["QUALITY"] == 0
    assert of(out, "TARGET").header["QUALITY"] == 0
    assert {made.name for made in (out / "2021-04-21" / "star").glob("*.txt")} >= {"spec_auto_robot_toy_11_20_30.txt"}


def test_accepted_while_another_run_writes_it_is_heeded_later(out, call, monkeypatch, reduced, tmp_path):
    monkeypatch.setattr(redex, "PATIENCE", 0.2)
    with (out / ".tracecube.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = call("0", "-5", "--accept", "--local")
    assert done.exit_code == 2
    assert "the extraction is accepted, and that run or the next makes it" in done.output
    reduced(tmp_path / "raw", out)
    assert of(out, "TARGET").header["QUALITY"] == 0


class Person(threading.Thread):
    """Uses the page as a browser would."""

    def __init__(self, address: str, answer: str, body: Any) -> None:
        super().__init__()
        self.address, self.answer, self.body = address, answer, body
        self.page, self.spectrum, self.refused = "", {}, 0

    def run(self) -> None:
        with urllib.request.urlopen(self.address) as found:
            self.page = found.read().decode()
        with urllib.request.urlopen(f"{self.address}spectrum/84") as found:
            self.spectrum = json.load(found)
        for path, body in (("spectrum/9999", None), ("../", None), ("done", b"{}"), ("done", b"no JSON")):
            try:
                urllib.request.urlopen(self.address + path, data=body)
            except urllib.error.HTTPError as error:
                self.refused += 1
                error.close()
        body = json.dumps(self.body).encode()
        urllib.request.urlopen(urllib.request.Request(self.address + self.answer, data=body)).close()


def at_the_page(monkeypatch, answer: str, body: Any) -> list[Person]:
    people: list[Person] = []

    def open_page(address: str) -> None:
        people.append(Person(address, answer, body))
        people[0].start()

    monkeypatch.setattr(redex, "_open_page", open_page)
    return people


def test_target_region_and_spaxels_are_marked_on_a_page(out, call, monkeypatch):
    square = [[0.0, -1.0], [2.0, -1.0], [2.0, 1.0], [0.0, 1.0]]
    body = {"centroid": [1.1, 0.1], "region": square, "exclude": [5, 4]}
    people = at_the_page(monkeypatch, "done", body)
    done = call("--accept", "--local")
    assert done.exit_code == 0, done.output
    people[0].join()
    assert people[0].refused == 4
    assert len(people[0].spectrum["flux"]) == 12
    field = json.loads(re.search(r'type="application/json">(.*?)</script>', people[0].page, re.DOTALL)[1])
    assert field["recoverable"]
    assert field["quality"] == 5
    assert len(field["spaxels"]) == 169
    assert {len(one["corners"]) for one in field["spaxels"]} == {6}
    assert "http://" not in people[0].page.replace("http://www.w3.org/2000/svg", "")
    found = params(out)
    assert (found["centroid_x"], found["centroid_y"]) == (1.1, 0.1)
    assert (found["region"], found["exclude"]) == (square, [4, 5])
    assert of(out, "TARGET").header["QUALITY"] == 0


def test_without_a_place_the_quality_stays(out, call, monkeypatch):
    at_the_page(monkeypatch, "done", {"centroid": None, "region": None, "exclude": [5]})
    done = call("--display", "--accept", "--local")
    assert done.exit_code == 0, done.output
    assert "quality 5 -> 5" in done.output
    assert "neither classified nor sent" in done.output


def test_aborted_on_the_page_nothing_changes(out, call, monkeypatch):
    before = contents(out)
    at_the_page(monkeypatch, "abort", {})
    done = call()
    assert done.exit_code == 1
    assert "aborted" in done.output
    assert contents(out) == before


def test_a_recovery_can_be_tried_too(out, call, sent):
    before = contents(out)
    done = call("--recover", "--reject")
    assert done.exit_code == 0, done.output
    assert contents(out) == before
    assert sent == []


@pytest.mark.parametrize("stopped", [False, True])
def test_the_channel_is_told_after_the_upload_and_whatever_became_of_it(call, sent, monkeypatch, stopped):
    def send(*given: Any) -> None:
        sent.append(given)
        if stopped:
            raise BadData("others can read the secrets in it", hint="chmod 600")

    monkeypatch.setattr("tracecube.cli.outgoing.send_extraction", send)
    monkeypatch.setattr("tracecube.cli.outgoing.say_extraction", lambda *given: sent.append(given))
    done = call("0", "-5", "--accept")
    assert done.exit_code == int(stopped), done.output
    assert [len(given) for given in sent] == [3, 4]
    assert sent[1][3].startswith("accepted as redo")
    assert ("accepted, but not sent: " in done.output) == stopped


def test_who_interrupts_the_upload_has_nothing_said(call, sent, monkeypatch):
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tracecube.cli.outgoing.send_extraction", stop)
    monkeypatch.setattr("tracecube.cli.outgoing.say_extraction", lambda *given: sent.append(given))
    assert call("0", "-5", "--accept").exit_code != 0
    assert sent == []
