"""How well the light of an extended source can be known at all: the Cramér-Rao bound of a simulated VIRUS night.

The source's shape and colour are taken as known, its brightness is not. With it are unknown, in each exposure: the
sky in eight stretches of the spectrum, the level of each bundle and its colour, a gradient, and the ground beneath the
fibres, which wanders along the slit by as much and as far as the sky's product says. Fibres within 7 arcsec of a star
tell nothing. No estimate that is unbiased can do better; one that must find the shape too does worse.

    tracecube reduce NIGHT -o OUT; python bench/bench_fibre_extended.py OUT NIGHT/truth
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits
from scipy.linalg import cho_factor, cho_solve

from tracecube.core.fibres import FibreSpectra
from tracecube.io.products import read_product
from tracecube.kernels.wandering import walk_covariance

BINS = 8
CLEAR = 7.0  # arcsec from a star
COLOUR, SLOPE, FREE = 0.01, 4e-4, 0.1  # expected of a bundle's colour, of a gradient (1/arcsec); as good as unknown
LIT = 0.003  # of the sky, from which a fibre holds light
THROUGHPUT = 0.001  # relative error of a fibre's, of twilights


class Exposure(NamedTuple):
    """Stretches (n, b) of all fibres of an exposure: the sky, the source, the variance, electron a sample."""

    sky: np.ndarray
    source: np.ndarray
    variance: np.ndarray
    slot: np.ndarray
    amp: np.ndarray
    fibre: np.ndarray
    place: np.ndarray


class Truth:
    """What went into a night."""

    def __init__(self, folder: Path) -> None:
        self.told = json.loads((folder / "truth.json").read_text())
        self.arrays = dict(np.load(folder / "fibres.npz"))
        spectra = np.load(folder / "spectra.npz")
        self.node = self.arrays["node"]
        self.sky = np.interp(self.node, spectra["wave"], spectra["sky"]) * np.pi * 0.75**2

    def share(self, one: FibreSpectra) -> np.ndarray:
        """Light of sources over that of the sky, (n, nodes), NaN where a fibre tells nothing."""
        number, key = int(one.exp[0]), [f"{s:03d}{str(a).strip()}" for s, a in zip(one.ifuslot, one.amp, strict=True)]
        out = np.full((len(key), self.node.size), np.nan)
        for name in set(key):
            rows = np.flatnonzero(np.array(key) == name)
            fibre = one.fibre[rows]
            light = self.arrays[f"src_{number}_{name}"][fibre] * self.told["transparency"][number - 1]
            light = light / (self.sky * self.told["skylevel"][number - 1])
            at = self.arrays[f"xy_{name}"][fibre] + np.array(self.told["dither"][number - 1])
            stars = [(s["x"], s["y"]) for s in self.told["stars"] if s["live"] and s["slot"] == name[:3]]
            near = np.array([any(np.hypot(*(p - s)) < CLEAR for s in stars) for p in at])
            light[near | self.arrays[f"dead_{name}"][fibre]] = np.nan
            out[rows] = light
        return out


def stretches(paths: list[Path], truth: Truth) -> Exposure:
    """Put an exposure's detectors together."""
    parts: list[list[Any]] = [[] for _ in Exposure._fields]
    for path in paths:
        one = read_product(path, FibreSpectra)
        share, good = truth.share(one), (one.flags == 0) & (one.variance > 0)
        known = np.isfinite(share[:, 0]) & (one.dq == 0) & (good.mean(axis=1) > 0.5)
        values = np.zeros((3, int(known.sum()), BINS))
        for b, part in enumerate(np.array_split(np.arange(one.flux.shape[1]), BINS)):
            at = one.wave[known][:, part].mean(axis=1)
            ratio = np.array([np.interp(w, truth.node, row) for w, row in zip(at, share[known], strict=True)])
            use, count = good[known][:, part], np.maximum(good[known][:, part].sum(axis=1), 1)
            level = np.where(use, one.flux[known][:, part], 0.0).sum(axis=1) / count / (1.0 + ratio)
            # a fibre's own noise is no part of its sky: that of the CCD, by the fibre's throughput
            values[0, :, b] = np.median(level)
            values[1, :, b] = np.median(level) * ratio
            ground = 0.0 if one.ground_error is None else one.ground_error[known] ** 2
            values[2, :, b] = np.median(one.variance[known][:, part], axis=1) - ground
            values[2, :, b] /= count
        about = (one.ifuslot, np.char.strip(one.amp.astype(str)), one.fibre, np.stack([one.x, one.y], axis=1))
        for target, value in zip(parts, [*values, *(column[known] for column in about)], strict=True):
            target.append(value)
    return Exposure(*(np.concatenate(part) for part in parts))


