"""From the plane that touches the sky at a point back to the sky (Calabretta & Greisen 2002, section 5.1.3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["to_sky"]

F8 = NDArray[np.float64]

ARCSEC = 3600.0 * 180.0 / np.pi  # in a radian


def to_sky(east: F8, north: F8, centre: tuple[float, float]) -> tuple[F8, F8]:
    """Right ascension and declination (degree) of offsets (arcsec) in the plane that touches at ``centre`` (degree)."""
    x, y = np.asarray(east) / ARCSEC, np.asarray(north) / ARCSEC
    sin0, cos0 = np.sin(np.radians(centre[1])), np.cos(np.radians(centre[1]))
    a = np.arctan2(x, cos0 - y * sin0)
    d = np.arctan2((sin0 + y * cos0) * np.cos(a), cos0 - y * sin0)
    return np.asarray((centre[0] + np.degrees(a)) % 360.0), np.asarray(np.degrees(d))
