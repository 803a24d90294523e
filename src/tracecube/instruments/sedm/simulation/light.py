"""Light of lamps and sky, in electrons a sub-pixel of every lenslet."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from scipy.interpolate import PchipInterpolator

from tracecube.core.fields import FloatArray
from tracecube.instruments.sedm.simulation.optics import BLUE, PITCH, RED, SCALE, SpectralGrid
from tracecube.simulate.scene import flux_of_magnitude, moonlight, planck

__all__ = [
    "AREA",
    "LENSLET_AREA",
    "SkyLight",
    "arc_light",
    "dome_light",
    "efficiency",
    "photons",
    "sky_light",
    "static",
]

AREA = 18000.0  # cm2, the mirror as the observatory's reduction counts it
LENSLET_AREA = np.sqrt(0.75) * (PITCH * SCALE) ** 2  # arcsec2, a hexagon
_HC = 1.98644586e-8  # erg Angstrom

# Telescope, prism and detector together: near 15 per cent in the red, falling to both ends of a thinned detector
_EFFICIENCY = (
    (
        3300.0,
        3500.0,
        3700.0,
        4000.0,
        4500.0,
        5000.0,
        5500.0,
        6000.0,
        6500.0,
        7000.0,
        8000.0,
        9000.0,
        9500.0,
        10000.0,
        10700.0,
    ),
    (0.004, 0.014, 0.03, 0.068, 0.108, 0.13, 0.146, 0.155, 0.157, 0.152, 0.137, 0.088, 0.058, 0.031, 0.008),
)


@cache
def static(name: str) -> dict[str, FloatArray]:
    """Return the columns of a table in the instrument's ``static`` folder; text columns as str arrays."""
    path = resources.files("tracecube.instruments.sedm").joinpath("static", name)
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    names, *rows = csv.reader(lines)
    columns = {key: np.array(cells) for key, cells in zip(names, zip(*rows, strict=True), strict=True)}
    return {key: _numbers(cells) for key, cells in columns.items()}


def _numbers(cells: FloatArray) -> FloatArray:
    """Read a column as numbers where all of it is."""
    try:
        return cells.astype(float)
    except ValueError:
        return cells


def efficiency(wave: FloatArray) -> FloatArray:
    """Share of the light that reaches the mirror and is detected."""
    return np.asarray(np.clip(PchipInterpolator(*_EFFICIENCY)(np.clip(wave, 3300.0, 10700.0)), 0.0, None))


def photons(wave: FloatArray) -> FloatArray:
    """Photons in an erg."""
    return wave / _HC


def dome_light(grid: SpectralGrid, peak: float) -> FloatArray:
    """Halogen lamp: a black body of 3200 K through the instrument; ``peak`` electrons in the brightest column."""
    shape = planck(grid.wave, 3200.0) * photons(grid.wave) * efficiency(grid.wave) * grid.width
    return np.asarray(shape * (peak / (5.0 * shape.max())))


def arc_light(grid: SpectralGrid, lamp: str, strength: float, *, continuum: float = 0.0) -> FloatArray:
    """Arc lamp: its lines, electrons in proportion to their strengths, and some continuum.

    Parameters
    ----------
    grid : SpectralGrid
    lamp : {"Hg", "Cd", "Xe"}
    strength : float, electron
        Of a line of strength one.
    continuum : float, electron
        A column.
    """
    table = static("arc_lines.csv")
    own = (table["lamp"] == lamp) & (table["wave"] > BLUE) & (table["wave"] < RED)
    wave, seed = table["wave"][own], table["seed"][own]
    # lines without a seed are there, but faint: a hundredth of the brightest, as far as efficiency lets them through
    light = strength * np.where(seed > 0, seed, 0.01 * seed.max() * efficiency(wave) / 0.15)
    smooth = np.where(grid.width > 0, continuum / 5.0 * efficiency(grid.wave) / 0.15, 0.0)
    return np.asarray(grid.lines(wave, light) + smooth)


