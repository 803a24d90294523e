"""What a night of SPHERE-IFS with known truth can tell, and what it can not.

Prints, for the rows of a score that stay off their target, the limit that the night itself sets.

    python bench/sphere_ifs_limits.py OUT TRUTH

OUT is the reduced night, TRUTH the folder with ``truth.fits.gz`` and ``truth.json`` of the synthetic nights: lenslets
with their places (``SX``, ``SY``, mas; ``x``, ``y``, px), electrons in four bands a frame (``F_...``) and throughput
(``flat``); spectra of star, lamp and companions (``WAVES``, ``SPECTRA``). Nothing of it is read by the reduction.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from scipy.interpolate import CloughTocher2DInterpolator
from scipy.optimize import minimize
from scipy.spatial import cKDTree
from scipy.stats import norm

from tracecube.core.companions import Companions, CompanionSpectrum
from tracecube.core.flags import NOT_USABLE
from tracecube.core.optics import LineWings, TraceSet, WavelengthSolution
from tracecube.core.pixels import DetectorFlat
from tracecube.core.spectra import Spectra
from tracecube.core.star import StarCentre, StarPsf
from tracecube.instruments.sphere_ifs.observing import orientation
from tracecube.instruments.sphere_ifs.star_surroundings import in_order
from tracecube.io.products import read_product
from tracecube.recipes.science.star_sequence import star_sequence
from tracecube.recipes.science.strehl import StrehlParams, spot_colour

ORDERS, DIAGONALS, DIAMETER = 13.718, (57.3, 147.3), 8.0  # of the satellite spots; lambda / D, degree, m
PIXEL = 7.46  # mas, of the cube
RADIAN = 206264.8e3  # mas
FWHM = 2.2  # px: the line-spread function that spectra are compared with


class Truth:
    """The folder's tables."""

    def __init__(self, folder: Path) -> None:
        with fits.open(folder / "truth.fits.gz") as units:
            self.lenslets, head = units["LENSLETS"].data.copy(), units["LENSLETS"].header
            self.spectra, self.waves = units["SPECTRA"].data.copy(), units["WAVES"].data.copy()
        self.folder = folder
        self.night = json.loads((folder / "truth.json").read_text())
        self.bands = [(head[f"BAND{i}A"], head[f"BAND{i}B"]) for i in range(4)]
        self.nodes = np.array([head[f"LAM{i}"] for i in range(self.lenslets["x"].shape[1])])
        self.whole = self.lenslets["complete"]

    def planes(self, kind: str) -> list[dict[str, Any]]:
        """Integrations of a kind."""
        return [plane for plane in self.night["planes"] if plane["type"] == kind]

    def pixels(self, wave: np.ndarray) -> np.ndarray:
        """Place along the median spectrum, px."""
        place = np.median(self.lenslets["y"][self.whole] - self.lenslets["y"][self.whole][:, :1], axis=0)
        law = np.polynomial.polynomial.polyfit(np.log(self.nodes), place, 5)
        return np.polynomial.polynomial.polyval(np.log(wave), law)


def product(out: Path, task: str, ending: str) -> Path:
    """The only, or first, product of a task."""
    found = sorted(out.glob(f"*/{task}/*{ending}"))
    if not found:
        raise FileNotFoundError(f"no {ending} of {task}")
    return found[0]


def image_offset(truth: Truth) -> None:
    """Where the truth's own fluxes have images of point sources and the halo, against the places that it states."""
    ok, place = truth.whole, np.stack([truth.lenslets["SX"], truth.lenslets["SY"]], axis=1).astype(float)
    for kind, what, inner, outer in (("FLUX", "star beside the mask", 0.0, 2.2), ("CENTER", "halo", 22.0, None)):
        plane, found = truth.planes(kind)[0], []
        for band, (low, high) in enumerate(truth.bands):
            light = truth.lenslets[f"F_{kind}"][:, band] / truth.lenslets["flat"]
            image = CloughTocher2DInterpolator(place[ok], light[ok].astype(float))
            middle = 0.5 * (low + high)
            bend = (1250.0 / middle) ** 2 - 1.0
            stated = np.array([plane["cx0"], plane["cy0"]]) + bend * np.array(truth.night["adc_mas"])
            unit = middle * 1e-9 / DIAMETER * RADIAN
            radius, angle = np.meshgrid(
                np.linspace(inner * unit, outer * unit if outer else 780.0, 30), np.linspace(0.0, np.pi, 60)
            )
            away = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1).reshape(-1, 2)

            def unlike(at: np.ndarray, image: Any = image, away: Any = away) -> float:
                one, other = image(at + away), image(at - away)
                return float(np.nanvar((one - other) / np.sqrt(np.maximum(one + other, 1e-9))))

            start = stated + np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
            best = minimize(unlike, stated, method="Nelder-Mead", options={"initial_simplex": start, "xatol": 0.005})
            found.append(best.x - stated)
        mean, spread = np.mean(found, axis=0), np.std(found, axis=0)
        print(f"{what}: symmetric about a point {mean.round(2)} +- {spread.round(2)} mas from the stated place")


