"""The tangent plane of the sky about a point, to the east and north."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["plane_to_sky", "sky_to_plane"]

F8 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]
ARCSEC = 3600.0  # in a degree


def sky_to_plane(ra: Floats, dec: Floats, ra0: float, dec0: float) -> tuple[F8, F8]:
    """Gnomonic projection about (ra0, dec0), degree, to east and north, arcsec."""
    a, d, d0 = np.radians(np.asarray(ra) - ra0), np.radians(dec), np.radians(dec0)
    cosine = np.sin(d0) * np.sin(d) + np.cos(d0) * np.cos(d) * np.cos(a)
    east = np.cos(d) * np.sin(a) / cosine
    north = (np.cos(d0) * np.sin(d) - np.sin(d0) * np.cos(d) * np.cos(a)) / cosine
    return np.degrees(east) * ARCSEC, np.degrees(north) * ARCSEC


def plane_to_sky(east: Floats, north: Floats, ra0: float, dec0: float) -> tuple[F8, F8]:
    """Inverse of `sky_to_plane`, degree."""
    x, y = np.radians(np.asarray(east) / ARCSEC), np.radians(np.asarray(north) / ARCSEC)
    d0 = np.radians(dec0)
    ra = ra0 + np.degrees(np.arctan2(x, np.cos(d0) - y * np.sin(d0)))
    dec = np.arctan2(np.sin(d0) + y * np.cos(d0), np.hypot(x, np.cos(d0) - y * np.sin(d0)))
    return ra % 360.0, np.degrees(dec)
