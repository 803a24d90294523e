"""Reading SED Machine headers, with the traps that ten years of robots have left in them.

Every function says which card it wants; where an observatory card is known to be blank at times,
what stands in for it is computed from other cards of the same header, never assumed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import Meta
from tracecube.core.headers import MJD_EPOCH, mjd_of, needed, number, text

__all__ = [
    "NAME",
    "bare_object",
    "camera",
    "exposure_time",
    "frame_name",
    "night_of",
    "number",
    "readout_speed",
    "start_mjd",
    "text",
]

NAME = re.compile(r"(?P<camera>ifu|rc)(?P<date>\d{8})_(?P<time>\d{2}_\d{2}_\d{2})")
"""Robot's file names: camera, UT date and time of the start of exposure."""

_JD_OF_MJD_0 = 2400000.5
_FIRST_MJD, _LAST_MJD = 51544.0, 88069.0  # 2000 to 2100: what is beyond is no time
_APART = 1.0  # day: a clock of local time is 7 or 8 hours off, and still tells the day
_LOCAL_NOON_TO_UT_MIDNIGHT = 4.0 / 24.0  # noon is 20 h UT at Palomar (longitude -116.9 deg), 19.4 h at Kitt Peak


def exposure_time(header: Meta, name: str) -> float:
    """Return the exposure time, second.

    Raises
    ------
    MissingInput
        No EXPTIME.
    """
    return needed(header, name, "EXPTIME", "exposure time, s")


def readout_speed(header: Meta, name: str) -> float:
    """Return the readout speed, MHz.

    Raises
    ------
    MissingInput
        No ADCSPEED.
    """
    return needed(header, name, "ADCSPEED", "readout speed, MHz")


def camera(header: Meta, name: str) -> str:
    """Return "rc" for the rainbow camera, "ifu" for the spectrograph.

    The camera's own name decides, then the prefix of the file name.
    """
    own = text(header, "CAM_NAME").lower()
    if own:
        return "rc" if own.startswith("rc") else "ifu"
    found = NAME.search(name)
    return found["camera"] if found else "ifu"


def start_mjd(header: Meta, name: str) -> float:
    """Return the start of exposure, MJD (UTC).

    MJD_OBS and JD come from the telescope and are absent, 0 or negative when it did not answer; UTC
    comes from the camera, as day of year ("2018:186:10:04:29.2") or in ISO 8601; the file name is
    the camera's clock too.

    Raises
    ------
    MissingInput
        None of them is there.
    BadData
        Telescope and camera are more than a day apart: one of them is wrong, and which cannot be told.
    """
    camera_clock = _camera_mjd(header, name)
    for key, zero in (("MJD_OBS", 0.0), ("MJD-OBS", 0.0), ("JD", _JD_OF_MJD_0)):
        found = number(header, key)
        if found is None or not _FIRST_MJD < found - zero < _LAST_MJD:
            continue
        if camera_clock is not None and abs(found - zero - camera_clock) > _APART:
            raise BadData(
                f"{name}: {key} says that the exposure began on {_day(found - zero)}, the camera's clock (UTC, or the"
                f" file name) says {_day(camera_clock)}",
                hint=f"repair {key}, UTC or the file name, or leave the file out",
            )
        return found - zero
    if camera_clock is None:
        raise MissingInput(
            f"{name}: no start of exposure (MJD_OBS, JD, UTC absent or not of this century, and none in the file name)",
            hint="write UTC into the header, or give the file its name of the robot, ifuYYYYMMDD_HH_MM_SS.fits",
        )
    return camera_clock


def _camera_mjd(header: Meta, name: str) -> float | None:
    """Return the start of exposure by the camera's clock, MJD (UTC); None where neither header nor name tell."""
    for stamp in (_utc(text(header, "UTC")), _utc(text(header, "DATE-OBS")), _time_in_name(name)):
        mjd = None if stamp is None else mjd_of(stamp)
        if mjd is not None and _FIRST_MJD < mjd < _LAST_MJD:
            return mjd
    return None


def _day(mjd: float) -> str:
    return (MJD_EPOCH + timedelta(days=mjd)).strftime("%Y-%m-%d")


def _utc(stamp: str) -> datetime | None:
    """Read a time stamp of either form, None when it is neither."""
    day_of_year = re.fullmatch(r"(\d{4}):(\d{1,3}):(\d{1,2}):(\d{2}):(\d{2}(?:\.\d*)?)", stamp)
    if day_of_year:
        year, day, hour, minute, second = day_of_year.groups()
        first = datetime(int(year), 1, 1, tzinfo=UTC)
        return first + timedelta(days=int(day) - 1, hours=int(hour), minutes=int(minute), seconds=float(second))
    if not re.match(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}", stamp):
        return None
    try:
        return datetime.fromisoformat(stamp).replace(tzinfo=UTC)
    except ValueError:
        return None


def _time_in_name(name: str) -> datetime | None:
    """Read the time in a file name of the robot."""
    found = NAME.search(name)
    if found is None:
        return None
    try:
        return datetime.strptime(found["date"] + found["time"], "%Y%m%d%H_%M_%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def night_of(mjd: float) -> str:
    """Return the night of a time: the UT date on which it ends, YYYY-MM-DD.

    From local noon on, frames belong to the coming night; calibrations of the afternoon so keep
    company with the sky they calibrate, whether UT midnight has passed or not.

    Examples
    --------
    >>> night_of(59325.0036), night_of(59324.95), night_of(59325.45)
    ('2021-04-21', '2021-04-21', '2021-04-21')
    """
    return (MJD_EPOCH + timedelta(days=mjd + _LOCAL_NOON_TO_UT_MIDNIGHT)).strftime("%Y-%m-%d")


def frame_name(meta: Meta) -> str:
    """Return the name of the raw file that a product descends from, the target's before there is one."""
    return text(meta, "RAW1") or text(meta, "OBJECT")


def bare_object(header: Meta) -> tuple[str, str]:
    """Return the name of the target without its nod position, and that position ("A", "B" or "").

    Examples
    --------
    >>> bare_object({"OBJECT": "ZTF18abdfydj [A]"}), bare_object({"OBJECT": "", "NAME": "STD-HZ44"})
    (('ZTF18abdfydj', 'A'), ('STD-HZ44', ''))
    """
    whole = text(header, "OBJECT") or text(header, "NAME")
    nod = re.search(r"\s*\[([AB])\]\s*$", whole)
    return (whole[: nod.start()], nod[1]) if nod else (whole, "")