def star_centre(truth: Truth, out: Path) -> None:
    """Centre of symmetry of the spots in the truth's own fluxes, without noise, against the centre that it states."""
    image_offset(truth)
    centre, found = truth.planes("CENTER")[0], []
    ok, place = truth.whole, np.stack([truth.lenslets["SX"], truth.lenslets["SY"]], axis=1).astype(float)
    for band, (low, high) in enumerate(truth.bands):
        light = truth.lenslets["F_CENTER"][:, band] / truth.lenslets["flat"]
        image = CloughTocher2DInterpolator(place[ok], light[ok].astype(float))
        bend = (1250.0 / (0.5 * (low + high))) ** 2 - 1.0
        stated = np.array([centre["cx0"], centre["cy0"]]) + bend * np.array(truth.night["adc_mas"])
        unit = 0.5 * (low + high) * 1e-9 / DIAMETER * RADIAN
        ends = [ORDERS * wave * 1e-9 / DIAMETER * RADIAN for wave in (low, high)]
        u, v = np.meshgrid(
            np.linspace(ends[0] - 1.5 * unit, ends[1] + 1.5 * unit, 60), np.linspace(-1.7, 1.7, 25) * unit
        )
        for angle in np.radians(DIAGONALS):
            away = np.stack([u * np.cos(angle) - v * np.sin(angle), u * np.sin(angle) + v * np.cos(angle)], axis=-1)
            even = np.stack([np.ones(u.size), u.ravel() / 100.0, v.ravel() / 100.0])

            def unlike(at: np.ndarray, image: Any = image, away: Any = away, even: Any = even) -> float:
                one, other = (image(at + sign * away).ravel() for sign in (1.0, -1.0))
                columns = np.vstack([other, even]).T
                return float(np.var(one - columns @ np.linalg.lstsq(columns, one, rcond=None)[0]) / np.var(one))

            start = stated + np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
            best = minimize(unlike, stated, method="Nelder-Mead", options={"initial_simplex": start, "xatol": 0.005})
            found.append(best.x - stated)
    mean, spread = np.mean(found, axis=0), np.std(found, axis=0)
    print(
        f"star centre: the noise-free spots are symmetric about a point {mean.round(2)} +- {spread.round(2)} mas "
        f"from the stated centre: {np.hypot(*mean) / PIXEL:.3f} px of the cube; companions are images, "
        "too: a centre at the stated place would move them by that"
    )
    measured = read_product(product(out, "ifs_coronagraph_center", "STAR_CENTRE.fits"), StarCentre)
    claimed = 1e3 * np.hypot(measured.centre_x_error, measured.centre_y_error)
    print(f"star centre: claimed error {claimed:.3f} mas, {claimed / PIXEL:.3f} px of the cube")


def photon_share(expected: np.ndarray) -> float:
    """Median error of the IFU flat's light in a band by its photons alone, relative."""
    return float(np.median(np.sqrt(expected / 20.0) / expected))


