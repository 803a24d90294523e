"""Reduced nights of the project's own simulator against what was put into them.

    tracecube simulate sphere_ifs -o night --seed 5 -c mode=YJ
    tracecube reduce night -o OUT
    python bench/sphere_ifs_simulated.py OUT night/truth

Prints errors, and errors over those that the products claim: wavelengths, flat, star centres, companions.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from astropy.io import fits
from scipy.spatial import cKDTree
from sphere_ifs_limits import folders, width

from tracecube.core.companions import Companions, CompanionSpectrum
from tracecube.core.optics import Layout, Lenslets, TraceSet, WavelengthSolution
from tracecube.core.spectra import Spectra
from tracecube.core.star import StarCentre
from tracecube.instruments.sphere_ifs.guess import MODES
from tracecube.instruments.sphere_ifs.simulate import DRIFT
from tracecube.instruments.sphere_ifs.simulation import light, optics
from tracecube.io.products import read_product
from tracecube.recipes.science.strehl import MIDDLE

IFU_FLAT = 1.65  # s: one integration of the flat
NDIT = 20


def product(out: Path, task: str, ending: str) -> Path:
    """The first product of a task."""
    return min(out.glob(f"*/{task}/*{ending}"))


class Truth:
    """Tables of the folder."""

    def __init__(self, folder: Path) -> None:
        with fits.open(folder / "lenslets.fits") as units:
            self.lenslets, head = units["LENSLETS"].data.copy(), {**units["LENSLETS"].header, **units[0].header}
        self.mode, self.flexure = MODES[str(head["MODE"]).strip()], float(head["FLEXDY"])
        self.planes = self.star = self.companions = None
        if (folder / "planes.fits").exists():
            with fits.open(folder / "planes.fits") as units:
                self.planes = units["PLANES"].data.copy()
            with fits.open(folder / "star.fits") as units:
                self.star, self.companions = units["SPECTRA"].data.copy(), units["COMPANIONS"].data.copy()
        self.nodes = self.lenslets["wave"][0]
        middle = self.nodes.size // 2
        self.tree = cKDTree(np.stack([self.lenslets["x"][:, middle], self.lenslets["y"][:, middle]], axis=1))
        self.middle = float(self.nodes[middle])

    def match(self, traces: TraceSet, solution: WavelengthSolution) -> np.ndarray:
        """Number of the true lenslet of each trace by its place at the middle wavelength; -1 where none is near."""
        found = np.full(len(solution.wave), -1)
        for i, (wave, centre) in enumerate(zip(solution.wave, traces.centre, strict=True)):
            on = np.isfinite(wave) & np.isfinite(centre)
            if on.sum() > 10 and wave[on].min() < self.middle < wave[on].max():
                row = np.interp(self.middle, wave[on], (traces.start[i] + np.arange(wave.size))[on])
                gap, at = self.tree.query([np.interp(self.middle, wave[on], centre[on]), row])
                found[i] = at if gap < 3.0 else -1
        return found


def wavelengths(truth: Truth, traces: TraceSet, solution: WavelengthSolution, which: np.ndarray) -> None:
    """Wavelengths at true places of nine wavelengths, and the same over the claimed error."""
    off, pull, across = [], [], []
    for i in np.flatnonzero(which >= 0):
        on = np.isfinite(solution.wave[i]) & np.isfinite(traces.centre[i])
        rows = (traces.start[i] + np.arange(on.size))[on]
        true = truth.lenslets[which[i]]
        inside = (true["y"] > rows[0]) & (true["y"] < rows[-1])
        error = np.interp(true["y"], rows, solution.wave[i][on]) - true["wave"]
        claimed = np.interp(true["y"], rows, solution.error[i][on])
        off.append(np.where(inside, error, np.nan))
        pull.append(np.where(inside, error / claimed, np.nan))
        across.append(np.where(inside, np.interp(true["y"], rows, traces.centre[i][on]) - true["x"], np.nan))
    o, p, x = (np.array(v) for v in (off, pull, across))
    print(f"lenslets matched: {(which >= 0).sum()} of {which.size}")
    print(f"places: rms {np.sqrt(np.nanmean(x**2)):.4f} px, bias {np.nanmedian(x):+.4f}")
    rms = np.sqrt(np.nanmean(o**2)) / 10
    print(f"wavelengths: bias {np.nanmedian(o) / 10:+.3f} nm, rms {rms:.3f} nm, pull {width(p):.2f}")
    for wave, one in zip(truth.nodes, o.T, strict=True):
        print(f"    {wave / 10:.0f} nm: {np.nanmedian(one) / 10:+.3f} +- {width(one) / 10:.3f} nm")


def flat(truth: Truth, out: Path, which: np.ndarray) -> None:
    """Flux of the IFU flat in four bands over what was put in."""
    spectra = read_product(product(out, "ifs_ifu_flat", "_SPECTRA.fits"), Spectra)
    wave, step = optics.sampling(truth.mode)
    sent = light.lamp_light(wave, truth.mode) * step * IFU_FLAT
    ends = np.linspace(truth.mode.band[0] + 300.0, truth.mode.band[1] - 450.0, 5)
    share, ok = truth.lenslets["throughput"], which >= 0
    place = np.stack([truth.lenslets["x"][:, 4], truth.lenslets["y"][:, 4]])[:, np.maximum(which, 0)] / 1024.0 - 1.0
    medians = []
    for low, high in pairwise(ends):
        bins = np.abs(np.gradient(spectra.wave, axis=1))
        part = np.clip(np.minimum(spectra.wave + bins / 2, high) - np.maximum(spectra.wave - bins / 2, low), 0, None)
        part = np.where(np.isfinite(part), part, 0.0)
        total = np.nansum(part * spectra.flux, axis=1)
        noise = np.sqrt(np.nansum(part**2 * spectra.variance, axis=1))
        lost = ((part > 0) & ~np.isfinite(spectra.flux)).any(axis=1)
        edge = np.concatenate([[wave[0] - step[0] / 2], wave + step / 2])
        expected = np.diff(np.interp([low, high], edge, np.concatenate([[0.0], np.cumsum(sent)])))[0]
        true = expected * share[np.maximum(which, 0)]
        ratio = np.where(ok & ~lost, total / true, np.nan)
        middle = np.nanmedian(ratio)
        medians.append(middle)
        photons = np.median(np.sqrt(true[ok] / NDIT) / true[ok])
        smooth = surface(place, ratio / middle)
        print(
            f"flat {low / 10:.0f}-{high / 10:.0f} nm: {middle:.4f} of the truth, scatter {width(ratio):.4f}, photons "
            f"{photons:.4f}, pull {width((ratio / middle - 1.0) * true * middle / noise):.2f}, about a surface "
            f"of degree 6 {width((ratio / middle / smooth - 1.0) * true * middle / noise):.2f}"
        )
    print("flat, band to band:", np.round(100 * (np.array(medians) / np.median(medians) - 1), 2), "%")


def surface(place: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Polynomial of degree 6 through values at places (2, n)."""
    x, y = place
    columns = np.stack([x**i * y**j for i in range(7) for j in range(7 - i)], axis=1)
    good = np.isfinite(values) & (np.abs(values - 1.0) < 0.1)
    return np.asarray(columns @ np.linalg.lstsq(columns[good], values[good], rcond=None)[0])


