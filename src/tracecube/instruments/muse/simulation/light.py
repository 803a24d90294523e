"""Spectra of lamps, twilight, sky and air, and the electrons that they make.

Wavelengths in air, Angstrom; a spaxel is 0.2 arcsec wide and high.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.simulate.scene import moonlight, planck

__all__ = [
    "GRID",
    "SPAXEL_AREA",
    "absorption",
    "dark_sky",
    "electrons_of_flux",
    "extinction",
    "flat_lamp",
    "solar",
    "star_lines",
    "throughput",
    "twilight",
]

GRID = np.arange(4150.0, 9900.1, 0.2)
"""Wavelengths of spectra before they are smeared."""

SPAXEL_AREA = 0.04  # arcsec2
_AREA = 483250.7  # cm2 (observatory's pipeline)
_HC = 1.98644586e-8  # erg Angstrom

# Telescope to detector, Feige 110 (quality-control numbers at 5000, 7000, 8000, 9000 Angstrom); the filter of the
# nominal mode cuts at 4650
_THROUGHPUT = (
    (4400.0, 4600.0, 4800.0, 5000.0, 5500.0, 6000.0, 6500.0, 7000.0, 7500.0, 8000.0, 8500.0, 9000.0, 9300.0, 9700.0),
    (0.10, 0.145, 0.19, 0.221, 0.272, 0.305, 0.325, 0.328, 0.293, 0.246, 0.200, 0.157, 0.128, 0.075),
)
_CUT = (4660.0, 14.0)

# Lines of the Sun: air wavelength, equivalent width, standard deviation (Angstrom)
# (Moore, Minnaert & Houtgast 1966, NBS Monograph 61, blends put together)
_FRAUNHOFER = np.array([
    (4383.5, 1.4, 0.7), (4481.5, 0.7, 1.2), (4528.6, 0.6, 0.6), (4554.0, 0.6, 0.9), (4668.0, 0.6, 1.0),
    (4861.3, 3.7, 2.4), (4891.0, 0.7, 0.9), (4920.0, 0.8, 1.0), (4957.6, 0.8, 0.7), (5018.4, 0.5, 0.7),
    (5041.0, 0.6, 0.8), (5167.4, 1.6, 0.9), (5172.7, 1.3, 0.7), (5183.6, 1.6, 0.8), (5227.0, 0.8, 0.8),
    (5269.8, 1.1, 0.8), (5328.3, 0.9, 0.8), (5371.5, 0.5, 0.7), (5397.1, 0.4, 0.7), (5405.8, 0.5, 0.7),
    (5446.9, 0.5, 0.7), (5528.4, 0.3, 0.5), (5615.6, 0.3, 0.5), (5711.1, 0.15, 0.5), (5857.5, 0.2, 0.5),
    (5890.0, 0.75, 0.5), (5895.9, 0.56, 0.5), (6122.2, 0.25, 0.5), (6162.2, 0.25, 0.5), (6230.7, 0.2, 0.5),
    (6393.6, 0.15, 0.5), (6494.9, 0.3, 0.6), (6562.8, 4.0, 1.9), (6643.6, 0.1, 0.5), (6717.7, 0.15, 0.5),
    (7148.1, 0.15, 0.5), (7511.0, 0.15, 0.5), (7774.0, 0.2, 1.5), (8327.1, 0.15, 0.5), (8498.0, 1.5, 1.2),
    (8542.1, 3.6, 1.6), (8662.1, 2.7, 1.4), (8806.8, 0.5, 0.6), (9229.0, 0.5, 3.0),
])  # fmt: skip
_HYDROGEN = np.array([(4340.5, 12.0, 9.0), (4861.3, 12.0, 8.0), (6562.8, 8.5, 7.0), (8545.4, 2.0, 8.0),
                      (8598.4, 2.4, 8.0), (8665.0, 2.8, 8.0), (8750.5, 3.0, 8.0), (8862.8, 3.2, 8.0)])  # fmt: skip

# Bands of the air: from, to, lines, depth of the strongest at zenith, where that is, scale of the fall to the red
_AIR = (
    (6276.5, 6318.0, 24, 0.35, 6278.0, 20.0), (6867.5, 6944.0, 44, 1.6, 6870.0, 35.0),
    (7594.0, 7700.0, 60, 4.5, 7605.0, 50.0), (7164.0, 7340.0, 110, 0.8, 7195.0, 80.0),
    (8128.0, 8350.0, 120, 0.7, 8185.0, 110.0), (8930.0, 9300.0, 200, 0.9, 9060.0, 160.0),
    (9300.0, 9800.0, 220, 2.2, 9360.0, 200.0), (5880.0, 5960.0, 40, 0.08, 5920.0, 40.0),
    (6470.0, 6580.0, 40, 0.06, 6520.0, 50.0),
)  # fmt: skip


def throughput(wave: FloatArray) -> FloatArray:
    """Share of the light on the telescope that is detected."""
    cut = 1.0 / (1.0 + np.exp((_CUT[0] - np.asarray(wave)) / _CUT[1]))
    return np.asarray(np.interp(wave, *_THROUGHPUT) * cut)


def electrons_of_flux(wave: FloatArray, seconds: float) -> FloatArray:
    """Electrons an Angstrom that 1 erg/s/cm2/Angstrom makes in so many seconds."""
    return _AREA * seconds * throughput(wave) * wave / _HC


def extinction(wave: FloatArray) -> FloatArray:
    """Magnitudes an airmass: molecules, ozone, and the aerosol of Paranal (Patat et al. 2011, A&A 527, A91)."""
    micron = np.asarray(wave) * 1.0e-4
    ozone = 0.035 * np.exp(-0.5 * ((np.asarray(wave) - 5900.0) / 550.0) ** 2)
    return np.asarray(0.0072 * micron**-4.05 + 0.013 * micron**-1.38 + ozone)


@cache
def _depth() -> FloatArray:
    """Optical depth of the air's bands at zenith on `GRID`: combs of narrow lines, the same every night."""
    rng = np.random.default_rng(1814)
    depth = np.zeros(GRID.size)
    for low, high, count, strength, top, scale in _AIR:
        places = np.sort(rng.uniform(low, high, count))
        size = (
            strength
            * rng.uniform(0.3, 1.0, count)
            * np.where(places < top, np.exp((places - top) / 4.0), np.exp((top - places) / scale))
        )
        for place, peak in zip(places, size, strict=True):
            near = slice(*np.searchsorted(GRID, (place - 3.0, place + 3.0)))
            depth[near] += peak * np.exp(-0.5 * ((GRID[near] - place) / 0.45) ** 2)
    return depth