def flat(truth: Truth, out: Path) -> None:
    """Flux of the IFU flat over the truth: scatter and pull before and after a smooth surface is taken off."""
    flux, error, wave, place = spectra_of(out, "ifs_ifu_flat")
    middle = truth.lenslets["x"].shape[1] // 2
    own = np.stack([truth.lenslets["x"][:, middle], truth.lenslets["y"][:, middle]], axis=1)
    which = nearest(place, own)
    ok = (which >= 0) & truth.whole[np.maximum(which, 0)]
    unknown = read_product(product(out, "ifs_detector_flat", "_FLAT.fits"), DetectorFlat).open_response
    surfaces: list[np.ndarray] = []
    pulls: list[float] = []
    for band, (low, high) in enumerate(truth.bands):
        light, noise = band_sum(flux[ok], error[ok], wave[ok], low, high)
        expected = truth.lenslets["F_FLAT"][which[ok], band]
        ratio = light / expected
        ratio /= np.nanmedian(ratio)
        x, y = (own[which[ok]] / 1024.0 - 1.0).T
        columns = np.stack([x**i * y**j for i in range(7) for j in range(7 - i)], axis=1)
        good = np.isfinite(ratio) & (np.abs(ratio - 1.0) < 0.1)
        smooth = columns @ np.linalg.lstsq(columns[good], ratio[good], rcond=None)[0]
        photons = photon_share(expected)
        surfaces.append(smooth)
        claimed = noise / expected / np.nanmedian(light / expected)
        pulls.append(width((ratio - 1.0) / np.hypot(claimed, unknown or 0.0)))
        print(
            f"flat, {low:.0f}-{high:.0f} nm: scatter {width(ratio):.4f}, {width(ratio / smooth):.4f} "
            f"after a surface of degree 6 (from {smooth.min():.3f} to {smooth.max():.3f}); photons {photons:.4f}; pull "
            f"{width((ratio / smooth - 1.0) / claimed):.2f}"
        )
    print(f"flat: pull of each band with FLUX COMMON ERROR {unknown or 0.0:.4f} added once: {np.round(pulls, 2)}")
    colour = [float(np.std(one / surfaces[1])) for one in surfaces]
    print(
        f"flat: surfaces differ over the field by {np.round(colour, 4)} rms from the second band's: the response has "
        "a colour, and nothing in the night tells its mean"
    )


def response(truth: Truth, out: Path) -> None:
    """What the detector flats' lamps leave open of the detector's response on large scales, and what follows."""
    unknown = read_product(product(out, "ifs_detector_flat", "_FLAT.fits"), DetectorFlat).open_response
    if unknown is None:
        return
    seen = truth.lenslets["F_FLAT"][truth.whole]
    photons = float(np.median([photon_share(seen[:, band]) for band in range(len(truth.bands))]))
    print(
        f"flat, limit of its scatter: lamps tell the response to {unknown:.4f}; the target is 1.5 photon noises, "
        f"{1.5 * photons:.4f}"
    )
    print(
        f"flat, limit of its pull: {np.hypot(1.0, unknown / photons):.1f}, as errors claimed of a spectrum hold "
        "photons and read noise, and not what is common to all its neighbours: that is FLUX COMMON ERROR of the product"
    )


def crosstalk(truth: Truth, out: Path) -> None:
    """Share of neighbours in lenslets of the pinholes' frame, with the errors of the regression that tells it."""
    flux, error, wave, place = spectra_of(out, "ifs_distortion_map")
    middle = truth.lenslets["x"].shape[1] // 2
    own = np.stack([truth.lenslets["x"][:, middle], truth.lenslets["y"][:, middle]], axis=1).astype(float)
    which = nearest(place, own)
    sums = [band_sum(flux, error, wave, *band)[0] for band in truth.bands]
    light, every = np.sum(sums, axis=0), truth.lenslets["F_DIST"].astype(float).sum(axis=1)
    ok = (which >= 0) & truth.whole[np.maximum(which, 0)] & np.isfinite(light)
    which, light = which[ok], light[ok]
    bright = every[which] > 0.35 * np.percentile(every[which], 99.7)
    left = light / np.median(light[bright] / every[which][bright]) - every[which]
    columns, tree = [every[which]], cKDTree(own)
    kinds = {"5.1 px, 14.7 along": (5.1, 14.7), "5.1, 26.4": (5.1, 26.4)}
    kinds |= {"10.2, 11.8": (10.2, 11.8), "15.3, 2.9": (15.3, 2.9)}
    for across, along in kinds.values():
        total = np.zeros(which.size)
        for sx, sy in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            gap, at = tree.query(own[which] + np.array([sx * across, sy * along]))
            total += np.where(gap < 1.5, every[at], 0.0)
        columns.append(total)
    matrix, weight, kept = np.array(columns).T, 1.0 / np.sqrt(every[which] / 10.0 + 3000.0), np.ones(which.size, bool)
    for _ in range(4):
        part = matrix[kept] * weight[kept, None]
        share = np.linalg.lstsq(part, left[kept] * weight[kept], rcond=None)[0]
        off = (left - matrix @ share) * weight
        kept = np.abs(off) < 5.0 * width(off)
    errors = np.sqrt(np.diag(np.linalg.inv(part.T @ part))) * width(off)
    for name, value, one in zip(kinds, share[1:], errors[1:], strict=True):
        print(f"cross-talk from {name}: {100 * value:+.3f} +- {100 * one:.3f} %")


