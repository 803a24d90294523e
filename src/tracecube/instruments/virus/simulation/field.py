"""What there is to see in the field, and how much of it falls into each fibre."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tracecube.core.fields import FloatArray, IntArray
from tracecube.instruments.virus.layout import REFERENCE
from tracecube.instruments.virus.simulation.geometry import bundle
from tracecube.instruments.virus.simulation.light import GRID, Smeared, smeared, star_spectrum
from tracecube.kernels.atmosphere import air_to_vacuum, differential_refraction

__all__ = ["FIBRE_AREA", "NODES", "Air", "Disc", "Emitter", "Light", "Source", "Star", "draw_sources", "fibre_light"]

NODES = np.linspace(3440.0, 5580.0, 12)
"""Wavelengths (Angstrom) at which shares are calculated."""

FIBRE_RADIUS = 0.75  # arcsec
FIBRE_AREA = float(np.pi * FIBRE_RADIUS**2)

_BETA = 3.5
_NEAR = 12.0  # arcsec: no fibre farther away sees a source of this field
_SKEW = 3.0  # degree between the bundle's -x and the horizon's pole, standard deviation


@dataclass(frozen=True)
class Air:
    """The atmosphere and the telescope during an exposure.

    Parameters
    ----------
    fwhm : float, arcsec
        Seeing at 5000 Angstrom; a Moffat of exponent 3.5, growing with wavelength to the power -0.2.
    transparency, illumination : float
        Of the air, and of the mirror.
    sky : float
        Brightness of the dark sky over the usual.
    gradient : (float, float)
        Relative slope of the illumination across the focal plane, 1/arcsec.
    shift : (float, float), arcsec
        Dither, in x and y of the bundle.
    zenith : float, degree
    skew : float, degree
        Angle of the refraction in the bundle.
    """

    fwhm: float
    transparency: float
    illumination: float
    sky: float
    gradient: tuple[float, float]
    shift: tuple[float, float]
    zenith: float = 34.921394
    skew: float = 0.0

    def refraction(self, wave: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Shift (arcsec) in x and y of a source against its place at `REFERENCE`: the blue towards -x."""
        away = differential_refraction(
            air_to_vacuum(np.asarray(wave, np.float64)),
            float(air_to_vacuum(np.array([REFERENCE]))[0]),
            np.tan(np.radians(self.zenith)),
            pressure=801.3,
            temperature=7.0,
            humidity=32.0,
        )
        return -away * np.cos(np.radians(self.skew)), -away * np.sin(np.radians(self.skew))

    def relative(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Illumination at places in the focal plane (arcsec), one in its middle."""
        return 1.0 + self.gradient[0] * x + self.gradient[1] * y


@dataclass(frozen=True)
class Star:
    """A star: place in its bundle (arcsec), magnitude and temperature."""

    slot: int
    x: float
    y: float
    g: float
    temperature: float
    spectrum: FloatArray = field(repr=False)
    smooth: Smeared = field(repr=False)


@dataclass(frozen=True)
class Emitter:
    """A point source of one line: flux in erg/s/cm2."""

    slot: int
    x: float
    y: float
    wave: float
    flux: float
    smooth: Smeared = field(repr=False)


@dataclass(frozen=True)
class Disc:
    """A faint exponential disc: half-light radius (arcsec), and flux (erg/s/cm2/Angstrom) of all of it, grey."""

    slot: int
    x: float
    y: float
    radius: float
    flux: float


Source = Star | Emitter | Disc
Light = tuple[Source, IntArray, FloatArray]
"""A source, fibres (rows of the bundle) near it, and the share of its light that they get at `NODES`."""


def draw_sources(rng: np.random.Generator, slot: int, kind: str, *, first: bool) -> list[Source]:
    """Draw what a bundle sees.

    Parameters
    ----------
    rng : numpy Generator
    slot : int
    kind : {"empty", "sparse", "crowded"}
    first : bool
        Whether there is the extended source, and a bright star, too.
    """
    if kind == "empty":
        return []
    count = max(int(rng.poisson({"sparse": 8, "crowded": 70}[kind])), 3)
    sources: list[Source] = []
    for number in range(count):
        x, y = rng.uniform(-25.0, 25.0, 2)
        g = 14.5 if first and number == 0 else float(np.clip(21.5 - rng.exponential(2.5), 15.0, 21.5))
        temperature = float(np.clip(rng.normal(5600.0, 900.0), 3900.0, 9500.0))
        spectrum = star_spectrum(temperature, g)
        sources.append(Star(slot, float(x), float(y), g, temperature, spectrum, smeared(spectrum)))
    for _ in range(4):
        x, y = rng.uniform(-22.0, 22.0, 2)
        wave, flux = float(rng.uniform(3600.0, 5450.0)), float(10.0 ** rng.uniform(-16.3, -15.3))
        line = smeared(np.zeros(GRID.size), ((wave, flux),))
        sources.append(Emitter(slot, float(x), float(y), wave, flux, line))
    if first:
        sources.append(Disc(slot, -6.0, 8.0, 10.0, 4.0e-16))
    return sources


def _disc_points() -> FloatArray:
    """Points (19, 2) that share a fibre evenly: one, six and twelve on rings of equal areas."""
    radii = FIBRE_RADIUS * np.sqrt((np.array([0.0, 1.0, 7.0]) + np.array([0.5, 3.0, 6.0])) / 19.0)
    points = [(0.0, 0.0)]
    for radius, count in zip(radii[1:], (6, 12), strict=True):
        angle = 2.0 * np.pi * np.arange(count) / count
        points += list(zip(radius * np.cos(angle), radius * np.sin(angle), strict=True))
    return np.array(points)


def fibre_light(sources: list[Source], air: Air) -> list[Light]:
    """Share of each source in the fibres (n,) of its bundle: arrays (n, 12)."""
    places = bundle() + np.array(air.shift)
    points = _disc_points()
    shift = np.stack(air.refraction(NODES), axis=1)
    found: list[Light] = []
    for source in sources:
        away = places - (source.x, source.y)
        if isinstance(source, Disc):
            share = _exponential(np.hypot(*away.T), source.radius)
            found.append((source, np.arange(len(places)), np.repeat(share[:, None], NODES.size, axis=1)))
            continue
        near = np.flatnonzero(np.hypot(*away.T) < _NEAR)
        spread = away[near, None, None, :] + points[:, None, :] - shift
        alpha = 0.5 * air.fwhm * (NODES / 5000.0) ** -0.2 / np.sqrt(2.0 ** (1.0 / _BETA) - 1.0)
        radius2 = (spread**2).sum(axis=-1) / alpha**2
        density = (_BETA - 1.0) / (np.pi * alpha**2) * (1.0 + radius2) ** -_BETA
        found.append((source, near, FIBRE_AREA * density.mean(axis=1)))
    return found


def _exponential(radius: FloatArray, half_light: float) -> FloatArray:
    """Share of an exponential disc that a fibre at a distance sees; seeing is nothing to it."""
    scale = half_light / 1.67835
    return np.asarray(FIBRE_AREA * np.exp(-radius / scale) / (2.0 * np.pi * scale**2))
