"""A star in a field of slices: its place, its shape, and its light at every wavelength."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import FloatArray
from tracecube.core.slices import SliceExposure, SliceGeometry, SliceTraces, SliceWavelengths
from tracecube.recipes.optics.slice_map import columns_of, lit_pixels
from tracecube.recipes.slices.segments import place_of

__all__ = ["StarPixels", "StarShape", "fit_shape", "near_star", "star_spectrum"]

_NODES = 0.28867513  # of a pixel's side: points of Gauss on either side of its middle
_REFERENCE = 7000.0


@dataclass(frozen=True)
class StarPixels:
    """Pixels about a star: value and variance, place (arcsec, refraction taken off) and wavelength (Angstrom)."""

    value: FloatArray
    variance: FloatArray
    x: FloatArray
    y: FloatArray
    wave: FloatArray


@dataclass(frozen=True)
class StarShape:
    """A Moffat function that changes with wavelength.

    Parameters
    ----------
    x, y : float, arcsec
    x_slope, y_slope : float, arcsec per 1000 Angstrom
        What the theory of refraction left.
    fwhm : float, arcsec
        At 7000 Angstrom; it goes with wavelength to the ``power``.
    power, beta : float
    """

    x: float
    y: float
    x_slope: float
    y_slope: float
    fwhm: float
    power: float
    beta: float

    def density(self, pixels: StarPixels, side: tuple[float, float]) -> FloatArray:
        """Return the share of the star's light on each pixel of size ``side`` (arcsec)."""
        u = (pixels.wave - _REFERENCE) / 1000.0
        x, y = pixels.x - self.x - self.x_slope * u, pixels.y - self.y - self.y_slope * u
        width = self.fwhm * (pixels.wave / _REFERENCE) ** self.power
        core = (0.5 * width) ** 2 / (2.0 ** (1.0 / self.beta) - 1.0)
        total = np.zeros(x.size)
        for dx in (-_NODES, _NODES):
            for dy in (-_NODES, _NODES):
                r2 = (x + dx * side[0]) ** 2 + (y + dy * side[1]) ** 2
                total += (1.0 + r2 / core) ** -self.beta
        return np.asarray(total * (self.beta - 1.0) / (np.pi * core) * side[0] * side[1] / 4.0)


Refraction = Callable[[FloatArray], tuple[FloatArray, FloatArray]]


def near_star(
    exposure: SliceExposure,
    traces: SliceTraces,
    solution: SliceWavelengths,
    geometry: SliceGeometry,
    refraction: Refraction,
    *,
    place: tuple[float, float],
    reach: float,
    gain: FloatArray,
) -> StarPixels:
    """Return the good pixels of a detector within ``reach`` (arcsec) of a place.

    ``gain`` (n,) is the brightness of the slices, which is taken off.
    """
    parts: list[tuple[FloatArray, ...]] = []
    rows = np.arange(exposure.data.shape[0], dtype=np.float64)
    for row in range(len(traces.aperture)):
        if traces.dq[row] or solution.dq[row] or abs(geometry.y[row] - place[1]) > reach:
            continue
        x0, x1 = columns_of(traces, row, exposure.data.shape[1], beyond=1.0)
        across = np.arange(x0, x1)[None, :] - (traces.centre[row] + exposure.shift[row])[:, None]
        width = (traces.right[row] - traces.left[row])[:, None]
        x, y = place_of(geometry, row, across, width)
        good = lit_pixels(exposure.flags[:, x0:x1], traces, row, across)
        good &= np.hypot(x - place[0], y - place[1]) < reach
        if not good.any():
            continue
        wave = np.broadcast_to(solution.wave(row, rows[:, None], across), good.shape)[good]
        west, north = refraction(wave)
        light, variance = exposure.data[:, x0:x1][good] / gain[row], exposure.variance[:, x0:x1][good] / gain[row] ** 2
        parts.append((light, variance, x[good] - west, y[good] - north, wave))
    if not parts:
        return StarPixels(*(np.zeros(0) for _ in range(5)))
    return StarPixels(*(np.concatenate(column).astype(np.float64) for column in zip(*parts, strict=True)))