@dataclass(frozen=True)
class SkyLight:
    """Light of the night sky on a lenslet, before any star.

    Parameters
    ----------
    wave, flux : array (n_wave,)
        Continuum and moonlight, erg/s/cm2/Angstrom/arcsec2.
    line_wave, line_flux : array (n_line,)
        Airglow, photon/s/cm2/arcsec2.
    """

    wave: FloatArray
    flux: FloatArray
    line_wave: FloatArray
    line_flux: FloatArray

    def electrons(self, grid: SpectralGrid, exptime: float) -> FloatArray:
        """Electrons a sub-pixel (n, m) in an exposure."""
        smooth = np.interp(grid.wave, self.wave, self.flux * photons(self.wave) * efficiency(self.wave))
        lines = self.line_flux * efficiency(self.line_wave)
        light = smooth * grid.width + grid.lines(self.line_wave, lines)
        return np.asarray(AREA * exptime * LENSLET_AREA * light)

    def density(self, wave: FloatArray, exptime: float) -> FloatArray:
        """Electrons an Angstrom on a lenslet (n_wave,), lines spread over 60 Angstrom, for error budgets."""
        smooth = np.interp(wave, self.wave, self.flux) * photons(wave) * efficiency(wave)
        width = 60.0
        distance = np.abs(wave[:, None] - self.line_wave)
        lines = np.where(distance < 0.5 * width, self.line_flux * efficiency(self.line_wave) / width, 0.0).sum(axis=1)
        return np.asarray(AREA * exptime * LENSLET_AREA * (smooth + lines))


# Rayleigh: 1e6 / (4 pi) photon/s/cm2/sr; an arcsec2 is 2.350e-11 sr
_RAYLEIGH = 1e6 / (4.0 * np.pi) * 2.3504e-11

# Brightness of carriers of airglow, Rayleigh; lines of one carrier share it by their strengths. Typical of a dark site
# near a large city at solar mean (Leinert et al. 1998, A&AS 127, 1, section 5; Benn & Ellison 1998 for the lamps).
_NAMED = {
    "OI5577": 220.0,
    "NaI": 70.0,
    "OI6300": 90.0,
    "OI6364": 30.0,
    "Hg4047": 3.0,
    "Hg4358": 8.0,
    "Hg5461": 14.0,
    "Hg5780": 6.0,
}
_WINDOWS = (
    (3600.0, 3.0),
    (4500.0, 3.0),
    (6000.0, 10.0),
    (6800.0, 50.0),
    (7400.0, 180.0),
    (8400.0, 350.0),
    (9000.0, 500.0),
    (10050.0, 800.0),
)


def sky_light(rng: np.random.Generator, *, moon: float | None, dark: float = 21.6) -> SkyLight:
    """Draw the sky of an exposure.

    Parameters
    ----------
    rng : numpy Generator
    moon : float or None
        Surface brightness of moonlight, AB mag/arcsec2; None when it is down.
    dark : float
        Surface brightness of the continuum without it.
    """
    wave = np.arange(3300.0, 10800.0, 5.0)
    flux = flux_of_magnitude(wave, dark)
    if moon is not None:
        solar = static("solar_spectrum.csv")
        flux = flux + moonlight(wave, np.interp(wave, solar["wave"], solar["flux"]), moon)
    lines = static("night_sky_lines.csv")
    windows = np.array(_WINDOWS)
    brightness = np.zeros(lines["wave"].size)
    for carrier in np.unique(lines["carrier"]):
        own = lines["carrier"] == carrier
        named = _NAMED.get(str(carrier))
        if named is None and not str(carrier).isdigit():
            named = 1.0
        total = named if named is not None else float(np.interp(float(carrier), windows[:, 0], windows[:, 1]))
        brightness[own] = total * rng.lognormal(0.0, 0.2) * lines["strength"][own] / lines["strength"][own].sum()
    return SkyLight(wave, flux, lines["wave"], brightness * _RAYLEIGH)
