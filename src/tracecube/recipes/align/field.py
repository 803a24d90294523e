"""The grid that holds all exposures, and a preview of them on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from tracecube.kernels.tangent_plane import plane_to_sky
from tracecube.recipes.align.white import White, mapped, sky_of

__all__ = ["FieldGrid", "Preview", "grid_of", "preview"]

F8 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]


class FieldGrid(NamedTuple):
    """Spaxels about a tangent point (degree): the first to the west and north, width (arcsec), columns, rows."""

    ra: float
    dec: float
    x0: float
    y0: float
    side: float
    columns: int
    rows: int


class Preview(NamedTuple):
    """Mean of all exposures (y, x), its variance, and how long each spaxel was exposed (s)."""

    data: F8
    variance: F8
    exposed: F8


def grid_of(images: Sequence[White], offsets: Floats, reference: int) -> FieldGrid:
    """Return the grid that holds all exposures: that of the reference, grown.

    Parameters
    ----------
    images : sequence of White
    offsets : array (n, 2), degree
        Of right ascension and declination.
    reference : int
    """
    first = images[reference]
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for one, (ra, dec) in zip(images, offsets, strict=True):
        rows, columns = one.known.shape
        y, x = np.array([0.0, 0.0, rows - 1.0, rows - 1.0]), np.array([0.0, columns - 1.0, 0.0, columns - 1.0])
        sky = sky_of(one, y, x)
        place = np.stack(mapped(first, sky[0] - ra, sky[1] - dec))
        low, high = np.minimum(low, place.min(axis=1)), np.maximum(high, place.max(axis=1))
    low, high = np.floor(low + 1e-6), np.ceil(high - 1e-6)
    rows, columns = (high - low + 1.0).astype(int)
    return FieldGrid(
        first.ra,
        first.dec,
        first.x0 + low[1] * first.side,
        first.y0 + low[0] * first.side,
        first.side,
        int(columns),
        int(rows),
    )


def preview(
    images: Sequence[White],
    grid: FieldGrid,
    offsets: Floats,
    scales: Floats,
    backgrounds: F8,
    seconds: Sequence[float],
) -> Preview:
    """Return the mean of all exposures on a grid.

    Parameters
    ----------
    images : sequence of White
    grid : FieldGrid
    offsets : array (n, 2), degree
    scales, backgrounds : array (n,)
        An exposure less its background times its scale is one of the reference.
    seconds : sequence of float
    """
    y, x = np.mgrid[: grid.rows, : grid.columns].astype(np.float64)
    ra, dec = plane_to_sky(-(grid.x0 + grid.side * x), grid.y0 + grid.side * y, grid.ra, grid.dec)
    total, weight, exposed = (np.zeros((grid.rows, grid.columns)) for _ in range(3))
    for one, offset, scale, background, second in zip(images, offsets, scales, backgrounds, seconds, strict=True):
        at = mapped(one, ra + offset[0], dec + offset[1])
        level = float(np.median(one.data[one.known])) if one.known.any() else 0.0
        value = map_coordinates(np.where(one.known, one.data, level), at, order=3, mode="nearest")
        variance = map_coordinates(one.variance, at, order=1, mode="constant")
        seen = map_coordinates(one.known.astype(np.float32), at, order=1, mode="constant") > 0.999  # noqa: PLR2004 - whole
        w = np.where(seen, 1.0 / np.where(seen, scale**2 * variance, 1.0), 0.0)
        total += w * scale * (value - background)
        weight += w
        exposed += np.where(seen, second, 0.0)
    known = weight > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        data, variance = np.where(known, total / weight, np.nan), np.where(known, 1.0 / weight, np.nan)
    return Preview(data, variance, exposed)
