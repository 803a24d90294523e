"""From a star's light relative to the lamp to response and transmission of the atmosphere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

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
_KNOTS = (250.0, 180.0, 125.0, 85.0)
"""Angstrom between knots: the optics change slowly, and so does the lamp; how slowly, the star tells. Closer ones would
follow lines of the star that its table has not."""

_GAP = 25.0  # Angstrom from a knot to the closest sample: none stands in a band
_END = 500.0  # Angstrom at the ends, along which the curve goes on


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

    Its knots are as close to each other as the scatter of the samples asks for.

    Beyond the first and last sample that counts (a band of water covers the red end) the logarithm goes on as a
    straight line, as steep as the spline next to it; half of what that adds is its error.

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
    if used.sum() < _FEWEST:
        raise NoConvergence(
            f"{used.sum()} bins of the spectrum hold light of the star, {_FEWEST} are needed",
            hint="is the star in the field? Look at the picture of the exposure",
        )
    level = np.log(np.where(used, measured, 1.0))
    noise = np.sqrt(np.where(used, variance, 1.0)) / np.where(used, measured, 1.0)
    drawn = [_drawn(wave, level, noise, used, distance) for distance in _KNOTS]
    best = min(drawn, key=lambda one: one.criterion)
    used, logs = best.used, best.logs
    error = np.full(wave.size, max(best.spread * np.sqrt(best.terms / used.sum()), 1e-4))
    for end, beyond in ((wave[used][0], wave < wave[used][0]), (wave[used][-1], wave > wave[used][-1])):
        near = used & (np.abs(wave - end) <= _END)
        slope = float(np.polyfit(wave[near] - end, logs[near], 1)[0])
        change = slope * (wave[beyond] - end)
        logs[beyond] = logs[wave == end] + change
        error[beyond] = np.hypot(error[beyond], 0.5 * np.abs(change))
    return Curve(np.exp(logs), np.exp(logs) * error, used)


class _Drawn(NamedTuple):
    """Logarithms of a curve, the samples it follows, their scatter, its terms, and its information criterion."""

    logs: FloatArray
    used: BoolArray
    spread: float
    terms: int
    criterion: float


def _drawn(wave: FloatArray, level: FloatArray, noise: FloatArray, given: BoolArray, distance: float) -> _Drawn:
    """Draw a spline with knots as far from each other as told; outliers are left out.

    The criterion is Schwarz's (1978, Annals of Statistics 6, 461) with a scatter that outliers do not widen.
    """
    used, count = given, int(given.sum())
    for _ in range(4):
        at = wave[used]
        inner = np.linspace(at[0], at[-1], int((at[-1] - at[0]) / distance) + 2)[1:-1]
        knots = np.array([knot for knot in inner if _filled(at, knot, distance)])
        curve = LSQUnivariateSpline(at, level[used], knots, w=1.0 / np.maximum(noise[used], 1e-4), k=3)
        logs = np.asarray(curve(wave))
        left = np.abs(level - logs)
        spread = 1.4826 * float(np.median(left[used]))
        now = given & (left < 5.0 * spread)
        if now.sum() < _FEWEST:
            raise NoConvergence(
                f"{now.sum()} bins of the spectrum follow a smooth curve, {_FEWEST} are needed",
                hint="is it a star with a smooth spectrum? Look at the picture of the exposure",
            )
        if np.array_equal(now, used):
            break
        used = now
    terms, scatter = knots.size + 4, max(1.4826 * float(np.median(left[given])), 1e-6)
    return _Drawn(logs, used, spread, terms, 2.0 * count * float(np.log(scatter)) + terms * float(np.log(count)))


def _filled(at: FloatArray, knot: float, distance: float) -> bool:
    """Whether there are samples at a knot, and on both sides of it, as splines want it."""
    below, above = (at > knot - distance) & (at < knot), (at > knot) & (at < knot + distance)
    return bool(below.sum() > 2 and above.sum() > 2 and np.abs(at - knot).min() < _GAP)  # noqa: PLR2004


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
