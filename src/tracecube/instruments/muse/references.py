"""Standard stars, extinction, filters: the observatory's tables, and what the project ships where they are absent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import FloatArray
from tracecube.core.frame import RawFrame
from tracecube.core.headers import number
from tracecube.recipes.flux.standards import canonical_name
from tracecube.recipes.slices.response import TELLURIC, Regions

__all__ = ["StandardStar", "extinction_curve", "extinction_notes", "filter_curve", "standard_star", "telluric_bands"]

_NEAR = 60.0  # arcsec, the field of the instrument; stars move by some arcsec from the epoch of their table
_STATIC = files("tracecube.instruments.muse") / "static"


@dataclass(frozen=True)
class StandardStar:
    """Spectrum of a star above the atmosphere.

    Parameters
    ----------
    name : str
    wave : array (n,), Angstrom, air
    flux : array (n,), erg/s/cm2/Angstrom
    ra, dec : float, degree
        NaN where the table does not tell them.
    caveats : tuple of str
        What is not as it should be with the choice.
    """

    name: str
    wave: FloatArray
    flux: FloatArray
    ra: float = float("nan")
    dec: float = float("nan")
    caveats: tuple[str, ...] = ()

    def distance(self, ra: float, dec: float) -> float:
        """Return the distance from a place (degree) in arcsec."""
        a, b, c, d = np.radians([self.ra, self.dec, ra, dec])
        half = np.sin(0.5 * (b - d)) ** 2 + np.cos(b) * np.cos(d) * np.sin(0.5 * (a - c)) ** 2
        return float(np.degrees(2.0 * np.arcsin(np.sqrt(half))) * 3600.0)


def standard_star(table: RawFrame | None, ra: float, dec: float, names: Sequence[str]) -> StandardStar:
    """Return the standard star of an exposure.

    Of several the one nearest to where the telescope pointed; where none is near, the one of the same name. A table
    of a single star whose place is not told is taken at its word, with a caveat where its name is not the target's.

    Parameters
    ----------
    table : RawFrame or None
        STD_FLUX_TABLE: one extension a star, its name in OBJECT (else the extension's), its place in RA and DEC.
        Without one, stars of the project.
    ra, dec : float, degree
    names : sequence of str
        What the header of the exposure calls its target.

    Raises
    ------
    MissingInput
        None is near and none has the name.
    BadData
        The table has no columns lambda, flux.
    """
    stars = _shipped() if table is None else _tabled(table)
    source = "the project's standard stars" if table is None else table.name
    note = () if table is not None else ("no STD_FLUX_TABLE: the star's spectrum is CALSPEC's that the project ships",)
    wanted = {canonical_name(name) for name in names} - {""}
    called = " or ".join(name for name in names if name) or "like the target"
    if len(stars) == 1 and not np.isfinite(stars[0].ra):
        if canonical_name(stars[0].name) in wanted:
            return stars[0]
        word = f"its only star, {stars[0].name}, has no place, and is not called {called}"
        return _noted(stars[0], f"{source} is taken at its word: {word}")
    nearest = min(stars, key=lambda one: np.nan_to_num(one.distance(ra, dec), nan=np.inf))
    away = nearest.distance(ra, dec)
    if away < _NEAR:
        return _noted(nearest, *note)
    same = [one for one in stars if canonical_name(one.name) in wanted]
    if len(same) == 1:
        far = same[0].distance(ra, dec)
        place = f"lies {far:.0f} arcsec from where the telescope pointed" if np.isfinite(far) else "is without a place"
        return _noted(same[0], *note, f"standard star {same[0].name} is chosen by its name: in {source} it {place}")
    raise MissingInput(
        f"{source}: no star within {_NEAR:.0f} arcsec of RA {ra:.4f}, DEC {dec:.4f}, and none called {called}; "
        f"the nearest of {len(stars)} is {nearest.name}, {away:.0f} arcsec off",
        hint="give a STD_FLUX_TABLE that has the star, with RA and DEC in the header of its extension",
    )


def _noted(star: StandardStar, *caveats: str) -> StandardStar:
    return StandardStar(star.name, star.wave, star.flux, star.ra, star.dec, caveats)


def _tabled(table: RawFrame) -> list[StandardStar]:
    """Return the stars of a STD_FLUX_TABLE."""
    found = []
    for name, columns in table.tables_with("lambda", "flux").items():
        head = table.headers.get(name, {})
        place = [number(head, key) for key in ("RA", "DEC")]
        ra, dec = (float("nan") if value is None else value for value in place)
        wave, flux = (np.asarray(columns[key], np.float64) for key in ("lambda", "flux"))
        found.append(StandardStar(str(head.get("OBJECT") or name), wave, flux, ra, dec))
    return found


@cache
def _shipped() -> list[StandardStar]:
    """Return the stars of static/standards.npz."""
    with (_STATIC / "standards.npz").open("rb") as file, np.load(file) as packed:
        wave, flux = packed["wave"], packed["flux"].astype(np.float64)
        places = zip(packed["name"], packed["ra"], packed["dec"], flux, strict=True)
        return [
            StandardStar(str(name), wave[np.isfinite(one)], one[np.isfinite(one)], float(ra), float(dec))
            for name, ra, dec, one in places
        ]


def extinction_curve(table: RawFrame | None) -> tuple[FloatArray, FloatArray]:
    """Return wavelength (Angstrom) and extinction (magnitudes per airmass) of a table; without one, Paranal's.

    Raises
    ------
    BadData
        It has no such columns.
    """
    if table is None:
        return _site()
    found = table.table("lambda", "extinction")
    return np.asarray(found["lambda"], np.float64), np.asarray(found["extinction"], np.float64)


def filter_curve(table: RawFrame, name: str) -> tuple[FloatArray, FloatArray]:
    """Return wavelength (Angstrom) and transmission of a filter of a FILTER_LIST; capitals and small letters are alike.

    Raises
    ------
    MissingInput
        The list does not have it.
    """
    known = {one: columns for one, columns in table.tables.items() if {"lambda", "throughput"} <= set(columns)}
    found = {one.upper(): columns for one, columns in known.items()}.get(name.upper())
    if found is None:
        raise MissingInput(
            f"{table.name} has no filter {name or '(no name is told)'}", hint=f"it has {', '.join(known) or 'none'}"
        )
    return np.asarray(found["lambda"], np.float64), np.asarray(found["throughput"], np.float64)


def telluric_bands(table: RawFrame | None) -> Regions:
    """Return the bands of the atmosphere (Angstrom, air): the project's, and those that a TELLURIC_REGIONS has besides.

    Raises
    ------
    BadData
        It has no columns lmin and lmax, or an interval that ends before it begins.
    """
    if table is None:
        return TELLURIC
    found = table.table("lmin", "lmax")
    more = [(float(low), float(high)) for low, high in zip(found["lmin"], found["lmax"], strict=True)]
    if any(not low < high for low, high in more):
        raise BadData(f"{table.name}: a band ends before it begins", hint="lmin is to be less than lmax")
    return (*TELLURIC, *more)


def extinction_notes(table: RawFrame | None) -> tuple[str, ...]:
    """Return what is to be said where there is no table."""
    return (
        () if table is not None else ("no EXTINCT_TABLE: extinction is the mean curve of Paranal (Patat et al. 2011)",)
    )


@cache
def _site() -> tuple[FloatArray, FloatArray]:
    lines = (_STATIC / "extinction.csv").read_text("utf-8").splitlines()[1:]
    table = np.array([line.split(",") for line in lines], dtype=float)
    return table[:, 0], table[:, 1]
