"""Several exposures of one scene made one: mean, median or clean mean, with scatter and count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray
from tracecube.core.flags import Flag
from tracecube.core.params import Params
from tracecube.core.pixels import Master
from tracecube.kernels.smooth import smooth_surface
from tracecube.recipes.detector.array import CleanExposure

__all__ = ["CollapseParams", "collapse", "expected_level"]

MEAN, MEDIAN, CLEAN_MEAN = 0, 1, 2

_MEDIAN_LOSS = 0.5 * np.pi  # variance of a median over that of a mean, many samples
_STANDS_OUT = 5.0  # noises
_SURROUNDINGS = 20.0  # px: a thousand pixels, whose mean has a thirtieth of a pixel's noise
_LEAST_FOR_CLEAN = 3  # frames: of two no one can say which was hit


class CollapseParams(Params):
    """How exposures are combined."""

    algorithm: int = Field(
        default=CLEAN_MEAN, ge=0, le=2, alias="coll_alg", description="0 mean, 1 median, 2 clean mean"
    )
    reject_high: int = Field(
        default=0, ge=0, alias="clean_mean.reject_high", description="Highest samples a pixel left out of a clean mean"
    )
    reject_low: int = Field(
        default=0, ge=0, alias="clean_mean.reject_low", description="Lowest samples a pixel left out of a clean mean"
    )
    clip: float = Field(
        default=5.0, gt=0, description="Expected noises off the median beyond which a clean mean leaves samples out"
    )
    skip: int = Field(default=0, ge=0, alias="nskip", description="Exposures at the start that are left out")


def collapse(exposures: Sequence[CleanExposure], params: CollapseParams) -> Master:
    """Combine exposures, each weighted by its integrations.

    Parameters
    ----------
    exposures : sequence of CleanExposure
        On one scale; taken in order of name.
    params : CollapseParams

    Returns
    -------
    Master
        Electron in one integration; ``rms`` is the scatter of one integration, of the exposures where there
        are three or more, else expected.

    Raises
    ------
    BadData
        Nothing left to combine.
    """
    ordered = sorted(exposures, key=lambda e: e.exposure.name)[params.skip :]
    if not ordered:
        raise BadData(
            f"{len(exposures)} frames, {params.skip} of them skipped: none left",
            hint="lower nskip, or take more frames",
        )
    counts = np.array([e.count for e in ordered], np.float32)
    if len(ordered) == 1:
        data, used = ordered[0].data, np.full(ordered[0].data.shape, counts[0], np.float32)
    else:
        data, used = _combined(np.stack([e.data for e in ordered]), ordered, counts, params)
    floor = float(sum(e.floor * e.count**2 for e in ordered) / counts.sum())  # of one integration
    loss = _MEDIAN_LOSS if params.algorithm == MEDIAN and len(ordered) > 2 else 1.0
    lost = used == 0
    single = floor + expected_level(data, floor / float(counts.sum()), float(counts.sum()))
    variance = np.float32(loss) * single / np.maximum(used, 1.0)
    rms = np.sqrt(single) if len(ordered) < _LEAST_FOR_CLEAN else _scatter(ordered, data, counts)
    flags = np.bitwise_and.reduce([e.flags for e in ordered]) | np.where(lost, int(Flag.NOT_MEASURED), 0)
    meta = {**ordered[0].exposure.meta, "BUNIT": "electron", "NCOMBINE": len(ordered), "NINTEG": int(counts.sum())}
    return Master(data, flags.astype(np.int32), rms.astype(np.float32), used, variance.astype(np.float32), meta)


def expected_level(data: FloatArray, floor: float, count: float) -> FloatArray:
    """Return the signal (y, x) that noise is reckoned from: of the surroundings, or a pixel's own where it stands out.

    Parameters
    ----------
    data : array (y, x), electron
        Mean of integrations; a scene that is smooth but for hot pixels.
    floor : float, electron**2
        Variance of the mean without signal.
    count : float
        Integrations behind it.
    """
    middle = float(np.median(data))
    near = np.abs(data - middle) < _STANDS_OUT * np.sqrt(floor + max(middle, 0.0) / count) + 0.5 * abs(middle)
    surface = np.nan_to_num(smooth_surface(data, near.astype(np.float32), _SURROUNDINGS), nan=middle)
    surface = np.maximum(surface, 0.0)
    out = np.abs(data - surface) > _STANDS_OUT * np.sqrt(floor + surface / count)
    return np.asarray(np.where(out, np.maximum(data, 0.0), surface), np.float32)


def _combined(
    stack: FloatArray, ordered: Sequence[CleanExposure], counts: FloatArray, params: CollapseParams
) -> tuple[FloatArray, FloatArray]:
    """Return the combined frame and the integrations behind each pixel."""
    weight = np.broadcast_to(counts[:, None, None], stack.shape).copy()
    if params.algorithm == MEDIAN:
        return np.median(stack, axis=0).astype(np.float32), weight.sum(axis=0)
    if params.algorithm == CLEAN_MEAN:
        if params.reject_high + params.reject_low >= len(stack):
            raise BadData(
                f"{ordered[0].exposure.name}: {len(stack)} frames, all rejected by the clean mean",
                hint="lower clean_mean.reject_high or clean_mean.reject_low",
            )
        order = np.argsort(np.argsort(stack, axis=0, kind="stable"), axis=0)
        weight[(order < params.reject_low) | (order >= len(stack) - params.reject_high)] = 0.0
        if len(stack) >= _LEAST_FOR_CLEAN:
            middle = np.median(stack, axis=0)
            for sample, held, exposure in zip(stack, weight, ordered, strict=True):
                held[np.abs(sample - middle) > params.clip * np.sqrt(exposure.noise(middle))] = 0.0
    total = weight.sum(axis=0)
    mean = (weight * stack).sum(axis=0) / np.maximum(total, 1.0)
    return np.where(total > 0, mean, stack.mean(axis=0)).astype(np.float32), total


def _scatter(ordered: Sequence[CleanExposure], mean: FloatArray, counts: FloatArray) -> FloatArray:
    """Scatter of one integration about the mean."""
    squares = sum(count * (e.data - mean) ** 2 for e, count in zip(ordered, counts, strict=True))
    return np.asarray(np.sqrt(squares / (len(ordered) - 1)), np.float32)
