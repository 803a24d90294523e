"""What shines into the instrument: lamps, lasers, a star, the warm instrument. Electrons a second and Angstrom."""

from __future__ import annotations

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.instruments.sphere_ifs.guess import Mode
from tracecube.instruments.sphere_ifs.static_data import air_transmission
from tracecube.kernels.atmosphere import transmission_in_bins

__all__ = ["GLOW", "air_between", "lamp_light", "laser_light", "star_light", "thermal_light", "throughput"]

LAMP_PEAK = 2.2  # of the white lamp, in one lenslet
_LASERS = (900.0, 1100.0, 1000.0, 800.0)  # electron/s of each laser in one lenslet
STAR = 6.0e3  # of an A0 star of seventh magnitude at its brightest
THERMAL_PEAK = 0.004  # of the instrument at its longest wavelength, in one lenslet
GLOW = 1.0  # electron/s and pixel of what does not come through the lenslets


def throughput(wave: FloatArray, mode: Mode) -> FloatArray:
    """Instrument with filter and detector, 1 at best: array (k,)."""
    low, high = mode.band
    edge = 1.0 / (1.0 + np.exp(-(wave - low) / 35.0)) / (1.0 + np.exp((wave - high) / 35.0))
    return np.asarray(edge * (0.8 + 0.2 * np.sin((wave - low) / 900.0)))


def lamp_light(wave: FloatArray, mode: Mode) -> FloatArray:
    """Spectrum of the white lamp, with the ripples that its window makes."""
    hot = np.exp(-(((wave - 15500.0) / 6500.0) ** 2)) * (1.0 + 0.04 * np.sin(wave / 110.0))
    return np.asarray(LAMP_PEAK * hot * throughput(wave, mode))


def laser_light(wave: FloatArray, band: FloatArray, mode: Mode, off: tuple[int, ...] = ()) -> FloatArray:
    """Lasers shared between the two nearest of some wavelengths, times the width of their bands."""
    light = np.zeros(wave.size)
    for number, line in enumerate(mode.lattice.lasers):
        if number not in off:
            right = int(np.searchsorted(wave, line))
            share = (line - wave[right - 1]) / (wave[right] - wave[right - 1])
            light[right - 1] += _LASERS[number] * (1.0 - share)
            light[right] += _LASERS[number] * share
    return light / band


def star_light(wave: FloatArray, mode: Mode) -> FloatArray:
    """Spectrum of an A0 star through the air: continuum with two Paschen lines."""
    continuum = (wave / 9500.0) ** -1.8
    for line in (10052.0, 10941.0, 12821.0):
        continuum = continuum * (1.0 - 0.12 * np.exp(-0.5 * ((wave - line) / 35.0) ** 2))
    return np.asarray(STAR * continuum * air_between(wave) * throughput(wave, mode))


def air_between(wave: FloatArray) -> FloatArray:
    """Transmission of the air (k,), the mean of each wavelength's bin: its bands are finer than bins are wide."""
    air = air_transmission()
    return transmission_in_bins(wave, air.wave, air.transmission)


def thermal_light(wave: FloatArray, mode: Mode) -> FloatArray:
    """Spectrum of the warm instrument in one lenslet."""
    glow = np.exp(-143877688.0 / 285.0 * (1.0 / wave - 1.0 / 16800.0))
    return np.asarray(THERMAL_PEAK * glow * throughput(wave, mode))
