"""Interchange with ESO's MUSE pipeline, where it is installed (Debian: esorex, cpl-plugin-muse), both ways.

A simulated night of one channel is reduced here once; ESO's recipes take what is exported, and our steps what ESO's
recipes make. A few minutes of one core: run it by name.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tracecube.archive import queries
from tracecube.archive.ledger import Ledger
from tracecube.core.frame import Frame
from tracecube.instruments.muse import instrument
from tracecube.instruments.muse.given_reduced import given_reduced
from tracecube.instruments.muse.given_steps import GivenParams, given_bias
from tracecube.instruments.muse.object_steps import ObjectParams
from tracecube.instruments.muse.pointing import barycentric_velocity, pointing_of
from tracecube.io.headers import read_header
from tracecube.io.products import read_product
from tracecube.io.raw import read_raw, write_raw
from tracecube.workflow.discover import discover
from tracecube.workflow.executor import LocalPool
from tracecube.workflow.export import export
from tracecube.workflow.reduce import reduce_folder

ESOREX = shutil.which("esorex")
pytestmark = [pytest.mark.peers, pytest.mark.skipif(ESOREX is None, reason="esorex is not installed")]

CHANNEL = 2
BAND = (6990.0, 7010.0)  # Angstrom: a few pixels are enough for geometry and flux


@dataclass(frozen=True)
class Night:
    """Raw files by tag, our products by tag, and theirs by category."""

    raw: dict[str, list[Path]]
    out: Path
    theirs: dict[str, list[Path]]

    def product(self, tag: str) -> Path:
        with Ledger.open(self.out) as ledger:
            return Path(next(iter(queries.products(ledger, tag=tag))).path)


@pytest.fixture(scope="module")
def night(tmp_path_factory) -> Night:
    """Simulate a night of one channel, reduce it and write it out in ESO's layout."""
    folder = tmp_path_factory.mktemp("night")
    raw, out, theirs = folder / "raw", folder / "out", folder / "theirs"
    raw.mkdir()
    assert instrument.simulate is not None
    for one in instrument.simulate(seed=11, ifus=str(CHANNEL), exposures=1):
        write_raw(raw, one)
    pool = LocalPool(1)
    summary = reduce_folder(raw, out, pool, targets=("science",))
    pool.close()
    assert not summary.of("failed")
    by_tag: dict[str, list[Path]] = {}
    for path in sorted(raw.glob("*.fits*")):
        by_tag.setdefault(instrument.classify(path.name, read_header(path)).tag, []).append(path)
    with Ledger.open(out) as ledger:
        made = list(export(ledger, theirs, "eso", discover()))
    assert not [one.reason for one in made if one.path is None]
    categories: dict[str, list[Path]] = {}
    for one in made:
        assert one.path is not None
        categories.setdefault(one.category, []).append(one.path)
    return Night(by_tag, out, categories)


