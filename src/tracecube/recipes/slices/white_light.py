"""White light of every column of every slice, at its own place in the field: an image that nobody resampled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.core.slices import SliceExposure, SliceGeometry, SliceTraces, SliceWavelengths
from tracecube.kernels.combine import typical
from tracecube.recipes.optics.slice_map import columns_of, lit_pixels
from tracecube.recipes.slices.segments import place_of

__all__ = ["WhiteLight", "joined", "white_light"]

_CLIP = 8.0  # errors beyond which a pixel differs from its column: a hit
_LEAST = 200  # rows of a column that must be good

Refraction = Callable[[FloatArray], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True)
class WhiteLight:
    """Light of columns (n,) and its variance, and their places (arcsec, refraction taken off)."""

    value: FloatArray
    variance: FloatArray
    x: FloatArray
    y: FloatArray


def joined(parts: list[WhiteLight]) -> WhiteLight:
    """Put the columns of several detectors together."""
    return WhiteLight(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(WhiteLight)))


def white_light(  # noqa: PLR0913 - what an exposure is seen through
    exposure: SliceExposure,
    traces: SliceTraces,
    solution: SliceWavelengths,
    geometry: SliceGeometry,
    refraction: Refraction,
    *,
    band: tuple[float, float],
) -> WhiteLight:
    """Return the mean light in a band of every column of every slice.

    A column follows its slice along the detector, so that it sees one place but for refraction, which is taken off in
    the mean.
    """
    parts = []
    rows = np.arange(exposure.data.shape[0], dtype=np.float64)
    for row in np.flatnonzero((traces.dq | solution.dq | exposure.dq) == 0):
        x0, x1 = columns_of(traces, int(row), exposure.data.shape[1], beyond=1.0)
        centre = traces.centre[row] + exposure.shift[row]
        wave = solution.wave(int(row), rows, np.zeros(rows.size))
        inside = (wave > band[0]) & (wave < band[1])
        step = np.rint(centre - centre.mean()).astype(int)  # whole pixels by which the slice has moved
        columns = np.arange(x0, x1)[None, :] + step[:, None]
        kept = inside[:, None] & (columns >= 0) & (columns < exposure.data.shape[1])
        at = np.arange(rows.size)[:, None], np.clip(columns, 0, exposure.data.shape[1] - 1)
        across = columns - centre[:, None]
        good = kept & lit_pixels(exposure.flags[at], traces, int(row), across)
        value = np.where(good, exposure.data[at], 0.0)
        variance = np.where(good, exposure.variance[at], 0.0)
        middle = typical(value, good)
        good &= np.isfinite(middle) & (np.abs(value - middle) < _CLIP * np.sqrt(variance) + np.abs(middle))
        count = good.sum(axis=0)
        used = count > _LEAST
        if not used.any():
            continue
        share = good / np.maximum(count, 1)
        width = (traces.right[row] - traces.left[row])[:, None]
        x, y = place_of(geometry, int(row), across, np.broadcast_to(width, across.shape))
        west, north = refraction(wave)
        parts.append(
            WhiteLight(
                np.sum(share * value, axis=0)[used],
                np.sum(share**2 * variance, axis=0)[used],
                np.sum(share * (x - west[:, None]), axis=0)[used],
                np.sum(share * (y - north[:, None]), axis=0)[used],
            )
        )
    return joined(parts) if parts else WhiteLight(*(np.zeros(0) for _ in range(4)))