def neighbours_light(out: Path) -> None:
    """How much of a neighbour's light the night's lamps leave open: degeneracy of wings and fluxes."""
    for number, distance in ((1, 5.1), (2, 10.2)):
        told = [trace_number(out, f"LEAK{number} {name}") for name in ("UNTOLD", "ERROR")]
        if all(told):
            print(
                f"light found {distance} px away: lamps alone leave +- {told[0]:.3f} % open, with calm wings "
                f"+- {told[1]:.3f} % (one sigma, from the fit's own equations)"
            )


def bands(truth: Truth, out: Path) -> None:
    """Flux of the IFU flat from band to band, against the truth's spectrum seen with several lines.

    The truth states sums of its own samples in each band; the score compares with them as samples of sharp lines, or of
    Gaussian ones, see the mean spectrum: what other lines would give is found the same way.
    """
    flux, variance, wave, place = spectra_of(out, "ifs_ifu_flat")
    middle = truth.lenslets["x"].shape[1] // 2
    which = nearest(place, np.stack([truth.lenslets["x"][:, middle], truth.lenslets["y"][:, middle]], axis=1))
    ok = (which >= 0) & truth.whole[np.maximum(which, 0)]
    ratio = np.array(
        [
            np.nanmedian(band_sum(flux[ok], variance[ok], wave[ok], *band)[0] / truth.lenslets["F_FLAT"][which[ok], i])
            for i, band in enumerate(truth.bands)
        ]
    )
    grid = truth.waves["wave"].astype(float)
    pixel, typical = truth.pixels(grid), np.nanmedian(wave, axis=0)
    away = pixel[:, None] - pixel
    traces = read_product(product(out, "ifs_spectra_positions", "_TRACES.fits"), TraceSet)
    own = own_width(out, grid)
    sharp: np.ndarray | None = None
    for name, kernel in (
        ("lines of 0.93 px", np.exp(-0.5 * (away / (FWHM / 2.355)) ** 2)),
        (
            f"lines of {own.min():.2f} to {own.max():.2f} px, the night's own",
            np.exp(-0.5 * (away / own) ** 2) / own,
        ),
        ("lines of 1.43 px, second moment of the real PSFlets", np.exp(-0.5 * (away / 1.43) ** 2)),
        ("the cross-dispersion profile by wavelength", profile_kernel(traces, typical, grid, away)),
    ):
        kept = seen_in_bands(truth, kernel, typical)
        sharp = kept if sharp is None else sharp
        print(f"flat, band to band with {name}: {np.round(100 * relative(ratio / kept), 2)} %")
        print(f"    a faultless extraction would score {100 * np.max(np.abs(relative(kept / sharp))):.2f} %")
    told = [trace_number(out, f"LEVEL {name}") for name in ("UNTOLD", "ERROR")]
    if all(told):
        row = [
            100.0 * value for value in np.percentile(score_of_levels(told[1] / 100.0, len(truth.bands)), [16, 50, 84])
        ]
        print(
            f"flat, band to band: lamps alone leave the flux of one wavelength against another's open by {told[0]:.2f}"
            f" % rms, with calm wings {told[1]:.2f} %; then the row is {row[1]:.1f} % ({row[0]:.1f} to {row[2]:.1f})"
        )


def relative(values: np.ndarray) -> np.ndarray:
    """Departures from the median."""
    return np.asarray(values / np.median(values) - 1.0)


def score_of_levels(rms: float, count: int) -> np.ndarray:
    """Largest departures from the median of so many independent levels about their mean, of many draws."""
    draws = np.random.default_rng(1).normal(size=(4000, count))
    draws = 1.0 + rms * np.sqrt(count / (count - 1.0)) * (draws - draws.mean(axis=1, keepdims=True))
    return np.asarray(np.max(np.abs(draws / np.median(draws, axis=1)[:, None] - 1.0), axis=1))