def run(recipe: str, folder: Path, frames: dict[str, list[Path]], *options: str) -> str:
    """Run a recipe of ESO's in a folder; return what it says."""
    folder.mkdir(exist_ok=True)
    lines = [f"{path} {tag}" for tag, paths in frames.items() for path in paths]
    (folder / "frames.sof").write_text("\n".join(lines) + "\n")
    command = [str(ESOREX), "--no-checksum", recipe, *options, "frames.sof"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def columns(path: Path) -> dict[str, np.ndarray]:
    with fits.open(path) as hdus:
        return {hdu.name.lower(): np.array(hdu.data[:, 0]) for hdu in hdus[1:8]}


@pytest.fixture(scope="module")
def basic(night, tmp_path_factory) -> Path:
    """The pixel table that muse_scibasic makes with our calibrations."""
    folder = tmp_path_factory.mktemp("scibasic")
    ours = {tag: night.theirs[tag] for tag in ("MASTER_BIAS", "MASTER_FLAT", "TRACE_TABLE", "WAVECAL_TABLE")}
    frames = {
        "OBJECT": night.raw["OBJECT"],
        "ILLUM": night.raw["ILLUM"],
        **ours,
        "GEOMETRY_TABLE": night.raw["GEOMETRY_TABLE"],
    }
    run("muse_scibasic", folder, frames, f"--nifu={CHANNEL}", "--saveimage=false")
    return folder / f"PIXTABLE_OBJECT_0001-{CHANNEL:02d}.fits"


def test_our_calibrations_are_taken_and_both_pixel_tables_agree(night, basic) -> None:
    theirs, ours = columns(basic), columns(night.theirs["PIXTABLE_OBJECT"][0])
    assert abs(len(theirs["data"]) / len(ours["data"]) - 1.0) < 1e-3
    offsets = [fits.getheader(path) for path in (basic, night.theirs["PIXTABLE_OBJECT"][0])]
    keys = []
    for head, table in zip(offsets, (theirs, ours), strict=True):
        name = f"ESO DRS MUSE PIXTABLE EXP0 IFU{CHANNEL:02d} SLICE"
        first = np.array([0, *(head[f"{name}{k:02d} XOFFSET"] for k in range(1, 49))])
        origin = table["origin"].astype(np.int64)
        keys.append((origin >> 11 & 8191) * 8192 + first[origin & 63] + (origin >> 24 & 127))
    _, i, j = np.intersect1d(*keys, return_indices=True)
    assert i.size > 0.995 * len(ours["data"])  # the slices lie a little aside at night
    assert theirs["xpos"][i] - ours["xpos"][j] == pytest.approx(0.0, abs=0.3)  # ours are where the slices are at night
    assert np.median(theirs["ypos"][i] - ours["ypos"][j]) == pytest.approx(0.0, abs=1e-4)
    assert np.median(theirs["lambda"][i] - ours["lambda"][j]) == pytest.approx(0.0, abs=0.05)
    bright = (theirs["data"][i] > 30.0) & (theirs["dq"][i] == 0) & (ours["dq"][j] == 0)
    # twilight apart, which scibasic was not given: a smooth factor
    assert np.median(ours["data"][j][bright] / theirs["data"][i][bright]) == pytest.approx(1.0, abs=0.05)


@pytest.fixture(scope="module")
def piece(night, tmp_path_factory):
    """A few wavelengths of our pixel table, with cards changed."""
    folder = tmp_path_factory.mktemp("pieces")

    def call(name: str, **cards: float | str) -> Path:
        with fits.open(night.theirs["PIXTABLE_OBJECT"][0]) as hdus:
            wave = hdus["lambda"].data[:, 0]
            kept = np.flatnonzero((wave >= BAND[0]) & (wave < BAND[1]))
            head = hdus[0].header
            for key, value in cards.items():
                head[f"HIERARCH ESO INS DROT {key}"] = value
            for end, value in zip(("LOW", "HIGH"), (wave[kept].min(), wave[kept].max()), strict=True):
                head[f"HIERARCH ESO DRS MUSE PIXTABLE LIMITS LAMBDA {end}"] = float(value)
            units = [fits.PrimaryHDU(header=head), *(fits.ImageHDU(h.data[kept], h.header) for h in hdus[1:8]), hdus[8]]
            fits.HDUList(units).writeto(folder / f"{name}.fits", overwrite=True)
        return folder / f"{name}.fits"

    return call


def scipost(night: Night, folder: Path, table: Path, *options: str) -> str:
    frames = {"PIXTABLE_OBJECT": [table], "STD_RESPONSE": night.theirs["STD_RESPONSE"]}
    frames["EXTINCT_TABLE"] = night.raw["EXTINCT_TABLE"]
    return run("muse_scipost", folder, frames, "--skymethod=none", "--save=cube,individual,positioned", *options)


def test_our_pixels_and_response_give_the_flux_that_our_cube_has(night, piece, tmp_path) -> None:
    said = scipost(night, tmp_path / "flux", piece("flux"), "--rvcorr=none")
    assert "revert correction by flat-field spectrum" not in said
    before, after = columns(piece("flux")), columns(tmp_path / "flux" / "PIXTABLE_REDUCED_0001.fits")
    _, i, j = np.intersect1d(before["origin"], after["origin"], return_indices=True)
    found = float(np.median(after["data"][j] / before["data"][i]))
    head = fits.getheader(night.product("CALIBRATED_OBJECT"))
    pointing = pointing_of(dict(head), "object")
    with fits.open(night.product("RESPONSE")) as hdus:
        ratio = np.interp(7000.0, hdus["RESPONSE"].data["lambda"], hdus["RESPONSE"].data["ratio"])
    with fits.open(night.raw["EXTINCT_TABLE"][0]) as hdus:
        loss = np.interp(7000.0, hdus[1].data["lambda"], hdus[1].data["extinction"])
    mean = fits.getheader(night.theirs["MASTER_FLAT"][0])["ESO QC FLAT MASTER MEAN"] * head["SKYLIGHT"]
    air = 10.0 ** (-0.4 * loss * pointing.mean_airmass)
    assert found == pytest.approx(1e20 / (pointing.exptime * ratio * air * mean), rel=0.01)


@pytest.mark.parametrize(("angle", "mode"), [(0.0, "SKY"), (40.0, "SKY"), (40.0, "STAT")])
def test_the_field_is_turned_as_in_our_cubes(night, piece, tmp_path, angle, mode) -> None:
    table = piece("turned", POSANG=angle, MODE=mode)
    scipost(night, tmp_path / "turned", table, "--rvcorr=none")
    before, after = columns(table), columns(tmp_path / "turned" / "PIXTABLE_POSITIONED_0001.fits")
    _, i, j = np.intersect1d(before["origin"], after["origin"], return_indices=True)
    design = np.stack([before["xpos"][i], before["ypos"][i], np.ones(i.size)], axis=1) * 0.2
    east, north = (
        np.linalg.lstsq(design, after[name][j].astype(float) * 3600.0 * scale, rcond=None)[0][:2]
        for name, scale in (("xpos", np.cos(np.radians(fits.getheader(table)["DEC"]))), ("ypos", 1.0))
    )
    turn = np.radians(pointing_of(dict(fits.getheader(table)), "x").angle)
    assert east == pytest.approx([-np.cos(turn), np.sin(turn)], abs=2e-3)
    assert north == pytest.approx([np.sin(turn), np.cos(turn)], abs=2e-3)


def test_the_earths_motion_is_theirs_to_a_fifth_of_a_kilometre(night, piece, tmp_path) -> None:
    said = scipost(night, tmp_path / "motion", piece("motion"), "--rvcorr=bary")
    theirs = float(said.split("barycentric radial velocity of")[1].split("km/s")[0])
    ours = barycentric_velocity(pointing_of(dict(fits.getheader(night.product("CALIBRATED_OBJECT"))), "x"))
    assert theirs == pytest.approx(ours, abs=0.25)  # ours is astropy's, good to metres


def test_their_master_bias_becomes_ours(night, tmp_path) -> None:
    run("muse_bias", tmp_path, {"BIAS": night.raw["BIAS"]}, f"--nifu={CHANNEL}")
    path = tmp_path / f"MASTER_BIAS-{CHANNEL:02d}.fits"
    assert instrument.classify(path.name, read_header(path)).tag == "ESO_MASTER_BIAS"

    theirs = given_bias(raw=read_raw(path, "ESO_MASTER_BIAS"), params=GivenParams()).frame
    ours = read_product(night.product("MASTER_BIAS"), Frame)
    difference = (theirs.data - ours.data)[::7]
    assert np.median(difference) == pytest.approx(0.0, abs=0.1)
    for output in (1, 2, 3, 4):
        key = f"RDNOISE{output}"
        assert theirs.meta[key] == pytest.approx(ours.meta[key], rel=0.15)  # theirs is of a hundred small boxes


@pytest.fixture(scope="module")
def with_theirs(night, tmp_path_factory) -> Path:
    """The night's science reduced by us with calibrations of ESO's, in place of raw frames of the day."""
    folder, raw = tmp_path_factory.mktemp("eso"), tmp_path_factory.mktemp("raw")
    base = {tag: folder / f"{tag}-{CHANNEL:02d}.fits" for tag in ("MASTER_BIAS", "MASTER_FLAT", "TRACE_TABLE")}
    nifu = f"--nifu={CHANNEL}"
    # of three biases 3-sigma clipping takes off no hit, and a hit makes its whole column a bad one for muse_flat
    run("muse_bias", folder, {"BIAS": night.raw["BIAS"]}, nifu, "--combine=median")
    run("muse_flat", folder, {"FLAT": night.raw["FLAT"], "MASTER_BIAS": [base["MASTER_BIAS"]]}, nifu)
    frames = {tag: [base[tag]] for tag in ("MASTER_BIAS", "TRACE_TABLE")}
    run("muse_wavecal", folder, {tag: night.raw[tag] for tag in ("ARC", "LINE_CATALOG")} | frames, nifu)
    for path in (*base.values(), folder / f"WAVECAL_TABLE-{CHANNEL:02d}.fits"):
        shutil.copy(path, raw)
    for tag, paths in night.raw.items():
        for path in paths if tag not in {"BIAS", "DARK", "FLAT", "ARC"} else ():
            shutil.copy(path, raw)
    pool = LocalPool(1)
    summary = reduce_folder(raw, folder / "out", pool, targets=("science",))
    pool.close()
    assert not summary.of("failed")
    return folder / "out"


@pytest.mark.skipif("TRACECUBE_LONG" not in os.environ, reason="four minutes: set TRACECUBE_LONG to run it")
def test_their_calibrations_lead_to_our_cube(night, with_theirs) -> None:
    """Bias, flat, traces and wavelengths of ESO's: a cube of the same light, within what their wavelengths differ."""
    with Ledger.open(with_theirs) as ledger:
        found = {one.tag: Path(one.path) for one in queries.products(ledger)}
    assert {"GIVEN_MASTER_BIAS", "GIVEN_MASTER_FLAT", "GIVEN_TRACES", "GIVEN_WAVELENGTHS"} <= set(found)
    theirs, ours = (fits.getdata(path, "DATA")[500:3000] for path in (found["CUBE"], night.product("CUBE")))
    white = [np.nanmedian(cube, axis=0) for cube in (theirs, ours)]
    bright = white[1] > np.nanquantile(white[1], 0.9)
    ratio = white[0][bright] / white[1][bright]
    assert np.nanmedian(ratio) == pytest.approx(1.0, abs=0.01)
    assert np.nanquantile(np.abs(ratio - 1.0), 0.7) < 0.03


@pytest.mark.filterwarnings("ignore:.*multiple slashes")  # of the unit in which ESO's pipeline writes cubes, too
def test_cubes_open_in_mpdaf(night) -> None:
    mpdaf = pytest.importorskip("mpdaf.obj")
    ours, exported = (mpdaf.Cube(str(path)) for path in (night.product("CUBE"), night.theirs["DATACUBE_FINAL"][0]))
    head = fits.getheader(night.product("CUBE"), "DATA")
    for cube in (ours, exported):
        assert cube.unit.to_string() == "1e-20 erg / (Angstrom s cm2)"
        assert cube.wave.coord(0) == pytest.approx(head["CRVAL3"])
        assert cube.wcs.pix2sky([0, 0])[0] == pytest.approx(
            [head["CRVAL2"] + (1.0 - head["CRPIX2"]) * head["CD2_2"], head["CRVAL1"]], abs=0.02
        )
        assert cube.var is not None
    assert np.nanmax(np.abs(ours.data - exported.data)) == 0.0


@pytest.mark.filterwarnings("ignore:Mean of empty slice")  # spaxels beyond the strip
def test_their_reduced_pixels_become_our_cube(night, piece, tmp_path) -> None:
    """Pixels that muse_scipost calibrated: the light of our cube is that of its own, wavelength by wavelength."""
    scipost(night, tmp_path / "reduced", piece("reduced"), "--rvcorr=bary", "--filter=white")
    path = tmp_path / "reduced" / "PIXTABLE_REDUCED_0001.fits"
    assert instrument.classify(path.name, read_header(path)).tag == "ESO_PIXTABLE_REDUCED"
    params = ObjectParams(lowest=6900.0, highest=7100.0)
    made = given_reduced(raw=read_raw(path, "ESO_PIXTABLE_REDUCED"), params=params)
    with fits.open(tmp_path / "reduced" / "DATACUBE_FINAL.fits") as hdus:
        theirs, head = np.array(hdus["DATA"].data), hdus["DATA"].header
    first = round((head["CRVAL3"] - 6900.0) / 1.25)
    ours = made.cube.data[first : first + theirs.shape[0]]
    assert head["CRVAL1"] == pytest.approx(made.cube.meta["CRVAL1"], abs=0.1 / 3600.0)
    inner = slice(2, -2)
    white = [np.nanmean(cube[inner], axis=0) for cube in (ours, theirs)]
    peaks = [np.unravel_index(np.nanargmax(one), one.shape) for one in white]
    places = [
        (k + 1 - card["CRPIX1"], j + 1 - card["CRPIX2"])
        for (j, k), card in zip(peaks, (made.cube.meta, head), strict=True)
    ]
    assert places[0] == pytest.approx(places[1], abs=1.01)  # spaxels of the two grids lie aside
    light = []
    for image, (_, k) in zip(white, peaks, strict=True):  # the star in the height of the strip, less what is beside it
        columns = np.nanmean(image, axis=0)
        beside = np.r_[columns[k - 22 : k - 12], columns[k + 13 : k + 23]]
        light.append(float(np.sum(columns[k - 9 : k + 10] - np.median(beside))) * np.isfinite(image[:, k]).sum())
    assert light[0] == pytest.approx(light[1], rel=0.03)
