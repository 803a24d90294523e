"""Diffraction pattern of a telescope, as lenslets of a field see it.

The pattern of a round aperture with a round central obstruction (Born & Wolf 1999, Principles of
Optics, sect. 8.6.2), tabulated once; each lenslet collects it over its area, and the finite width of
a wavelength channel draws out whatever moves with wavelength.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGEST_RADIUS", "airy_density", "airy_enclosed", "airy_table"]

F8 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

LARGEST_RADIUS = 60.0
"""Radius in lambda / D to which the pattern is tabulated; beyond it the density is 0."""

_STEP = 0.004  # lambda / D: linear interpolation good to 1e-5 of the peak


@cache
def airy_table(obstruction: float) -> tuple[F8, F8]:
    """Return radius (lambda / D) and density (1 / (lambda / D)**2); the whole plane holds 1.

    Parameters
    ----------
    obstruction : float
        Diameter of the central obstruction over that of the aperture, below 1.

    Examples
    --------
    >>> radius, density = airy_table(0.0)
    >>> round(float(density[0]), 4)  # pi / 4
    0.7854
    """
    from scipy.special import j1  # noqa: PLC0415 - slow to import, used once

    radius = np.arange(0.0, LARGEST_RADIUS + _STEP, _STEP)
    z = np.pi * np.maximum(radius, 1e-9)
    amplitude = 2.0 * j1(z) / z
    if obstruction > 0.0:
        amplitude -= obstruction**2 * 2.0 * j1(obstruction * z) / (obstruction * z)
    density = 0.25 * np.pi / (1.0 - obstruction**2) * amplitude**2
    density[-1] = 0.0
    radius.setflags(write=False)
    density.setflags(write=False)
    return radius, density


def airy_density(radius: Floats, obstruction: float) -> tuple[F8, F8]:
    """Density of the pattern (1 / (lambda / D)**2) and its slope at radii in lambda / D."""
    density = airy_table(obstruction)[1]
    place = np.minimum(radius, LARGEST_RADIUS) / _STEP
    low = np.minimum(place.astype(np.int64), density.size - 2)
    rise = density[low + 1] - density[low]
    return np.asarray(density[low] + (place - low) * rise), np.asarray(rise / _STEP)


def airy_enclosed(radius: F8, obstruction: float) -> F8:
    """Share of the light within a radius in lambda / D."""
    grid, density = airy_table(obstruction)
    ring = 2.0 * np.pi * grid * density
    inside = np.concatenate([[0.0], np.cumsum(0.5 * (ring[1:] + ring[:-1]) * _STEP)])
    return np.asarray(np.interp(radius, grid, inside))