def stars(truth: Truth, out: Path, which: np.ndarray) -> None:
    """Star centres of all exposures, brought from the layout's plane to the truth's by the lenslets of both."""
    layout = read_product(product(out, "ifs_distortion_map", "_LAYOUT.fits"), Layout)
    ok = (which >= 0) & np.isfinite(layout.x)
    columns = np.stack([np.ones(ok.sum()), layout.x[ok], layout.y[ok]], axis=1)
    sky = np.stack([truth.lenslets["sky_x"], truth.lenslets["sky_y"]], axis=1)[which[ok]]
    plane, *_ = np.linalg.lstsq(columns, sky, rcond=None)
    stretch = np.linalg.svd(plane[1:])[1]
    scale, shape = np.sqrt(stretch.prod()) - 1.0, stretch[0] / stretch[1] - 1.0
    print(f"plate scale {100 * scale:+.4f} %, anamorphism {100 * shape:.4f} %")
    found = [read_product(path, StarCentre) for path in sorted(out.glob("*/ifs_*/*STAR_CENTRE.fits"))]
    rows = {(str(row["file"]).strip(), int(row["plane"])): row for row in truth.planes}
    off, error = [], []
    for one in found:
        row = rows.get((str(one.file[0]).removesuffix(".fits"), int(one.plane[0])))
        if row is not None:
            at = plane[0] + np.array([one.centre_x, one.centre_y]) @ plane[1:]
            off.append([at[0] - row["x"], at[1] - row["y"]])
            error.append([one.centre_x_error, one.centre_y_error])
    if off:
        o, e = 1e3 * np.array(off), 1e3 * np.array(error)
        for one, two in zip(o, e, strict=True):
            print(f"star centre: {one[0]:+.3f} {one[1]:+.3f} mas off, claimed {two[0]:.3f} {two[1]:.3f}")


