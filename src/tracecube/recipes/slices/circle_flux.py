"""Light of a star within a circle: where its image is no function that anybody knows."""

from __future__ import annotations

import numpy as np

from tracecube.core.fields import FloatArray, IntArray
from tracecube.recipes.slices.star_flux import StarPixels

__all__ = ["circle_spectrum"]

_LEAST = 20  # pixels within the circle, and about it
_CLIP = 8.0
_UNEVEN = 3.0  # of the light of a ring, by which a star that is not round differs within it
_MEDIAN = 0.5 * np.pi  # variance of a median over that of a mean
_SHARP = 8.0  # spaxels from the middle within which rings are narrow


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
    rings = _rings(float(np.mean(side)), reach)
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
        total, spread = _inside(pixels, own, ring[own], area, ground)
        below = _MEDIAN * float(np.mean(pixels.variance[far])) / far.size
        flux[i], noise[i] = total, spread + area.sum() ** 2 * below
    return flux, noise


def _rings(side: float, reach: float) -> FloatArray:
    """Return the radii of rings: as narrow as spaxels where a star is sharp, wider outside."""
    near = np.arange(0.0, min(_SHARP * side, reach), 0.75 * side)
    return np.concatenate([near, np.geomspace(near[-1] + 0.75 * side, max(reach, near[-1] + side), 8)])


def _inside(pixels: StarPixels, own: IntArray, ring: IntArray, area: FloatArray, ground: float) -> tuple[float, float]:
    """Return the light of the rings and its variance; one without pixels goes with the next one."""
    total, spread, waiting = 0.0, 0.0, 0.0
    for number, spaxels in enumerate(area):
        some = own[ring == number]
        waiting += spaxels
        if not some.size:
            continue
        value = pixels.value[some] - ground
        middle = float(np.median(value))
        kept = np.abs(value - middle) < _CLIP * np.sqrt(np.median(pixels.variance[some])) + _UNEVEN * abs(middle)
        total += waiting * float(value[kept].mean())
        # pixels of a ring differ by noise, and by where in it they lie
        differ = max(float(pixels.variance[some][kept].mean()), float(np.var(value[kept])))
        spread += waiting**2 * differ / kept.sum()
        waiting = 0.0
    return total, spread
