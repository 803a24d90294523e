"""When a calibration of tonight fails, the next on the ladder takes its place, and says so."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

LAST = {"NIGHT": "2021-04-20"}


@pytest.fixture
def two_nights(tmp_path: Path, toy) -> Path:
    """Last night's calibrations are good; tonight's biases are saturated, and so no lamp can be reduced."""
    folder = toy.write_night(tmp_path / "raw" / "tonight")
    (folder / "stars.csv").rename(tmp_path / "raw" / "stars.csv")
    for i in range(2):
        toy.write_frame(folder.parent / "last", f"b{i}", "BIAS", minutes=-1440 + i, seed=90 + i, EXPTIME=0.0, **LAST)
        toy.write_frame(folder.parent / "last", f"l{i}", "LAMP", minutes=-1430 + i, seed=95 + i, **LAST)
    spoil(folder.glob("b*.fits"))
    return folder.parent


def spoil(frames: Iterable[Path]) -> None:
    """Saturate raw frames."""
    for path in frames:
        with fits.open(path, mode="update") as hdus:
            hdus[0].data = np.full(hdus[0].data.shape, 65000, np.uint16)


def states(summary) -> dict[str, str]:
    return {f"{r.task} {r.name}": r.state for r in summary.results}


def test_the_night_goes_on_with_what_comes_next(two_nights, tmp_path, reduced):
    summary = reduced(two_nights, tmp_path / "out")
    found = states(summary)
    assert [name for name, state in found.items() if state == "failed"] == ["bias 20210421_0.1"]
    assert not [name for name, state in found.items() if state in {"blocked", "incomplete"}]
    assert {state for name, state in found.items() if name.startswith("flux")} == {"done"}
    lamp = next(r for r in summary.results if r.task == "lamp" and r.name.startswith("20210421"))
    assert lamp.state == "done"  # tonight's lamps over last night's bias
    told = "master_bias: bias 20210421_0.1 failed; 20210420_0.1 (night 2021-04-20) in its place, level 1"
    assert told in lamp.caveats


def test_where_the_next_fails_too_the_one_after_it_is_taken(two_nights, tmp_path, reduced, toy):
    early = {"NIGHT": "2021-04-18"}
    for i in range(2):
        toy.write_frame(two_nights / "early", f"b{i}", "BIAS", minutes=-4320 + i, seed=70 + i, EXPTIME=0.0, **early)
        toy.write_frame(two_nights / "early", f"l{i}", "LAMP", minutes=-4310 + i, seed=75 + i, **early)
    spoil((two_nights / "last").glob("b*.fits"))
    summary = reduced(two_nights, tmp_path / "out")
    found = states(summary)
    assert sorted(name for name, state in found.items() if state == "failed") == [
        "bias 20210420_0.1",
        "bias 20210421_0.1",
    ]
    assert not [name for name, state in found.items() if state in {"blocked", "incomplete"}]
    lamp = next(r for r in summary.results if r.task == "lamp" and r.name.startswith("20210421"))
    assert any("20210418_0.1 (night 2021-04-18) in its place" in caveat for caveat in lamp.caveats)


def test_it_is_the_same_again_and_heals_when_the_frames_do(two_nights, tmp_path, reduced, toy):
    out = tmp_path / "out"
    reduced(two_nights, out)
    first = toy.hashes(out)
    again = states(reduced(two_nights, out))
    assert toy.hashes(out) == first
    assert again["bias 20210421_0.1"] == "failed"
    assert {state for name, state in again.items() if name.startswith("star")} == {"reused"}
    shutil.copytree(toy.write_night(tmp_path / "good"), two_nights / "tonight", dirs_exist_ok=True)
    (two_nights / "tonight" / "stars.csv").unlink()
    healed = reduced(two_nights, out)
    assert set(states(healed).values()) <= {"done", "reused"}
    assert not any("in its place" in caveat for r in healed.results for caveat in r.caveats)


def test_without_a_next_best_it_is_blocked_as_before(two_nights, tmp_path, reduced):
    shutil.rmtree(two_nights / "last")
    found = states(reduced(two_nights, tmp_path / "out"))
    assert found["lamp 20210421_0.1"] == "blocked"
