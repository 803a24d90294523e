"""Light of arc lines along slices: what pinholes let through, put together from many lines."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tracecube.core.errors import BadData
from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.flags import NOT_USABLE
from tracecube.core.frame import Frame
from tracecube.core.slices import SliceTraces, SliceWavelengths

__all__ = ["LineLight", "lines_along"]

_CORE = 3.5  # px on either side of a line that are summed: three sigma of it and more
_GROUND = (7, 9)  # px from a line, between which the ground is taken
_MARGIN = 1.5  # px from the edges of a slice, over which its light fades
_BIN = 0.5  # px; wider ones would smear a pinhole's image
_FAINT = 30.0  # signal-to-noise of a line in the whole frame
_HIT = (6.0, 0.4)  # errors, and share of the bin's light, beyond which a sample is hit by a cosmic ray


@dataclass(frozen=True)
class LineLight:
    """Light along slices in bins (n, m), and of each line (k,); see `tracecube.core.slice_field.MaskLight`."""

    light: FloatArray
    variance: FloatArray
    place: FloatArray
    line: FloatArray
    flux: FloatArray
    error: FloatArray


def lines_along(
    frame: Frame, flat: Frame, traces: SliceTraces, solution: SliceWavelengths, wave: FloatArray
) -> LineLight:
    """Return the light along every slice in the mean of some lines.

    Each column of a line is summed over the line, its ground taken off, and divided by the flat; each line is set to
    its mean in the frame, so that all tell the same. The lines cross the slice at other fractions of a pixel: bins are
    finer than pixels.

    Parameters
    ----------
    frame, flat : Frame
        Electron.
    traces : SliceTraces
    solution : SliceWavelengths
    wave : array (k,), Angstrom
        Lines that stand alone.

    Raises
    ------
    BadData
        No line is bright enough.
    """
    rows = [_samples(frame, flat, traces, solution, int(row), wave) for row in range(len(traces.aperture))]
    value, variance, across = (np.stack([one[i] for one in rows]) for i in range(3))
    known = np.isfinite(value)
    slices = known.any(axis=2)
    total = np.where(known, value, 0.0).sum(axis=2)
    noise = np.where(known, variance, 0.0).sum(axis=2)
    count = np.maximum(slices.sum(axis=0), 1)
    flux, error = total.sum(axis=0) / count, np.sqrt(noise.sum(axis=0)) / count
    bright = flux > _FAINT * np.maximum(error, 1e-30)
    if not bright.any():
        raise BadData("no arc line is bright enough in this frame", hint="were the lamps on behind the mask?")
    scale = flux[bright][None, :, None]
    binned = [
        _binned(v, s, d, w)
        for v, s, d, w in zip(
            (value[:, bright] / scale), (variance[:, bright] / scale**2), across[:, bright], known[:, bright] * scale,
            strict=True,
        )
    ]  # fmt: skip
    light, spread, place = (np.stack([one[i] for one in binned]) for i in range(3))
    return LineLight(light, spread, place, wave[bright], flux[bright], error[bright])


def _samples(  # noqa: PLR0913 - what a line is seen in
    frame: Frame, flat: Frame, traces: SliceTraces, solution: SliceWavelengths, row: int, wave: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return light over the flat, variance and distance from the centre (k, columns) of all lines in one slice."""
    high, wide = frame.data.shape
    reach = int(np.ceil(0.5 * np.nanmax(traces.right - traces.left)))
    shape = (wave.size, 2 * reach + 1)
    if traces.dq[row] or solution.dq[row]:
        lost = np.full(shape, np.nan)
        return lost, lost, np.zeros(shape)
    y = np.arange(high, dtype=np.float64)
    curve = solution.wave(row, y, np.zeros(high))
    at = np.interp(wave, curve, y, left=np.nan, right=np.nan)
    far = np.isfinite(at) & (at > 2 * _GROUND[1]) & (at < high - 2 * _GROUND[1])
    y0 = np.rint(np.where(far, at, high // 2)).astype(int)
    x = np.rint(traces.centre[row, y0]).astype(int)[:, None] + np.arange(-reach, reach + 1)
    across = x - traces.centre[row, y0][:, None]
    slope = np.gradient(curve)[y0][:, None]
    line = y0[:, None] - (solution.wave(row, y0[:, None].astype(float), across) - wave[:, None]) / slope
    half = 0.5 * (traces.right - traces.left)[row, y0][:, None]
    inside = far[:, None] & (np.abs(across) < half - _MARGIN) & (x >= 0) & (x < wide)
    value, variance = _summed(frame, flat, line, np.clip(x, 0, wide - 1))
    return np.where(inside, value, np.nan), np.where(inside, variance, np.nan), across


def _summed(frame: Frame, flat: Frame, line: FloatArray, x: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the light of lines above their ground over the flat (k, columns), and its variance.

    The sum reaches equally far on either side of the line: pixels at its ends count in part.
    """
    high = frame.data.shape[0]
    start = np.rint(line).astype(int)
    offset = np.arange(-_GROUND[1], _GROUND[1] + 1)
    y = np.clip(start[..., None] + offset, 0, high - 1)
    cut, noise = frame.data[y, x[..., None]], frame.variance[y, x[..., None]]
    good = (frame.flags[y, x[..., None]] | flat.flags[y, x[..., None]]) & NOT_USABLE == 0
    beside = np.abs(offset) >= _GROUND[0]
    core = np.clip(_CORE + 0.5 - np.abs(offset - (line - start)[..., None]), 0.0, 1.0)
    ground = np.median(cut[..., beside], axis=-1)
    lamp = np.sum(core * flat.data[y, x[..., None]], axis=-1) / core.sum(axis=-1)
    light = np.sum(core * cut, axis=-1) - core.sum(axis=-1) * ground
    # a median of six has 1.5 times the variance of a mean
    mean = 1.5 * noise[..., beside].mean(axis=-1) / beside.sum()
    spread = np.sum(core**2 * noise, axis=-1) + core.sum(axis=-1) ** 2 * mean
    whole = (good | (core == 0.0)).all(axis=-1) & (lamp > 0)
    safe = np.where(whole, lamp, 1.0)
    return np.where(whole, light / safe, np.nan), np.where(whole, spread / safe**2, np.nan)


def _binned(
    value: FloatArray, variance: FloatArray, across: FloatArray, weight: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return mean light, its variance and mean place (m,) of one slice's samples (k, columns) in bins."""
    reach = across.shape[1] // 2 + 1
    count = int(2 * reach / _BIN)
    index = np.clip(((across + reach) / _BIN).astype(int), 0, count - 1).ravel()
    value, variance, across, weight = (np.nan_to_num(a).ravel() for a in (value, variance, across, weight))
    order = np.argsort(index, kind="stable")
    starts = np.searchsorted(index[order], np.arange(count + 1))
    middle = np.array(
        [
            np.median(value[own][weight[own] > 0]) if (weight[own] > 0).any() else np.nan
            for own in (order[a:b] for a, b in pairwise(starts))
        ]
    )
    known = weight > 0
    kept: BoolArray = known & (value - middle[index] < _HIT[0] * np.sqrt(variance) + _HIT[1] * np.abs(middle[index]))
    weight = np.where(kept, weight, 0.0)
    total = np.bincount(index, weight, count)
    safe = np.where(total > 0, total, np.nan)
    return (
        np.bincount(index, weight * value, count) / safe,
        np.bincount(index, weight**2 * variance, count) / safe**2,
        np.bincount(index, weight * across, count) / safe,
    )