def star_level(truth: Truth, out: Path) -> None:
    """What contrasts share: Strehl ratio and transmission of the DITs over the flux frame, and the light's shift."""
    kinds = np.char.strip(truth.planes["kind"].astype(str))
    sent, flux, spots = (truth.planes[kinds == kind] for kind in ("OBJECT", "FLUX", "CENTER"))

    def strehl(rows: np.ndarray) -> float:
        return float(np.exp(-((2.0 * np.pi * rows["wavefront"] / MIDDLE) ** 2)).mean())

    air = sent["transmission"].mean() / flux["transmission"].mean()
    change = strehl(sent) / strehl(flux)
    print(f"DITs over the flux frame: Strehl ratio {change - 1.0:+.3f}, transmission {air - 1.0:+.3f}")
    with fits.open(product(out, "ifs_companions", "SOURCES.fits")) as units:
        found = {k: 0.01 * float(units[0].header[f"QC {k}"]) for k in ("STREHL CHANGE", "STREHL CHANGE ERROR")}
    true = np.log(strehl(spots) / strehl(flux))
    told = f"{found['STREHL CHANGE']:+.3f} +- {found['STREHL CHANGE ERROR']:.3f}"
    print(f"Strehl ratio of the frame with spots, ln over the flux frame's: {told}, true {true:+.3f}")
    for task, ending, row in (
        ("ifs_science_flux", "STAR_PSF.fits", flux[0]),
        ("ifs_coronagraph_center", "STAR_CENTRE.fits", spots[0]),
    ):
        with fits.open(product(out, task, ending)) as units:
            dy, error = (float(units[0].header[key]) for key in ("SHIFTDY", "SHIFTEY"))
        off = dy - truth.flexure + DRIFT * row["hours"]
        print(f"    {task}: shift along dispersion {off:+.3f} px off, claimed {error:.3f}")


def mean_contrast(channels: np.ndarray, wave: np.ndarray, contrast: np.ndarray, through: np.ndarray) -> float:
    """Mean of the true contrast over the product's channels in its band, each as wide as the others.

    The truth's own wavelengths are even in pixels, not in wavelength: a plain mean over them counts the blue twice as
    often as the red, and was 1 to 4 per cent below.
    """
    seen = np.interp(channels, wave, through)
    return float(np.interp(channels, wave, contrast)[seen > 0.3 * seen.max()].mean())


def companions(truth: Truth, out: Path) -> None:
    """Contrast, place and spectrum of each companion."""
    found = read_product(product(out, "ifs_companions", "SOURCES.fits"), Companions)
    wave = np.asarray(truth.star["wave"], float)
    through = np.asarray(truth.star["star"], float) * wave**3  # by the same rule as the product's band
    for one in truth.companions:
        name = str(one["name"]).strip()
        contrast = np.asarray(truth.star[f"contrast_{name}"], float)
        near = np.hypot(
            found.sep_mas * np.sin(np.radians(found.pa_deg))
            - 1e3 * one["separation"] * np.sin(np.radians(one["angle"])),
            found.sep_mas * np.cos(np.radians(found.pa_deg))
            - 1e3 * one["separation"] * np.cos(np.radians(one["angle"])),
        )
        if not near.size or near.min() > 30.0:
            print(f"companion {name}: not found")
            continue
        i = int(near.argmin())
        spectrum = read_product(product(out, "ifs_companions", f"SPECTRUM_{found.object[i]}.fits"), CompanionSpectrum)
        sent = mean_contrast(spectrum.wave, wave, contrast, through)
        print(
            f"companion {name}: {near[i]:.2f} mas off (claimed {found.sep_err[i]:.2f}), contrast "
            f"{found.contrast[i] / sent - 1:+.3f} +- {found.contrast_err[i] / sent:.3f}, S/N {found.snr[i]:.0f}"
        )
        true = np.interp(spectrum.wave, wave, contrast)
        used = np.isfinite(spectrum.contrast) & (np.interp(spectrum.wave, wave, through) > 0.3 * through.max())
        level = np.sum((spectrum.contrast * true)[used]) / np.sum(true[used] ** 2)
        off = (spectrum.contrast / level - true)[used]
        claimed = np.sqrt(spectrum.variance[used]) / level
        print(
            f"    spectrum: level {level:.3f}, rms about it {np.sqrt(np.mean(off**2)) / true[used].mean():.3f}, "
            f"pull {np.std(off / claimed):.2f}"
        )
    print(f"sources found: {found.snr.size}, significance {np.round(found.snr, 1)}")


def main() -> None:
    """Print all."""
    given = folders(__doc__)
    if given is None:
        return
    out, truth = given[0], Truth(given[1])
    traces = read_product(product(out, "ifs_spectra_positions", "_TRACES.fits"), TraceSet)
    solution = read_product(product(out, "ifs_wavelength_calibration", "_WAVELENGTH.fits"), WavelengthSolution)
    lenslets = read_product(product(out, "ifs_spectra_positions", "_LENSLETS.fits"), Lenslets)
    print(f"{truth.mode.name}, lasers {np.round(lenslets.laser / 10, 2)} nm")
    which = truth.match(traces, solution)
    wavelengths(truth, traces, solution, which)
    flat(truth, out, which)
    if truth.planes is not None:
        stars(truth, out, which)
        if list(out.glob("*/ifs_companions/*SOURCES.fits")):
            companions(truth, out)
            star_level(truth, out)


if __name__ == "__main__":
    main()
