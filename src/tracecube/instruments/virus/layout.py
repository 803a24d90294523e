"""Where the fibres are: in their bundle, in the focal plane, on the sky.

Positions in the focal plane follow the observatory's conventions: the bundle's x goes with Y of the focal-plane
table and its y with X, and the plane is turned by 360 - (90 + PARANGLE + 1.55) degrees with x to the west.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData, MissingInput

__all__ = [
    "DITHERS",
    "FIBRES",
    "FIBRE_DIAMETER",
    "PARANGLE_OFFSET",
    "REFERENCE",
    "BundlePlaces",
    "amplifier_places",
    "bundle_places",
    "field_rotation",
    "g_band",
    "nominal_places",
    "regular_places",
    "slot_on",
    "throughput_curve",
    "zenith_angle",
]

F8 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
I8 = NDArray[np.int64]

FIBRES = 448
"""Fibres of a bundle."""

FIBRE_DIAMETER = 1.5
"""Arcsec."""

DITHERS = np.array([[0.0, 0.0], [1.27, -0.73], [1.27, 0.73]])
"""Nominal moves of the three exposures in the bundle's x and y, arcsec."""

PARANGLE_OFFSET = 1.55
"""Degree: between PARANGLE and the position angle of the focal plane."""

REFERENCE = 4750.0
"""Angstrom (air): right ascension and declination of fibres are those of light of this wavelength.

A convention, which card FLDWAVE repeats: refraction moves other light, by 0.03 arcsec in 100 Angstrom.
"""

_ROWS, _PITCH, _ROW_PITCH = 23, 48.3 / 19.0, 24.24 / 11.0  # arcsec: rows of 19 and 20 fibres in turn
_REGULAR = "fibre places: no table, the regular lattice of 23 rows stands in (true to 0.01 arcsec)"


@dataclass(frozen=True)
class BundlePlaces:
    """Fibre places of a bundle in the order of the table.

    Parameters
    ----------
    x, y : array (448,), arcsec
    throughput : array (448,)
        Relative, of the table; 0 where the fibre is known to be broken.
    caveats : tuple of str
    """

    x: F8
    y: F8
    throughput: F8
    caveats: tuple[str, ...] = ()


@cache
def _order() -> Mapping[str, Any]:
    return tomllib.loads(files(__package__).joinpath("static", "fibre_order.toml").read_text(encoding="utf-8"))


@cache
def throughput_curve() -> tuple[F8, F8]:
    """Wavelength (Angstrom) and throughput for 50 m2, as tabled; its source is in the file."""
    return _table("throughput.csv")


@cache
def g_band() -> tuple[F8, F8]:
    """Wavelength (Angstrom) and response to photons of the catalogue's g band; its source is in the file."""
    return _table("panstarrs_g.csv")


def _table(name: str) -> tuple[F8, F8]:
    lines = files(__package__).joinpath("static", name).read_text(encoding="utf-8").splitlines()
    table = np.array([line.split(",") for line in lines if line and line[0].isdigit()], dtype=float)
    return table[:, 0], table[:, 1]


def bundle_places(number: Ints | Floats, x: Floats, y: Floats, throughput: Floats | None = None) -> BundlePlaces:
    """Return the places of a table of fibres, sorted by its fibre number (1 to 448).

    Raises
    ------
    BadData
        The numbers are not 1 to 448, each once.
    """
    order = np.argsort(number, kind="stable")
    if not np.array_equal(np.asarray(number)[order], np.arange(1, FIBRES + 1)):
        raise BadData("fibre places: the table does not number fibres 1 to 448, each once", hint="check IFUcen")
    light = np.ones(FIBRES) if throughput is None else np.asarray(throughput, dtype=float)[order]
    return BundlePlaces(np.asarray(x, dtype=float)[order], np.asarray(y, dtype=float)[order], light)


def regular_places() -> BundlePlaces:
    """Return the lattice as designed, for want of a table: a caveat says so."""
    x: list[float] = []
    y: list[float] = []
    for row in range(_ROWS):
        count = 19 + row % 2
        x += [_PITCH * (i - 0.5 * (count - 1)) for i in range(count)]
        y += [_ROW_PITCH * (row - 0.5 * (_ROWS - 1))] * count
    return BundlePlaces(np.array(x), np.array(y), np.ones(len(x)), (_REGULAR,))


def slot_on(slot: int, night: date | None) -> int:
    """Return the slot a bundle stood in, where headers of some nights name another; of no known night, the same."""
    if night is None:
        return slot
    name = f"{slot:03d}"
    for entry in _order()["slots"]:
        if entry["after"] < night < entry["before"] and name in entry["named"]:
            return int(entry["stood"][entry["named"].index(name)])
    return slot


def amplifier_places(places: BundlePlaces, ifuid: str, amp: str) -> tuple[F8, F8]:
    """Return x and y (arcsec) of the 112 fibres of an amplifier, from the bottom of its oriented image.

    Parameters
    ----------
    places : BundlePlaces
    ifuid : str
        Identity of the bundle: some were assembled differently.
    amp : {"LL", "LU", "RL", "RU"}
    """
    order = _order()
    name = ifuid.strip().zfill(3)
    rows = np.arange(FIBRES)
    if name in order["turned"]["ifuid"]:
        rows[224:] = rows[224:][::-1]
    for one, other in order["exchanged"].get(name, []):
        rows[[one, other]] = rows[[other, one]]
    first, last = order["rows"][amp]
    chosen = rows[first : last + 1][::-1]
    return places.x[chosen], places.y[chosen]


def field_rotation(parallactic: float) -> float:
    """Angle (degree) that turns the focal plane, from PARANGLE."""
    return 360.0 - (90.0 + parallactic + PARANGLE_OFFSET)


def zenith_angle(parallactic: float) -> float:
    """Position angle (degree, north through east) of the zenith, from PARANGLE.

    Half a turn from PARANGLE: the observatory's refraction tables have blue light, which stands nearer to the
    zenith, towards the bundle's -x, and `field_rotation` lays that down here on the sky.
    """
    return (parallactic + PARANGLE_OFFSET + 180.0) % 360.0


def nominal_places(
    x: Floats, y: Floats, ifuslot: Ints, exposure: Ints, *, plane: Mapping[int, tuple[float, float]], rotation: float
) -> tuple[F8, F8]:
    """Return where fibres should be on the sky: east and north (arcsec) from the field's centre, tangent plane.

    Parameters
    ----------
    x, y : array (n,), arcsec
        In the bundle.
    ifuslot : int array (n,)
    exposure : int array (n,)
        Dither, from 1; beyond the third none is nominal and the first stands in.
    plane : mapping of slot to (X_FP, Y_FP), arcsec
    rotation : float, degree
        From `field_rotation`.

    Raises
    ------
    MissingInput
        A slot is not in the focal-plane table.
    """
    missing = sorted({int(slot) for slot in ifuslot} - set(plane))
    if missing:
        raise MissingInput(f"focal plane: slots {missing} are not in the fplane table", hint="give a newer fplane file")
    centre = np.array([plane[int(slot)] for slot in ifuslot], dtype=float).reshape(-1, 2)
    step = np.where((exposure >= 1) & (exposure <= len(DITHERS)), exposure, 1) - 1
    across = centre[:, 1] + x + DITHERS[step, 0]
    along = centre[:, 0] + y + DITHERS[step, 1]
    cosine, sine = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    return -(cosine * across + sine * along), cosine * along - sine * across
