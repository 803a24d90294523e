"""What light of stars leaves in the dark places of a crowded field, beside what a cube has there: the limit of a score.

A scorer takes the darkest 40 per cent of the true field as empty: its median spectrum at lines of the sky, and the
scatter of voxels and of sums over 3 x 3 and 5 x 5 of them over what variances claim. In a crowd these places hold wings
of stars, of unlike colours. Printed is the same of the cube, of the stars of the truth without noise, of noise drawn
from the variances, of stars and noise together, below which no reduction is, and of the cube less its stars; for lines
also within bands of the air and outside.

    python bench/slices_crowd.py NIGHT CUBE EXPOSURE

NIGHT is the raw night with its ``truth``, of the generator; CUBE has DATA and STAT; EXPOSURE is its name in the truth,
or ``combined``. Where the cube lies on the sky is fitted.
"""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.io import fits
from scipy.ndimage import binary_erosion
from slices_fields import placed
from slices_limits import robust
from slices_sky_limits import AROUND, BRIGHT, NEAR, RANGE, WHITE, Sky, cube_of, sky_of

KNOTS, SUB = 12, 0.28867513  # wavelengths between which images change by straight lines; points within a spaxel
DARK, LINE, PEAK = 40.0, 2.0, 2.65  # per cent of the field; Angstrom at a line; Angstrom, flux over peak of one
QUIET, NEARBY = 20.0, 4.0  # flux of lines within so many Angstrom, below which a plane is quiet
FULL, EVERY = 0.99, 4  # of a block; planes that are looked at
AIR = (6863.0, 6955.0), (7155.0, 7345.0), (7589.0, 7705.0), (8100.0, 8365.0), (8925.0, 9305.0)


