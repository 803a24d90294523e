"""How far the lamp of a lenslet flat may have lit the field unevenly, as told by the flat itself.

A lamp that lights one side more, and optics that pass less there, make the same flat: what is smooth over the field is
the product of both. So the smooth part tells how uneven either can be. With half of its variance the lamp's, the ratio
of two places far from each other is off by the rms of the whole.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tracecube.core.flags import NOT_USABLE
from tracecube.core.optics import Layout, Throughput

__all__ = ["FlatSurface", "flat_surface", "flat_unevenness"]

_DEGREE = 4
_OFF = 0.2  # lenslets this far off the others are dim ones, no part of anything smooth
_SEEN = 0.5  # of the channels that a lenslet's light is told by, at least
_ROUNDS = 3  # of the fit, each about the last: a flat that falls by half from edge to edge keeps its edges
_LEAST = 10  # lenslets a coefficient


class FlatSurface(NamedTuple):
    """What is smooth over the field in a flat; NaN where too few lenslets tell.

    Parameters
    ----------
    rms : float
        Relative.
    slope : float, 1 / arcsec
        Size of the gradient of the plane through it.
    bent : float
        Relative rms about that plane.
    """

    rms: float
    slope: float
    bent: float


def flat_unevenness(flat: Throughput, layout: Layout) -> float:
    """Relative rms, over the field, of the smooth part of a flat in white light; NaN where too few lenslets tell.

    Parameters
    ----------
    flat : Throughput
    layout : Layout
        Of the same lenslets.
    """
    return flat_surface(flat, layout).rms


def flat_surface(flat: Throughput, layout: Layout) -> FlatSurface:
    """Smooth part of a flat in white light.

    Parameters
    ----------
    flat : Throughput
    layout : Layout
        Of the same lenslets.
    """
    unknown = FlatSurface(np.nan, np.nan, np.nan)
    told = np.isfinite(flat.value)
    seen = told.sum(axis=1) > _SEEN * told.shape[1]
    white = np.where(told, flat.value, 0.0).sum(axis=1, dtype=float) / np.maximum(told.sum(axis=1), 1)
    known = seen & np.isfinite(layout.x) & np.isfinite(layout.y) & ((flat.dq & NOT_USABLE) == 0)
    powers = [(i, j) for i in range(_DEGREE + 1) for j in range(_DEGREE + 1 - i)]
    if known.sum() < _LEAST * len(powers):
        return unknown
    level = white[known] / np.median(white[known])
    place = np.stack([np.asarray(layout.x, float)[known], np.asarray(layout.y, float)[known]], axis=1)
    x, y = (axis / np.abs(axis).max() for axis in place.T)
    columns = np.stack([x**i * y**j for i, j in powers], axis=1)
    smooth = np.ones(level.size)
    for _ in range(_ROUNDS):
        kept = np.abs(level - smooth) < _OFF
        if kept.sum() < _LEAST * len(powers):
            return unknown
        smooth = columns @ np.linalg.lstsq(columns[kept], level[kept], rcond=None)[0]
    plane = np.column_stack([np.ones(kept.sum()), place[kept]])
    tilt = np.linalg.lstsq(plane, smooth[kept], rcond=None)[0]
    return FlatSurface(
        float(np.std(smooth[kept])), float(np.hypot(*tilt[1:])), float(np.std(smooth[kept] - plane @ tilt))
    )