def bound(one: Exposure, slot: int, size: float, length: float, *, shape: bool) -> float:
    """Relative error of the brightness of the source in a bundle, its shape known or each fibre's light free.

    Its colour is known but for two terms of a series in either case; the brightness is a mean of the fibres' light
    over what it should be, weighted as by least squares of even noise.
    """
    n = len(one.sky)
    own = one.slot == slot
    along = np.linspace(-1.0, 1.0, BINS)
    light = np.where(own[:, None], one.source, 0.0)
    lit = np.flatnonzero(light.mean(axis=1) > LIT * one.sky.mean())
    weight = light[lit].mean(axis=1) ** 2 / np.sum(light[lit].mean(axis=1) ** 2)
    if shape:
        columns, weight = [(light, 0.0)], np.ones(1)
    else:
        columns = [(light * (np.arange(n) == k)[:, None], 0.0) for k in lit]
        columns.append((light * ~np.isin(np.arange(n), lit)[:, None], 0.0))
    first = len(columns)
    columns += [(light * along**k, 1.0) for k in (1, 2)]
    columns += [(one.sky * (np.arange(BINS) == b), FREE**-2) for b in range(BINS)]
    columns += [(one.sky * (one.place[:, axis] / 25.0)[:, None], (SLOPE * 25.0) ** -2) for axis in (0, 1)]
    for bundle in np.unique(one.slot):
        mine = (one.slot == bundle)[:, None]
        columns += [(one.sky * mine * along**k, (FREE if k == 0 else COLOUR) ** -2) for k in range(3)]
    design = np.stack([values.ravel() for values, _ in columns], axis=1)
    information = np.diag([weight for _, weight in columns])
    for name in {(s, a) for s, a in zip(one.slot, one.amp, strict=True)}:
        rows = np.flatnonzero((one.slot == name[0]) & (one.amp == name[1]))
        at = (rows[:, None] * BINS + np.arange(BINS)).ravel()
        ground = np.kron(walk_covariance(one.fibre[rows].astype(float), size, length), np.ones((BINS, BINS)))
        tilt = one.sky[rows]
        level = np.einsum("nb,nc->nbc", tilt, tilt) * THROUGHPUT**2
        for k in range(rows.size):
            block = slice(k * BINS, (k + 1) * BINS)
            ground[block, block] += level[k] + np.diag(one.variance[rows[k]])
        information += design[at].T @ cho_solve(cho_factor(ground), design[at])
    if design.shape[0] != n * BINS:
        raise AssertionError
    covariance = np.linalg.inv(information)[:first, :first]
    return float(np.sqrt(weight @ covariance[: weight.size, : weight.size] @ weight))


def main(out: Path, folder: Path) -> None:
    """Print the bounds."""
    truth = Truth(folder)
    files = sorted(out.rglob("*_FIBRE_SPECTRA.fits"))
    number = {path: int(read_product(path, FibreSpectra).exp[0]) for path in files}
    heads = [fits.getheader(path) for path in sorted(out.rglob("*_SKY.fits"))]
    for source in truth.told["extended"]:
        found = []
        for k, head in enumerate(heads, start=1):
            one = stretches([path for path in files if number[path] == k], truth)
            size, length = float(head["QC GROUND SIZE"]), float(head["QC GROUND LENGTH"])
            slot = int(source["slot"])
            found.append([bound(one, slot, s, length, shape=known) for s in (size, 1e-6) for known in (True, False)])
            print(_line(f"{source['id']} exposure {k}", found[-1]))
        print(_line(f"{source['id']} mean of them", np.sqrt(np.mean(np.square(found), axis=0) / len(found))))


def _line(name: str, errors: Any) -> str:
    shape, free, shape_only, free_only = (100.0 * value for value in errors)
    return (
        f"{name}: {shape:.2f} per cent, each fibre's light free {free:.2f}; were the ground known,"
        f" {shape_only:.2f} and {free_only:.2f}"
    )


if __name__ == "__main__":
    if len(sys.argv) == 3:  # noqa: PLR2004 - two folders
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    else:
        print(__doc__)
