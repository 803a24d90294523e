"""Columns that lose charge: traps that hold back a share of the light, and show only when there is light.

An even lamp is smooth along dispersion; a run of pixels of one column that answers less (or more) than the columns on
either side is no light of the lamp. Columns are judged against the mean of those beside them, found ones left out.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import Frame
from tracecube.core.params import Params
from tracecube.kernels.column_runs import beside, run_pulls

__all__ = ["WeakColumnParams", "flag_samples", "weak_columns"]

_TURNS = 2
_NEAR = 5  # columns beside one that it is compared with on either side
_GAP = 9  # rows between fibres, where light is too faint to judge by, belong to what is on either side
_HALF_FOOTPRINT = 4  # px


class WeakColumnParams(Params):
    """How columns that lose charge are told from noise."""

    runs: tuple[int, ...] = Field((1, 5, 40), description="rows of a column that are judged together, rising")
    clip: float = Field(6.5, gt=3.0, description="deviations at which a run answers differently")
    least: float = Field(0.015, gt=0.0, description="share of the light by which it differs at least")
    shares: float = Field(0.2, gt=0.0, le=1.0, description="of a sample's light, on such pixels: it is flagged")


def weak_columns(lamp: Frame, params: WeakColumnParams) -> IntArray:
    """Flag runs of pixels along columns whose answer to an even lamp differs from that of the columns beside them.

    Parameters
    ----------
    lamp : Frame
        Dispersion along x; variance without the lamp's light, NCOMBINE of ``meta`` the number of its exposures.
    params : WeakColumnParams

    Returns
    -------
    int32 array (y, x)
        BAD_PIXEL, or 0.
    """
    bad = ((lamp.flags & NOT_USABLE) != 0) | ~np.isfinite(lamp.data) | ~(lamp.variance > 0)
    data = np.where(bad, 0.0, lamp.data).astype(np.float32)
    shot = 1.0 / float(lamp.meta.get("NCOMBINE") or 1)
    weak = np.zeros(bad.shape, bool)
    for turn in range(_TURNS):
        around, known = beside(data, ~(bad | weak), _NEAR, int(1.2 * _NEAR))
        use = known & ~bad
        expected = np.where(use, np.maximum(around, 0.0), 0.0)
        excess = np.where(use, data - around, 0.0)
        noise = np.where(use, lamp.variance + np.float32(shot) * expected, 0.0) * np.float32(1.0 + 0.5 / _NEAR)
        found = np.zeros_like(weak)
        for run in params.runs:
            # what shorter runs explain is no evidence for longer ones
            found |= _runs((excess, noise, expected), found, run=run, params=params, alone=turn < _TURNS - 1)
        weak = found
    joined = minimum_filter1d(maximum_filter1d(weak.view(np.uint8), _GAP, axis=0), _GAP, axis=0)
    return np.where(joined != 0, int(Flag.BAD_PIXEL), 0).astype(np.int32)


def _runs(
    planes: tuple[FloatArray, FloatArray, FloatArray],
    found: BoolArray,
    *,
    run: int,
    params: WeakColumnParams,
    alone: bool,
) -> BoolArray:
    """Pixels of runs of ``run`` rows that answer differently, with the rows that such a run reaches over.

    ``alone``: only the columns that stand out most among those that are compared with them, which they make differ.
    """
    pull, differs = run_pulls(planes, found, run, params.least)
    # pixels differ by themselves, which the scatter of the sums shows
    some = np.abs(pull[::5, ::3])
    some = some[np.isfinite(some)]
    limit = params.clip * max(1.0, 1.4826 * float(np.median(some)) if some.size else 1.0)
    y, x = np.nonzero(differs > 0.5 * limit)
    if alone:
        near = np.clip(x[:, None] + np.arange(-_NEAR - 1, _NEAR + 2), 0, pull.shape[1] - 1)
        most = np.nan_to_num(np.abs(pull[y[:, None], near])).max(axis=1)
        y, x = (at[differs[y, x] >= most] for at in (y, x))
    reach, out = np.zeros(pull.shape, np.uint8), np.zeros(pull.shape, bool)
    seed = differs[y, x] > limit
    if seed.any():
        reach[y[seed], x[seed]] = 1
        out[y, x] = maximum_filter1d(reach, run, axis=0)[y, x] != 0
    return out


def flag_samples(flags: IntArray, centre: FloatArray, params: WeakColumnParams) -> IntArray:
    """Flags (n, m) of the samples of fibres whose light falls on flagged pixels.

    Parameters
    ----------
    flags : int32 array (y, x)
    centre : array (n, m), px
        Of the fibres; NaN where there is none.
    params : WeakColumnParams
    """
    middle = np.rint(np.nan_to_num(centre)).astype(int)
    steps = np.arange(-_HALF_FOOTPRINT, _HALF_FOOTPRINT + 1)
    columns = np.arange(centre.shape[1])
    share = np.zeros(centre.shape)
    light = np.exp(-0.5 * (steps / 2.0) ** 2)  # as wide as a fibre's core
    for step, part in zip(steps, light / light.sum(), strict=True):
        rows = np.clip(middle + step, 0, flags.shape[0] - 1)
        share += part * (flags[rows, columns] != 0)
    return np.where(np.isfinite(centre) & (share > params.shares), int(Flag.BAD_PIXEL), 0).astype(np.int32)
