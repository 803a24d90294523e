"""Combining large exposures band by band, so that memory holds little more than the raw frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.kernels.combine import combine_stack, relative_scale, typical

__all__ = ["Band", "Combined", "combine_bands", "relative_scales"]

BAND = 64
"""Rows that are combined at a time: with more of them what is thrown away again takes as much as a frame."""

_FAINT = 0.2  # of the typical light: another state of the lamp


@dataclass(frozen=True)
class Band:
    """Some rows of one exposure: electrons, variance without light, flags."""

    data: FloatArray
    floor: FloatArray
    flags: IntArray


Reader = Callable[[int, int], Band]
"""``(y0, y1) -> Band``: rows of one exposure, calibrated."""


@dataclass(frozen=True)
class Combined:
    """Mean of several exposures, each first brought to the mean brightness.

    Parameters
    ----------
    data, variance : array (y, x), electron, electron**2
    flags : int32 array (y, x)
    scale : array (n,)
        Brightness of each exposure relative to the mean.
    rejected : int
        Samples that were hit.
    kept : tuple of int
        Which of the exposures were given to it; empty for all.
    notes : tuple of str
        Which were left out, and why.
    """

    data: FloatArray
    variance: FloatArray
    flags: IntArray
    scale: FloatArray
    rejected: int
    kept: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


class FaintExposure(BadData):
    """An exposure of several has hardly any of their light.

    Parameters
    ----------
    what, hint : str
    index : int
        Which.
    """

    def __init__(self, what: str, *, hint: str, index: int = -1) -> None:
        super().__init__(what, hint=hint)
        self.index = index


def relative_scales(readers: Sequence[Reader], rows: int, *, names: Sequence[str], bright: float = 15.0) -> FloatArray:
    """Return how bright each exposure is, relative to the mean of all, from bands over the whole height.

    Raises
    ------
    BadData
        No pixel holds light.
    FaintExposure
        One exposure has less than a fifth of the typical light.
    """
    bands = [[reader(y, min(y + 8, rows)) for y in range(0, rows, 64)] for reader in readers]
    data = np.stack([np.concatenate([band.data for band in some]) for some in bands])
    floor = np.concatenate([band.floor for band in bands[0]])
    good = np.stack([np.concatenate([band.flags for band in some]) & NOT_USABLE == 0 for some in bands])
    reference = typical(data, good)
    lit = good.all(axis=0) & (reference > bright * np.sqrt(floor + np.maximum(np.nan_to_num(reference), 0.0)))
    if not lit.any():
        raise BadData(
            f"{names[0]} and {len(names) - 1} more: no pixel holds light",
            hint="was the lamp on? Look at the lamp cards of the header and take the frames again",
        )
    scale = np.array([relative_scale(image, reference, lit) for image in data])
    if scale.min() < _FAINT * np.median(scale):
        faint = int(scale.argmin())
        raise FaintExposure(
            f"{names[faint]}: {scale.min() / np.median(scale):.2f} of the light of the other exposures",
            hint="was the lamp warming up, or off? Leave the frame out",
            index=faint,
        )
    return np.asarray(scale / scale.mean())


def combine_bands(
    readers: Sequence[Reader], shape: tuple[int, int], *, scale: FloatArray, clip: float, tolerance: float = 0.0
) -> Combined:
    """Return the mean of exposures with hits left out.

    Parameters
    ----------
    readers : sequence of Reader
        One an exposure.
    shape : (int, int)
        Of the image (y, x).
    scale : array (n,)
        Divides each exposure.
    clip : float
        Expected noises from the typical exposure beyond which a sample is hit.
    tolerance : float
        Share of the signal by which exposures may differ besides.
    """
    data, variance = np.empty(shape, np.float32), np.empty(shape, np.float32)
    flags, rejected = np.empty(shape, np.int32), 0
    factor = np.asarray(scale, np.float32)[:, None, None]
    for y0 in range(0, shape[0], BAND):
        y1 = min(y0 + BAND, shape[0])
        bands = [reader(y0, y1) for reader in readers]
        stack = np.stack([band.data for band in bands]) / factor
        good = np.stack([band.flags & NOT_USABLE == 0 for band in bands])
        signal = np.maximum(np.nan_to_num(typical(stack, good)), 0.0)
        noise = np.stack([band.floor for band in bands]) / factor**2 + signal / factor
        mean, spread, outlier = combine_stack(stack, noise, good, clip=clip, tolerance=tolerance)
        lost = ~np.isfinite(mean)
        shared = np.bitwise_and.reduce([band.flags for band in bands])
        hit = good.any(axis=0) & ~(good & ~outlier).any(axis=0)
        shared = (
            shared | np.where(hit, int(Flag.COSMIC_RAY), 0) | np.where(lost & (shared == 0), int(Flag.NOT_MEASURED), 0)
        )
        data[y0:y1] = np.where(lost, stack[0], mean)
        variance[y0:y1] = np.where(lost, noise.max(axis=0), spread)
        flags[y0:y1] = shared
        rejected += int(outlier.sum())
    return Combined(data, variance, flags, np.asarray(scale), rejected)
