"""Map of a detector with slices: which slice, wavelength and place along the slice each pixel sees."""

from __future__ import annotations

import numpy as np

from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.optics import PixelMap
from tracecube.core.slices import SliceTraces, SliceWavelengths

__all__ = ["columns_of", "lit_pixels", "pixel_map"]


def columns_of(traces: SliceTraces, row: int, width: int, *, beyond: float = 0.0) -> tuple[int, int]:
    """Return first and last column (exclusive) that a slice reaches anywhere along dispersion."""
    first = int(np.floor(np.nanmin(traces.left[row]) - beyond))
    last = int(np.ceil(np.nanmax(traces.right[row]) + beyond)) + 1
    return max(first, 0), min(last, width)


def lit_pixels(
    flags: IntArray, traces: SliceTraces, row: int, across: FloatArray, rows: slice = slice(None)
) -> BoolArray:
    """Return which pixels are good and see this slice, no gap and no neighbour, whose columns reach into its own.

    Parameters
    ----------
    flags : int32 array (y, x)
        Of the columns that ``across`` covers.
    traces : SliceTraces
    row : int
    across : array (y, x), px
        Distance from the centre of the slice.
    rows : slice
        Those that ``flags`` and ``across`` cover.
    """
    half = 0.5 * (traces.right[row] - traces.left[row])[rows, None]
    return np.asarray((np.abs(across) <= half) & (flags & (NOT_USABLE | int(Flag.NOT_ILLUMINATED)) == 0))


def pixel_map(traces: SliceTraces, solution: SliceWavelengths, shape: tuple[int, int]) -> PixelMap:
    """Return the map of a detector; pixels with their centre outside every slice see nothing.

    Parameters
    ----------
    traces : SliceTraces
        Dispersion along y.
    solution : SliceWavelengths
    shape : (int, int)
        Of the detector (y, x).
    """
    wave = np.full(shape, np.nan)
    aperture = np.full(shape, -1, np.int32)
    along = np.full(shape, np.nan, np.float32)
    y = np.arange(shape[0], dtype=np.float64)[:, None]
    for row, number in enumerate(traces.aperture):
        if traces.dq[row] or solution.dq[row]:
            continue
        x0, x1 = columns_of(traces, row, shape[1])
        x = np.arange(x0, x1)[None, :]
        across: FloatArray = x - traces.centre[row][:, None]
        inside = (x >= traces.left[row][:, None]) & (x <= traces.right[row][:, None])
        at = slice(x0, x1)
        wave[:, at][inside] = solution.wave(row, y, across)[inside]
        aperture[:, at][inside] = number
        along[:, at][inside] = across[inside]
    return PixelMap(wave=wave, aperture=aperture, along=along, medium=solution.medium, meta=solution.meta)
