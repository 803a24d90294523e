"""Header cards as text and numbers; what an instrument's headers need besides stands in its own folder."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tracecube.core.errors import MissingInput
from tracecube.core.fields import Meta

__all__ = ["MJD_EPOCH", "instant", "mjd_of", "needed", "night_of", "number", "text"]

MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)
"""Zero of the modified Julian date."""


def text(header: Meta, key: str) -> str:
    """Return a card as a stripped string, empty when it is absent or blank."""
    value = header.get(key)
    return "" if value is None else str(value).strip()


def number(header: Meta, key: str) -> float | None:
    """Return a card as a finite number, None when it is absent, blank or a placeholder ("NA").

    Examples
    --------
    >>> number({"EXPTIME": "30.0", "DOMEST": "NA"}, "EXPTIME"), number({"DOMEST": "NA"}, "DOMEST")
    (30.0, None)
    """
    value = header.get(key)
    if value is None or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def needed(
    header: Meta, name: str, key: str, meaning: str = "", *, read: Callable[[Meta, str], float | None] = number
) -> float:
    """Return a card that nothing can stand in for.

    Parameters
    ----------
    header : Meta
    name : str
        The file, for the message.
    key : str
    meaning : str
        What the card says, with its unit.
    read : callable
        How a card becomes a number.

    Raises
    ------
    MissingInput
        It is absent, blank or no number.
    """
    found = read(header, key)
    if found is None:
        what = f"{key} ({meaning})" if meaning else key
        raise MissingInput(
            f"{name}: header card {what} is {header.get(key)!r}, a number is needed",
            hint=f"write {key} into the header from the observing log, or leave the file out",
        )
    return found


def instant(header: Meta, key: str) -> datetime | None:
    """Return a card like 2018-11-18T03:43:25.807 as a time (UTC), None when it is absent or unreadable."""
    try:
        found = datetime.fromisoformat(text(header, key))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def mjd_of(stamp: datetime) -> float:
    """Return a time as modified Julian date.

    Examples
    --------
    >>> mjd_of(datetime(2018, 11, 18, 12, tzinfo=UTC))
    58440.5
    """
    return (stamp - MJD_EPOCH) / timedelta(days=1)


def night_of(mjd: float, longitude: float) -> str:
    """Return the night of a time (MJD, UTC): the UT date on which it ends, YYYY-MM-DD.

    A night lasts from local noon to local noon, so that the calibrations of the morning after belong to it.

    Parameters
    ----------
    mjd : float
    longitude : float, degree
        Of the site, to the east.

    Examples
    --------
    >>> night_of(58440.15, -70.4), night_of(58440.58, -70.4), night_of(58440.75, -70.4)
    ('2018-11-18', '2018-11-18', '2018-11-19')
    """
    noon = 0.5 - longitude / 360.0  # UT of local noon, day
    return (MJD_EPOCH + timedelta(days=mjd + (1.0 - noon % 1.0))).strftime("%Y-%m-%d")
