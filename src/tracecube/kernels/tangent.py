"""The plane that touches the sky at a point (gnomonic projection, Calabretta & Greisen 2002, section 5.1.3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["from_sky", "to_sky"]

F8 = NDArray[np.float64]

ARCSEC = 3600.0 * 180.0 / np.pi  # in a radian


def from_sky(ra: F8, dec: F8, centre: tuple[float, float]) -> tuple[F8, F8]:
    """Offsets east and north (arcsec) of places (degree) in the plane that touches at ``centre`` (degree)."""
    a, d = np.radians(ra - centre[0]), np.radians(dec)
    sin0, cos0 = np.sin(np.radians(centre[1])), np.cos(np.radians(centre[1]))
    depth = np.sin(d) * sin0 + np.cos(d) * cos0 * np.cos(a)
    east = np.cos(d) * np.sin(a) / depth
    north = (np.sin(d) * cos0 - np.cos(d) * sin0 * np.cos(a)) / depth
    return np.asarray(ARCSEC * east), np.asarray(ARCSEC * north)


def to_sky(east: F8, north: F8, centre: tuple[float, float]) -> tuple[F8, F8]:
    """Right ascension and declination (degree) of offsets (arcsec) in the plane that touches at ``centre`` (degree)."""
    x, y = np.asarray(east) / ARCSEC, np.asarray(north) / ARCSEC
    sin0, cos0 = np.sin(np.radians(centre[1])), np.cos(np.radians(centre[1]))
    a = np.arctan2(x, cos0 - y * sin0)
    d = np.arctan2((sin0 + y * cos0) * np.cos(a), cos0 - y * sin0)
    return np.asarray((centre[0] + np.degrees(a)) % 360.0), np.asarray(np.degrees(d))
