"""The twilight by wavelength, with ESO's MUSE pipeline (Debian: esorex, cpl-plugin-muse), both ways.

A simulated telescope lights the west of the field more in the red than in the blue, which the lamp does not show.
muse_twilight works with channel 1 alone.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tracecube.archive import queries
from tracecube.archive.ledger import Ledger
from tracecube.core.slice_colour import FieldColours
from tracecube.core.slice_light import SliceIllumination
from tracecube.instruments.muse import instrument
from tracecube.io.headers import read_header
from tracecube.io.products import read_product
from tracecube.io.raw import write_raw
from tracecube.workflow.discover import discover
from tracecube.workflow.executor import LocalPool
from tracecube.workflow.export import export
from tracecube.workflow.reduce import reduce_folder

ESOREX = shutil.which("esorex")
pytestmark = [pytest.mark.peers, pytest.mark.skipif(ESOREX is None, reason="esorex is not installed")]

TINT = 0.04
DAY = ("MASTER_BIAS", "MASTER_FLAT", "TRACE_TABLE", "WAVECAL_TABLE")


@dataclass(frozen=True)
class Night:
    raw: dict[str, list[Path]]
    out: Path
    ours: dict[str, Path]
    theirs: Path


def run(recipe: str, folder: Path, frames: dict[str, list[Path]], *options: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "frames.sof").write_text("".join(f"{path} {tag}\n" for tag, paths in frames.items() for path in paths))
    command = [str(ESOREX), "--no-checksum", recipe, *options, "frames.sof"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def reduced(raw: Path, out: Path, target: str) -> None:
    pool = LocalPool(1)
    summary = reduce_folder(raw, out, pool, targets=(target,))
    pool.close()
    assert not summary.of("failed")


@pytest.fixture(scope="module")
def night(tmp_path_factory) -> Night:
    """Calibrations of ours in ESO's layout, with the twilight, and the twilight that ESO's recipe makes of them."""
    folder = tmp_path_factory.mktemp("night")
    raw, out, theirs = folder / "raw", folder / "out", folder / "theirs"
    raw.mkdir()
    assert instrument.simulate is not None
    for one in instrument.simulate(seed=12, ifus="1", exposures=1, size="night", tint=TINT):
        if one.tag not in {"DARK", "STD", "SKY"} and not one.name.startswith("truth"):
            write_raw(raw, one)
    reduced(raw, out, "twilight_image")
    by_tag: dict[str, list[Path]] = {}
    for path in sorted(raw.glob("*.fits*")):
        by_tag.setdefault(instrument.classify(path.name, read_header(path)).tag, []).append(path)
    with Ledger.open(out) as ledger:
        made = {one.category: one.path for one in export(ledger, theirs, "eso", discover()) if one.path is not None}
    given = {tag: [made[tag]] for tag in DAY} | {tag: by_tag[tag] for tag in ("SKYFLAT", "ILLUM", "GEOMETRY_TABLE")}
    run("muse_twilight", folder / "eso", given)
    return Night(by_tag, out, made, folder / "eso")


def cube(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a cube, places to the west (arcsec) of its columns, and wavelengths."""
    with fits.open(path) as hdus:
        data, head = np.array(hdus["DATA"].data, float), hdus["DATA"].header
    axes = [
        head[f"CRVAL{k}"] + (np.arange(head[f"NAXIS{k}"]) + 1 - head[f"CRPIX{k}"]) * head[f"CD{k}_{k}"] for k in (1, 3)
    ]
    return data, 0.2 * axes[0], axes[1]


def change(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how a cube's light along the field changes with wavelength (w, x), places and wavelengths."""
    data, x, wave = cube(path)
    rows = np.nanmedian(data[:, 2:-2], axis=1)
    return rows / np.nanmean(rows, axis=0), x, wave


def test_both_find_the_change_that_was_put_in(night) -> None:
    for path, limit in ((night.ours["TWILIGHT_CUBE"], 5e-4), (night.theirs / "TWILIGHT_CUBE.fits", 1.5e-3)):
        found, x, wave = change(path)
        expected = 1.0 + TINT * x / 30.0 * (wave[:, None] - 7000.0) / 2300.0
        expected /= expected.mean(axis=0)
        off = (found / expected)[:, 5:-5]
        assert np.std(off / off.mean(axis=1, keepdims=True)) < limit
    with Ledger.open(night.out) as ledger:
        [one] = queries.products(ledger, tag="FIELD_COLOURS")
    colours = read_product(Path(one.path), FieldColours)
    assert colours.used[0] == 1
    scale = TINT * (colours.red - colours.blue) / 2.0 / 2300.0
    assert colours.coefficient[0][1] == pytest.approx(scale, abs=max(5.0 * float(colours.error[0][1]), 2e-4))


def test_the_cubes_of_measured_light_agree(night) -> None:
    ours, theirs = (cube(path) for path in (night.ours["DATACUBE_SKYFLAT"], night.theirs / "DATACUBE_SKYFLAT.fits"))
    columns = [np.nanmedian(one[0], axis=1)[:, 5:-5] for one in (ours, theirs)]
    ratio = np.nanmedian(columns[0] / columns[1][:, : columns[0].shape[1]], axis=1)[1:-1]  # theirs ends within a range
    assert np.std(ratio) < 3e-3
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.05)  # their mean of exposures of unlike brightness is another


