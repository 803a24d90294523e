"""Voxels beside those that ESO's `muse_scipost_make_cube` (2.8.7) makes of the same pixel table, for every method.

The table is drawn here, a hundred thousand rows; the recipe is run, seconds a method, and its cube's axes tell where
the rows lie.
"""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from astropy.io import fits

from tests.unit.kernels.test_voxels import detector
from tracecube.instruments.muse.cube_params import CubeParams
from tracecube.kernels.around import standing_out
from tracecube.kernels.weighted_voxels import METHODS, weigh_voxels

ESOREX = shutil.which("esorex")
pytestmark = [pytest.mark.peers, pytest.mark.skipif(ESOREX is None, reason="esorex is not installed")]

FIRST, STEP, SIDE = 6500.0, 1.25, 0.2 / 3600.0
SHAPE = (60, 24, 40)
META = {"ESO INS MODE": "WFM-NOAO-N"}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Write a pixel table in the plane of the sky; return its folder, and places (arcsec/3600, Angstrom) and light."""
    rng = np.random.default_rng(1)
    place = detector(rng, SHAPE).astype(np.float64)
    x, y = (place[:, 2] - 20.3) * -SIDE, (place[:, 1] - 11.6) * SIDE
    columns = {
        "xpos": np.arctan2(x, -y) % (2 * np.pi),
        "ypos": -np.arctan(np.radians(np.hypot(x, y))),
        "lambda": FIRST + 5.0 + STEP * place[:, 0],
        "data": rng.normal(20, 5, len(place)),
        "dq": np.zeros(len(place)),
        "stat": rng.uniform(20, 30, len(place)),
        "origin": np.full(len(place), 1 | (1 << 6)),
    }
    folder = tmp_path_factory.mktemp("eso")
    head = fits.Header({"INSTRUME": "MUSE", "RA": 53.0, "DEC": -27.0, "EXPTIME": 600.0, "MJD-OBS": 58500.1})
    for axis, (crpix, cd, kind) in enumerate([(0.0, -SIDE, "RA---TAN"), (0.0, SIDE, "DEC--TAN")], start=1):
        head.update({f"CRPIX{axis}": crpix, f"CD{axis}_{axis}": cd, f"CTYPE{axis}": kind, f"CUNIT{axis}": "deg"})
    head.update({"CD1_2": 0.0, "CD2_1": 0.0})
    for key, value in {
        "INS MODE": "WFM-NOAO-N",
        "PRO CATG": "PIXTABLE_REDUCED",
        "DRS MUSE PIXTABLE TYPE": "GEOFULL",
        "DRS MUSE PIXTABLE WCS": "projected (intermediate)",
        "DRS MUSE PIXTABLE FLUXCAL": True,
        "DRS MUSE PIXTABLE LIMITS IFU LOW": 1,
        "DRS MUSE PIXTABLE LIMITS IFU HIGH": 1,
        "DRS MUSE PIXTABLE LIMITS SLICE LOW": 1,
        "DRS MUSE PIXTABLE LIMITS SLICE HIGH": 1,
    }.items():
        head[f"HIERARCH ESO {key}"] = value
    for name, column in (("X", "xpos"), ("Y", "ypos"), ("LAMBDA", "lambda")):
        head[f"HIERARCH ESO DRS MUSE PIXTABLE LIMITS {name} LOW"] = float(columns[column].min())
        head[f"HIERARCH ESO DRS MUSE PIXTABLE LIMITS {name} HIGH"] = float(columns[column].max())
    flux = "10**(-20)*erg/s/cm**2/Angstrom"
    units = {"xpos": "rad", "ypos": "rad", "lambda": "Angstrom", "data": flux, "stat": f"({flux})**2"}
    hdus = [fits.PrimaryHDU(header=head)]
    for name, values in columns.items():
        kind = np.int32 if name in {"dq", "origin"} else np.float32
        hdus.append(fits.ImageHDU(values.astype(kind)[:, None], name=name))
        hdus[-1].header["EXTNAME"] = name
        if name in units:
            hdus[-1].header["BUNIT"] = units[name]
    fits.HDUList(hdus).writeto(folder / "table.fits")
    return folder, columns, x, y


def theirs(folder, options=()):
    (folder / "cube.sof").write_text("table.fits PIXTABLE_OBJECT\n")
    command = [str(ESOREX), "--no-checksum", "muse_scipost_make_cube", "--filter=white", *options, "cube.sof"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    with fits.open(folder / "DATACUBE_FINAL.fits") as hdus:
        return hdus["DATA"].data.copy(), hdus["STAT"].data.copy(), hdus["DATA"].header.copy()


def places(table, head):
    """Where the rows lie in a cube of these axes (k, 3; voxels), and their light and variance."""
    _, columns, x, y = table
    at = [
        (columns["lambda"] - head["CRVAL3"]) / head["CD3_3"] - (1 - head["CRPIX3"]),
        y / head["CD2_2"] + head["CRPIX2"] - 1,
        x / head["CD1_1"] + head["CRPIX1"] - 1,
    ]
    return np.stack(at, axis=1).astype(np.float32), *(columns[key].astype(np.float32) for key in ("data", "stat"))


@pytest.mark.parametrize(
    ("method", "options"),
    [
        *((method, {}) for method in METHODS),
        ("renka", {"rc": "1.0"}),
        ("drizzle", {"pixfrac": "0.6,0.9"}),
        ("drizzle", {"pixfrac": "0.5,0.6,0.9"}),
        ("lanczos", {"ld": "2"}),
        ("linear", {"ld": "2"}),
    ],
)
def test_voxels_are_those_of_the_observatory(table, method, options):
    data, variance, head = theirs(
        table[0], [f"--resample={method}", "--crsigma=-1", *(f"--{key}={value}" for key, value in options.items())]
    )
    params = CubeParams.model_validate({"resample": method, **_read(options)})
    found = weigh_voxels(*places(table, head), data.shape, params.weighting(META, head["CD3_3"], 0.2))
    inner = (slice(8, -8), slice(3, -3), slice(3, -3))
    known, ours = np.isfinite(data[inner]), np.isfinite(found.data[inner])
    assert (known == ours).mean() > 0.998
    both = known & ours
    off = (found.data[inner] - data[inner])[both] / np.sqrt(variance[inner][both])
    assert (np.abs(off) < 5e-3).mean() > 0.99  # a sample half-way between voxels falls to one or the other
    assert np.abs(found.variance[inner][both] / variance[inner][both] - 1.0).mean() < 2e-3


def _read(options):
    return {key: value.split(",") if key == "pixfrac" else value for key, value in options.items()}


def test_hits_among_the_samples_are_those_of_the_observatory(table):
    folder, columns, *_ = table
    rng = np.random.default_rng(2)
    hit = rng.choice(len(columns["data"]), 60, replace=False)
    with fits.open(folder / "table.fits") as hdus:
        hdus["data"].data[hit, 0] += 500.0
        hdus.writeto(folder / "hit.fits", overwrite=True)
    (folder / "table.fits").rename(folder / "plain.fits")
    shutil.copy(folder / "hit.fits", folder / "table.fits")
    try:
        data, variance, head = theirs(folder, ["--resample=drizzle"])
    finally:
        (folder / "plain.fits").replace(folder / "table.fits")
    place, value, noise = places(table, head)
    value[hit] += 500.0
    out = standing_out(place, value, noise, data.shape, statistic="median", limit=15.0)
    inside = ((place > 1) & (place < np.array(data.shape) - 2)).all(axis=1)
    assert out[hit][inside[hit]].mean() > 0.95
    how = CubeParams(resample="drizzle").weighting(META, head["CD3_3"], 0.2)
    found = weigh_voxels(place, value, np.where(out, np.inf, noise).astype(np.float32), data.shape, how)
    inner = (slice(8, -8), slice(3, -3), slice(3, -3))
    off = (found.data[inner] - data[inner]) / np.sqrt(variance[inner])
    assert (np.abs(off[np.isfinite(off)]) < 5e-3).mean() > 0.98