def absorption(airmass: float) -> FloatArray:
    """Transmission of the air's bands on `GRID`; water and oxygen both grow with the airmass."""
    return np.asarray(np.exp(-airmass * _depth()))


@cache
def _lines(series: str) -> FloatArray:
    """Optical depth of lines of the Sun, or of hydrogen in a hot star."""
    depth = np.zeros(GRID.size)
    for wave, width, sigma in _FRAUNHOFER if series == "sun" else _HYDROGEN:
        depth += width / (sigma * np.sqrt(2.0 * np.pi)) * np.exp(-0.5 * ((GRID - wave) / sigma) ** 2)
    return depth


def star_lines(series: str) -> FloatArray:
    """Continuum of one with the lines of "sun" or "hydrogen", on `GRID`."""
    return np.asarray(np.exp(-_lines(series)))


def solar() -> FloatArray:
    """Sunlight on `GRID`, one at 6000 Angstrom."""
    return planck(GRID, 5772.0) * star_lines("sun")


def dark_sky(moon: float) -> FloatArray:
    """Continuum of the sky on `GRID`, erg/s/cm2/Angstrom/spaxel: 21.9 AB mag/arcsec2 of its own, and moonlight.

    Parameters
    ----------
    moon : float
        AB mag/arcsec2 of scattered moonlight around 6350 Angstrom.
    """
    own = 2.6e-18 * SPAXEL_AREA * (1.0 + 0.15 * (GRID - 6000.0) / 3000.0)
    return np.asarray(own + SPAXEL_AREA * moonlight(GRID, solar(), moon))


def flat_lamp() -> FloatArray:
    """Two continuum lamps on `GRID`: electrons an Angstrom and second in a pixel along the slit."""
    shape = planck(GRID, 3100.0) * throughput(GRID) / throughput(np.array([6000.0]))
    return np.asarray(30500.0 * shape / (0.65 + 0.35 * shape))


def twilight() -> FloatArray:
    """Blue sky after sunset on `GRID`: electrons an Angstrom and second in a pixel along the slit."""
    blue = solar() * (GRID / 6000.0) ** -2.0 * absorption(1.3)
    return np.asarray(850.0 * blue * throughput(GRID) / throughput(np.array([6000.0])))