class Stars(NamedTuple):
    """Stars of the truth: spectra (s, k; 10**-20 erg/s/cm2/A); full width at 5000 A of each exposure (spaxels)."""

    light: np.ndarray
    seeing: list[float]
    power: float
    beta: float

    def image(self, place: np.ndarray, wave: float, shape: tuple[int, int]) -> np.ndarray:
        """Return the share of each star's light in each spaxel (s, y, x); ``place`` is (s, 2)."""
        y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
        made = np.zeros((len(place), *shape), np.float32)
        for width in self.seeing:
            core = (0.5 * width * (wave / 5000.0) ** self.power) ** 2 / (2.0 ** (1.0 / self.beta) - 1.0)
            scale = (self.beta - 1.0) / np.pi / core / 4.0 / len(self.seeing)
            for a, b in ((-SUB, -SUB), (-SUB, SUB), (SUB, -SUB), (SUB, SUB)):
                for k, (east, north) in enumerate(place):
                    made[k] += scale * (1.0 + ((x + a - east) ** 2 + (y + b - north) ** 2) / core) ** -self.beta
        return made

    def moved(self, place: np.ndarray, white: np.ndarray, level: np.ndarray) -> np.ndarray:
        """Return places moved together so that the stars make the white image."""
        known = np.isfinite(white)
        for _ in range(3):
            here, east, north = (
                np.tensordot(level, self.image(place + move, 7000.0, white.shape), 1)[known]
                for move in ([0.0, 0.0], [0.1, 0.0], [0.0, 0.1])
            )
            terms = np.stack([here, (east - here) / 0.1, (north - here) / 0.1, np.ones_like(here)], axis=1)
            found = np.linalg.lstsq(terms, white[known], rcond=None)[0]
            place = place + found[1:3] / found[0]
        return place

    def cube(self, place: np.ndarray, wave: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Return what stars make of a cube (k, y, x)."""
        knots = np.linspace(wave[0], wave[-1], KNOTS)
        made = np.zeros((wave.size, *shape), np.float32)
        before, after = np.zeros(0), self.image(place, knots[0], shape)
        for low, high in pairwise(knots):
            before, after = after, self.image(place, high, shape)
            own = (wave >= low) & (wave <= high)
            share = (wave[own] - low) / (high - low)
            for image, part in ((before, 1.0 - share), (after, share)):
                light = (self.light[:, own] * part).T.astype(np.float32)
                made[own] = made[own] * (image is after) + np.tensordot(light, image, 1)
        return made


def stars_of(night: Path, exposure: str, wave: np.ndarray) -> tuple[Stars, list[str]]:
    """Return the stars that an exposure, or all together, saw, and their names."""
    told = json.loads((night / "truth" / "night.json").read_text("utf-8"))
    sources = json.loads((night / "truth" / "sources.json").read_text("utf-8"))
    seen = [one for one in told["exposures"] if one["kind"] == "OBJECT" and exposure in {one["name"], "combined"}]
    names = [one["id"] for one in sources if one["kind"] == "star"]
    spectra = fits.getdata(night / "truth" / "spectra.fits", "SPECTRA")
    light = np.stack([1e20 * np.interp(wave, spectra["wave"], spectra[name]) for name in names])
    width = [one["seeing_zenith_5000"] * one["airmass"] ** 0.6 / told["pixel_arcsec"] for one in seen]
    return Stars(light, width, told["night"]["seeing_power"], told["night"]["beta"]), names


def at_lines(wave: np.ndarray, middle: np.ndarray, sky: Sky) -> str:
    """Return what is left at the brightest lines, in words."""
    left = middle - np.array([np.median(middle[max(k - AROUND, 0) : k + AROUND + 1]) for k in range(wave.size)])
    order, found, lines = np.argsort(-sky.flux)[:BRIGHT], [], np.zeros(wave.size, bool)
    for line in order[(sky.wave[order] > RANGE[0]) & (sky.wave[order] < RANGE[1])]:
        total = sky.flux[np.abs(sky.wave - sky.wave[line]) < NEAR].sum()
        found.append(100.0 * abs(left[np.abs(wave - sky.wave[line]) < NEAR].sum() * (wave[1] - wave[0])) / total)
        lines |= np.abs(wave - sky.wave[line]) < LINE
    air = np.any([(wave > low) & (wave < high) for low, high in AIR], axis=0)
    peak = np.median(sky.flux[order]) / PEAK
    rms = [100.0 * np.sqrt(np.mean(left[some] ** 2)) / peak for some in (lines, lines & air, lines & ~air)]
    return (
        f"lines left {np.median(found):5.2f} %; rms over peak {rms[0]:5.2f} (in bands {rms[1]:.2f}, out {rms[2]:.2f}) %"
    )


def at_sums(light: np.ndarray, variance: np.ndarray, free: np.ndarray) -> str:
    """Return the scatter of voxels (k, y, x) and of their sums over what variances claim, in words."""
    data, said = light - np.median(light, axis=0), []
    for n in (1, 3, 5):
        rows, columns = (size // n for size in free.shape)
        blocks = (-1, rows, n, columns, n)
        own = free[: rows * n, : columns * n].reshape(blocks[1:]).mean(axis=(1, 3)) > FULL
        total, noise = (
            part[:, : rows * n, : columns * n].reshape(blocks).sum(axis=(2, 4))[:, own] for part in (data, variance)
        )
        total = total - np.median(total, axis=0)
        said.append(f"{np.median(robust(total) / np.sqrt(np.median(noise, axis=1))):.3f}")
    return "scatter " + ", ".join(said)


def main() -> None:
    """Print the numbers."""
    if len(sys.argv) < 4:  # noqa: PLR2004 - program, night, cube, exposure
        print(__doc__)
        return
    night, path, exposure = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    wave, data, variance = cube_of(path)
    white = np.nanmedian(data[(wave > WHITE[0]) & (wave < WHITE[1])], axis=0)
    stars, names = stars_of(night, exposure, wave)
    sources = json.loads((night / "truth" / "sources.json").read_text("utf-8"))
    at = placed(sources, path, white)
    level = stars.light[:, np.abs(wave - 7000.0).argmin()]
    place = stars.moved(np.array([at[name] for name in names]), white, level)
    made, sky = stars.cube(place, wave, white.shape), sky_of(night, exposure)
    seen = binary_erosion(np.isfinite(white), iterations=2)
    image = np.tensordot(level, stars.image(place, 7000.0, white.shape), 1)
    free = seen & (image < np.percentile(image[seen], DARK))
    noise = np.sqrt(variance, dtype=np.float32) * np.random.default_rng(1).standard_normal(data.shape, np.float32)
    quiet = np.array([sky.flux[np.abs(sky.wave - one) < NEARBY].sum() < QUIET for one in wave])
    quiet = np.flatnonzero(quiet & (wave > RANGE[0]) & (wave < RANGE[1]))[::EVERY]
    rows = {"cube": data, "stars": made, "noise": noise, "stars and noise": made + noise, "cube - stars": data - made}
    level = [np.nanmedian(one[:, free]) for one in (made, data, np.sqrt(variance))]
    print(f"{free.sum()} dark places: stars make {level[0]:.1f}, the cube has {level[1]:.1f}, noise is {level[2]:.1f}")
    for name, light in rows.items():
        sums = at_sums(np.nan_to_num(light[quiet]), np.nan_to_num(variance[quiet]), free) if name != "stars" else ""
        print(f"{name:16s}{at_lines(wave, np.nanmedian(light[:, free], axis=1), sky)}; {sums}")


if __name__ == "__main__":
    main()