def seen_in_bands(truth: Truth, kernel: np.ndarray, wave: np.ndarray) -> np.ndarray:
    """Electrons that samples at ``wave`` (nm) see of the mean flat in each band, over what the truth states."""
    grid, light = truth.waves["wave"].astype(float), truth.spectra["FLAT"].astype(float).mean(axis=0)
    step = np.gradient(truth.pixels(grid))
    density = (kernel @ light) * step / np.median((kernel * step[:, None]).sum(axis=0)) / (grid[1] - grid[0])
    samples = np.interp(wave, grid, density, left=0.0, right=0.0)[None]
    samples = np.where(np.isfinite(wave), samples, np.nan)
    total = [band_sum(samples, np.zeros_like(samples), wave[None], *band)[0][0] for band in truth.bands]
    return np.array(
        [one / light[(grid > low) & (grid < high)].sum() for one, (low, high) in zip(total, truth.bands, strict=True)]
    )


def trace_number(out: Path, name: str) -> float:
    """A quality number of the traces; 0 where it is not there."""
    with fits.open(product(out, "ifs_spectra_positions", "_TRACES.fits")) as units:
        return float(units[0].header.get(f"QC {name}") or 0.0)


def own_width(out: Path, grid: np.ndarray) -> np.ndarray:
    """Width (px) of the line-spread function that the night's products state, at wavelengths (nm)."""
    solution = read_product(product(out, "ifs_wavelength_calibration", "_WAVELENGTH.fits"), WavelengthSolution)
    on = np.isfinite(solution.wave) & np.isfinite(solution.lsf_sigma)
    at, width_ = solution.wave[on] / 10.0, solution.lsf_sigma[on]
    steps = np.linspace(at.min(), at.max(), 30)
    which = np.digitize(at, steps)
    middle = [np.median(width_[which == i]) if (which == i).any() else np.nan for i in range(1, steps.size)]
    centre, middle = 0.5 * (steps[1:] + steps[:-1]), np.array(middle)
    return np.interp(grid, centre[np.isfinite(middle)], middle[np.isfinite(middle)])


def core_width(out: Path, grid: np.ndarray) -> np.ndarray:
    """Width (px) of lines in spectra of the night: that of their cores, where lasers told what lies beyond."""
    found = list(out.glob("*/ifs_line_wings/*_LINE_WINGS.fits"))
    if not found:
        return own_width(out, grid)
    wings = read_product(found[0], LineWings)
    return np.interp(10.0 * grid, wings.wave, wings.core)


def profile_kernel(traces: TraceSet, wave: np.ndarray, grid: np.ndarray, away: np.ndarray) -> np.ndarray:
    """The night's cross-dispersion profile, its sides' mean, taken for the line of every wavelength of ``grid``."""
    on = np.isfinite(traces.centre)
    count = np.maximum(on.sum(axis=0), 1)
    mix = np.where(on, traces.mix, 0.0).sum(axis=1) / count
    known = np.flatnonzero(np.isfinite(wave) & on.any(axis=0))
    known = known[np.argsort(wave[known])]
    shares = np.stack([np.interp(grid, wave[known], one[known]) for one in mix])
    lines = traces.profile @ shares
    lines = 0.5 * (lines + lines[::-1])
    lines /= lines.sum(axis=0) * (traces.profile_u[1] - traces.profile_u[0])
    half = traces.profile_u >= 0
    return np.stack(
        [np.interp(np.abs(away[:, k]), traces.profile_u[half], lines[half, k], right=0.0) for k in range(grid.size)],
        axis=1,
    )


def lamp_between(truth: Truth) -> None:
    """How much brighter the flat's lamp is at each companion's places than at the star's beside the mask."""
    sky = np.stack([truth.lenslets["SX"], truth.lenslets["SY"]], axis=1).astype(float)[truth.whole]
    lamp = (truth.lenslets["F_FLAT"].astype(float).sum(axis=1) / truth.lenslets["flat"])[truth.whole]
    print(f"lamp of the lenslet flat: uneven over the field by {np.std(lamp) / np.mean(lamp):.3f} rms")

    def there(x: float, y: float) -> float:
        return float(np.mean(lamp[np.hypot(sky[:, 0] - x, sky[:, 1] - y) < 40.0]))

    beside, dits = truth.planes("FLUX")[0], truth.planes("OBJECT")
    star = there(beside["cx0"], beside["cy0"])
    air = np.mean([one["transmission"] for one in dits]) / beside["transmission"]
    for number, companion in enumerate(truth.night["companions"]):
        moves = [one["companions_offset_mas"][number][1:] for one in dits]
        at = [(one["cx0"] + x, one["cy0"] + y) for one, (x, y) in zip(dits, moves, strict=True)]
        off = star / float(np.mean([there(*place) for place in at])) - 1.0
        print(
            f"companion {companion['name']}: what no frame tells: lamp at the star's place over there {off:+.3f}, "
            f"transmission {air - 1.0:+.3f}"
        )


