from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tracecube.cli.main import app
from tracecube.kernels.log_spectrum import STEP, grid
from tracecube.recipes.classify.library import templates

WAVE = 3700.0 + 25.57 * np.arange(220)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    held = templates()
    rows = np.flatnonzero(held.name == "sn2005cf")
    row = int(rows[np.nanargmin(np.abs(held.age[rows]))])
    bins = np.log(WAVE / 1.05 / grid()[0]) / STEP
    features = np.interp(bins, np.arange(grid().size), np.nan_to_num(held.flux[row].astype(float)))
    flux = 1.0 + features + 0.04 * np.random.default_rng(0).normal(size=WAVE.size)
    path = tmp_path / "ZTF18abc.txt"
    path.write_text("".join(f"{w:.1f} {f:.4e} {4e-18:.3e}\n" for w, f in zip(WAVE, 1e-16 * flux, strict=True)))
    return path


def test_json_says_all(file: Path) -> None:
    done = CliRunner().invoke(app, ["classify", str(file), "--redshift", "0.05", "--json"])
    assert done.exit_code == 0, done.output
    [item] = json.loads(done.stdout)
    assert item["type"] == "Ia"
    assert item["z"] == pytest.approx(0.05, abs=0.003)
    assert sum(item["classes"].values()) == pytest.approx(1.0)
    assert sum(item["subtypes"].values()) == pytest.approx(1.0)
    assert item["matches"][0]["rlap"] > 4.0
    assert "third column" in item["caveats"][0]


def test_a_person_reads_a_line_and_the_templates(file: Path, tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    done = CliRunner().invoke(app, ["classify", str(file), "--plot", str(picture)])
    assert done.exit_code == 0, done.output
    assert "ZTF18abc.txt: Ia (" in done.output
    assert "sn2005cf" in done.output
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_what_is_no_spectrum_ends_with_a_sentence(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["classify", str(tmp_path / "none.txt")])
    assert done.exit_code == 2
    assert "no such file" in done.output


def test_targets_are_listed_with_what_they_were_classified_as() -> None:
    from types import SimpleNamespace

    from tracecube.cli.results import _target_item

    verdict = SimpleNamespace(
        header={"TARGET": "ZTF1", "QUALITY": 0, "REASON": "good", "CLSTYPE": None}, raw="ifu1", object=None
    )
    typed = {"QUALITY": 5, "CLSTYPE": "Ia", "CLSZ": 0.05, "CLSZERR": 0.002, "CLSPROB": 0.99}
    item = _target_item(verdict, "x.fits", typed)
    assert (item["type"], item["z"], item["z_err"], item["probability"]) == ("Ia", 0.05, 0.002, 0.99)
    assert item["quality"] == 0
    assert _target_item(verdict, None, {})["type"] is None
