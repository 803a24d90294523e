"""Parallactic angle from coordinates, with precession, nutation and aberration, from tables that need no network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

__all__ = ["Pole", "Site", "parallactic_angle", "pole_of_date"]


@dataclass(frozen=True)
class Site:
    """A telescope: latitude and longitude (degree, east positive), altitude (m)."""

    latitude: float
    longitude: float
    altitude: float


@dataclass(frozen=True)
class Pole:
    """A target as the sky of date shows it.

    Parameters
    ----------
    right_ascension, declination : float, degree
        Apparent place, of the true equator and equinox of date.
    twist : float, degree
        Position angle, at the target and counted from the north of date, of the north of J2000. The
        instrument's constants refer to the north of date [as all who measured them computed it];
        position angles of J2000 are smaller by the twist.
    ut1_utc : float, second
    caveats : tuple of str
    """

    right_ascension: float
    declination: float
    twist: float
    ut1_utc: float
    caveats: tuple[str, ...] = ()


def pole_of_date(target: tuple[float, float], mjd: float) -> Pole:
    """Return the apparent place of a target (degree, J2000, no proper motion) at a date (UTC).

    IAU 2006/2000A precession and nutation (erfa ``atci13``); UT1 - UTC from the IERS table that comes
    with astropy.
    """
    import erfa  # noqa: PLC0415 - slow to import, not wanted for planning

    ra, dec = math.radians(target[0]), math.radians(target[1])
    tai = erfa.utctai(2400000.5, mjd)
    tt = erfa.taitt(*tai)
    place = erfa.atci13(ra, dec, 0.0, 0.0, 0.0, 0.0, *tt)
    step = 1e-6
    north = erfa.atci13(ra, dec + step, 0.0, 0.0, 0.0, 0.0, *tt)
    twist = math.atan2((north[0] - place[0]) * math.cos(place[1]), north[1] - place[1])
    offset, caveats = _ut1_utc(mjd)
    return Pole(
        math.degrees(float(place[0] - place[2])), math.degrees(float(place[1])), math.degrees(twist), offset, caveats
    )


@cache
def _table() -> Any:
    """Read the packaged IERS table once: it takes 0.3 s."""
    from astropy.utils import iers  # noqa: PLC0415

    return iers.IERS_B.open(iers.IERS_B_FILE)


def _ut1_utc(mjd: float) -> tuple[float, tuple[str, ...]]:
    """UT1 - UTC in seconds; 0 beyond the table, where it can be wrong by 0.9 s (0.03 deg near the zenith)."""
    from astropy.utils import iers  # noqa: PLC0415

    table = _table()
    value, status = table.ut1_utc(2400000.5, mjd, return_status=True)
    if int(status) in {iers.TIME_BEFORE_IERS_RANGE, iers.TIME_BEYOND_IERS_RANGE}:
        return 0.0, ("date outside the packaged IERS table: UT1 taken as UTC, parallactic angle within 0.03 deg",)
    return float(value.to_value("s")), ()


def parallactic_angle(pole: Pole, site: Site, mjd: float) -> float:
    """Return the parallactic angle (degree, -180 to 180; 0 on the meridian towards the pole) at a time (UTC).

    Meeus 1998, Astronomical Algorithms, eq. 14.1, with the apparent sidereal time of IAU 2006.
    """
    import erfa  # noqa: PLC0415

    tt = erfa.taitt(*erfa.utctai(2400000.5, mjd))
    sidereal = float(erfa.gst06a(2400000.5, mjd + pole.ut1_utc / 86400.0, *tt))
    angle = sidereal + math.radians(site.longitude - pole.right_ascension)
    latitude, declination = math.radians(site.latitude), math.radians(pole.declination)
    across = math.tan(latitude) * math.cos(declination) - math.sin(declination) * math.cos(angle)
    return math.degrees(math.atan2(math.sin(angle), across))
