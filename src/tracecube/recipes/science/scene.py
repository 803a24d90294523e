"""The scene a point source is fitted in: the good lenslets around it, in broad wavelength slices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.spectra import Spectra

__all__ = ["Scene", "Slices", "Track", "brightest", "make_scene", "make_slices", "sky_surface"]

F8 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]
# A lenslet that hardly passes light is divided by a small number: its calibration error is large.
BAD = NOT_USABLE | int(Flag.NOT_ILLUMINATED | Flag.LOW_THROUGHPUT)


@dataclass(frozen=True)
class Scene:
    """Lenslets of an exposure as plain arrays; wavelength is the first axis.

    Parameters
    ----------
    wave : array (m,), Angstrom
    aperture : int array (n,)
    x, y : array (n,), arcsec
    flux, variance, covariance : array (m, n)
        Covariance with the next sample along wavelength, zero where either is bad.
    good : bool array (m, n)
    """

    wave: F8
    aperture: NDArray[np.integer]
    x: F8
    y: F8
    flux: F8
    variance: F8
    covariance: F8
    good: NDArray[np.bool_]

    def near(self, x: float, y: float, radius: float) -> Scene:
        """Return the lenslets within ``radius`` (arcsec) of a place."""
        return self.only(np.hypot(self.x - x, self.y - y) <= radius)

    def only(self, keep: NDArray[np.bool_]) -> Scene:
        """Return some of the lenslets, bool array (n,)."""
        return Scene(
            wave=self.wave,
            aperture=self.aperture[keep],
            x=self.x[keep],
            y=self.y[keep],
            flux=self.flux[:, keep],
            variance=self.variance[:, keep],
            covariance=self.covariance[:, keep],
            good=self.good[:, keep],
        )

    def without(self, bad: NDArray[np.bool_]) -> Scene:
        """Return the scene with further samples (m, n) given up."""
        good = self.good & ~bad
        pair = good.copy()
        pair[:-1] &= good[1:]
        return Scene(
            wave=self.wave,
            aperture=self.aperture,
            x=self.x,
            y=self.y,
            flux=self.flux,
            variance=self.variance,
            covariance=np.where(pair, self.covariance, 0.0),
            good=good,
        )


@dataclass(frozen=True)
class Track:
    """Where the light of a source stands and how wide it is, against the reference wavelength.

    Parameters
    ----------
    east, north : array (m,), arcsec
        Shift by refraction.
    growth : array (m,)
        Logarithm of wavelength over reference: the width goes with ``exp(rho * growth)``.
    """

    east: Floats
    north: Floats
    growth: Floats


@dataclass(frozen=True)
class Slices:
    """The scene averaged over broad ranges of wavelength.

    Parameters
    ----------
    wave : array (k,), Angstrom
    track : Track (k,)
        Mean over each range, weighted with the light of the source.
    flux, weight : array (k, n)
        Weight is inverse variance, zero where too little was measured.
    members : tuple of slice
        Samples of each range.
    """

    wave: F8
    track: Track
    flux: F8
    weight: F8
    members: tuple[slice, ...]


def make_scene(spectra: Spectra) -> Scene:
    """Take the lenslets that have a place on the sky and measured light.

    Raises
    ------
    BadData
        Wavelengths differ from lenslet to lenslet, or fewer than fifty lenslets are usable.
    """
    if spectra.wave.ndim != 1:
        raise BadData("spectra: wavelengths differ from lenslet to lenslet", hint="bring them to one grid first")
    usable = np.isfinite(spectra.x) & np.isfinite(spectra.y) & ((spectra.dq & NOT_USABLE) == 0)
    good = (spectra.flags & BAD) == 0
    good &= np.isfinite(spectra.flux) & np.isfinite(spectra.variance) & (spectra.variance > 0)
    usable &= good.mean(axis=1) > 0
    if np.count_nonzero(usable) < 50:
        raise BadData(
            f"spectra: only {np.count_nonzero(usable)} lenslets are usable", hint="look at the extraction of this frame"
        )
    good = good[usable]
    scene = Scene(
        wave=np.asarray(spectra.wave, dtype=float),
        aperture=spectra.aperture[usable],
        x=np.asarray(spectra.x[usable], dtype=float),
        y=np.asarray(spectra.y[usable], dtype=float),
        flux=np.where(good, spectra.flux[usable], 0.0).T.astype(float),
        variance=np.where(good, spectra.variance[usable], 1.0).T.astype(float),
        covariance=np.where(np.isfinite(spectra.covariance[usable]), spectra.covariance[usable], 0.0).T.astype(float),
        good=good.T,
    )
    return scene.without(np.zeros_like(scene.good))


def make_slices(scene: Scene, track: Track, light: F8, *, low: float, high: float, number: int) -> Slices:
    """Average a scene over ``number`` ranges of equal refraction between two wavelengths.

    Half of the division follows wavelength and half refraction, so that neither the drift of the
    source within a slice nor its breadth gets large.

    Parameters
    ----------
    light : array (m,)
        Brightness of the source, the weight of its place within a slice.
    low, high : float, Angstrom
    """
    inside = np.flatnonzero((scene.wave >= low) & (scene.wave <= high))
    if inside.size < number:
        raise BadData(
            f"spectra: {inside.size} samples between {low:.0f} and {high:.0f} Angstrom",
            hint="widen fit_low and fit_high, or lower slices",
        )
    wave = scene.wave[inside]
    drift = -(wave**-2.0)
    phase = 0.5 * (wave - wave[0]) / np.ptp(wave) + 0.5 * (drift - drift[0]) / np.ptp(drift)
    which = np.minimum((phase * number).astype(int), number - 1)
    members = tuple(slice(int(s[0]), int(s[-1]) + 1) for k in range(number) if (s := inside[which == k]).size)
    parts = [_average(scene, track, np.maximum(light, 1e-3 * light.max()), m) for m in members]
    wave_, east, north, growth, flux, weight = (np.array(column) for column in zip(*parts, strict=True))
    return Slices(wave=wave_, track=Track(east, north, growth), flux=flux, weight=weight, members=members)


def _average(scene: Scene, track: Track, light: F8, member: slice) -> tuple[float, float, float, float, F8, F8]:
    """Mean wavelength, place, growth, flux and weight of one slice."""
    good = scene.good[member]
    count = good.sum(axis=0)
    flux = np.where(good, scene.flux[member], 0.0).sum(axis=0) / np.maximum(count, 1)
    variance = np.where(good, scene.variance[member], 0.0).sum(axis=0)
    variance += 2.0 * scene.covariance[member][:-1].sum(axis=0)
    # A lenslet that misses a fifth of a slice would bring in the slope of the spectrum.
    enough = (count >= 0.8 * good.shape[0]) & (variance > 0)
    weight = np.where(enough, count**2 / np.where(enough, variance, 1.0), 0.0)
    share = light[member] / light[member].sum()
    means = [float(np.sum(share * column[member])) for column in (scene.wave, track.east, track.north, track.growth)]
    return means[0], means[1], means[2], means[3], flux, weight


def sky_surface(x: F8, y: F8, degree: int) -> F8:
    """Columns of the sky: a constant and the powers of the place up to a degree, lowest first, array (c, n).

    Parameters
    ----------
    x, y : array (n,), arcsec
        From the middle of the region.
    """
    scale = max(float(np.hypot(x, y).max()), 1.0)
    powers = [(total - j, j) for total in range(degree + 1) for j in range(total + 1)]
    return np.stack([(x / scale) ** i * (y / scale) ** j for i, j in powers])


def brightest(scene: Scene, *, low: float, high: float, radius: float) -> tuple[float, float]:
    """Place of the brightest source: where most light above the sky falls within ``radius`` (arcsec).

    Each lenslet's own light counts as the median over wavelength, so that one hit of a cosmic ray
    does not make a source, and the brightest of the group does not count, so that one bad lenslet
    does not either.
    """
    band = (scene.wave >= low) & (scene.wave <= high)
    flux = np.where(scene.good[band], scene.flux[band], np.nan)
    measured = np.isfinite(flux).mean(axis=0) > 0.5
    light = np.nanmedian(flux[:, measured], axis=0)
    x, y = scene.x[measured], scene.y[measured]
    light = light - np.median(light)
    near = np.hypot(x[:, None] - x, y[:, None] - y) <= radius
    group = np.where(near, light[None, :], -np.inf)
    total = (np.where(near, light[None, :], 0.0).sum(axis=1) - group.max(axis=1)) / np.sqrt(near.sum(axis=1))
    peak = int(np.argmax(total))
    weight = np.where(near[peak], np.maximum(light, 0.0), 0.0)
    if weight.sum() <= 0:
        return float(x[peak]), float(y[peak])
    return float(np.sum(weight * x) / weight.sum()), float(np.sum(weight * y) / weight.sum())
