"""Spectra of lamps, twilight, night sky and stars, and the electrons that they make."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from scipy.fft import irfft, rfft, rfftfreq

from tracecube.core.fields import FloatArray
from tracecube.kernels.atmosphere import air_to_vacuum
from tracecube.simulate.scene import flux_of_magnitude, planck

__all__ = [
    "ARCS",
    "GRID",
    "Smeared",
    "electrons_of_flux",
    "flat_lamp",
    "lamp_lines",
    "night_sky",
    "smeared",
    "star_spectrum",
    "throughput",
    "twilight",
]

GRID = np.arange(3390.0, 5640.0, 0.2)
"""Wavelengths (Angstrom, air) of spectra before they are smeared."""

AREA = 5.0e5  # cm2: mirror that the throughput refers to
_HC = 1.98644586e-8  # erg Angstrom
_LAMP = 0.003  # Angstrom: lists of the lines of mercury differ by up to 0.015
_NODES = np.array([2.20, 2.40, 2.65])  # Angstrom, standard deviations at which spectra are smeared

# Telescope to detector: mean of the survey's calibrations (Angstrom, share of the light on 50 m2)
_THROUGHPUT = (
    (3400.0, 3500.0, 3600.0, 3800.0, 4000.0, 4500.0, 5000.0, 5400.0, 5500.0, 5700.0),
    (0.022, 0.031, 0.054, 0.095, 0.127, 0.160, 0.156, 0.137, 0.130, 0.115),
)

# Air wavelengths of pencil lamps: Hg of Sansonetti, Salit & Reader (1996, Appl. Opt. 35, 74), Cd of the NIST Atomic
# Spectra Database; electrons a fibre and second
ARCS: dict[str, tuple[tuple[float, float], ...]] = {
    "Hg": (
        (3650.153, 260.0), (3654.836, 70.0), (3663.279, 60.0), (4046.565, 700.0), (4077.837, 25.0),
        (4339.223, 12.0), (4347.494, 22.0), (4358.335, 1900.0), (4916.068, 14.0), (5460.750, 1500.0),
    ),
    "Cd-A": (
        (3466.200, 30.0), (3467.655, 20.0), (3610.508, 110.0), (3612.873, 25.0), (4413.063, 8.0), (4662.352, 12.0),
        (4678.149, 420.0), (4799.912, 720.0), (5085.822, 1000.0), (5154.660, 8.0),
    ),
}  # fmt: skip

# Lines of the Sun: air wavelength (Angstrom), equivalent width (Angstrom), standard deviation (Angstrom)
# (Moore, Minnaert & Houtgast 1966, NBS Monograph 61, blends put together)
_FRAUNHOFER = np.array([
    (3449.5, 2.0, 2.0), (3475.5, 2.3, 1.8), (3490.6, 1.9, 1.5), (3497.8, 1.5, 1.5), (3513.8, 1.4, 1.2),
    (3524.5, 1.8, 1.0), (3565.4, 2.0, 1.3), (3570.1, 2.6, 1.2), (3581.2, 2.9, 1.0), (3608.9, 1.8, 1.0),
    (3618.8, 2.1, 0.9), (3631.5, 2.0, 0.9), (3647.8, 1.8, 1.0), (3679.9, 1.6, 1.0), (3687.5, 1.7, 1.0),
    (3705.6, 1.8, 1.0), (3719.9, 2.6, 0.9), (3734.9, 4.0, 1.3), (3737.1, 2.2, 0.9), (3745.7, 2.4, 0.8),
    (3749.5, 2.5, 0.9), (3758.2, 2.5, 0.9), (3763.8, 1.6, 0.8), (3767.2, 1.2, 0.7), (3787.9, 1.0, 0.7),
    (3795.0, 1.0, 0.7), (3815.8, 1.6, 0.8), (3820.4, 2.4, 0.9), (3825.9, 2.3, 0.8), (3829.4, 1.5, 0.7),
    (3832.3, 1.9, 0.8), (3838.3, 2.2, 0.8), (3856.4, 1.3, 0.7), (3859.9, 2.2, 0.8), (3878.6, 1.5, 0.8),
    (3886.3, 1.3, 0.7), (3889.1, 2.0, 1.5), (3895.7, 1.1, 0.7), (3905.5, 1.2, 0.7), (3922.9, 0.9, 0.7),
    (3933.7, 20.0, 4.5), (3944.0, 0.9, 0.6), (3961.5, 1.0, 0.6), (3968.5, 15.5, 4.0), (4005.2, 0.9, 0.7),
    (4045.8, 1.4, 0.7), (4063.6, 1.1, 0.7), (4071.7, 1.0, 0.6), (4101.7, 3.1, 2.2), (4132.1, 0.9, 0.7),
    (4143.9, 0.9, 0.7), (4172.0, 0.9, 1.0), (4202.0, 0.7, 0.6), (4226.7, 1.6, 0.7), (4250.5, 0.9, 0.9),
    (4260.5, 0.8, 0.7), (4271.8, 1.1, 0.8), (4290.0, 1.2, 1.5), (4307.9, 4.8, 4.0), (4325.8, 1.2, 0.8),
    (4340.5, 2.9, 2.2), (4383.5, 1.4, 0.7), (4404.8, 1.0, 0.7), (4415.1, 0.8, 0.7), (4455.0, 0.8, 1.0),
    (4481.5, 0.7, 1.2), (4528.6, 0.6, 0.6), (4554.0, 0.6, 0.9), (4668.0, 0.6, 1.0), (4861.3, 3.7, 2.4),
    (4891.0, 0.7, 0.9), (4920.0, 0.8, 1.0), (4957.6, 0.8, 0.7), (5018.4, 0.5, 0.7), (5041.0, 0.6, 0.8),
    (5167.4, 1.6, 0.9), (5172.7, 1.3, 0.7), (5183.6, 1.6, 0.8), (5227.0, 0.8, 0.8), (5269.8, 1.1, 0.8),
    (5328.3, 0.9, 0.8), (5371.5, 0.5, 0.7), (5397.1, 0.4, 0.7), (5405.8, 0.5, 0.7), (5446.9, 0.5, 0.7),
])  # fmt: skip
_BALMER = np.array([3750.2, 3770.6, 3797.9, 3835.4, 3889.1, 3970.1, 4101.7, 4340.5, 4861.3])


@dataclass(frozen=True)
class Smeared:
    """A spectrum on `GRID` through line-spread functions of several widths: array (3, n)."""

    values: FloatArray

    def at(self, wave: FloatArray, sigma: FloatArray) -> FloatArray:
        """Spectrum at wavelengths through line-spread functions of these standard deviations (Angstrom).

        Interpolated as a parabola in the width.
        """
        at = (wave - GRID[0]) / (GRID[1] - GRID[0])
        at = np.clip(at, 0.0, GRID.size - 1.001)
        whole = at.astype(np.int32)
        part = at - whole
        a, b, c = _NODES
        shares = (
            (sigma - b) * (sigma - c) / ((a - b) * (a - c)),
            (sigma - a) * (sigma - c) / ((b - a) * (b - c)),
            (sigma - a) * (sigma - b) / ((c - a) * (c - b)),
        )
        total = np.zeros(np.shape(at))
        for share, values in zip(shares, self.values, strict=True):
            below = values[whole]
            total += share * (below + part * (values[whole + 1] - below))
        return total


def smeared(spectrum: FloatArray, lines: tuple[tuple[float, float], ...] = ()) -> Smeared:
    """Smear a spectrum on `GRID` and add lines of no width of their own: wavelength, and integral."""
    size = 2 * GRID.size
    frequency = rfftfreq(size, GRID[1] - GRID[0])
    padded = np.pad(spectrum, (0, size - GRID.size), mode="reflect")
    transform = rfft(padded)
    made = []
    for sigma in _NODES:
        values = irfft(transform * np.exp(-2.0 * (np.pi * sigma * frequency) ** 2), size)[: GRID.size]
        for wave, strength in lines:
            values = values + strength * np.exp(-0.5 * ((GRID - wave) / sigma) ** 2) / (sigma * np.sqrt(2.0 * np.pi))
        made.append(values)
    return Smeared(np.stack(made))


@cache
def _static() -> dict[str, FloatArray]:
    with resources.files("tracecube.instruments.virus").joinpath("static", "simulation.npz").open("rb") as file:
        loaded = np.load(file)
        return {key: loaded[key] for key in loaded.files}


def throughput(wave: FloatArray) -> FloatArray:
    """Share of the light on 50 m2 that is detected."""
    return np.asarray(np.interp(wave, *_THROUGHPUT))


def electrons_of_flux(wave: FloatArray, seconds: float) -> FloatArray:
    """Electrons an Angstrom that 1 erg/s/cm2/Angstrom makes in so many seconds."""
    return AREA * seconds * throughput(wave) * wave / _HC


def night_sky(level: float) -> Smeared:
    """Dark sky (erg/s/cm2/Angstrom/arcsec2) and mercury of towns, times a level.

    22.3 AB mag/arcsec2 around 5000 Angstrom.
    """
    table = _static()
    vacuum = float(table["sky_start"]) + float(table["sky_step"]) * np.arange(table["sky"].size)
    shape = np.interp(air_to_vacuum(GRID), vacuum, table["sky"])
    window = (GRID > 4900.0) & (GRID < 5100.0)
    dark = level * shape * float(flux_of_magnitude(np.array([5000.0]), 22.3)[0] / np.median(shape[window]))
    return smeared(dark, ((4358.335, 4.0e-18 * level), (5460.750, 9.0e-18 * level), (4046.565, 1.5e-18 * level)))


def flat_lamp() -> Smeared:
    """Laser-driven light source: electrons an Angstrom and second, smooth."""
    return smeared(110.0 * np.interp(GRID, (3390.0, 3600.0, 4100.0, 4800.0, 5640.0), (0.30, 0.52, 0.9, 1.0, 0.82)))


def lamp_lines(lamp: str, rng: np.random.Generator) -> Smeared:
    """Hg or Cd lamp: electrons an Angstrom and second; its glow is a thousandth of the lines.

    Each lamp's lines are a little off the list: lamps differ in isotopes and pressure.
    """
    lines = tuple((wave + float(rng.normal(0.0, _LAMP)), strength) for wave, strength in ARCS[lamp])
    return smeared(np.full(GRID.size, 0.02), lines)


def twilight() -> Smeared:
    """Blue sky after sunset: electrons an Angstrom and second."""
    solar = planck(GRID, 5772.0) * np.exp(-_depth("sun"))
    return smeared(380.0 * throughput(GRID) / 0.16 * solar / solar.mean() * (GRID / 4500.0) ** -2.0)


@cache
def _depth(series: str) -> FloatArray:
    """Optical depth of the Sun's lines, or of the Balmer series with lines of 1 Angstrom each."""
    lines = _FRAUNHOFER if series == "sun" else np.column_stack([_BALMER, np.ones(9), np.full(9, 6.0)])
    depth = np.zeros(GRID.size)
    for wave, width, sigma in lines:
        depth += width / (sigma * np.sqrt(2.0 * np.pi)) * np.exp(-0.5 * ((GRID - wave) / sigma) ** 2)
    return depth


def star_spectrum(temperature: float, magnitude: float) -> FloatArray:
    """Star (erg/s/cm2/Angstrom) on `GRID` of an AB magnitude in Pan-STARRS g.

    A black body with the Sun's lines, which strengthen as it is cooler, and the Balmer series, which does as it is
    warmer.
    """
    metals = (5772.0 / temperature) ** 2.5
    hydrogen = 8.0 * np.clip((temperature - 6000.0) / 3500.0, 0.0, 1.0)
    flux = planck(GRID, temperature) * np.exp(-metals * _depth("sun") - hydrogen * _depth("hydrogen"))
    table = _static()
    band = np.interp(GRID, table["g_wave"], table["g"], left=0.0, right=0.0) * GRID
    reference = flux_of_magnitude(GRID, magnitude)
    return np.asarray(flux * (band @ reference) / (band @ flux))
