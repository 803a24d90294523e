"""Reading the headers of SPHERE-IFS files; what a card may lack and what then stands in for it.

Keys are as the observatory writes them, without the word HIERARCH.
"""

from __future__ import annotations

import re
from datetime import timedelta

from tracecube.core.errors import MissingInput
from tracecube.core.fields import Meta
from tracecube.core.headers import instant, mjd_of, number
from tracecube.core.headers import night_of as night_at
from tracecube.core.headers import text as as_written

__all__ = [
    "archive_mjd",
    "cadence",
    "dated",
    "gain",
    "integration_time",
    "integrations",
    "is_cube",
    "night_of",
    "number",
    "start_mjd",
    "text",
]

_DAY = 86400.0
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d)[-:_](\d\d)[-:_](\d\d(?:\.\d+)?)")
_LONGITUDE = -70.40  # degree, of Paranal


def text(header: Meta, key: str) -> str:
    """Return a card as a stripped string in upper case, empty when it is absent or blank."""
    return as_written(header, key).upper()


def integration_time(header: Meta, name: str) -> float:
    """Return DIT, second: card DET SEQ1 DIT, or EXPTIME, which holds the same.

    Raises
    ------
    MissingInput
        Neither is there.
    """
    for key in ("ESO DET SEQ1 DIT", "EXPTIME"):
        found = number(header, key)
        if found is not None and found > 0:
            return found
    raise MissingInput(
        f"{name}: no integration time (header cards ESO DET SEQ1 DIT and EXPTIME)",
        hint="write ESO DET SEQ1 DIT (s) into the header from the observing log, or leave the file out",
    )


def integrations(header: Meta, name: str) -> int:
    """Return NDIT, the number of integrations of a file.

    Raises
    ------
    MissingInput
        No card ESO DET NDIT.
    """
    found = number(header, "ESO DET NDIT")
    if found is None or found < 1:
        raise MissingInput(
            f"{name}: header card ESO DET NDIT is {header.get('ESO DET NDIT')!r}, a number of integrations is needed",
            hint="write ESO DET NDIT into the header from the observing log, or leave the file out",
        )
    return int(found)


def is_cube(header: Meta) -> bool:
    """Whether a file holds one image for every integration, not their mean.

    Card DET FRAM FORMAT says so ("cube", "single"); without it, files of the sky are cubes.
    """
    form = text(header, "ESO DET FRAM FORMAT")
    return form.startswith("CUBE") if form else text(header, "ESO DPR CATG") == "SCIENCE"


def gain(header: Meta) -> float | None:
    """Return electrons per adu, None where no card states it."""
    found = number(header, "ESO DET OUT1 GAIN")
    return found if found is not None and found > 0 else None


def start_mjd(header: Meta, name: str) -> float:
    """Return the start of exposure, MJD (UTC): DATE-OBS, else MJD-OBS, else the archive's name of the file.

    Raises
    ------
    MissingInput
        None of them is there.
    """
    stamp = instant(header, "DATE-OBS")
    if stamp is not None:
        return mjd_of(stamp)
    found = number(header, "MJD-OBS")
    if found is not None and found > 0:
        return found
    named = archive_mjd(header, name)
    if named is None:
        raise MissingInput(
            f"{name}: no start of exposure (header cards DATE-OBS, MJD-OBS and ARCFILE; file name)",
            hint="write DATE-OBS into the header from the observing log, or give the file its archive name "
            "(SPHER.YYYY-MM-DDTHH:MM:SS.SSS.fits)",
        )
    return named


def dated(header: Meta) -> bool:
    """Whether a card tells the start of exposure."""
    return instant(header, "DATE-OBS") is not None or (number(header, "MJD-OBS") or 0.0) > 0.0


def archive_mjd(header: Meta, name: str) -> float | None:
    """Return the time (MJD, UTC) in the name that the archive gave a file, its start of exposure; None without.

    Examples
    --------
    >>> archive_mjd({}, "SPHER.2018-11-18T12:00:00.000")
    58440.5
    """
    for given in (text(header, "ARCFILE"), name):
        found = _STAMP.search(given)
        if found is not None:
            stamp = instant({"NAME": ":".join(found.groups())}, "NAME")
            if stamp is not None:
                return mjd_of(stamp)
    return None


def cadence(header: Meta, name: str) -> tuple[float, bool]:
    """Return the time (day) from one integration to the next, and whether the header tells it.

    (FRAM UTC - DATE-OBS) / NDIT, FRAM UTC being the end of the last integration; without that card DIT + DITDELAY,
    which leaves the readout out.
    """
    count, dit = integrations(header, name), integration_time(header, name)
    end, begin = instant(header, "ESO DET FRAM UTC"), instant(header, "DATE-OBS")
    if end is not None and begin is not None:
        step = (end - begin) / timedelta(seconds=1) / count
        if step >= dit:
            return step / _DAY, True
    return (dit + (number(header, "ESO DET DITDELAY") or 0.0)) / _DAY, False


def night_of(mjd: float) -> str:
    """Return the night of a time: the UT date on which it ends, YYYY-MM-DD.

    A night lasts from local noon to local noon, so that the calibrations of the morning after belong to it.

    Examples
    --------
    >>> night_of(58440.15), night_of(58440.58), night_of(58440.75)
    ('2018-11-18', '2018-11-18', '2018-11-19')
    """
    return night_at(mjd, _LONGITUDE)
