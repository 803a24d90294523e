"""Whether a star can be trusted with the flux of a night: how much of it is seen, what stands beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.core.flags import Flag
from tracecube.core.slices import SliceExposure, SliceGeometry, SliceTraces
from tracecube.recipes.optics.slice_map import columns_of
from tracecube.recipes.slices.star_flux import StarPixels, StarShape

__all__ = ["Neighbour", "neighbour_of", "saturated_near", "seen_share"]

_BAND = (6000.0, 7500.0)  # Angstrom, where sky lines are few and the light is strong
_CELL = 0.6  # arcsec, side of the patches that are looked at: about the width of a star
_CORE = 1.2  # arcsec about the star where its own shape decides


def seen_share(shape: StarShape, places: Sequence[SliceGeometry], height: float, *, reach: float) -> float:
    """Return the share of a star's light within ``reach`` (arcsec) that falls into slices.

    Parameters
    ----------
    shape : StarShape
    places : sequence of SliceGeometry
        One a detector.
    height : float, arcsec
        Of a slice on the sky.
    reach : float, arcsec
    """
    wide, fine = reach / 32.0, height / 16.0  # across slices finer than the gaps that uneven ones leave
    along_axis, across_axis = (np.arange(-reach, reach + 0.5 * step, step) for step in (wide, fine))
    x, y = (one.ravel() for one in np.meshgrid(along_axis, across_axis))
    inside = np.hypot(x, y) <= reach
    x, y = x[inside], y[inside]
    zero = np.zeros(x.size)
    light = shape.density(StarPixels(zero, zero + 1.0, x + shape.x, y + shape.y, zero + 7000.0), (wide, fine))
    seen = np.zeros(x.size, bool)
    for one in places:
        for row in np.flatnonzero(one.dq == 0):
            across, along = shape.y + y - one.y[row], shape.x + x - one.x[row]
            seen |= (np.abs(across) <= 0.51 * height) & (np.abs(along) <= 0.5 * one.width[row])
    return float(light[seen].sum() / light.sum())


def saturated_near(
    exposure: SliceExposure, traces: SliceTraces, geometry: SliceGeometry, *, y: float, reach: float
) -> int:
    """Return how many pixels are saturated in the slices of a detector within ``reach`` (arcsec) of a height."""
    count = 0
    for row in np.flatnonzero((traces.dq == 0) & (np.abs(geometry.y - y) < reach)):
        x0, x1 = columns_of(traces, int(row), exposure.data.shape[1])
        count += int(np.count_nonzero(exposure.flags[:, x0:x1] & int(Flag.SATURATED)))
    return count


@dataclass(frozen=True)
class Neighbour:
    """The brightest patch beside a star: its light over the star's, the error of that, and its distance (arcsec)."""

    share: float
    error: float
    distance: float


def neighbour_of(pixels: StarPixels, shape: StarShape, side: tuple[float, float]) -> Neighbour:
    """Look for other light about a star, in patches of the size of a star in one wide band.

    Parameters
    ----------
    pixels : StarPixels
    shape : StarShape
    side : (float, float), arcsec
    """
    band = (pixels.wave > _BAND[0]) & (pixels.wave < _BAND[1])
    some = StarPixels(*(getattr(pixels, name)[band] for name in ("value", "variance", "x", "y", "wave")))
    model = shape.density(some, side)
    u = (some.wave - 7000.0) / 1000.0
    x, y = some.x - shape.x - shape.x_slope * u, some.y - shape.y - shape.y_slope * u
    far = np.hypot(x, y) > _CORE
    bright = ~far & (model > 0.2 * model.max())
    ground = float(np.median(some.value[far]))
    star = float(np.sum(some.value[bright] - ground) / np.sum(model[bright]))
    ground = float(np.median(some.value[far] - star * model[far]))
    left = (some.value - ground - star * model)[far]
    cell = np.stack([np.floor(x[far] / _CELL), np.floor(y[far] / _CELL)], axis=1).astype(int)
    cells, at = np.unique(cell, axis=0, return_inverse=True)
    at = at.ravel()
    count = np.bincount(at)
    mean = np.array([_clipped(left[at == i]) for i in range(len(cells))])
    usable = count > 0.3 * np.median(count)
    light = np.where(usable, mean, 0.0) * _CELL**2 / (side[0] * side[1] * star)
    spread = 1.4826 * float(np.median(np.abs(light[usable] - np.median(light[usable]))))
    best = int(np.argmax(light))
    return Neighbour(float(light[best]), spread, float(np.hypot(*((cells[best] + 0.5) * _CELL))))


def _clipped(values: FloatArray) -> float:
    """Return the mean without hits."""
    middle = np.median(values)
    spread = 1.4826 * np.median(np.abs(values - middle))
    return float(np.mean(values[np.abs(values - middle) <= 5.0 * spread + 1e-30]))