def strehl(truth: Truth, out: Path) -> None:
    """Change of the star's light from the frame beside the mask to the DITs, and what is measured of it."""
    beside, dits = truth.planes("FLUX")[0], truth.planes("OBJECT")

    def core(plane: dict[str, Any], wave: float = 1250.0) -> float:
        return float(np.exp(-((2.0 * np.pi * plane["strehl_nm"] / wave) ** 2)))

    changes = [core(one) / core(beside) for one in dits]
    air = np.mean([one["transmission"] for one in dits]) / beside["transmission"]
    psf = read_product(product(out, "ifs_science_flux", "STAR_PSF.fits"), StarPsf)
    centre = read_product(product(out, "ifs_coronagraph_center", "STAR_CENTRE.fits"), StarCentre)
    change, error, _ = spot_colour(psf, centre, StrehlParams())
    with_spots = np.log(core(truth.planes("CENTER")[0]) / core(beside))
    print(
        f"star's level at 1.25 um: Strehl ratio of the DITs over that beside the mask {np.mean(changes):.3f}, "
        f"transmission {air:.3f}, which nothing tells; colour of the spots {change:+.3f} +- {error:.3f}, "
        f"true {with_spots:+.3f}"
    )


def companions(truth: Truth, out: Path) -> None:
    """Noise of each companion's contrast, and the chance that it meets a target at all."""
    found = read_product(product(out, "ifs_companions", "SOURCES.fits"), Companions)
    names = {one["name"]: one for one in truth.night["companions"]}
    for i, name in enumerate(found.object):
        stated = names[str(name)]["mean_contrast"]
        error = float(found.contrast_err[i] / found.contrast[i])
        goal = {"b": 0.03, "c": 0.06}.get(str(name), 0.10)
        print(
            f"companion {name}: contrast {found.contrast[i] / stated - 1.0:+.3f} of the true one off, claimed error "
            f"{error:.3f}; within {goal:.2f} in {2.0 * norm.cdf(goal / error) - 1.0:.0%} of nights"
        )
        spectrum = read_product(product(out, "ifs_companions", f"SPECTRUM_{name}.fits"), CompanionSpectrum)
        common = spectrum.common_error
        print(f"    of that {np.sqrt(max(error**2 - common**2, 0.0)):.3f} noise, {common:.3f} the star's level")
        line_spread(truth, spectrum, out)


def photon_errors(found: Companions, out: Path) -> list[tuple[float, np.ndarray]]:
    """Cramer and Rao's limit of each companion's contrast, relative: of a flat spectrum, and channel by channel.

    All else is known: the speckles, the star's flux and its image, the place. What is left are the photons and read
    noise of the DITs, and how the samples of a lenslet are correlated along wavelength.
    """
    spectra = [read_product(path, Spectra) for path in sorted(out.glob("*/ifs_science/*_CHANNELS.fits"))]
    centres = [read_product(path, StarCentre) for path in sorted(out.glob("*/ifs_science/*_DIT_CENTRE.fits"))]
    psf = read_product(product(out, "ifs_science_flux", "STAR_PSF.fits"), StarPsf)
    spectra, centres = in_order(spectra, centres)
    turned = [orientation(one.meta, "").angle for one in spectra]
    sequence = star_sequence(spectra, centres, turned, psf)
    rows = np.flatnonzero(np.isfinite(spectra[0].x) & np.isfinite(spectra[0].y) & ((spectra[0].dq & NOT_USABLE) == 0))
    beside = [np.nan_to_num(np.asarray(one.covariance, float)[rows].T) for one in spectra]
    made = []
    for i in range(found.object.size):
        angle, far = np.radians(found.pa_deg[i]), 1e-3 * found.sep_mas[i]
        light = np.where(sequence.light > 0, 1.0, 0.0)[None]
        image = sequence.image(np.array([far * np.sin(angle)]), np.array([far * np.cos(angle)]), light)
        fisher = np.zeros((sequence.wave.size, sequence.wave.size))
        for t, n in zip(*np.nonzero((image > 0).any(axis=1)), strict=True):
            known = np.flatnonzero(sequence.weight[t, :, n] > 0)
            cover = np.diag(1.0 / sequence.weight[t, known, n].astype(float))
            near = np.flatnonzero(np.diff(known) == 1)
            cover[near, near + 1] = cover[near + 1, near] = beside[t][known[near], n]
            seen = image[t, known, n]
            fisher[np.ix_(known, known)] += seen[:, None] * np.linalg.inv(cover) * seen
        told = np.diag(fisher) > 0
        single = np.full(told.size, np.nan)
        single[told] = np.sqrt(np.diag(np.linalg.inv(fisher[np.ix_(told, told)])))
        made.append((float(fisher.sum() ** -0.5 / found.contrast[i]), single / found.contrast[i]))
    return made


