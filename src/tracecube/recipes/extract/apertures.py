"""Box and optimal extraction: each aperture by itself, as today's pipelines do; for comparison.

Neither knows of neighbours, nor of scattered light; what these put under an aperture goes into its
spectrum. Both give fluxes in the scale of the joint extraction: the light outside the box or window is
made up for by the profile. Pixels that are flagged count for nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.flags import NOT_USABLE
from tracecube.core.frame import Frame
from tracecube.kernels.forward import project
from tracecube.recipes.extract.joint import Extraction, ExtractionParams, TraceMatrix, extract, reduced_chi2

__all__ = ["extract_by"]

LEAST_SHARE = 0.4  # of the profile on good pixels; with less an unknown is not measured
OPTIMAL_HALF_WIDTH = 3.5  # px: 3 whole pixels on either side, nearer than the next trace


class _Window(NamedTuple):
    """Pixels about each unknown: places (n, k), which may be used, the profile there, and the part of each in a box."""

    place: tuple[NDArray[np.int64], NDArray[np.int64]]
    good: BoolArray
    profile: FloatArray
    part: FloatArray


def extract_by(frame: Frame, matrix: TraceMatrix, params: ExtractionParams, *, floor: float) -> Extraction:
    """Extract spectra by the method that the parameters name; see `tracecube.recipes.extract.joint.extract`.

    ``box`` sums a window of ``params.box`` px about the trace's middle pixel, pixels at its ends by the part
    that lies in it; ``optimal`` weights pixels by profile over variance (Horne 1986, PASP 98, 609, table 1) in
    as many passes, each with the variance of the last one's model and without pixels more than ``params.clip``
    sigma off it.
    """
    if params.method == "joint":
        return extract(frame, matrix, params, floor=floor)
    data = np.asarray(matrix.canonical(frame.data), np.float32)
    bad = matrix.canonical((frame.flags & NOT_USABLE) != 0) | ~np.isfinite(data)
    data = np.where(bad, np.float32(0), data)
    variance = np.asarray(matrix.canonical(frame.variance), np.float32)
    shot = 1.0 / float(frame.meta.get("NCOMBINE") or 1)
    outlier = np.zeros(data.shape, bool)
    passes, half_width = (1, 0.5 * params.box) if params.method == "box" else (params.passes, OPTIMAL_HALF_WIDTH)
    for _ in range(passes):
        window = _window(matrix, ~(bad | outlier), half_width)
        if params.method == "box":
            flux, error = _box(window, data[window.place], variance[window.place])
        else:
            flux, error = _optimal(window, data[window.place], variance[window.place])
        model = project(matrix.a, np.nan_to_num(flux))
        variance = np.asarray(floor + shot * np.maximum(model, 0), np.float32)
        deviation = (data - model) / np.sqrt(variance)
        if params.method == "optimal":
            outlier = ~bad & (deviation > params.clip) & (project(matrix.a, np.ones(flux.size)) > LEAST_SHARE / 2.0)
    ivar = np.where(bad | outlier, np.float32(0), 1.0 / variance)
    none = np.zeros(data.shape, np.float32)
    return Extraction(
        flux=matrix.spread(flux),
        variance=matrix.spread(error),
        blend=matrix.spread(np.zeros(flux.size)),
        model=matrix.canonical(model),
        scattered=matrix.canonical(none),
        outlier=outlier if matrix.axis == 1 else outlier.T,
        chi2=reduced_chi2(matrix, deviation, ivar),
    )


def _window(matrix: TraceMatrix, good: BoolArray, half_width: float) -> _Window:
    """Pixels within ``half_width`` px of each footprint's middle pixel; those off the detector are not good."""
    origin, weight = matrix.a.origin, matrix.a.weight[:, :, 0]
    middle = weight.shape[1] // 2
    reach = min(int(np.ceil(half_width - 0.5)), middle)
    part = np.clip(half_width + 0.5 - np.abs(np.arange(-reach, reach + 1)), 0.0, 1.0)
    across = origin[:, :1].astype(np.int64) + middle + np.arange(-reach, reach + 1)
    on = (across >= 0) & (across < good.shape[0])
    across = np.clip(across, 0, good.shape[0] - 1)
    along = np.broadcast_to(origin[:, 1:2].astype(np.int64), across.shape)
    return _Window((across, along), good[across, along] & on, weight[:, middle - reach : middle + reach + 1], part)


def _box(window: _Window, data: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sum over the good pixels by their part in the box, over the profile's share of that."""
    part = np.where(window.good, window.part, 0.0)
    share = (part * window.profile).sum(axis=1)
    scale = np.where(share > LEAST_SHARE, share, np.nan)
    total = (part * data).sum(axis=1, dtype=float)
    noise = (part**2 * variance).sum(axis=1, dtype=float)
    return total / scale, noise / scale**2


def _optimal(window: _Window, data: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Least-squares flux of one profile alone."""
    weight = np.where(window.good, window.profile / variance, 0.0)
    power = (weight * window.profile).sum(axis=1, dtype=float)
    share = np.where(window.good, window.profile, 0.0).sum(axis=1)
    power = np.where(share > LEAST_SHARE, power, np.nan)
    return (weight * data).sum(axis=1, dtype=float) / power, 1.0 / power
