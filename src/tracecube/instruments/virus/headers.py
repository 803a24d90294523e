"""Reading VIRUS headers: unset values are -999999.9, angles of right ascension are hours."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import Meta
from tracecube.core.headers import MJD_EPOCH, text
from tracecube.core.headers import needed as needed_card
from tracecube.core.headers import number as card_number

__all__ = [
    "NAME",
    "amplifier",
    "began",
    "dark_time",
    "day_of",
    "exposure_key",
    "needed",
    "night_of",
    "number",
    "pointing",
    "start_mjd",
    "text",
    "unit",
]

NAME = re.compile(r"(?P<time>\d{8}T\d{6}\.\d)_(?P<slot>\d{3})(?P<amp>[LR][LU])_(?P<type>sci|twi|flt|cmp|drk|zro)")
"""Names of raw files: start of exposure, slot and amplifier, type."""

_BEGAN = re.compile(r"\d{8}T\d{6}\.\d")
_UNSET = -999999.0
_TRUST = 25.0  # arcsec: the corrected trajectory is taken unless it lies farther than this from the planned one


def number(header: Meta, key: str) -> float | None:
    """Return a card as a finite number, None when it is absent, blank or unset (-999999.9)."""
    found = card_number(header, key)
    return found if found is not None and found > _UNSET else None


def needed(header: Meta, name: str, key: str) -> float:
    """Return a card that nothing can stand in for.

    Raises
    ------
    MissingInput
        It is absent, blank or unset.
    """
    return needed_card(header, name, key, read=number)


def dark_time(header: Meta, name: str) -> float:
    """Return for how long the detector gathered dark current, second: DARKTIME, or EXPTIME.

    Raises
    ------
    MissingInput
        Neither is there.
    """
    found = number(header, "DARKTIME")
    return needed(header, name, "EXPTIME") if found is None else found


def amplifier(header: Meta, name: str) -> str:
    """Return LL, LU, RL or RU: side and half of the spectrograph's detector.

    Raises
    ------
    BadData
        CCDPOS and CCDHALF do not say.
    """
    found = text(header, "CCDPOS") + text(header, "CCDHALF")
    if found not in {"LL", "LU", "RL", "RU"}:
        raise BadData(f"{name}: CCDPOS and CCDHALF give {found!r}, no amplifier", hint="repair CCDPOS and CCDHALF")
    return found


def unit(header: Meta, name: str) -> str:
    """Return the identity of a unit: slot, spectrograph, fibre bundle and controller.

    Calibrations hold for the same unit alone: what stands in the slot today may have been elsewhere a week ago.
    """
    slot, spectrograph = int(needed(header, name, "IFUSLOT")), int(needed(header, name, "SPECID"))
    bundle, controller = text(header, "IFUID"), text(header, "CONTID")
    for key, value in (("IFUID", bundle), ("CONTID", controller)):
        if not value:
            raise MissingInput(f"{name}: header card {key} is blank", hint=f"repair {key}, part of the unit's identity")
    return f"{slot:03d}/{spectrograph:03d}/{bundle.zfill(3)}/{controller.removeprefix('S/N').strip()}"


def exposure_key(header: Meta, name: str) -> str:
    """Return what all amplifiers of one exposure share: the start time as in the file name."""
    found = NAME.search(name)
    if found:
        return found["time"]
    return text(header, "DATE-OBS").replace("-", "") + "T" + text(header, "UT").replace(":", "")[:8]


def began(meta: Meta) -> str:
    """Return when the exposure of a product began, as the name of its first input says; empty where it does not."""
    found = _BEGAN.search(text(meta, "RAW1"))
    return found[0] if found else ""


def start_mjd(header: Meta, name: str) -> float:
    """Return the start of exposure, day.

    Raises
    ------
    MissingInput
        Neither MJD nor the file name tells.
    """
    found = number(header, "MJD")
    if found is not None:
        return found
    named = NAME.search(name)
    if named is None:
        raise MissingInput(f"{name}: no MJD in the header, no time in the name", hint="write MJD into the header")
    start = datetime.strptime(named["time"], "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
    return (start - MJD_EPOCH).total_seconds() / 86400.0


def night_of(header: Meta, name: str) -> str:
    """Return the observatory's date of a frame, YYYY-MM-DD: its folders hold one day of universal time each."""
    named = NAME.search(name)
    if named:
        date = named["time"][:8]
        return f"{date[:4]}-{date[4:6]}-{date[6:]}"
    found = text(header, "DATE-OBS")[:10]
    if not found:
        raise MissingInput(f"{name}: no date in the name, no DATE-OBS", hint="write DATE-OBS into the header")
    return found


def day_of(header: Meta) -> date | None:
    """Return the day of universal time on which an exposure began; None where DATE-OBS and DATE do not say."""
    for key in ("DATE-OBS", "DATE"):
        found = text(header, key)[:10]
        try:
            return date.fromisoformat(found)
        except ValueError:
            continue
    return None


def pointing(header: Meta, name: str) -> tuple[float, float]:
    """Return right ascension and declination (degree) of the field's centre, as the telescope believes.

    The corrected trajectory TRAJC*, unless it is unset or lies far from the planned one TRAJ*.

    Raises
    ------
    MissingInput
        Neither is set.
    """
    ra, dec = number(header, "TRAJCRA"), number(header, "TRAJCDEC")
    ra_plan, dec_plan = number(header, "TRAJRA"), number(header, "TRAJDEC")
    if ra is None or dec is None:
        return 15.0 * needed(header, name, "TRAJRA"), needed(header, name, "TRAJDEC")
    if ra_plan is not None and dec_plan is not None:
        away = math.hypot(15.0 * (ra - ra_plan) * math.cos(math.radians(dec)), dec - dec_plan) * 3600.0
        if away > _TRUST:
            return 15.0 * ra_plan, dec_plan
    return 15.0 * ra, dec