def chances(truth: Truth, out: Path) -> None:
    """What each companion's rows can reach at best, and in how many nights they then pass."""
    found = read_product(product(out, "ifs_companions", "SOURCES.fits"), Companions)
    dits = len(truth.planes("OBJECT"))
    air = StrehlParams().transmission * np.sqrt(1.0 + 1.0 / dits)
    meta = read_product(min(out.glob("*/ifs_science/*_CHANNELS.fits")), Spectra).meta
    bent = float(meta.get("FLATBENT", meta.get("FLATSMTH", 0.03)))
    level = float(np.hypot(air, bent))
    print(
        f"star's level at best {level:.3f}: transmission of the air {air:.3f}, what is bent in the lenslet flat "
        f"{bent:.3f}; Strehl ratio and slope of the lamp known"
    )
    names = {one["name"]: one for one in truth.night["companions"]}
    for i, (mean, single) in enumerate(photon_errors(found, out)):
        name = str(found.object[i])
        spectrum = read_product(product(out, "ifs_companions", f"SPECTRUM_{name}.fits"), CompanionSpectrum)
        seen = np.isfinite(spectrum.contrast) & np.isfinite(single)
        seen &= np.interp(spectrum.wave / 10.0, truth.waves["wave"], truth.waves["throughput"]) > 0.3
        value = abs(found.contrast[i] / names[name]["mean_contrast"] - 1.0)
        claimed = float(found.contrast_err[i] / found.contrast[i])
        noise = float(np.sqrt(np.mean(single[seen] ** 2)))
        goal, best = _GOALS[name][0], float(np.hypot(mean, level))
        chance, claims = (2.0 * norm.cdf(goal / one) - 1.0 for one in (best, claimed))
        print(
            f"companion {name}, photometry and bias: {value:.3f} off, target {goal:.2f}; limit {best:.3f}, photons "
            f"{mean:.3f}: met in {chance:.0%} of nights at best, in {claims:.0%} with the error claimed, {claimed:.3f}"
        )
        rng = np.random.default_rng(1)
        draws = np.sqrt(
            noise**2 * rng.chisquare(seen.sum(), 20000) / seen.sum() + (level * rng.normal(size=20000)) ** 2
        )
        print(
            f"companion {name}, channel rms: target {_GOALS[name][1]:.2f}; photons {noise:.3f} a channel: met in "
            f"{np.mean(draws < _GOALS[name][1]):.0%} of nights at best"
        )


_GOALS = {"b": (0.03, 0.06), "c": (0.06, 0.15), "d": (0.10, 0.25)}
"""Of contrast and mean spectrum, and of the rms of the channels, relative."""


