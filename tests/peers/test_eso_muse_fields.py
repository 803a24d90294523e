"""What follows scibasic, both ways: ESO's recipes take our pixels, masks and factors, we its pixels, cubes and images.

A simulated night of one channel with two exposures is reduced here once. Some ten minutes of one core: run it by name.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from tracecube.archive import queries
from tracecube.archive.ledger import Ledger
from tracecube.core.alignment import Offsets, SourceList
from tracecube.instruments.muse import instrument
from tracecube.io.foreign import write_foreign
from tracecube.io.products import read_product
from tracecube.io.raw import write_raw
from tracecube.workflow.discover import discover
from tracecube.workflow.executor import LocalPool
from tracecube.workflow.export import export
from tracecube.workflow.reduce import reduce_folder

ESOREX = shutil.which("esorex")
pytestmark = [pytest.mark.peers, pytest.mark.skipif(ESOREX is None, reason="esorex is not installed")]

CHANNEL = 2
BAND = (6500.0, 6700.0)  # Angstrom, of the recipes' cubes
LIMITS = (f"--lambdamin={BAND[0]:g}", f"--lambdamax={BAND[1]:g}")


def reduced(raw: Path, out: Path, *targets: str) -> dict[str, list[Path]]:
    """Reduce a folder; return products by tag."""
    pool = LocalPool(1)
    summary = reduce_folder(raw, out, pool, targets=targets or ("science",))
    pool.close()
    assert not summary.of("failed")
    return products(out)


def products(out: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    with Ledger.open(out) as ledger:
        for one in queries.products(ledger):
            found.setdefault(one.tag, []).append(Path(one.path))
    return {tag: sorted(paths) for tag, paths in found.items()}


@dataclass(frozen=True)
class Night:
    """Raw folder, folder of our products, these by tag, and those in ESO's layout by category."""

    raw: Path
    out: Path
    ours: dict[str, list[Path]]
    theirs: dict[str, list[Path]]

    def one(self, category: str, name: str) -> Path:
        return next(path for path in self.theirs[category] if name in path.name)


@pytest.fixture(scope="module")
def night(tmp_path_factory) -> Night:
    folder = tmp_path_factory.mktemp("night")
    raw, out = folder / "raw", folder / "out"
    raw.mkdir()
    assert instrument.simulate is not None
    for one in instrument.simulate(seed=11, ifus=str(CHANNEL), exposures=2):
        write_raw(raw, one)
    ours = reduced(raw, out)
    with Ledger.open(out) as ledger:
        made = list(export(ledger, folder / "theirs", "eso", discover()))
    assert not [one.reason for one in made if one.path is None]
    theirs: dict[str, list[Path]] = {}
    for one in made:
        assert one.path is not None
        theirs.setdefault(one.category, []).append(one.path)
    return Night(raw, out, ours, theirs)


