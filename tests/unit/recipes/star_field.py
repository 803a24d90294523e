"""A small simulated field of lenslets around a star: spots, halo of speckles, noise. Independent of what it tests."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.special import j1

from tracecube.core.spectra import Spectra

PITCH = 12.92e-3
DIAMETER = 8.0
ORDERS = 13.718
ANGLES = np.radians(57.3 + 90.0 * np.arange(4))
REFERENCE = 12500.0


def unit(wave):
    """lambda / D, arcsec."""
    return np.degrees(np.asarray(wave) * 1e-10 / DIAMETER) * 3600.0


def airy(radius, obstruction=0.2):
    z = np.pi * np.maximum(radius, 1e-6)
    amplitude = 2.0 * j1(z) / z - obstruction**2 * 2.0 * j1(obstruction * z) / (obstruction * z)
    return 0.25 * np.pi / (1.0 - obstruction**2) * amplitude**2


def lattice(extent):
    n = int(1.3 * extent / PITCH)
    q, r = (v.ravel() for v in np.meshgrid(np.arange(-n, n + 1), np.arange(-n, n + 1)))
    x, y = PITCH * (q + 0.5 * r), PITCH * np.sqrt(0.75) * r
    keep = np.hypot(x, y) < extent
    return x[keep], y[keep]


def source(x, y, wave, spread, place, flux):
    """Light of a point source in each lenslet and channel; ``place(wave)`` gives its track."""
    nodes = np.array([[0.0, 0.0], *[[np.cos(a), np.sin(a)] for a in np.pi / 6 + np.arange(6) * np.pi / 3]])
    nodes *= PITCH / np.sqrt(3.0) * np.sqrt(14.0) / 5.0
    share = np.array([258.0] + [125.0] * 6) / 1008.0
    out = np.zeros((x.size, wave.size))
    steps = np.linspace(-2.5, 2.5, 11)
    lsf = np.exp(-0.5 * steps**2)
    for k in range(wave.size):
        at = place(wave[k])
        near = np.flatnonzero(np.hypot(x - at[0], y - at[1]) < 9.0 * unit(wave[k]))
        for step, weight in zip(steps, lsf / lsf.sum(), strict=True):
            w = wave[k] + step * spread[k]
            x0, y0 = place(w)
            radius = np.hypot(x[near, None] + nodes[:, 0] - x0, y[near, None] + nodes[:, 1] - y0) / unit(w)
            out[near, k] += weight * (airy(radius) / unit(w) ** 2) @ share
    return out * flux * np.sqrt(0.75) * PITCH**2


def speckles(x, y, wave, centre, rng):
    """Fully developed speckles of mean 1 that scale with wavelength about the star."""
    pupil = np.zeros((512, 512), complex)
    yy, xx = np.mgrid[:512, :512] - 256
    inside = np.hypot(xx, yy) < 64
    pupil[inside] = rng.normal(size=inside.sum()) + 1j * rng.normal(size=inside.sum())
    image = np.abs(np.fft.fftshift(np.fft.fft2(pupil))) ** 2
    image /= image.mean()
    out = np.empty((x.size, wave.size))
    for k in range(wave.size):
        x0, y0 = centre(wave[k])
        out[:, k] = map_coordinates(
            image, [(y - y0) / unit(wave[k]) * 4 + 256, (x - x0) / unit(wave[k]) * 4 + 256], order=3
        )
    return out


class Star:
    """Star behind its mask: fixed place, spots, halo; each call of `frame` draws new noise."""

    def __init__(
        self,
        seed,
        *,
        channels=13,
        extent=0.68,
        spot=150.0,
        halo=0.35,
        speckle=0.1,
        diagonals=((0.0, 0.0), (0.0, 0.0)),
        place=(7.3e-3, -4.1e-3),
        bend=(1.2e-3, 0.9e-3),
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.wave = np.linspace(9600.0, 16400.0, channels)
        self.spread = np.interp(self.wave, [9877.0, 15451.0], [136.0, 205.0])
        self.x, self.y = lattice(extent)
        self.place, self.bend = place, bend
        light = np.zeros((self.x.size, channels))
        for i, angle in enumerate(ANGLES):
            scale, turn = diagonals[i % 2]
            track, flux = self.spot_track(angle + turn, 1 + scale), spot * (1 - 0.3 * (i % 2))
            light += source(self.x, self.y, self.wave, self.spread, track, flux)
        self.spots = light
        radius = np.hypot(self.x - place[0], self.y - place[1])[:, None] / unit(self.wave)
        self.halo_shape = halo / (1.0 + (radius / 8.0) ** 2)
        self.speckle = speckle

    def centre(self, wave):
        q = (REFERENCE / wave) ** 2 - 1.0
        return self.place[0] + self.bend[0] * q, self.place[1] + self.bend[1] * q

    def spot_track(self, angle, scale):
        def track(wave):
            x0, y0 = self.centre(wave)
            return x0 + scale * ORDERS * unit(wave) * np.cos(angle), y0 + scale * ORDERS * unit(wave) * np.sin(angle)

        return track

    def frame(self, *, brightness=1.0, spots=True, halo=None, noise=0.09, meta=None):
        """Spectra of a DIT, electron / Angstrom; noise: read noise per sample, with Poisson noise of 180 Angstrom."""
        if halo is None:
            mix = 1.0 - self.speckle + self.speckle * speckles(self.x, self.y, self.wave, self.centre, self.rng)
            halo = self.halo_shape * mix
        light = brightness * (halo + (self.spots if spots else 0.0))
        variance = noise**2 + light / 180.0
        flux = light + self.rng.normal(size=light.shape) * np.sqrt(variance)
        return spectra_of(self.x, self.y, self.wave, self.spread, flux, variance, meta)


def spectra_of(x, y, wave, spread, flux, variance, meta=None):
    n = x.size
    zeros = np.zeros(flux.shape)
    return Spectra(
        flux,
        variance,
        zeros.astype(np.int32),
        zeros,
        wave,
        spread,
        np.arange(n),
        x,
        y,
        np.zeros(n, np.int32),
        meta=meta or {},
    )
