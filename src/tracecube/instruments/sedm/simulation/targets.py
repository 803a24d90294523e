"""Standards, targets and their light on the lenslets, through the atmosphere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from tracecube.core.fields import FloatArray, Meta
from tracecube.instruments.sedm.observing import PALOMAR, airmass, parallactic_angle
from tracecube.instruments.sedm.simulation.light import AREA, LENSLET_AREA, efficiency, photons, static
from tracecube.instruments.sedm.simulation.optics import AXIS, PITCH, POSITION_ANGLE_X, SCALE, Optics, SpectralGrid
from tracecube.kernels import atmosphere
from tracecube.simulate.scene import Seeing, galaxy_spectrum, hexagon_points, point_fractions, supernova_spectrum

__all__ = [
    "WAVE",
    "Air",
    "Host",
    "Source",
    "air_of",
    "disc_points",
    "galaxy_light",
    "shares",
    "source_light",
    "standard_flux",
]

WAVE = np.arange(3300.0, 10700.0, 10.0)
"""Wavelengths (Angstrom, vacuum) of all spectra above the atmosphere."""

GUIDE_WAVE = 6200.0  # Angstrom: where the guider holds the source (night log)
_COARSE = np.linspace(3400.0, 10600.0, 25)
_DISC = 300  # points of a galaxy

_OXYGEN_POWER, _WATER_POWER = 0.58, 0.40  # of airmass in absorption of saturated bands, as the observatory finds them


@cache
def _arrays(name: str) -> dict[str, FloatArray]:
    """Return the arrays of a file in the instrument's ``static`` folder."""
    with resources.files("tracecube.instruments.sedm").joinpath("static", name).open("rb") as file:
        loaded = np.load(file)
        return {key: loaded[key] for key in loaded.files}


def standard_flux(name: str) -> FloatArray:
    """Flux (erg/s/cm2/Angstrom) of a standard star "STD-..." at `WAVE`; held in its last slope beyond its table."""
    table = _arrays("standards.npz")
    bare = name.removeprefix("STD-").lower().replace("+", "").replace("-", "_")
    flux = np.asarray(table["flux"][np.nonzero(table["name"] == bare)[0][0]], float)
    known = np.isfinite(flux) & (flux > 0)
    wave, level = np.log(table["wave"][known]), np.log(flux[known])
    x = np.log(WAVE)
    inside = np.interp(x, wave, level)
    for end, beyond in ((slice(0, 20), x < wave[0]), (slice(-20, None), x > wave[-1])):
        inside[beyond] = np.polyval(np.polyfit(wave[end], level[end], 1), x[beyond])
    return np.asarray(np.exp(inside))


