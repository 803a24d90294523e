"""Light of an even sky along slices, relative to the lamp."""

from __future__ import annotations

import numpy as np

from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import Frame
from tracecube.core.slice_light import SliceIllumination
from tracecube.core.slices import SliceGeometry, SliceTraces, SliceWavelengths
from tracecube.recipes.optics.slice_map import columns_of

__all__ = ["evenness"]

_REACH = 46  # px from the centre of a slice, more than half of the widest
_INSIDE = 4.0  # px from the edges of a slice that do not count for its mean


def evenness(
    frame: Frame,
    traces: SliceTraces,
    solution: SliceWavelengths,
    geometry: SliceGeometry,
    *,
    shift: float,
    band: tuple[float, float],
) -> SliceIllumination:
    """Return light along each slice.

    Parameters
    ----------
    frame : Frame
        The sky over the flat.
    traces : SliceTraces
    solution : SliceWavelengths
    geometry : SliceGeometry
    shift : float, px
        By which the slices of the frame lie further to the right.
    band : (float, float), Angstrom
        Wavelengths that count: the same for all slices, for the sky has not the colours of the lamp.
    """
    across = np.arange(-_REACH, _REACH + 1, dtype=np.float64)
    count = len(traces.aperture)
    ratio, error = np.ones((count, across.size)), np.zeros((count, across.size))
    measured, dq = np.full(count, np.nan), (traces.dq | solution.dq).astype(np.int32)
    y = np.arange(frame.data.shape[0], dtype=np.float64)
    for row in np.flatnonzero(dq == 0):
        wave = solution.wave(int(row), y, np.zeros(y.size))
        rows = np.flatnonzero((wave > band[0]) & (wave < band[1]))
        found = _along(frame, traces, int(row), rows, shift, across) if rows.size > 100 else None
        if found is None:
            dq[row] |= int(Flag.NOT_MEASURED)
            continue
        ratio[row], error[row], measured[row] = found
    level = _smooth_level(measured, geometry)
    scale = (level / np.where(np.isfinite(measured), measured, level))[:, None]
    return SliceIllumination(
        ratio=ratio * np.where(np.isfinite(measured)[:, None], scale, level[:, None]),
        error=error * scale,
        across=across[None],
        aperture=traces.aperture,
        level=level,
        measured=measured,
        dq=dq,
        meta=frame.meta,
    )


def _along(
    frame: Frame, traces: SliceTraces, row: int, rows: IntArray, shift: float, across: FloatArray
) -> tuple[FloatArray, FloatArray, float] | None:
    """Return light along a slice, its error, and its mean; beyond the edges the last value goes on.

    Each row counts over its own mean: the sky has not the colours of the lamp, and where pixels are bad in a part of
    the rows, what is left has other colours than the slice.
    """
    x0, x1 = columns_of(traces, row, frame.data.shape[1], beyond=2.0)
    block = slice(rows[0], rows[-1] + 1)
    x = np.arange(x0, x1)[None, :]
    place = x - (traces.centre[row, block] + shift)[:, None]
    good: BoolArray = frame.flags[block, x0:x1] & (NOT_USABLE | int(Flag.NOT_ILLUMINATED)) == 0
    good &= (x >= (traces.left[row, block] + shift)[:, None]) & (x <= (traces.right[row, block] + shift)[:, None])
    data, variance = frame.data[block, x0:x1], frame.variance[block, x0:x1]
    half = 0.5 * float(np.mean(traces.right[row, block] - traces.left[row, block]))
    colour = _row_levels(data, good & (np.abs(place) < half - _INSIDE))
    good = good & (colour > 0)[:, None]
    step = np.rint(place - across[0]).astype(int)
    good = good & (step >= 0) & (step < across.size)
    n = np.bincount(step[good], minlength=across.size)
    total = np.bincount(step[good], data[good], minlength=across.size)
    expected = np.bincount(step[good], np.broadcast_to(colour[:, None], data.shape)[good], minlength=across.size)
    noise = np.bincount(step[good], variance[good], minlength=across.size)
    known = n > 0.25 * rows.size
    if known.sum() < across.size // 3:
        return None
    share = np.divide(float(np.mean(colour[colour > 0])), expected, out=np.zeros(across.size), where=expected > 0)
    mean = np.where(known, total * share, np.nan)
    spread = np.where(known, np.sqrt(noise) * share, np.nan)
    level = float(np.nanmean(mean[np.abs(across) < half - _INSIDE]))
    at = np.flatnonzero(known)
    return np.interp(across, across[at], mean[at]), np.interp(across, across[at], spread[at]), level


def _row_levels(data: FloatArray, good: BoolArray) -> FloatArray:
    """Return the mean light of each row (y,); 0 where less than half of the pixels are good."""
    count = good.sum(axis=1)
    level = np.where(good, data, 0.0).sum(axis=1, dtype=np.float64) / np.maximum(count, 1)
    return np.where(count > 0.5 * np.median(count), np.maximum(level, 0.0), 0.0)


def _smooth_level(measured: FloatArray, geometry: SliceGeometry) -> FloatArray:
    """Return the means of slices as a smooth function of place: slope and bend to the west, slope to the north."""
    x, y = geometry.x / 30.0, (geometry.y - np.mean(geometry.y)) / 30.0  # half of the field, arcsec
    design = np.stack([np.ones_like(x), x, x**2, y], axis=1)
    kept = np.isfinite(measured)
    level = np.full(measured.size, np.median(measured[kept]) if kept.any() else np.nan)
    for _ in range(4):
        if kept.sum() < 2 * design.shape[1]:
            break
        fit = np.linalg.lstsq(design[kept], measured[kept], rcond=None)[0]
        level = design @ fit
        left = measured - level
        spread = 1.4826 * float(np.median(np.abs(left[kept])))
        kept = np.isfinite(measured) & (np.abs(np.nan_to_num(left, nan=np.inf)) < 4.0 * spread + 1e-9)
    return np.asarray(level)
