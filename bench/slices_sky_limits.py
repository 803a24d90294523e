"""What limits what is left of the sky in a cube of slices: noise of the median over the dark places.

A scorer takes the median over dark places in each plane, less its running median, and looks at its scatter in bands
and at sums over 6.4 Angstrom about the 120 brightest lines of the sky. Printed are the measured numbers, those that
noise drawn from the variances of the cube gives, and those of the mean over the same places. Voxels whose noise is
independent have a median 1.25 times as noisy as their mean; a drizzled cube is smooth already, and its median is not.
So the numbers after averaging 2 x 2 and 3 x 3 voxels are printed too: so cubes of unlike smoothness compare.

    python bench/slices_sky_limits.py NIGHT CUBE EXPOSURE

NIGHT is the raw night with its ``truth``; CUBE any cube with DATA and STAT; EXPOSURE its name, or ``combined``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.io import fits
from scipy.ndimage import binary_erosion, uniform_filter

BANDS = (6600.0, 7200.0), (7700.0, 8000.0), (8300.0, 8450.0), (8750.0, 8900.0)
RANGE, WHITE = (4750.0, 9300.0), (6500.0, 7500.0)  # Angstrom
NEAR, BRIGHT, AROUND = 3.2, 120, 50  # Angstrom beside a line; lines; planes of the running median on either side
CLIP, DRAWS = 5.0, 4
LIGHT = 299792.458  # km/s


class Sky(NamedTuple):
    """Lines of the sky: wavelength (Angstrom, barycentric) and flux (10**-20 erg/s/cm2/spaxel)."""

    wave: np.ndarray
    flux: np.ndarray


def sky_of(night: Path, exposure: str) -> Sky:
    """Return the lines of the sky that an exposure, or all of them together, saw."""
    told = json.loads((night / "truth" / "night.json").read_text("utf-8"))["exposures"]
    seen = [
        one for one in told if one["name"] == exposure or (exposure == "combined" and one["name"].startswith("obj"))
    ]
    table = fits.getdata(night / "truth" / "sky.fits", "SKY_LINES")
    moved = 1.0 + float(np.mean([one["v_bary"] for one in seen])) / LIGHT
    flux = np.mean([table[f"flux_{one['name']}"] for one in seen], axis=0)
    return Sky(np.asarray(table["wave"], float) * moved, 1e20 * flux)


def cube_of(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return wavelengths, data and variance of a cube; unmeasured voxels are NaN."""
    with fits.open(path) as hdus:
        head, data = hdus["DATA"].header, hdus["DATA"].data.astype(np.float32)
        variance = hdus["STAT"].data.astype(np.float32)
        if "DQ" in hdus:
            data[(hdus["DQ"].data & ~2048) != 0] = np.nan
    step = head.get("CD3_3", 1.25)
    return head["CRVAL3"] + step * (np.arange(len(data)) + 1 - head["CRPIX3"]), data, variance


def left_of(wave: np.ndarray, spectrum: np.ndarray, sky: Sky) -> np.ndarray:
    """Return scatter in the bands, and median and 90 per cent of what is left at bright lines (per cent of each)."""
    around = [np.median(spectrum[max(k - AROUND, 0) : k + AROUND + 1]) for k in range(spectrum.size)]
    left, found = spectrum - np.array(around), []
    for line in np.argsort(-sky.flux)[:BRIGHT]:
        at = sky.wave[line]
        if RANGE[0] < at < RANGE[1]:
            total = left[np.abs(wave - at) < NEAR].sum() * (wave[1] - wave[0])
            found.append(100.0 * abs(total) / sky.flux[np.abs(sky.wave - at) < NEAR].sum())
    scatter = [left[(wave > low) & (wave < high)].std() for low, high in BANDS]
    return np.array([*scatter, np.median(found), np.percentile(found, 90)])


def clipped_mean(light: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return the mean over the places in each plane, those far off left out."""
    middle = np.nanmedian(light, axis=1, keepdims=True)
    near = np.abs(light - middle) < CLIP * np.sqrt(variance)
    return np.nanmean(np.where(near, light, np.nan), axis=1)


def main() -> None:
    """Print the numbers and their limits."""
    if len(sys.argv) < 4:  # noqa: PLR2004 - program, night, cube, exposure
        print(__doc__)
        return
    sky = sky_of(Path(sys.argv[1]), sys.argv[3])
    wave, data, variance = cube_of(Path(sys.argv[2]))
    white = np.nanmedian(data[(wave > WHITE[0]) & (wave < WHITE[1])], axis=0)
    seen = binary_erosion(np.isfinite(white), iterations=2)
    dark = seen & (white < np.nanpercentile(white[seen], 40))
    light, noise = data[:, dark], variance[:, dark]
    draw = np.random.default_rng(1)
    drawn = np.array([
        left_of(wave, np.nanmedian(draw.normal(size=noise.shape) * np.sqrt(noise), axis=1), sky) for _ in range(DRAWS)
    ])  # fmt: skip
    bands = " ".join(f"{low:.0f}-{high:.0f}" for low, high in BANDS)
    print(f"{dark.sum()} places; rms in {bands} [1e-20]; left at bright lines [%]: median, 90 %")
    rows = {
        "median": left_of(wave, np.nanmedian(light, axis=1), sky),
        "drawn from STAT": drawn.mean(axis=0),
        "  scatter": drawn.std(axis=0),
        "mean": left_of(wave, clipped_mean(light, noise), sky),
    }
    for size in (2, 3):
        smooth = np.stack([uniform_filter(np.nan_to_num(plane), size)[dark] for plane in data])
        rows[f"median of {size} x {size}"] = left_of(wave, np.median(smooth, axis=1), sky)
    for name, values in rows.items():
        print(f"{name:18s}" + " ".join(f"{value:8.3f}" for value in values))


if __name__ == "__main__":
    main()