@pytest.fixture(scope="module")
def tables(night, tmp_path_factory) -> dict[str, dict[str, np.ndarray]]:
    """Pixel tables of the exposure by muse_scibasic: with our twilight, with theirs, and with none."""
    found = {}
    twilights = {"ours": night.ours["TWILIGHT_CUBE"], "theirs": night.theirs / "TWILIGHT_CUBE.fits", "none": None}
    for name, path in twilights.items():
        folder = tmp_path_factory.mktemp(name)
        given = {tag: night.raw[tag] for tag in ("OBJECT", "ILLUM", "GEOMETRY_TABLE")}
        given |= {tag: [night.ours[tag]] for tag in DAY} | ({} if path is None else {"TWILIGHT_CUBE": [path]})
        said = run("muse_scibasic", folder, given, "--nifu=1", "--saveimage=false")
        assert ("twilight correction" in said) == (path is not None)
        with fits.open(folder / "PIXTABLE_OBJECT_0001-01.fits") as hdus:
            found[name] = {hdu.name.lower(): np.array(hdu.data[:, 0]) for hdu in hdus[1:8]}
    return found


def test_their_recipe_divides_by_our_twilight(tables) -> None:
    none, ours, theirs = tables["none"], tables["ours"], tables["theirs"]
    bright = none["data"] > 20.0
    expected = TINT * none["xpos"] * 0.2 / 30.0 * (none["lambda"] - 7000.0) / 2300.0
    for name, one in (("ours", ours), ("theirs", theirs)):
        light = none["data"][bright] / one["data"][bright]
        x, wave = none["xpos"][bright], none["lambda"][bright]
        slopes = []
        for low, high in ((5200.0, 5700.0), (8300.0, 8900.0)):
            own = (wave > low) & (wave < high) & (np.abs(x) < 140.0)
            slopes.append(np.polyfit(x[own] * 0.2 / 30.0, light[own] - expected[bright][own], 1)[0])
        assert slopes[0] == pytest.approx(slopes[1], abs=0.008), name  # of 0.055 that are taken off
        assert slopes[1] == pytest.approx(0.025, abs=0.005), name  # of telescope and lamp, at all wavelengths
    ratio = ours["data"][bright] / theirs["data"][bright]
    assert np.median(ratio) == pytest.approx(1.0, abs=3e-3)
    assert np.std(ratio) < 0.015  # theirs is smooth where the light fades at the ends of slices


def test_their_twilight_takes_the_place_of_ours(night, tmp_path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    shutil.copy(night.theirs / "TWILIGHT_CUBE.fits", raw)
    for tag, paths in night.raw.items():
        for path in paths if tag not in {"BIAS", "FLAT", "ARC", "SKYFLAT"} else ():
            shutil.copy(path, raw)
    for tag in DAY:
        shutil.copy(night.ours[tag], raw)
    reduced(raw, tmp_path / "out", "preprocess_science")
    with Ledger.open(tmp_path / "out") as ledger:
        found = {one.tag: Path(one.path) for one in queries.products(ledger)}
    with Ledger.open(night.out) as ledger:
        [one] = queries.products(ledger, tag="TWILIGHT")
    assert {"GIVEN_TWILIGHT", "GIVEN_FIELD_COLOURS", "CALIBRATED_OBJECT"} <= set(found)
    theirs, ours = (read_product(path, SliceIllumination) for path in (found["GIVEN_TWILIGHT"], Path(one.path)))
    inner = np.abs(np.asarray(ours.across[0])) < 30.0
    shape = [light.ratio[:, inner] / np.median(light.level) for light in (theirs, ours)]
    assert np.std(shape[0] / shape[1]) < 0.02  # theirs is a polynomial over the field
    colours = read_product(found["GIVEN_FIELD_COLOURS"], FieldColours)
    x = np.array([-25.0, 25.0])
    blue, red = (colours.at(x, np.full(2, 27.6), np.full(2, wave)) for wave in (5000.0, 9000.0))
    assert np.mean(red + blue) == pytest.approx(2.0, abs=0.01)
    assert np.ptp(red - blue) == pytest.approx(2.0 * TINT * 25.0 / 30.0 * 4000.0 / 2300.0, rel=0.06)
