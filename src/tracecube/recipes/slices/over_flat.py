"""An exposure over its flat: where its slices lie, how bright each is, and light relative to the lamp."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import ndtr

from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import Frame
from tracecube.core.slice_light import SliceIllumination
from tracecube.core.slices import SliceTraces
from tracecube.kernels.slice_edges import fit_edges
from tracecube.recipes.optics.slice_map import columns_of

__all__ = ["Shift", "edge_shift", "over_flat", "slice_ratios"]

_MARGIN = 6  # px beside a slice that its cut holds
_BLOCKS = 8  # cuts along dispersion
_INSIDE = 4.0  # px from the edges of a slice that do not count for its brightness
_FLANK = 0.5  # of the light inside: pixels beyond the edges see other things too


@dataclass(frozen=True)
class Shift:
    """By how much the slices of a detector moved across dispersion, px, and its error."""

    value: float
    error: float


def edge_shift(frame: Frame, traces: SliceTraces) -> Shift:
    """Return how far the slices of an exposure lie from their traces: one number for the detector.

    Both edges of each slice are fitted in a few means over many rows; light that fades towards one edge moves that
    edge alone, objects change from slice to slice: the median over all centres is what moved.

    Parameters
    ----------
    frame : Frame
        Electron; evenly lit along slices, more or less.
    traces : SliceTraces
    """
    rows = np.linspace(0, frame.data.shape[0], _BLOCKS + 1).astype(int)
    found, weight = [], []
    for y0, y1 in pairwise(rows):
        for row in np.flatnonzero(traces.dq == 0):
            one = _block_shift(frame, traces, int(row), int(y0), int(y1))
            if one is not None:
                found.append(one[0])
                weight.append(1.0 / one[1] ** 2)
    if len(found) < 10:
        return Shift(0.0, float("inf"))
    value, strength = np.array(found), np.array(weight)
    middle = float(np.median(value))
    spread = 1.4826 * float(np.median(np.abs(value - middle)))
    kept = np.abs(value - middle) < 4.0 * spread + 1e-9
    mean = float(np.average(value[kept], weights=np.minimum(strength[kept], 1.0 / max(spread, 1e-4) ** 2)))
    return Shift(mean, spread / float(np.sqrt(kept.sum())))


def _block_shift(frame: Frame, traces: SliceTraces, row: int, y0: int, y1: int) -> tuple[float, float] | None:
    """Return shift of the middle of a slice and its error in one block of rows."""
    y = np.arange(y0, y1)
    start = np.rint(traces.left[row, y]).astype(int) - _MARGIN
    length = int(np.ceil(float(np.mean((traces.right - traces.left)[row, y])))) + 2 * _MARGIN
    x = start[:, None] + np.arange(length)
    inside = (x >= 0) & (x < frame.data.shape[1])
    x = np.clip(x, 0, frame.data.shape[1] - 1)
    good = inside & (frame.flags[y[:, None], x] & NOT_USABLE == 0)
    # rows are put upon each other by whole pixels; what is left of their drift is in the expected edges
    left, right = float(np.mean(traces.left[row, y] - start)), float(np.mean(traces.right[row, y] - start))
    light, noise = _clipped_columns(frame.data[y[:, None], x], frame.variance[y[:, None], x], good)
    known = np.isfinite(light)
    cut, spread = np.nan_to_num(light).astype(np.float64)[None], noise.astype(np.float64)[None]
    fit = fit_edges(cut, spread, known[None], np.array([left]), np.array([right]), blur=0.85)
    if not np.isfinite(fit.left[0]) or fit.level[0] < 5.0 * np.sqrt(np.median(noise[known])):
        return None
    return float(0.5 * (fit.left[0] + fit.right[0] - left - right)), max(float(fit.centre_error[0]), 1e-4)


def _clipped_columns(data: FloatArray, variance: FloatArray, good: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return means over rows (x,) with hits left out, and their variance."""
    kept = good
    for _ in range(2):
        count = kept.sum(axis=0)
        mean = np.where(kept, data, 0.0).sum(axis=0) / np.maximum(count, 1)
        spread = np.sqrt((np.where(kept, data - mean, 0.0) ** 2).sum(axis=0) / np.maximum(count - 1, 1))
        kept = good & (np.abs(data - mean) < 5.0 * spread + 1e-9)
    count = kept.sum(axis=0)
    mean = np.where(kept, data, 0.0).sum(axis=0) / np.maximum(count, 1)
    noise = np.where(kept, variance, 0.0).sum(axis=0) / np.maximum(count, 1) ** 2
    return np.where(count > 0.5 * len(data), mean, np.nan), noise


