"""The tangent plane of the sky about a point, to the east and north (Calabretta & Greisen 2002, A&A 395, 1077)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["plane_to_sky", "sky_to_plane"]

F8 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]
ARCSEC = 3600.0  # in a degree


def sky_to_plane(ra: Floats, dec: Floats, ra0: float, dec0: float) -> tuple[F8, F8]:
    """Return the gnomonic projection of places about (ra0, dec0); NaN for the far side of the sky.

    Parameters
    ----------
    ra, dec : array (n,), degree
    ra0, dec0 : float, degree

    Returns
    -------
    array (n,), array (n,), arcsec
        To the east and north.
    """
    a, d, d0 = np.radians(np.asarray(ra) - ra0), np.radians(dec), np.radians(dec0)
    cosine = np.sin(d0) * np.sin(d) + np.cos(d0) * np.cos(d) * np.cos(a)
    ahead = np.where(cosine > 0.0, cosine, np.nan)  # the far side projects onto the same plane
    east = np.cos(d) * np.sin(a) / ahead
    north = (np.cos(d0) * np.sin(d) - np.sin(d0) * np.cos(d) * np.cos(a)) / ahead
    return np.degrees(east) * ARCSEC, np.degrees(north) * ARCSEC


def plane_to_sky(east: Floats, north: Floats, ra0: float, dec0: float) -> tuple[F8, F8]:
    """Return the places on the sky of points of the plane: the inverse of `sky_to_plane`.

    Parameters
    ----------
    east, north : array (n,), arcsec
    ra0, dec0 : float, degree

    Returns
    -------
    array (n,), array (n,), degree
        Right ascension (0 to 360) and declination.
    """
    x, y = np.radians(np.asarray(east) / ARCSEC), np.radians(np.asarray(north) / ARCSEC)
    d0 = np.radians(dec0)
    ra = ra0 + np.degrees(np.arctan2(x, np.cos(d0) - y * np.sin(d0)))
    dec = np.arctan2(np.sin(d0) + y * np.cos(d0), np.hypot(x, np.cos(d0) - y * np.sin(d0)))
    return ra % 360.0, np.degrees(dec)
