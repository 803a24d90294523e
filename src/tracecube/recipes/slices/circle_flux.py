"""Light of a star within a circle: where its image is no function that anybody knows."""

from __future__ import annotations

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.recipes.slices.star_flux import StarPixels

__all__ = ["circle_spectrum"]

_LEAST = 20  # pixels within the circle, and about it
_CLIP = 8.0


def circle_spectrum(
    pixels: StarPixels, centre: tuple[float, float], side: tuple[float, float], edges: FloatArray, *, reach: float
) -> tuple[FloatArray, FloatArray]:
    """Return the light within a circle in wavelength bins, and its variance.

    The mean of the pixels in rings, times the rings' area: rings that lost pixels to hits keep their light. The ground
    is that of a ring about the circle.

    Parameters
    ----------
    pixels : StarPixels
    centre : (float, float), arcsec
    side : (float, float), arcsec
        Of a spaxel, in which light is counted.
    edges : array (n + 1,), Angstrom
    reach : float, arcsec
        Radius of the circle.
    """
    radius = np.hypot(pixels.x - centre[0], pixels.y - centre[1])
    rings = np.linspace(0.0, reach, 9)
    area = np.pi * np.diff(rings**2) / (side[0] * side[1])  # spaxels
    ring = np.searchsorted(rings, radius, side="right") - 1
    at = np.searchsorted(edges, pixels.wave) - 1
    n = len(edges) - 1
    flux, noise = np.full(n, np.nan), np.full(n, np.nan)
    order = np.argsort(at, kind="stable")
    starts = np.searchsorted(at[order], np.arange(n + 1))
    for i in range(n):
        own = order[starts[i] : starts[i + 1]]
        far = own[ring[own] >= area.size]
        if far.size < _LEAST or own.size - far.size < _LEAST:
            continue
        ground = float(np.median(pixels.value[far]))
        total, spread, whole = 0.0, 0.0, True
        for number, spaxels in enumerate(area):
            some = own[ring[own] == number]
            if not some.size:
                whole = False
                break
            value = pixels.value[some] - ground
            middle = float(np.median(value))
            limit = _CLIP * np.sqrt(np.median(pixels.variance[some])) + 3.0 * abs(middle)
            kept = np.abs(value - middle) < limit
            total += spaxels * float(value[kept].mean())
            spread += spaxels**2 * float(pixels.variance[some][kept].mean()) / kept.sum()
        if whole:
            flux[i], noise[i] = total, spread + area.sum() ** 2 * float(np.mean(pixels.variance[far])) / far.size
    return flux, noise
