"""What limits fluxes and evenness of a simulated night of slices, from its truth: slices brighten and fade.

Of the standard star: by how much the slices that saw it were brighter than all of them beyond what the illumination
flat and twilight say; fluxes of the targets are off by as much, whatever is done with the star. Of the targets: how far
the brightness of slices that the sky tells is off, the slopes over the field left out; and what can be found in white
light from slice to slice: noise of photons there, and the error of the brightness that the sky tells.

Of cubes: the scatter of voxels and of their sums over the root of the median variance of a plane, as a scorer takes it;
what that is for noise drawn as the variances say, where exposures cover the field unevenly; and the scatter of each by
its own variance.

    python bench/slices_limits.py OUT NIGHT

OUT is the reduced night, NIGHT the raw one with its ``truth``, as the generator writes it, at position angle 0.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from scipy.ndimage import binary_erosion, percentile_filter

from tracecube.core.slice_flux import SliceResponse
from tracecube.core.slice_light import SliceIllumination, SliceSky
from tracecube.core.slices import SliceExposure, SliceSegments
from tracecube.io.products import read_product
from tracecube.kernels.tangent_plane import sky_to_plane
from tracecube.recipes.slices.star_slices import brightness_near

GRADIENT = 2e-4  # a spaxel, of the generator's field: light of the sky, not of the lamp
BETA, SPAXEL = 2.8, 0.2
BAND = 4900.0, 9200.0  # Angstrom, of the white light in which slices are compared
HALF, FEW = 36.0, 12  # spaxels about the middle of a slice that count, and how many of them must be dark
_EVERY = 4  # planes between the lines of the sky that are looked at


def one(out: Path, pattern: str, noun: type) -> Any:
    """Read the product of a kind."""
    return read_product(min(out.rglob(pattern)), noun)


def brightness(out: Path, night: Path, name: str, tag: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how bright each slice is beyond what was taken off, and where it lies (spaxels)."""
    found, x, y = [], [], []
    for path in sorted((night / "truth").glob("ifu*.fits")):
        true, channel = fits.getdata(path, "SLICES"), f"CHAN{path.stem[-2:]}"
        exposure = one(out, f"{name}_{channel}_CALIBRATED_{tag}.fits", SliceExposure)
        light = one(out, f"*_{channel}_TWILIGHT.fits", SliceIllumination)
        level = light.level / float(exposure.meta["SKYLIGHT"])
        found.append(true[f"gain_{name}"] / exposure.gain * (1.0 + GRADIENT * true["gx"]) / level)
        x.append(true["gx"])
        y.append(true["gy"])
    return np.concatenate(found), np.concatenate(x), np.concatenate(y)


