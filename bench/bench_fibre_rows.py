"""Two figures that noise and sampling alone make: the residual of a line of the sky, the places of stars in cubes.

The residual of a line of the sky is a mean over blank fibres, amplifier by amplifier and exposure by exposure, in
steps of 2 Angstrom; the worst of seven steps is judged. Its noise follows from the variances of the samples. The place
of a star in a cube is a centroid within 2.5 arcsec: beside it stands that of a cube of the same fibres without noise,
whose light is what went in. A star at the edge of its bundle has lost the light beyond it.

    tracecube reduce NIGHT -o OUT; python bench/bench_fibre_rows.py OUT NIGHT/truth
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.wcs import WCS

from tracecube.core.fibres import FibreSpectra
from tracecube.core.sources import FieldSolution
from tracecube.io.products import read_product
from tracecube.recipes.cube.fibres import FibreCubeParams, build_fibre_cube
from tracecube.recipes.science.fibre_field import refraction_of

LINE, STEPS = 5460.75, np.arange(-3, 4)
BAND = FibreCubeParams(wave_range=(4700.0, 4800.0))
BRIGHT, NEAR, RING = 18.5, 2.5, (5.0, 8.0)  # mag, arcsec


class Night:
    """Calibrated spectra, and what went into them."""

    def __init__(self, out: Path, folder: Path) -> None:
        self.told = json.loads((folder / "truth.json").read_text())
        self.arrays = dict(np.load(folder / "fibres.npz"))
        spectra = np.load(folder / "spectra.npz")
        self.sky = np.interp(self.arrays["node"], spectra["wave"], spectra["sky"]) * np.pi * 0.75**2
        self.spectra = [
            read_product(path, FibreSpectra) for path in sorted(out.rglob("virus_calibrated/*_SPECTRA.fits"))
        ]
        self.field = read_product(next(out.rglob("*_FIELD.fits")), FieldSolution)

    def light(self, one: FibreSpectra) -> np.ndarray:
        """Light of sources in each fibre, erg/s/cm2/Angstrom at the nodes."""
        rows = []
        for slot, amp, exp, fibre in zip(one.ifuslot, one.amp, one.exp, one.fibre, strict=True):
            name = f"src_{exp}_{slot:03d}{str(amp).strip()}"
            rows.append(self.arrays[name][fibre] * self.told["transparency"][exp - 1])
        return np.array(rows)


def residual(night: Night) -> tuple[np.ndarray, np.ndarray]:
    """Mean residual of the line over its peak at each step, and its error."""
    values, errors = [], []
    for one in night.spectra:
        blank = (night.light(one) / night.sky).max(axis=1) < 0.003
        for key in {(str(a).strip(), int(e)) for a, e in zip(one.amp, one.exp, strict=True)}:
            rows = np.flatnonzero(blank & (np.char.strip(one.amp.astype(str)) == key[0]) & (one.exp == key[1]))
            rows = rows[one.dq[rows] == 0]
            if rows.size == 0 or one.sky is None:
                continue
            wave, good = one.wave[rows], (one.flags[rows] == 0) & (one.variance[rows] > 0)
            top = np.median(np.where(np.abs(wave - LINE) < 8.0, one.sky[rows], 0.0).max(axis=1))
            at = np.rint((wave - LINE) / 2.0)
            parts = [good & (np.abs(wave - LINE) < 8.0) & (at == step) for step in STEPS]
            if all(part.any() for part in parts):
                values.append([one.flux[rows][part].mean() / top for part in parts])
                errors.append([np.sqrt(one.variance[rows][part].sum()) / part.sum() / top for part in parts])
    return np.mean(values, axis=0), np.sqrt(np.sum(np.square(errors), axis=0)) / len(errors)


def place(image: np.ndarray, at: tuple[float, float]) -> np.ndarray:
    """Centroid of a star less its place, arcsec to the east and north."""
    y, x = np.indices(image.shape)
    distance = np.hypot(x - at[0], y - at[1])
    ground = np.nanmedian(image[(distance > RING[0]) & (distance < RING[1])])
    near = distance < NEAR
    light = np.clip(image[near] - ground, 0.0, None)
    return np.array([at[0] - np.sum(light * x[near]) / light.sum(), np.sum(light * y[near]) / light.sum() - at[1]])


def places(night: Night) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Name of each bright star, its place in the cube, and that without noise."""
    found = []
    for one in night.spectra:
        slot, nodes, light = int(one.ifuslot[0]), night.arrays["node"], night.light(one)
        pure = np.array([np.interp(wave, nodes, row) for wave, row in zip(one.wave, light, strict=True)])
        images: list[np.ndarray] = []
        meta: Any = {}
        for spectra in (one, replace(one, flux=pure.astype(one.flux.dtype), flags=0 * one.flags)):
            cube = build_fibre_cube([spectra], refraction_of(night.field), BAND, ifuslot=slot)
            images.append(np.nansum(np.asarray(cube.data, float), axis=0))
            meta = cube.meta
        axes = WCS(
            {key: meta[key] for key in meta if key[:5] in {"CTYPE", "CUNIT", "CRVAL", "CRPIX", "CDELT"}}
        ).celestial
        for star in night.told["stars"]:
            if star["slot"] == f"{slot:03d}" and star["live"] and star["g"] < BRIGHT:
                x, y = (float(v) for v in axes.all_world2pix(star["ra"], star["dec"], 0))
                if 3 < x < images[0].shape[1] - 3 and 3 < y < images[0].shape[0] - 3:  # noqa: PLR2004 - as it is judged
                    found.append((star["id"], *(place(image, (x, y)) for image in images)))
    return found


def main(out: Path, folder: Path) -> None:
    """Print the figures."""
    night = Night(out, folder)
    value, error = residual(night)
    draws = np.abs(np.random.default_rng(1).normal(size=(4000, error.size)) * error).max(axis=1)
    print(f"residual of {LINE:.0f} A over its peak, worst of {error.size}: {np.abs(value).max():.4f}")
    print(f"  of noise alone {draws.mean():.4f} on average, one night in twenty {np.quantile(draws, 0.95):.4f}")
    stars = places(night)
    for name, seen, pure in stars:
        print(f"{name}: {seen[0]:+.3f} {seen[1]:+.3f} arcsec in the cube, without noise {pure[0]:+.3f} {pure[1]:+.3f}")
    if stars:
        off = np.array([[seen, pure, seen - pure] for _, seen, pure in stars])
        spread = [float(np.sqrt(np.mean((part - np.median(part, axis=0)) ** 2))) for part in off.transpose(1, 0, 2)]
        print(f"spread an axis: {spread[0]:.3f}, without noise {spread[1]:.3f}, between the two {spread[2]:.3f} arcsec")


if __name__ == "__main__":
    if len(sys.argv) == 3:  # noqa: PLR2004 - two folders
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    else:
        print(__doc__)
