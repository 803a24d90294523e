"""From a star's light relative to the lamp to response and transmission of the atmosphere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import BoolArray, FloatArray
from tracecube.recipes.slices.bends import FEWEST, bent_curve

__all__ = ["TELLURIC", "Curve", "Regions", "smooth_response", "transmission"]

TELLURIC = ((6864.0, 6967.0), (7155.0, 7345.0), (7590.0, 7705.0), (8105.0, 8365.0), (8925.0, 9420.0))
"""Angstrom, air: bands of oxygen and water (as the observatory's TELLURIC_REGIONS)."""

Regions = tuple[tuple[float, float], ...]
"""Intervals of wavelength, Angstrom."""

_SHALLOW = ((5870.0, 6000.0), (6270.0, 6330.0), (6460.0, 6600.0))  # faint bands; left out of the smooth curve alone
_STELLAR = ((4840.0, 4885.0), (6540.0, 6586.0))  # hydrogen, where tables and stars differ by their resolution


@dataclass(frozen=True)
class Curve:
    """A smooth curve on a grid, its error, and which samples made it."""

    value: FloatArray
    error: FloatArray
    used: BoolArray


def outside(wave: FloatArray, regions: Regions) -> BoolArray:
    """Return which wavelengths lie in none of the regions."""
    inside = np.zeros(wave.shape, bool)
    for low, high in regions:
        inside |= (wave > low) & (wave < high)
    return ~inside


def smooth_response(
    wave: FloatArray, measured: FloatArray, variance: FloatArray, *, bands: Regions = TELLURIC
) -> Curve:
    """Draw a smooth curve through the logarithms, bands and stellar lines left out, outliers too.

    It bends where the star asks for it (`tracecube.recipes.slices.bends`): optics and lamp change slowly, and closer
    knots would follow lines of the star that its table has not. Beyond the first and last sample that counts (a band
    of water covers the red end) the logarithm goes on as a straight line.

    Parameters
    ----------
    wave : array (k,), Angstrom, rising
    measured, variance : array (k,)
    bands : Regions
        Of the atmosphere.

    Raises
    ------
    NoConvergence
        Hardly a bin holds light.
    """
    used = np.isfinite(measured) & (measured > 0) & (variance > 0)
    used &= outside(wave, bands) & outside(wave, _SHALLOW) & outside(wave, _STELLAR)
    if used.sum() < FEWEST:
        raise NoConvergence(
            f"{used.sum()} bins of the spectrum hold light of the star, {FEWEST} are needed",
            hint="is the star in the field? Look at the picture of the exposure",
        )
    level = np.log(np.where(used, measured, 1.0))
    noise = np.sqrt(np.where(used, variance, 1.0)) / np.where(used, measured, 1.0)
    drawn = bent_curve(wave, level, noise, used)
    return Curve(np.exp(drawn.value), np.exp(drawn.value) * drawn.error, drawn.used)


def transmission(
    wave: FloatArray,
    measured: FloatArray,
    variance: FloatArray,
    smooth: FloatArray,
    airmass: float,
    *,
    bands: Regions = TELLURIC,
) -> tuple[FloatArray, FloatArray]:
    """Return the transmission of the bands at airmass 1, and its error; 1 outside them.

    Parameters
    ----------
    wave, measured, variance : array (k,)
    smooth : array (k,)
        What would be measured without the bands.
    airmass : float
    bands : Regions
    """
    inside = ~outside(wave, bands) & np.isfinite(measured) & np.isfinite(smooth)
    ratio = np.where(inside, np.clip(measured / np.where(inside, smooth, 1.0), 0.01, 1.05), 1.0)
    noise = np.where(inside, np.sqrt(variance) / np.where(inside, smooth, 1.0), 0.0)
    one = ratio ** (1.0 / airmass)
    return one, noise * one / ratio / airmass