def slice_ratios(
    frame: Frame, flat: Frame, traces: SliceTraces, rows: tuple[int, int]
) -> tuple[FloatArray, FloatArray]:
    """Return light of each slice over that of the flat, and its error, in the middle of the detector.

    Parameters
    ----------
    frame, flat : Frame
    traces : SliceTraces
    rows : (int, int)
        First and last row (exclusive) that count.
    """
    y = np.arange(*rows)
    value, error = np.full(len(traces.aperture), np.nan), np.full(len(traces.aperture), np.nan)
    good = (frame.flags[rows[0] : rows[1]] | flat.flags[rows[0] : rows[1]]) & NOT_USABLE == 0
    for row in np.flatnonzero(traces.dq == 0):
        x0, x1 = columns_of(traces, int(row), frame.data.shape[1])
        x = np.arange(x0, x1)[None, :]
        inside = (x > traces.left[row, y][:, None] + _INSIDE) & (x < traces.right[row, y][:, None] - _INSIDE)
        kept = inside & good[:, x0:x1]
        data, lamp = frame.data[rows[0] : rows[1], x0:x1], flat.data[rows[0] : rows[1], x0:x1]
        total = float(lamp[kept].sum())
        value[row] = float(data[kept].sum()) / total
        error[row] = float(np.sqrt(frame.variance[rows[0] : rows[1], x0:x1][kept].sum())) / total
    return value, error


def over_flat(
    frame: Frame,
    flat: Frame,
    traces: SliceTraces,
    *,
    shift: float,
    gain: FloatArray,
    light: SliceIllumination | None,
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return an exposure over its flat (y, x), its variance and flags.

    At the edges of slices the flat is taken where the slices of the exposure lie: by the ratio of the edges' shape
    there and where the flat has them.

    Parameters
    ----------
    frame : Frame
        Electron.
    flat : Frame
        Electron.
    traces : SliceTraces
        Of the flat.
    shift : float, px
        By which the exposure's slices lie further to the right.
    gain : array (n,)
        Brightness of each slice relative to its flat.
    light : SliceIllumination or None
        Of the sky, along the slices.
    """
    shape = frame.data.shape
    data, variance = np.zeros(shape, np.float32), np.full(shape, np.inf, np.float32)
    flags = np.full(shape, int(Flag.NOT_ILLUMINATED), np.int32)
    for row in np.flatnonzero(traces.dq == 0):
        x0, x1 = columns_of(traces, int(row), shape[1], beyond=abs(shift) + 1.0)
        x = np.arange(x0, x1)[None, :]
        left, right = traces.left[row][:, None] + shift, traces.right[row][:, None] + shift
        inside = (x >= left) & (x <= right)
        edge = traces.edge[row]
        now = ndtr((x - left) / edge) - ndtr((x - right) / edge)
        then = ndtr((x - left + shift) / edge) - ndtr((x - right + shift) / edge)
        response = flat.data[:, x0:x1] * (now / np.maximum(then, 0.05)).astype(np.float32) * np.float32(gain[row])
        if light is not None:
            middle = traces.centre[row][:, None] + shift
            response = response * np.interp(x - middle, light.across[0], light.ratio[row]).astype(np.float32)
        lit = inside & (response > 0.0) & (then > 0.1)
        factor = np.divide(1.0, response, out=np.zeros_like(response), where=lit)
        bits = np.where(lit, frame.flags[:, x0:x1] | flat.flags[:, x0:x1], int(Flag.NOT_ILLUMINATED))
        part = slice(x0, x1)
        data[:, part] = np.where(lit, frame.data[:, part] * factor, data[:, part])
        share = flat.variance[:, part] / np.maximum(flat.data[:, part], 1.0) ** 2  # of the flat's own noise
        noise = (frame.variance[:, part] + share * frame.data[:, part] ** 2) * factor**2
        variance[:, part] = np.where(lit, noise, variance[:, part])
        flags[:, part] = np.where(lit, bits, flags[:, part])
    return data, variance, flags
