"""Whether lines of a nebula stand in what is taken for the spectrum of the sky."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Nebula", "gas_windows", "nebula_in"]

F8 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

_LIGHT = 299792.458  # km/s
_HBETA, _OIII, _OIII_FAINT = 4861.33, 5006.84, 4958.91
"""Angstrom, air (Osterbrock & Ferland 2006): these lie where the sky has next to no lines."""

_CLEAR = (4780.0, 5150.0)  # Angstrom, between which the sky has next to no lines
_FASTEST, _STEP = 2500.0, 10.0  # km/s: nebulae, and galaxies that fill a field
_SURE = 8.0  # scatters of the continuum
_LEAST = 0.03  # of the continuum
_RATIO = (0.15, 0.6)  # of the lines of O III: 0.335 by atomic physics (Storey & Zeippen 2000, MNRAS 312, 813)
_CREST = 2.5  # Angstrom on either side within which a line is the highest


_GAS = (
    4861.33, 4921.93, 4958.91, 5006.84, 5015.68, 5754.64, 5875.64, 6312.06, 6548.05, 6562.80, 6583.45, 6678.15, 6716.44,
    6730.82, 7065.25, 7135.80, 7319.99, 7330.73, 7751.10, 8598.39, 8665.02, 8750.47, 8862.78, 9014.91, 9068.60, 9229.01,
)  # fmt: skip
"""Angstrom, air, lines of nebulae (Osterbrock & Ferland 2006); those of O I are left to the sky."""

_WINDOW = 9.0  # Angstrom on either side: three widths of a line, 200 km/s, and the day's wavelengths


def gas_windows(velocity: float) -> tuple[tuple[float, float], ...]:
    """Return the ranges of wavelength (Angstrom, air) about the lines of gas of a velocity (km/s)."""
    places = [line * (1.0 + velocity / _LIGHT) for line in _GAS]
    return tuple((place - _WINDOW, place + _WINDOW) for place in places)


class Nebula(NamedTuple):
    """Lines of gas in a spectrum: velocity (km/s), peak of the strongest over the continuum, and which they are."""

    velocity: float
    strength: float
    lines: tuple[str, ...]


def nebula_in(wave: Floats, light: Floats, base: Floats) -> Nebula | None:
    """Look for lines of gas, both of O III at one velocity, and H beta with them; None where there are none.

    Gas so cold that it has no O III is not told: lines of hydrogen alone are too like what noise and airglow make.

    Parameters
    ----------
    wave : array (k,), Angstrom, air, even
    light, base : array (k,)
        Spectrum and its continuum.
    """
    clear = (wave > _CLEAR[0]) & (wave < _CLEAR[1])
    above = light - base
    level = float(np.median(base[clear])) if clear.any() else 0.0
    if not level > 0:
        return None
    middle = float(np.median(above[clear]))
    scatter = 1.4826 * float(np.median(np.abs(above[clear] - middle)))
    least = max(_SURE * scatter, _LEAST * level)
    best, rank = None, (0, 0.0)
    for velocity in np.arange(-_FASTEST, _FASTEST + _STEP, _STEP):
        oxygen, faint, hbeta = (
            _crest(wave, above - middle, line * (1.0 + velocity / _LIGHT)) for line in (_OIII, _OIII_FAINT, _HBETA)
        )
        if not (oxygen > least and _RATIO[0] * oxygen < faint < _RATIO[1] * oxygen):
            continue
        names = ("[O III] 5007", "[O III] 4959") + (("H beta",) if hbeta > least else ())
        there = np.interp(np.array([_OIII, _OIII_FAINT, _HBETA]) * (1.0 + velocity / _LIGHT), wave, above)
        if (len(names), float(there.sum())) > rank:
            best, rank = Nebula(float(velocity), oxygen / level, names), (len(names), float(there.sum()))
    return best


def _crest(wave: Floats, above: Floats, line: float) -> float:
    """Return the height at a line if it is the highest about it, else 0."""
    step = float(wave[1] - wave[0])
    at, reach = round(float(line - wave[0]) / step), int(_CREST / step)
    if at < reach or at + reach >= wave.size:
        return 0.0
    near = above[at - reach : at + reach + 1]
    peak = int(np.argmax(near))
    return float(near[peak]) if abs(peak - reach) * step < 0.5 * _CREST else 0.0