def of_standard(out: Path, night: Path) -> None:
    """Print by how much fluxes are too high for the slices that saw the standard star."""
    gain, x, y = brightness(out, night, "std", "STD")
    told = json.loads((night / "truth" / "night.json").read_text("utf-8"))
    pointed = next(one for one in told["exposures"] if one["name"] == "std")
    east, north = sky_to_plane(
        np.array([told["std"]["ra"]]), np.array([told["std"]["dec"]]), pointed["true_ra"], pointed["true_dec"]
    )
    star = -float(east[0]) / SPAXEL, float(north[0]) / SPAXEL  # position angle 0
    width = one(out, "*_RESPONSE.fits", SliceResponse).fwhm / SPAXEL
    core = (0.5 * width) ** 2 / (2.0 ** (1.0 / BETA) - 1.0)
    near = (np.abs(x - star[0]) < 45.0) & (np.abs(y - star[1]) < 16.0)
    weight = np.where(near, (1.0 + (y - star[1]) ** 2 / core) ** (0.5 - BETA), 0.0)
    weight /= weight.sum()
    count, spread = 1.0 / np.sum(weight**2), float(np.std(gain / gain.mean()))
    off = float(gain.mean() / np.sum(weight * gain) - 1.0)
    print(f"standard star in {count:.1f} slices that scatter by {100 * spread:.2f} %: fluxes good to "
          f"{100 * spread / np.sqrt(count):.2f} % rms, in this night {100 * off:+.2f} %")  # fmt: skip
    paths = sorted(out.rglob("std_*_SEGMENTS_STD.fits"))
    told = brightness_near([read_product(path, SliceSegments) for path in paths], 0.0)
    channels = [f"CHAN{path.stem[-2:]}" for path in sorted((night / "truth").glob("ifu*.fits"))]
    known = np.concatenate([told.of(channel, np.arange(1, gain.size // len(channels) + 1)) for channel in channels])
    left = gain / known / np.mean(gain / known)
    off = float(1.0 / np.sum(weight * left) - 1.0)
    print(f"by what the sky beside it tells they scatter by {100 * np.std(left):.2f} %: fluxes good to "
          f"{100 * np.std(left) / np.sqrt(count):.2f} % rms, in this night {100 * off:+.2f} %")  # fmt: skip


def of_target(out: Path, night: Path, name: str) -> None:
    """Print how far the brightness of slices is off."""
    gain, x, y = brightness(out, night, name, "OBJECT")
    sky = one(out, f"*_{name}_SKY_OBJECT.fits", SliceSky)
    order = np.lexsort((sky.aperture, np.asarray(sky.detector).astype(str)))
    ratio = sky.gain[order] / (gain / gain.mean())
    design = np.stack([np.ones_like(x), x / 150.0, y / 60.0], axis=1)
    left = ratio - design @ np.linalg.lstsq(design, ratio, rcond=None)[0]
    middle = 1.4826 * float(np.median(np.abs(left)))
    claimed = float(np.median(sky.gain_error))
    print(f"{name}: brightness of slices off by {100 * left.std():.2f} % rms, {100 * middle:.2f} % robustly; "
          f"{100 * claimed:.2f} % is claimed")  # fmt: skip


def photon_errors(out: Path, night: Path, name: str) -> np.ndarray:
    """Return the error that photons leave to the white light of each slice (% of the sky), and its place (3, n).

    That is of the median of its dark spaxels, as a scorer takes it, which has 1.25 times the error of their mean.
    """
    with fits.open(next(out.rglob(f"*/object/*{name}_CUBE.fits")), memmap=True) as hdus:
        head = hdus["DATA"].header
        wave = head["CRVAL3"] + head["CD3_3"] * np.arange(head["NAXIS3"])
        own = slice(*np.searchsorted(wave, BAND))
        data, variance = (np.asarray(hdus[part].data[own], np.float32) for part in ("DATA", "STAT"))
    with fits.open(night / "truth" / "sky.fits") as hdus:
        lines, ground = hdus["SKY_LINES"].data, hdus["SKY_CONTINUUM"].data
        inside = (lines["wave"] > BAND[0]) & (lines["wave"] < BAND[1])
        sky = float(np.interp(wave[own], ground["wave"], ground["continuum"]).mean())
        sky += float(lines[f"flux_{name}"][inside].sum()) / (BAND[1] - BAND[0])
    white = np.nanmean(data, axis=0)
    error = np.sqrt(np.nansum(variance, axis=0)) / np.maximum(np.isfinite(data).sum(axis=0), 1)
    seen = binary_erosion(np.isfinite(white), iterations=2)
    dark = seen & (white < np.nanpercentile(white[seen], 40))
    y, x = np.mgrid[: white.shape[0], : white.shape[1]]
    found = []
    for truth in sorted((night / "truth").glob("ifu*.fits")):
        for one in fits.getdata(truth, "SLICES"):
            column, row = head["CRPIX1"] - 1.0 + one["gx"], head["CRPIX2"] - 1.0 + one["gy"]
            free = dark & (np.abs(x - column) < HALF) & (np.abs(y - row) < 0.5)
            many = max(int(free.sum()), 1)
            noise = np.sqrt(0.5 * np.pi * np.mean(error[free] ** 2) / many) if many > FEW else np.nan
            found.append([100.0 * noise / (1e20 * sky), one["gx"], one["gy"]])
    return np.array(found).T


def of_evenness(out: Path, night: Path, name: str) -> None:
    """Print what a scorer can find from slice to slice: noise of photons, and of the brightness that the sky tells."""
    photons, x, y = photon_errors(out, night, name)
    sky = one(out, f"*_{name}_SKY_OBJECT.fits", SliceSky)
    order = np.lexsort((sky.aperture, np.asarray(sky.detector).astype(str)))
    told = np.isfinite(photons)
    design = np.stack([np.ones_like(x), x / 150.0, y / 18.0], axis=1)[told]
    off = design @ np.linalg.pinv(design)
    draw = np.random.default_rng(1)
    texts = []
    for width in (photons[told], np.hypot(photons, 100.0 * sky.gain_error[order])[told]):
        drawn = draw.normal(size=(1000, width.size)) * width
        spread = robust(drawn - drawn @ off)
        texts.append(f"{spread.mean():.3f} +- {spread.std():.3f} %")
    print(f"{name}: from slice to slice ({told.sum()} slices) the photons of what is measured leave {texts[0]} of the "
          f"sky, with the error of the brightness that the sky tells {texts[1]}")  # fmt: skip


def robust(values: np.ndarray) -> np.ndarray:
    """Return the scatter along the last axis, by medians."""
    middle = np.nanmedian(values, axis=-1, keepdims=True)
    return np.asarray(1.4826 * np.nanmedian(np.abs(values - middle), axis=-1))


def noise_of(path: Path) -> None:
    """Print how a cube scatters where it is darkest, between the lines of the sky."""
    with fits.open(path, memmap=True) as hdus:
        noise = np.array([np.nanmedian(plane) for plane in hdus["STAT"].data])
        quiet = np.flatnonzero(noise < 1.1 * percentile_filter(noise, 30, 101))[50:-50:_EVERY]
        data, variance = (np.asarray(hdus[name].data[quiet], np.float32) for name in ("DATA", "STAT"))
    white = np.nanmedian(data, axis=0)
    inside = binary_erosion(np.isfinite(white), iterations=2)
    dark = inside & (white < np.nanpercentile(white[inside], 40))
    data -= white[None]
    draw = np.random.default_rng(1)
    for n in (1, 3, 5):
        rows, columns = (size // n for size in white.shape)
        blocks = (-1, rows, n, columns, n)
        drawn = draw.normal(size=data.shape).astype(np.float32) * np.sqrt(variance)
        parts = (part[:, : rows * n, : columns * n].reshape(blocks).sum(axis=(2, 4))
                 for part in (data, drawn, variance))  # fmt: skip
        free = dark[: rows * n, : columns * n].reshape(blocks[1:]).mean(axis=(1, 3)) > 0.99
        if free.sum() < 30:
            continue
        light, made, noise = (part[:, free] for part in parts)
        light, made = (one - np.nanmedian(one, axis=0) for one in (light, made))
        taken = [np.nanmedian(robust(one) / np.sqrt(np.nanmedian(noise, axis=1))) for one in (light, made)]
        own = np.nanmedian(robust((light - np.nanmedian(light, axis=1, keepdims=True)) / np.sqrt(noise)))
        print(f"{path.name}: {n} x {n} ({free.sum()} places): over the median variance {taken[0]:.3f}, "
              f"drawn as claimed {taken[1]:.3f}, each by its own {own:.3f}")  # fmt: skip


def main() -> None:
    """Print the limits."""
    if len(sys.argv) < 3:  # noqa: PLR2004 - program, night, its reduction
        print(__doc__)
        return
    out, night = Path(sys.argv[1]), Path(sys.argv[2])
    of_standard(out, night)
    exposures = json.loads((night / "truth" / "night.json").read_text("utf-8"))["exposures"]
    for name in (one["name"] for one in exposures if one["name"].startswith("object")):
        of_target(out, night, name)
        of_evenness(out, night, name)
    for path in sorted({*out.rglob("*/object/*_CUBE.fits"), *out.rglob("*/object_combination/*_CUBE.fits")}):
        noise_of(path)


if __name__ == "__main__":
    main()