def run(recipe: str, folder: Path, frames: dict[str, list[Path]], *options: str) -> str:
    """Run a recipe of ESO's in a folder; return what it says."""
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "frames.sof").write_text("".join(f"{path} {tag}\n" for tag, paths in frames.items() for path in paths))
    command = [str(ESOREX), "--no-checksum", recipe, *options, "frames.sof"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


@dataclass(frozen=True)
class Star:
    """Place (degree) and light in the band, unit of the cube."""

    ra: float
    dec: float
    light: float


def white(path: Path) -> tuple[np.ndarray, WCS]:
    with fits.open(path) as hdus:
        head, cube = hdus["DATA"].header, hdus["DATA"].data.astype(float)
        if "DQ" in hdus:
            cube[hdus["DQ"].data != 0] = np.nan
    wave = head["CRVAL3"] + head["CD3_3"] * (np.arange(len(cube)) + 1 - head["CRPIX3"])
    inside = (wave > BAND[0] + 10.0) & (wave < BAND[1] - 10.0)
    count = np.isfinite(cube[inside]).sum(axis=0)
    mean = np.nansum(cube[inside], axis=0) / np.maximum(count, 1)
    return np.where(count > 0.5 * inside.sum(), mean, np.nan), WCS(head).celestial


def stars(path: Path, like: list[Star] | None = None, count: int = 4) -> list[Star]:
    """Return the brightest stars of a cube, or those near others."""
    image, wcs = white(path)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    left, found = np.nan_to_num(image), []
    for k in range(len(like) if like else count):
        if like:
            x, y = (float(value) for value in wcs.wcs_world2pix(like[k].ra, like[k].dec, 0))
        else:
            y, x = (float(value) for value in np.unravel_index(np.argmax(left), left.shape))
            left[np.hypot(columns - x, rows - y) < 10.0] = 0.0
        for _ in range(6):
            far = np.hypot(columns - x, rows - y)
            inside, ring = (far < 6.0) & np.isfinite(image), (far > 7.0) & (far < 11.0) & np.isfinite(image)
            light = (image - np.median(image[ring]))[inside]
            x, y = (
                float((light * columns[inside]).sum() / light.sum()),
                float((light * rows[inside]).sum() / light.sum()),
            )
        ra, dec = wcs.wcs_pix2world(x, y, 0)
        found.append(Star(float(ra), float(dec), float(light.sum())))
    return found


def agree(first: list[Star], second: list[Star], *, flux: float, place: float) -> None:
    """Compare the light (relative) and places (arcsec) of stars."""
    for one, other in zip(first, second, strict=True):
        assert one.light / other.light == pytest.approx(1.0, abs=flux)
        assert (one.ra - other.ra) * np.cos(np.radians(one.dec)) * 3600.0 == pytest.approx(0.0, abs=place)
        assert (one.dec - other.dec) * 3600.0 == pytest.approx(0.0, abs=place)


def test_our_pixels_in_flux_become_their_cube_of_the_field(night, tmp_path) -> None:
    """PIXTABLE_REDUCED and OFFSET_LIST through muse_exp_combine: stars as in our combined cube."""
    tables = {tag: night.theirs[tag] for tag in ("PIXTABLE_REDUCED", "OFFSET_LIST")}
    run("muse_exp_combine", tmp_path, tables, *LIMITS)
    ours = stars(next(path for path in night.ours["CUBE"] if "object0" not in path.name and "object1" not in path.name))
    agree(stars(tmp_path / "DATACUBE_FINAL.fits", ours), ours, flux=0.03, place=0.05)  # of a strip 12 spaxels high


@pytest.mark.filterwarnings("ignore")  # MPDAF warns of ESO's own units
def test_our_pixels_open_in_mpdaf(night) -> None:
    drs = pytest.importorskip("mpdaf.drs")
    path = night.one("PIXTABLE_REDUCED", "object0")
    table = drs.PixTable(str(path))
    with fits.open(path) as hdus:
        rows = hdus["data"].data.size
        assert table.nrows == rows
        origin = hdus["origin"].data[:, 0]
    assert (table.fluxcal, table.skysub) == (True, True)
    slices = drs.PixTable(str(path)).origin2coords(origin[:1000])
    assert set(slices[0].tolist()) == {CHANNEL}


def test_our_mask_and_factors_are_taken(night, tmp_path) -> None:
    """SKY_MASK and AUTOCAL_FACTORS of ours: slices are as bright as each other, the sky is that of the mask."""
    frames = {
        "PIXTABLE_OBJECT": [night.one("PIXTABLE_OBJECT", "object0")],
        "STD_RESPONSE": night.theirs["STD_RESPONSE"],
        "STD_TELLURIC": night.theirs["STD_TELLURIC"],
        "EXTINCT_TABLE": [night.raw / "extinct_table.fits"],
        "SKY_MASK": [night.one("SKY_MASK", "object0")],
        "AUTOCAL_FACTORS": [night.one("AUTOCAL_FACTORS", "object0")],
    }
    said = run(
        "muse_scipost", tmp_path, frames, "--skymethod=simple", "--autocalib=user", "--save=cube,skymodel", *LIMITS
    )
    assert "user table" in said
    assert "contains" not in said.split("user table")[1].split("\n")[0]  # a row for each slice and range
    # without ASTROMETRY_WCS the recipe takes the middle of the strip for that of the field
    theirs = sorted(stars(tmp_path / "DATACUBE_FINAL.fits"), key=lambda one: one.ra)
    ours = sorted(stars(next(path for path in night.ours["CUBE"] if "object0" in path.name)), key=lambda one: one.ra)
    ra, dec = (np.mean([getattr(one, name) for one in ours]) - np.mean([getattr(one, name) for one in theirs])
               for name in ("ra", "dec"))  # fmt: skip
    agree([Star(one.ra + ra, one.dec + dec, one.light) for one in theirs], ours, flux=0.05, place=0.05)
    with (
        fits.open(night.one("SKY_SPECTRUM", "object0")) as mine,
        fits.open(tmp_path / "SKY_SPECTRUM_0001.fits") as given,
    ):
        wave = np.arange(BAND[0] + 20.0, BAND[1] - 20.0, 1.25)
        levels = [
            float(np.median(np.interp(wave, one[1].data["lambda"], one[1].data["data"]))) for one in (mine, given)
        ]
    assert levels[0] == pytest.approx(levels[1], rel=0.05)


def test_our_sources_are_taken(night, tmp_path) -> None:
    """SOURCE_LIST in our layout, one an exposure, with our images: offsets as we have them."""
    offsets = read_product(night.ours["OFFSETS"][0], Offsets)
    first = stars(next(path for path in night.ours["CUBE"] if "object0" in path.name))
    both = [*first, *(Star(one.ra + offsets.ra[1], one.dec + offsets.dec[1], one.light) for one in first)]
    images = [night.one("IMAGE_FOV", f"object{k}") for k in (0, 1)]
    axes = [WCS(fits.getheader(path, "DATA")) for path in images]
    exposure = np.repeat([1, 2], len(first)).astype(np.int32)
    pixel = np.array([axes[k - 1].wcs_world2pix(one.ra, one.dec, 1) for k, one in zip(exposure, both, strict=True)]).T
    ra, dec, light = (np.array([getattr(one, name) for one in both]) for name in ("ra", "dec", "light"))
    number = np.tile(np.arange(1, len(first) + 1), 2).astype(np.int32)
    zero = np.zeros(ra.size)
    found = SourceList(exposure, number, *pixel, zero, zero, light, zero, zero + 0.5, zero, ra, dec, ra, dec, number,
                       offsets.meta)  # fmt: skip
    form = next(one for one in instrument.exports["eso"] if one.category == "SOURCE_LIST")
    lists = []
    for key, file in form.arranged({"night": "n"}, {"lists": [found], "offsets": [offsets]}):
        lists.append(tmp_path / form.name(key))
        write_foreign(lists[-1], file)
    run("muse_exp_align", tmp_path, {"IMAGE_FOV": images, "SOURCE_LIST": lists}, "--override_detection=true")
    theirs = fits.getdata(tmp_path / "OFFSET_LIST.fits", 1)
    assert theirs["RA_OFFSET"][1] * 3600.0 == pytest.approx(offsets.ra[1] * 3600.0, abs=0.005)
    assert theirs["DEC_OFFSET"][1] * 3600.0 == pytest.approx(offsets.dec[1] * 3600.0, abs=0.005)


@pytest.fixture(scope="module")
def basic(night, tmp_path_factory) -> list[Path]:
    """Pixel tables that muse_scibasic makes of both exposures with our calibrations."""
    folder = tmp_path_factory.mktemp("basic")
    frames = {tag: night.theirs[tag] for tag in ("MASTER_BIAS", "MASTER_FLAT", "TRACE_TABLE", "WAVECAL_TABLE")}
    frames |= {"ILLUM": [night.raw / "illum.fits"], "GEOMETRY_TABLE": [night.raw / "geometry_table.fits"]}
    for k in (0, 1):
        mine = {**frames, "OBJECT": [night.raw / f"object{k}.fits"]}
        run("muse_scibasic", folder / f"{k}", mine, f"--nifu={CHANNEL}", "--saveimage=false")
    return [folder / f"{k}" / f"PIXTABLE_OBJECT_0001-{CHANNEL:02d}.fits" for k in (0, 1)]


def test_their_pixels_become_our_cube(night, basic, tmp_path) -> None:
    """PIXTABLE_OBJECT in the place of a raw exposure: stars as in the cube of the raw one."""
    raw = tmp_path / "raw"
    raw.mkdir()
    for path in night.raw.glob("*.fits"):
        if not path.name.startswith("object"):
            (raw / path.name).symlink_to(path)
    (raw / "pixtable.fits").symlink_to(basic[0])
    shutil.copytree(night.out, tmp_path / "out")  # with the calibrations of the night
    found = reduced(raw, tmp_path / "out")
    exposure = next(path for path in found["CALIBRATED_OBJECT"] if "_ESO" in path.name or "pixtable" in path.name)
    assert fits.getheader(exposure)["QC ERROR SCALE"] > 1.1  # scibasic's errors are too small
    ours = stars(next(path for path in night.ours["CUBE"] if "object0" in path.name))
    theirs = next(path for path in found["CUBE"] if "_ESO" in path.name)
    agree(stars(theirs, ours), ours, flux=0.03, place=0.05)


@pytest.fixture(scope="module")
def cubes(night, basic, tmp_path_factory) -> Path:
    """Folder with what muse_scipost makes of both exposures."""
    folder = tmp_path_factory.mktemp("cubes")
    frames = {tag: night.theirs[tag] for tag in ("STD_RESPONSE", "STD_TELLURIC")}
    frames["EXTINCT_TABLE"] = [night.raw / "extinct_table.fits"]
    for k, path in enumerate(basic):
        mine = {**frames, "PIXTABLE_OBJECT": [path]}
        run("muse_scipost", folder / f"{k}", mine, "--skymethod=simple", "--save=cube,individual", *LIMITS)
    return folder


def test_their_cubes_are_aligned_and_combined(night, cubes, tmp_path) -> None:
    """DATACUBE_FINAL of both exposures with an OFFSET_LIST: stars as in the cube that muse_exp_combine makes."""
    raw = tmp_path / "raw"
    raw.mkdir()
    tables = [cubes / f"{k}" / "PIXTABLE_REDUCED_0001.fits" for k in (0, 1)]
    run(
        "muse_exp_combine",
        tmp_path / "theirs",
        {"PIXTABLE_REDUCED": tables, "OFFSET_LIST": night.theirs["OFFSET_LIST"]},
    )
    (raw / "offsets.fits").symlink_to(night.theirs["OFFSET_LIST"][0])
    for k in (0, 1):
        (raw / f"cube{k}.fits").symlink_to(cubes / f"{k}" / "DATACUBE_FINAL.fits")
    [combined] = reduced(raw, tmp_path / "out")["CUBE"]
    theirs = stars(tmp_path / "theirs" / "DATACUBE_FINAL.fits")
    agree(stars(combined, theirs), theirs, flux=0.03, place=0.04)
    with fits.open(combined) as hdus:
        assert hdus["COVAR"].data["correlation"].max() > 0.05  # resampled once more


def test_their_images_are_aligned(night, cubes, tmp_path) -> None:
    """IMAGE_FOV of both exposures, which tell no errors: offsets as of our own images.

    `muse_exp_align` finds too few stars in one strip, and is 24 arcsec off.
    """
    raw = tmp_path / "raw"
    raw.mkdir()
    for k in (0, 1):
        (raw / f"image{k}.fits").symlink_to(cubes / f"{k}" / "IMAGE_FOV_0001.fits")
    [path] = reduced(raw, tmp_path / "out", "alignment")["OFFSETS"]
    mine, ours = (fits.getdata(one, 1) for one in (path, night.ours["OFFSETS"][0]))
    for name in ("RA_OFFSET", "DEC_OFFSET"):
        assert mine[name][1] * 3600.0 == pytest.approx(ours[name][1] * 3600.0, abs=0.05)