def line_spread(truth: Truth, spectrum: CompanionSpectrum, out: Path) -> None:
    """Spectrum against the truth as lines of several widths make it, the best level taken out."""
    wave, contrast = spectrum.wave / 10.0, spectrum.contrast
    grid = truth.waves["wave"].astype(float)
    true, star = (truth.waves[key].astype(float) for key in (f"contrast_{spectrum.object}", "star_e_s_nm"))
    place = truth.pixels(grid)
    seen = np.interp(wave, grid, truth.waves["throughput"]) > 0.3
    seen &= np.isfinite(contrast) & (wave > 970.0) & (wave < truth.nodes[-1] - 50.0)
    own, sharp = core_width(out, grid), np.zeros(0)
    for name, sigma in ((f"{FWHM / 2.355:.2f} px", FWHM / 2.355), ("the night's own width", own[:, None])):
        kernel = np.exp(-0.5 * ((place[:, None] - place) / sigma) ** 2)
        expected = np.interp(wave, grid, (kernel @ (true * star)) / (kernel @ star))
        level = np.sum((contrast * expected)[seen]) / np.sum((expected**2)[seen])
        off = (contrast / level - expected)[seen]
        claimed, mean = np.sqrt(spectrum.variance)[seen] / level, expected[seen].mean()
        print(
            f"    lines of {name}: level {level:.3f}, rms about it {np.sqrt(np.mean(off**2)) / mean:.3f}, "
            f"pull {np.std(off / claimed):.2f}; claimed noise {np.sqrt(np.mean(claimed**2)) / mean:.3f}"
        )
        if sharp.size:
            apart, noise = np.mean((expected - sharp)[seen] ** 2), np.mean(claimed**2)
            print(f"    so many of the row's rms are the lines': {np.sqrt(apart) / mean:.3f}, with noise", end=" ")
            print(f"{np.sqrt(apart + noise) / mean:.3f}; pull expected {np.sqrt(1.0 + apart / noise):.2f}")
        sharp = expected


def spectra_of(out: Path, task: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Flux (electron / nm), variance, wavelength (nm), and places (x, y; px) of the traces' middles."""
    spectra = read_product(product(out, task, "_SPECTRA.fits"), Spectra)
    traces = read_product(product(out, "ifs_spectra_positions", "_TRACES.fits"), TraceSet)
    known = np.isfinite(traces.centre)
    rows = traces.start[:, None] + np.arange(traces.centre.shape[1])
    along = 0.5 * (np.where(known, rows, 9999).min(axis=1) + np.where(known, rows, -1).max(axis=1))
    place = np.stack([np.nanmean(np.where(known, traces.centre, np.nan), axis=1), along], axis=1)
    return 10.0 * spectra.flux, 100.0 * spectra.variance, spectra.wave / 10.0, place


def nearest(place: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Number of the true lenslet at each place, -1 where none is within 6 px."""
    gap, at = cKDTree(own).query(np.nan_to_num(place, nan=-99.0))
    return np.where(gap < 6.0, at, -1)


def band_sum(
    flux: np.ndarray, variance: np.ndarray, wave: np.ndarray, low: float, high: float
) -> tuple[np.ndarray, np.ndarray]:
    """Electrons of each spectrum in a band, samples at its ends by their part in it, and their error."""
    step = np.abs(np.gradient(wave, axis=1))
    part = np.clip(np.minimum(wave + 0.5 * step, high) - np.maximum(wave - 0.5 * step, low), 0.0, None)
    part = np.where(np.isfinite(part), part, 0.0)
    whole = np.isfinite(flux) | (part == 0.0)
    total = np.where(whole.all(axis=1), (part * np.nan_to_num(flux)).sum(axis=1), np.nan)
    return total, np.sqrt((part**2 * np.nan_to_num(variance)).sum(axis=1))


def width(values: np.ndarray) -> float:
    """Width of the middle of a distribution, as a Gaussian's sigma."""
    known = values[np.isfinite(values)]
    return float(1.4826 * np.median(np.abs(known - np.median(known))))


def folders(description: str | None) -> tuple[Path, Path] | None:
    """Reduced night and truth from the command line; None where they are not given."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("truth", nargs="?", type=Path)
    given = parser.parse_args()
    if given.out is None or given.truth is None:
        print("no reduced night and truth given: nothing to compare")
        return None
    return given.out, given.truth


def main() -> None:
    """Print all."""
    given = folders(__doc__)
    if given is None:
        return
    out, truth = given[0], Truth(given[1])
    for part in (star_centre, flat, response, bands, crosstalk, strehl, companions, chances):
        try:
            part(truth, out)
        except FileNotFoundError as error:  # calibrations alone
            print(f"{part.__name__}: {error}")
    lamp_between(truth)
    neighbours_light(out)


if __name__ == "__main__":
    main()
