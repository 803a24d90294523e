"""Standard stars: their spectra above the atmosphere, found by name, continued beyond the table's end."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Reference", "StandardTable", "canonical_name", "find_reference"]

F8 = NDArray[np.float64]


@dataclass(frozen=True)
class StandardTable:
    """Packed reference spectra.

    Parameters
    ----------
    wave : array (m,), Angstrom
        Vacuum, evenly spaced.
    name, library : str array (n,)
    flux : array (n, m), erg / (s cm2 Angstrom)
        NaN where a table ends.
    """

    wave: F8
    name: NDArray[np.str_]
    library: NDArray[np.str_]
    flux: F8


@dataclass(frozen=True)
class Reference:
    """Reference spectrum of one star.

    Parameters
    ----------
    name, library : str
    wave, flux : array (m,)
        As in `StandardTable`, without gaps.
    low, high : float, Angstrom
        Where the table begins and ends; beyond, the flux is a power law.
    """

    name: str
    library: str
    wave: F8
    flux: F8
    low: float
    high: float


def canonical_name(name: str) -> str:
    """Bring the spellings of a star's name to one.

    Examples
    --------
    >>> [canonical_name(name) for name in ("STD-BD+28d4211", "BD+28 4211", "bd28d4211", "STD-Feige 34")]
    ['BD284211', 'BD284211', 'BD284211', 'FEIGE34']
    """
    bare = re.sub(r"^\s*STD[-_ ]*", "", name.upper())
    bare = re.sub(r"[^A-Z0-9]", "", bare)
    return re.sub(r"(?<=[0-9])D(?=[0-9])", "", bare)


def find_reference(table: StandardTable, star: str, *, prefer: str) -> Reference | None:
    """Return the spectrum of a star, from the preferred library if it has it, None if none has it.

    Parameters
    ----------
    star : str
        Name as the header spells it.
    prefer : str
        Library; ``Reference.library`` tells which one it came from.
    """
    wanted = canonical_name(star)
    rows = [row for row, name in enumerate(table.name) if canonical_name(str(name)) == wanted]
    if not rows:
        return None
    row = min(rows, key=lambda index: (str(table.library[index]) != prefer, str(table.library[index])))
    known = np.isfinite(table.flux[row]) & (table.flux[row] > 0)
    wave = table.wave[known]
    flux = np.where(known, table.flux[row], _continued(table.wave, wave, table.flux[row][known]))
    return Reference(
        name=str(table.name[row]),
        library=str(table.library[row]),
        wave=table.wave,
        flux=flux,
        low=float(wave[0]),
        high=float(wave[-1]),
    )


def _continued(wave: F8, known: F8, flux: F8) -> F8:
    """Power laws through the last 600 Angstrom of either end: hot stars go with wavelength to -4."""
    level = np.log(flux)
    result = np.interp(wave, known, flux)
    for inside, outside in (
        (known <= known[0] + 600.0, wave < known[0]),
        (known >= known[-1] - 600.0, wave > known[-1]),
    ):
        slope, offset = np.polyfit(np.log(known[inside]), level[inside], 1)
        result = np.where(outside, np.exp(offset + slope * np.log(wave)), result)
    return np.asarray(result)
