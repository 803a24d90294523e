"""Where the telescope looked: airmass and parallactic angle, from the header or from its coordinates."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from tracecube.core.errors import MissingInput
from tracecube.core.fields import Meta
from tracecube.instruments.sedm.headers import exposure_time, number, start_mjd, text

__all__ = [
    "Air",
    "Site",
    "airmass",
    "airmass_told",
    "contradiction",
    "parallactic_angle",
    "pointing",
    "site",
    "told_angles",
    "weather",
]


@dataclass(frozen=True)
class Site:
    """A telescope: latitude and longitude (degree, east positive), altitude (m), air pressure (hPa)."""

    name: str
    latitude: float
    longitude: float
    altitude: float
    pressure: float


# Palomar: coordinates and pressure as the observatory's own reduction uses them; BARPRESS of the header is reduced to
# sea level (1012-1020 hPa). Kitt Peak 2.1 m: observatory's page; pressure of the standard atmosphere at its altitude.
PALOMAR = Site("Palomar 60-inch", 33.3563, -116.8648, 1712.0, 630.0)
KITT_PEAK = Site("Kitt Peak 2.1-metre", 31.9584, -111.5967, 2096.0, 786.0)

_AIRMASS_LIMIT = 10.0  # no telescope points there; placeholders are -999
_MJD_J2000 = 51544.5
_AGREE = 0.1  # of the distance from the zenith, as refraction goes: a tenth of it at 45 degrees


def site(header: Meta) -> Site:
    """Return the telescope of a frame: TELESCOP is "60" at Palomar."""
    return KITT_PEAK if re.search(r"kp|kitt|2\.1", text(header, "TELESCOP"), re.IGNORECASE) else PALOMAR


def airmass(header: Meta, name: str, *, fraction: float = 0.0) -> float:
    """Return the airmass after a fraction of the exposure.

    AIRMASS and ENDAIR are interpolated where both are there; otherwise the coordinates give it.

    Raises
    ------
    MissingInput
        Neither airmass nor coordinates in the header.
    """
    start, end = (_plausible(number(header, key)) for key in ("AIRMASS", "ENDAIR"))
    if start is not None and end is not None:
        return start + fraction * (end - start)
    if start is not None and fraction == 0.0:
        return start
    angle, declination, latitude = _triangle(header, name, fraction)
    height = math.sin(latitude) * math.sin(declination) + math.cos(latitude) * math.cos(declination) * math.cos(angle)
    x = 1.0 / max(height, 1.0 / _AIRMASS_LIMIT) - 1.0
    return 1.0 + x - 0.0018167 * x - 0.002875 * x**2 - 0.0008083 * x**3  # Hardie 1962, eq. in 8.2


def airmass_told(header: Meta) -> bool:
    """Whether the header tells the airmass at both ends of an exposure."""
    return all(_plausible(number(header, key)) is not None for key in ("AIRMASS", "ENDAIR"))


def contradiction(header: Meta, name: str) -> str | None:
    """Say that AIRMASS and TEL_PA are not those of coordinates and time; None where they are, or are not told.

    In 20 headers of the observatory they agree to 0.02 in airmass and 0.8 degree: more is a wrong clock, or wrong
    coordinates.

    Raises
    ------
    MissingInput
        No coordinates in the header.
    """
    told, angle = _plausible(number(header, "AIRMASS")), number(header, "TEL_PA")
    if told is None:
        return None
    found, turned = airmass({**header, "AIRMASS": None}, name), parallactic_angle(header, name)
    off = 0.0 if angle is None else math.radians(angle - turned)
    ways = [math.sqrt(max(mass, 1.0) ** 2 - 1.0) for mass in (told, found)]  # from the zenith, tangent
    if math.hypot(ways[0] - ways[1] * math.cos(off), ways[1] * math.sin(off)) < _AGREE:
        return None
    told_angle = "" if angle is None else f", TEL_PA {angle:.0f}"
    return f"AIRMASS is {told:.2f}{told_angle} where coordinates and time give {found:.2f}, {turned:.0f}"


def told_angles(header: Meta) -> tuple[float, float] | None:
    """Return TEL_PA and END_PA, the parallactic angle (degree) at both ends of an exposure; None without the first."""
    start, end = number(header, "TEL_PA"), number(header, "END_PA")
    return None if start is None else (start, start if end is None else end)


def _plausible(value: float | None) -> float | None:
    """Return an airmass that can be one, None otherwise (0, -999 when the telescope did not answer)."""
    return value if value is not None and 0.99 < value < _AIRMASS_LIMIT else None


def parallactic_angle(header: Meta, name: str, *, fraction: float = 0.0) -> float:
    """Return the parallactic angle (degree, 0 to 360) after a fraction of the exposure, from the coordinates.

    Raises
    ------
    MissingInput
        No coordinates in the header.
    """
    angle, declination, latitude = _triangle(header, name, fraction)
    across = math.tan(latitude) * math.cos(declination) - math.sin(declination) * math.cos(angle)
    return math.degrees(math.atan2(math.sin(angle), across)) % 360.0


def _triangle(header: Meta, name: str, fraction: float) -> tuple[float, float, float]:
    """Return hour angle, declination and latitude in radians."""
    right_ascension = _sexagesimal(header, "TEL_RA", "RA", "OBJRA")
    declination = _sexagesimal(header, "TEL_DEC", "DEC", "OBJDEC")
    if right_ascension is None or declination is None:
        raise MissingInput(
            f"{name}: neither AIRMASS nor coordinates (TEL_RA, RA, OBJRA and TEL_DEC, DEC, OBJDEC are blank)",
            hint="write AIRMASS and ENDAIR, or RA and DEC, into the header",
        )
    where = site(header)
    days = start_mjd(header, name) + fraction * exposure_time(header, name) / 86400.0 - _MJD_J2000
    sidereal = 280.46061837 + 360.98564736629 * days + where.longitude  # Meeus 1998, eq. 12.4, linear terms
    angle = math.radians((sidereal - 15.0 * right_ascension + 180.0) % 360.0 - 180.0)
    return angle, math.radians(declination), math.radians(where.latitude)


def _sexagesimal(header: Meta, *keys: str) -> float | None:
    """Return the first of several cards that holds an angle like "+33:21:22.7"."""
    for key in keys:
        found = re.fullmatch(r"([+-]?)(\d{1,3}):(\d{1,2}):(\d{1,2}(?:\.\d*)?)", text(header, key))
        if found:
            value = int(found[2]) + int(found[3]) / 60.0 + float(found[4]) / 3600.0
            return -value if found[1] == "-" else value
    return None


def pointing(header: Meta) -> tuple[float, float] | None:
    """Return right ascension and declination (degree) of the field centre, None where no card says."""
    right_ascension = _sexagesimal(header, "TEL_RA", "RA", "OBJRA")
    declination = _sexagesimal(header, "TEL_DEC", "DEC", "OBJDEC")
    if right_ascension is None or declination is None:
        return None
    return 15.0 * right_ascension, declination


@dataclass(frozen=True)
class Air:
    """The air outside: pressure (hPa, the site's), temperature (C), humidity (per cent); ``known`` by the header."""

    pressure: float
    temperature: float
    humidity: float
    known: bool


def weather(header: Meta) -> Air:
    """Return the air outside.

    A silent weather station is answered with 10 C and 30 per cent, and ``known`` is False: 10 degrees
    change the refraction from 4000 to 9000 Angstrom by 3 per cent, humidity by less than 0.1.
    """
    temperature, humidity = number(header, "OUT_AIR"), number(header, "OUT_HUM")
    mild = temperature is not None and -40.0 < temperature < 50.0
    damp = humidity is not None and 0.0 <= humidity <= 100.0
    return Air(
        site(header).pressure,
        temperature if temperature is not None and mild else 10.0,
        humidity if humidity is not None and damp else 30.0,
        mild and damp,
    )