@dataclass(frozen=True)
class Air:
    """The atmosphere during an exposure.

    Parameters
    ----------
    airmass, parallactic : (float, float)
        At start and end; parallactic angle in degree.
    seeing : Seeing
    grey : float
        Transmission of clouds, one when it is clear.
    oxygen, water : float
        Columns over those of the template.
    """

    airmass: tuple[float, float]
    parallactic: tuple[float, float]
    seeing: Seeing
    grey: float = 1.0
    oxygen: float = 1.0
    water: float = 1.0

    def transmission(self) -> FloatArray:
        """Transmission at `WAVE`."""
        x = float(np.mean(self.airmass))
        bands = _arrays("telluric.npz")
        oxygen, water = (
            np.interp(WAVE, bands["wave"], bands[kind], left=1.0, right=1.0) for kind in ("oxygen", "water")
        )
        curve = static("extinction.csv")
        clear = atmosphere.extinction_transmission(WAVE, np.asarray(curve["wave"]), np.asarray(curve["magnitude"]), x)
        with np.errstate(divide="ignore"):
            lines = oxygen ** (self.oxygen * x**_OXYGEN_POWER) * water ** (self.water * x**_WATER_POWER)
        return np.asarray(self.grey * clear * lines)

    def shift(self, wave: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Place east and north (arcsec) against the guiding wavelength, by refraction."""
        air = {"pressure": PALOMAR.pressure, "temperature": 9.0, "humidity": 31.0}
        return atmosphere.refraction_shift(np.asarray(wave, float), GUIDE_WAVE, self.airmass, self.parallactic, **air)


def air_of(header: Meta, name: str, rng: np.random.Generator, *, fwhm: float) -> Air:
    """Draw the air of an exposure: seeing goes with airmass to the power 0.6."""
    pair = tuple(airmass({**header, "AIRMASS": None}, name, fraction=f) for f in (0.0, 1.0))
    angle = tuple(parallactic_angle(header, name, fraction=f) for f in (0.0, 1.0))
    seeing = Seeing(fwhm * float(np.mean(pair)) ** 0.6 * rng.lognormal(0.0, 0.06), rho=rng.normal(-0.2, 0.03))
    return Air(
        (pair[0], pair[1]),
        (angle[0], angle[1]),
        seeing,
        rng.normal(1.0, 0.003),
        rng.normal(1.0, 0.05),
        rng.normal(1.0, 0.1),
    )


@dataclass(frozen=True)
class Host:
    """A galaxy behind a target: magnitude, exponential radius (arcsec), offset east and north (arcsec)."""

    magnitude: float
    radius: float
    east: float
    north: float


@dataclass(frozen=True)
class Source:
    """A target of the night.

    Parameters
    ----------
    object : str
    kind : str
        "star" for standards, else the kind of supernova.
    redshift, magnitude : float
    east, north : float, arcsec
        Where it falls in the field at the guiding wavelength.
    quality : int
        The code that a reduction should give.
    host : Host or None
    """

    object: str
    kind: str
    redshift: float
    magnitude: float
    east: float
    north: float
    quality: int = 0
    host: Host | None = None

    @property
    def inside(self) -> bool:
        """Whether the field holds it."""
        return bool(np.hypot(self.east, self.north) < 12.5)

    def flux(self) -> FloatArray:
        """Spectrum above the atmosphere at `WAVE`, erg/s/cm2/Angstrom."""
        if self.kind == "star":
            return standard_flux(self.object)
        return supernova_spectrum(WAVE, self.kind, self.redshift, self.magnitude)


def shares(optics: Optics, place: tuple[float, float], air: Air, wave: FloatArray) -> FloatArray:
    """Share of a source's light that each lenslet catches (n, n_wave)."""
    east, north = air.shift(wave)
    density = point_fractions(
        (optics.east, optics.north), _lenslet(), (place[0] + east, place[1] + north), wave, air.seeing
    )
    return np.asarray(LENSLET_AREA * density)


def _lenslet() -> FloatArray:
    """Points of a lenslet (k, 2): its neighbours lie along the lattice, seen on the sky."""
    return hexagon_points(PITCH * SCALE, 90.0 - (POSITION_ANGLE_X - AXIS))


def source_light(grid: SpectralGrid, source: Source, air: Air, exptime: float) -> FloatArray:
    """Electrons a sub-pixel (n, m) of a point source."""
    return _spread(grid, source.flux(), shares(grid.optics, (source.east, source.north), air, _COARSE), air, exptime)


def disc_points(radius: float, number: int) -> FloatArray:
    """Offsets (number, 2), arcsec, of points that share the light of an exponential disc evenly.

    They lie on a spiral of the golden angle, so close that no seeing tells one from the next.
    """
    table = np.linspace(0.0, 8.0, 2000)
    within = 1.0 - (1.0 + table) * np.exp(-table)
    r = radius * np.interp((np.arange(number) + 0.5) / number, within, table)
    angle = np.pi * (3.0 - np.sqrt(5.0)) * np.arange(number)
    return np.column_stack([r * np.sin(angle), r * np.cos(angle)])


def galaxy_light(grid: SpectralGrid, source: Source, air: Air, exptime: float) -> FloatArray:
    """Electrons a sub-pixel (n, m) of a source's host: an exponential disc of points, each with the seeing."""
    host = source.host
    if host is None:
        return np.zeros_like(grid.wave)
    place = disc_points(host.radius, _DISC) + np.array([host.east, host.north])
    caught = (shares(grid.optics, (east, north), air, _COARSE[::6]) for east, north in place)
    coarse = np.asarray(sum(caught)) / _DISC
    fine = np.array([np.interp(_COARSE, _COARSE[::6], row) for row in coarse])
    return _spread(grid, galaxy_spectrum(WAVE, source.redshift, host.magnitude), fine, air, exptime)


def _spread(grid: SpectralGrid, flux: FloatArray, share: FloatArray, air: Air, exptime: float) -> FloatArray:
    """Turn a spectrum and its shares (n, n_coarse) into electrons a sub-pixel."""
    detected = AREA * exptime * flux * air.transmission() * photons(WAVE) * efficiency(WAVE)
    out = np.interp(grid.wave, WAVE, detected) * grid.width
    lit = share.max(axis=1) > 1e-6
    for i in np.nonzero(lit)[0]:
        out[i] *= np.interp(grid.wave[i], _COARSE, share[i])
    out[~lit] = 0.0
    return np.asarray(out)
