"""From a star's light relative to the lamp to response and transmission of the atmosphere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import LSQUnivariateSpline

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import BoolArray, FloatArray

__all__ = ["TELLURIC", "Curve", "smooth_response", "transmission"]

TELLURIC = ((6864.0, 6967.0), (7155.0, 7345.0), (7590.0, 7705.0), (8105.0, 8365.0), (8925.0, 9420.0))
"""Angstrom, air: bands of oxygen and water (as the observatory's TELLURIC_REGIONS)."""

_SHALLOW = ((5870.0, 6000.0), (6270.0, 6330.0), (6460.0, 6600.0))  # faint bands; left out of the smooth curve alone
_STELLAR = ((4840.0, 4885.0), (6540.0, 6586.0))  # hydrogen, where tables and stars differ by their resolution
_FEWEST = 40  # bins
_KNOT = 250.0  # Angstrom: the optics change slowly, and so does the lamp


@dataclass(frozen=True)
class Curve:
    """A smooth curve on a grid, its error, and which samples made it."""

    value: FloatArray
    error: FloatArray
    used: BoolArray


def outside(wave: FloatArray, regions: tuple[tuple[float, float], ...]) -> BoolArray:
    """Return which wavelengths lie in none of the regions."""
    inside = np.zeros(wave.shape, bool)
    for low, high in regions:
        inside |= (wave > low) & (wave < high)
    return ~inside


def smooth_response(wave: FloatArray, measured: FloatArray, variance: FloatArray) -> Curve:
    """Draw a cubic spline through the logarithms, bands and stellar lines left out, outliers too.

    Beyond the first and last sample that counts (a band of water covers the red end) the logarithm goes on as a
    straight line through what the spline has next to it; half of what that adds is its error.

    Parameters
    ----------
    wave : array (k,), Angstrom, rising
    measured, variance : array (k,)

    Raises
    ------
    NoConvergence
        Hardly a bin holds light.
    """
    used = np.isfinite(measured) & (measured > 0) & (variance > 0)
    used &= outside(wave, TELLURIC) & outside(wave, _SHALLOW) & outside(wave, _STELLAR)
    value, error = np.full(wave.size, np.nan), np.full(wave.size, np.nan)
    level = np.log(np.where(used, measured, 1.0))
    noise = np.sqrt(np.where(used, variance, 1.0)) / np.where(used, measured, 1.0)
    for _ in range(4):
        at = wave[used]
        if at.size < _FEWEST:
            raise NoConvergence(
                f"{at.size} bins of the spectrum hold light of the star, {_FEWEST} are needed",
                hint="is the star in the field? Look at the picture of the exposure",
            )
        count = int((at[-1] - at[0]) / _KNOT)
        knots = np.array([k for k in np.linspace(at[0], at[-1], count + 2)[1:-1] if _filled(at, k)])
        curve = LSQUnivariateSpline(at, level[used], knots, w=1.0 / np.maximum(noise[used], 1e-4), k=3)
        value = np.exp(curve(wave))
        left = level - curve(wave)
        spread = 1.4826 * float(np.median(np.abs(left[used])))
        now = used & (np.abs(left) < 5.0 * spread)
        if now.sum() == used.sum():
            break
        used = now
    error = np.full(wave.size, max(spread * np.sqrt((count + 4) / used.sum()), 1e-4))
    logs = np.log(value)
    for end, beyond in ((wave[used][0], wave < wave[used][0]), (wave[used][-1], wave > wave[used][-1])):
        near = used & (np.abs(wave - end) <= 2.0 * _KNOT)
        slope, level_there = np.polyfit(wave[near] - end, logs[near], 1)
        change = slope * (wave[beyond] - end)
        logs[beyond] = level_there + change
        error[beyond] = np.hypot(error[beyond], 0.5 * np.abs(change))
    return Curve(np.exp(logs), np.exp(logs) * error, used)


def _filled(at: FloatArray, knot: float) -> bool:
    """Whether there are samples on both sides of a knot, as splines want it."""
    return bool(((at > knot - _KNOT) & (at < knot)).sum() > 2 and ((at > knot) & (at < knot + _KNOT)).sum() > 2)


def transmission(
    wave: FloatArray, measured: FloatArray, variance: FloatArray, smooth: FloatArray, airmass: float
) -> tuple[FloatArray, FloatArray]:
    """Return the transmission of the bands at airmass 1, and its error; 1 outside them.

    Parameters
    ----------
    wave, measured, variance : array (k,)
    smooth : array (k,)
        What would be measured without the bands.
    airmass : float
    """
    inside = ~outside(wave, TELLURIC) & np.isfinite(measured) & np.isfinite(smooth)
    ratio = np.where(inside, np.clip(measured / np.where(inside, smooth, 1.0), 0.01, 1.05), 1.0)
    noise = np.where(inside, np.sqrt(variance) / np.where(inside, smooth, 1.0), 0.0)
    one = ratio ** (1.0 / airmass)
    return one, noise * one / ratio / airmass
