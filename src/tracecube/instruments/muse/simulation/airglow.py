"""Lines of the night sky: hydroxyl by its energy levels, oxygen, sodium."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from tracecube.core.fields import FloatArray, IntArray
from tracecube.kernels.atmosphere import air_to_vacuum

__all__ = ["GROUPS", "Airglow", "airglow"]

# Constants of OH X2Pi, 1/cm: Huber & Herzberg 1979 (NIST Chemistry WebBook), levels of vibration and rotation
_VIBRATION = (3737.761, -84.8813, 0.5409, -0.0213)
_ROTATION = (18.9108, -0.7242)
_STRETCH, _ORBIT = 1.92e-3, -139.2
_WARM = 190.0 * 0.695035  # 1/cm: temperature of rotation, Rousselot et al. 2000, A&A 354, 1134

_BANDS = {
    (5, 0): 0.12, (6, 0): 0.05, (6, 1): 0.42, (7, 1): 0.10, (7, 2): 0.60, (8, 2): 0.40, (8, 3): 1.3, (9, 3): 0.55,
    (9, 4): 1.3, (4, 0): 0.7, (5, 1): 2.0, (6, 2): 4.2, (7, 3): 6.5, (8, 4): 7.5, (3, 0): 7.0, (9, 5): 2.5,
}  # fmt: skip
"""Brightness of the bands, 1e-16 erg/s/cm2/arcsec2 in all lines, near those of Hanuschik 2003 (A&A 407, 1157)."""

_ATOMS = (
    # air wavelength (Osterbrock et al. 1996, PASP 108, 277), brightness, group
    (5577.339, 16.0, 1), (6300.304, 12.0, 2), (6363.776, 4.0, 2), (5889.951, 2.6, 3), (5895.924, 1.5, 3),
    (5197.9, 0.10, 5), (5200.3, 0.07, 5), (7771.9, 0.06, 6), (7774.2, 0.04, 6), (8446.4, 0.10, 6),
)  # fmt: skip

GROUPS = {1: "OI", 2: "OI", 3: "NaI", 4: "O2", 5: "NI", 6: "OI"}
_MOLECULE = 4  # of oxygen
_HYDROXYL = 10  # and the upper state


@dataclass(frozen=True)
class Airglow:
    """Lines: arrays (n,).

    Parameters
    ----------
    wave : array, Angstrom
        In air.
    flux : array, 1e-16 erg/s/cm2/arcsec2
        Of the mean sky at zenith.
    group : int array
        Lines that brighten and fade together.
    """

    wave: FloatArray
    flux: FloatArray
    group: IntArray


@cache
def airglow() -> Airglow:
    """Return all lines from 4500 to 9950 Angstrom that are brighter than 1e-19 erg/s/cm2/arcsec2."""
    found = [np.array([(wave, flux, group) for wave, flux, group in _ATOMS]), _oxygen_band()]
    found += [_band(upper, lower, total) for (upper, lower), total in _BANDS.items()]
    wave, flux, group = np.concatenate(found).T
    kept = np.flatnonzero((wave > 4500.0) & (wave < 9950.0) & (flux > 1.0e-3))
    kept = kept[np.argsort(wave[kept])]
    return Airglow(wave[kept], flux[kept], group[kept].astype(int))


def _level(v: int, j: FloatArray, omega: float) -> FloatArray:
    """Energy (1/cm) of a level: Hill & Van Vleck 1928, Phys. Rev. 32, 250, with the stretch of rotation."""
    half = v + 0.5
    vibration = sum(c * half ** (i + 1) for i, c in enumerate(_VIBRATION))
    b = _ROTATION[0] + _ROTATION[1] * half
    ratio = _ORBIT / b
    root = 0.5 * np.sqrt(4.0 * (j + 0.5) ** 2 + ratio * (ratio - 4.0))
    sign = -1.0 if omega > 1.0 else 1.0
    n = j - 0.5 if omega > 1.0 else j + 0.5
    return np.asarray(vibration + b * ((j + 0.5) ** 2 - 1.0 + sign * root) - _STRETCH * (n * (n + 1.0)) ** 2)


def _band(upper: int, lower: int, total: float) -> FloatArray:
    """Rows (n, 3): wavelength in air, brightness, group; strengths after Hoenl and London, case (a)."""
    rows = []
    for omega in (1.5, 0.5):
        j = omega + np.arange(9.0)
        energy = _level(upper, j, omega)
        base = float(_level(upper, np.array([1.5]), 1.5)[0])
        share = np.exp(-(energy - base) / _WARM)
        strengths = {
            1.0: ((j + 1.0) ** 2 - omega**2) / (j + 1.0),
            0.0: (2.0 * j + 1.0) * omega**2 / (j * (j + 1.0)),
            -1.0: (j**2 - omega**2) / j,
        }
        for change, strength in strengths.items():
            to = j + change
            real = (to >= omega) & (strength > 0)
            number = energy[real] - _level(lower, to[real], omega)
            rows.append(np.column_stack([_air(1.0e8 / number), (share * strength)[real]]))
    wave, flux = np.concatenate(rows).T
    return np.column_stack([wave, total * flux / flux.sum(), np.full(wave.size, _HYDROXYL + upper)])


def _oxygen_band() -> FloatArray:
    """Lines of O2 b-X (0-1) around 8650 Angstrom: two branches of a comb."""
    n = np.arange(1, 17)
    bright = n * np.exp(-n * (n + 1) / 90.0)
    wave = np.concatenate([8644.5 - 2.05 * n + 0.045 * n**2, 8647.0 + 2.35 * n + 0.035 * n**2])
    flux = np.concatenate([bright, bright])
    return np.column_stack([wave, 3.0 * flux / flux.sum(), np.full(wave.size, _MOLECULE)])


def _air(vacuum: FloatArray) -> FloatArray:
    """Wavelength in air of one in vacuum."""
    air = vacuum / 1.000276
    for _ in range(3):
        air = air + vacuum - air_to_vacuum(air)
    return np.asarray(air)
