"""Gas and sky of a field that a nebula fills, in a cube beside the truth.

A scorer that compares one cloud of gas with its own truth counts the nebula around it, whose lines lie as near, as an
error: 7.5 per cent in the generator's field ``filled``. Here a cloud and the nebula are the truth together, and what is
left of lines of the sky is judged away from lines of gas. Printed for each line of gas: error of its flux in the first
cloud (more than 0.15 of its peak) and over the dark places, in per cent, beside the noise that the variances claim.

    python bench/slices_fields.py NIGHT CUBE EXPOSURE

NIGHT is the raw night with its ``truth``, of the generator or of ``tracecube simulate muse``; CUBE has DATA and STAT;
EXPOSURE is its name in the truth, or ``combined``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from scipy.ndimage import binary_erosion, gaussian_filter
from slices_sky_limits import RANGE, cube_of, sky_of

NEAR, SIDE, FAR = 7.0, 60.0, 14.0  # Angstrom: of a line's flux, of its continuum, and from any other line
WHITE = (6500.0, 7500.0)
SEARCH, CENTRE = 25, 3.0  # spaxels that a cube may lie off, and sigma of the window of a star's centre
CLOUD, WIDE, DARK = 0.15, 50.0, 40.0  # of the peak; spaxels of a nebula that fills the field; per cent


def placed(sources: list[dict], cube: Path, white: np.ndarray) -> dict[str, np.ndarray]:
    """Return where sources lie in a cube (x, y; from 0), once what is common to the stars is taken off."""
    axes = WCS(fits.getheader(cube, "DATA")).celestial
    at = {one["id"]: np.array([float(v) for v in axes.all_world2pix(one["ra"], one["dec"], 0)]) for one in sources}
    stars = np.array([at[one["id"]] for one in sources if one["kind"] == "star"])
    if not len(stars):
        return at
    light = gaussian_filter(np.nan_to_num(white - np.nanmedian(white)), 1.5)
    light = np.clip(light, 0.0, np.percentile(light, 99.7))
    padded = np.pad(light, SEARCH)

    def seen(off: tuple[int, int]) -> float:
        x, y = np.rint(stars.T + np.array(off)[:, None] + SEARCH).astype(int)
        inside = (x >= 0) & (y >= 0) & (x < padded.shape[1]) & (y < padded.shape[0])
        return float(padded[y[inside], x[inside]].sum())

    steps = range(-SEARCH, SEARCH + 1)
    off = np.array(max(((a, b) for a in steps for b in steps), key=seen), float)
    y, x = np.mgrid[: white.shape[0], : white.shape[1]]
    for _ in range(10):
        moves = []
        for star in stars + off:
            window = np.exp(-0.5 * ((x - star[0]) ** 2 + (y - star[1]) ** 2) / CENTRE**2)
            flux = window * np.nan_to_num(white - np.nanmedian(white))
            if window.sum() > 0.97 * 2.0 * np.pi * CENTRE**2 and flux.sum() > 0:
                moves.append([(flux * (x - star[0])).sum() / flux.sum(), (flux * (y - star[1])).sum() / flux.sum()])
        off += 2.0 * np.median(moves, axis=0) if moves else 0.0
    return {name: place + off for name, place in at.items()}


def gas_image(one: dict, at: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the share of a cloud's light in each spaxel."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    turn, made = np.radians(one["pa"]), np.zeros(shape)
    for a in (-0.29, 0.29):
        for b in (-0.29, 0.29):
            west, north = x + a - at[0], y + b - at[1]
            along, across = west * np.cos(turn) + north * np.sin(turn), north * np.cos(turn) - west * np.sin(turn)
            made += 0.25 * np.exp(-0.5 * ((along / one["sx"]) ** 2 + (across / one["sy"]) ** 2))
    return made / (2.0 * np.pi * one["sx"] * one["sy"])


def main() -> None:
    """Print the numbers."""
    if len(sys.argv) < 4:  # noqa: PLR2004 - program, night, cube, exposure
        print(__doc__)
        return
    night, path, exposure = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    told = json.loads((night / "truth" / "night.json").read_text("utf-8"))
    sources = json.loads((night / "truth" / "sources.json").read_text("utf-8"))
    wave, data, variance = cube_of(path)
    white = np.nanmedian(data[(wave > WHITE[0]) & (wave < WHITE[1])], axis=0)
    at = placed(sources, path, white)
    gas = [one for one in sources if one["kind"] == "gas"]
    images = {one["id"]: gas_image(one, at[one["id"]], white.shape) for one in gas}
    places = np.array([line * (1.0 + one["z"]) for one in gas for _, line, _ in told["gas_lines"]])
    seen = binary_erosion(np.isfinite(white), iterations=2)
    clouds = [one for one in gas if one["sx"] < WIDE]
    bright = sum((images[one["id"]] / images[one["id"]].max() for one in clouds), np.zeros(white.shape))
    dark = seen & (bright < 1e-3)  # noqa: PLR2004 - of a cloud
    dark &= white < np.percentile(white[dark], DARK)
    step = wave[1] - wave[0]
    for first, name in ((clouds, "cloud"), (gas[-1:], "dark places")):
        if not first:
            continue
        one, area = first[0], dark
        if name == "cloud":
            area = (images[one["id"]] > CLOUD * images[one["id"]].max()) & np.isfinite(white)
        for label, rest, share in told["gas_lines"]:
            line = rest * (1.0 + one["z"])
            beside = (np.abs(wave - line) > FAR) & (np.abs(wave - line) < SIDE)
            beside &= np.abs(wave[:, None] - places).min(axis=1) > FAR
            inside, total = np.abs(wave - line) <= NEAR, np.nansum(data[:, area], axis=1)
            slope = np.polyfit(wave[beside] - line, total[beside], 1)
            flux = 1e-20 * step * (total - np.polyval(slope, wave - line))[inside].sum()
            noise = 1e-20 * step * np.sqrt(np.nansum(variance[inside][:, area]))
            true = 0.0
            for other in gas:  # what of any line of any cloud lies within
                parts = [part for _, l0, part in told["gas_lines"] if abs(l0 * (1.0 + other["z"]) - line) <= NEAR]
                true += other["halpha"] * sum(parts) * images[other["id"]][area].sum()
            own = one["halpha"] * share * images[one["id"]][area].sum()
            print(
                f"{name:12s} {label:9s} flux {100 * (flux / true - 1):+6.2f} +- {100 * noise / true:.2f} %"
                f" (of the cloud alone it would be {100 * (flux / own - 1):+.2f} %)"
            )
    sky = sky_of(night, exposure)
    middle = np.nanmedian(data[:, dark], axis=1)
    left = middle - np.array([np.median(middle[max(k - 50, 0) : k + 51]) for k in range(wave.size)])
    clear = np.abs(wave[:, None] - places).min(axis=1) > FAR if places.size else np.ones(wave.size, bool)
    order, found, lines = np.argsort(-sky.flux)[:120], [], np.zeros(wave.size, bool)
    for line in order:
        near = np.abs(wave - sky.wave[line]) < 3.2  # noqa: PLR2004 - as the scorer has it
        if RANGE[0] < sky.wave[line] < RANGE[1] and clear[near].all():
            total = sky.flux[np.abs(sky.wave - sky.wave[line]) < 3.2].sum()  # noqa: PLR2004
            found.append(100.0 * abs(left[near].sum() * step) / total)
            lines |= np.abs(wave - sky.wave[line]) < 2.0  # noqa: PLR2004
    peak = np.median(sky.flux[order] / 2.65)
    noise = np.sqrt(np.mean(1.57 * np.nanmedian(variance[:, dark], axis=1)[lines] / dark.sum()))
    print(
        f"sky lines away from gas, {dark.sum()} dark places: median {np.median(found):.2f} %, 90 % "
        f"{np.percentile(found, 90):.2f} %; rms over peak {100 * left[lines].std() / peak:.2f} % "
        f"(noise of the median {100 * noise / peak:.2f} %)"
    )


if __name__ == "__main__":
    main()