def fit_shape(
    pixels: StarPixels, side: tuple[float, float], *, first: tuple[float, float], scale: float = 1.0
) -> StarShape:
    """Fit place and shape of a star in twelve wide bands at once; brightness and ground of each band are eliminated.

    ``scale`` is the expected width over that of a star in natural seeing.

    Raises
    ------
    NoConvergence
        No star.
    """
    edges = np.linspace(4800.0, 9250.0, 13)
    band = np.clip(np.searchsorted(edges, pixels.wave) - 1, -1, 11)
    inside = (pixels.wave > edges[0]) & (pixels.wave < edges[-1])
    rng = np.random.default_rng(1)  # a share of the pixels tells the shape
    take = np.flatnonzero(inside & (np.hypot(pixels.x - first[0], pixels.y - first[1]) < 4.0 * scale))
    if take.size < 5000:
        raise NoConvergence("too few pixels about the star", hint="is the standard star inside the field?")
    take = np.sort(rng.choice(take, min(take.size, 250_000), replace=False))
    some = StarPixels(*(getattr(pixels, name)[take] for name in ("value", "variance", "x", "y", "wave")))
    band = band[take]
    root = 1.0 / np.sqrt(some.variance)
    kept = np.ones(take.size, bool)

    def residual(p: FloatArray) -> FloatArray:
        model = StarShape(*p).density(some, side)
        left = np.empty(take.size)
        for number in range(12):
            own = band == number
            w = np.where(kept[own], root[own], 0.0)
            design = np.stack([model[own], np.ones(own.sum())], axis=1) * w[:, None]
            fit = np.linalg.lstsq(design, some.value[own] * w, rcond=None)[0]
            left[own] = some.value[own] * w - design @ fit
        return left

    start = np.array([first[0], first[1], 0.0, 0.0, 0.8 * scale, -0.2, 2.8])
    low = [first[0] - 2.5 * scale, first[1] - 2.5 * scale, -0.2, -0.2, 0.2 * scale, -1.0, 1.5]
    high = [first[0] + 2.5 * scale, first[1] + 2.5 * scale, 0.2, 0.2, 3.0 * scale, 0.5, 8.0]
    widths = [0.1 * scale, 0.1 * scale, 0.01, 0.01, 0.1 * scale, 0.1, 0.5]
    found = start
    for _ in range(2):
        fit = least_squares(residual, found, bounds=(low, high), x_scale=widths)
        found = fit.x
        pull = np.abs(residual(found))
        kept = kept & (pull < 6.0 * max(1.4826 * float(np.median(pull)), 1.0))
    return StarShape(*(float(value) for value in found))


def star_spectrum(
    pixels: StarPixels, shape: StarShape, side: tuple[float, float], edges: FloatArray, *, reach: float
) -> tuple[FloatArray, FloatArray]:
    """Return the star's light in wavelength bins and its variance.

    The sum over an aperture, without the ground that an annulus tells, over the star's share on the very pixels that
    are there: what a shape gets wrong far from the star counts little.

    Parameters
    ----------
    pixels : StarPixels
    shape : StarShape
    side : (float, float), arcsec
    edges : array (n + 1,), Angstrom
    reach : float, arcsec
        Radius of the aperture; the annulus goes from there outwards.
    """
    model = shape.density(pixels, side)
    u = (pixels.wave - _REFERENCE) / 1000.0
    radius = np.hypot(pixels.x - shape.x - shape.x_slope * u, pixels.y - shape.y - shape.y_slope * u)
    at = np.searchsorted(edges, pixels.wave) - 1
    n = len(edges) - 1
    known = (at >= 0) & (at < n)
    value, variance, model = pixels.value[known], pixels.variance[known], model[known]
    at, inner = at[known], (radius <= reach)[known]
    flux, noise = np.full(n, np.nan), np.full(n, np.nan)
    order = np.argsort(at, kind="stable")
    starts = np.searchsorted(at[order], np.arange(n + 1))
    for i in range(n):
        own = order[starts[i] : starts[i + 1]]
        near, far = own[inner[own]], own[~inner[own]]
        if near.size < 20 or far.size < 20:
            continue
        ground, rough = 0.0, 0.0
        for _ in range(2):
            weight = model[near] / variance[near]
            rough = float(np.sum((value[near] - ground) * weight) / np.sum(model[near] * weight))
            ground = float(np.median(value[far] - rough * model[far]))
        pull = (value[near] - ground - rough * model[near]) / np.sqrt(variance[near] + (0.1 * rough * model[near]) ** 2)
        good = near[np.abs(pull) < 6.0]
        share = float(model[good].sum())
        if share < 0.3 * float(model[near].sum()):
            continue
        # pixels of a bin are of many columns and rows: their shares sum to the number of rows, not to one
        flux[i] = float((value[good] - ground).sum()) / share
        noise[i] = float(variance[good].sum()) / share**2
    return flux, noise
