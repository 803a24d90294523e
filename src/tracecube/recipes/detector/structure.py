"""What an amplifier adds by itself: smooth bias structure, dark current, read noise, and pixels that lie.

A master dark of a few frames is noisier than the frame it is subtracted from, and its noise is the same in all
exposures of a night. What is subtracted here is only what stands out of that noise: a smooth surface and the
profiles of columns and rows, each shrunk by its own signal-to-noise (the empirical Wiener filter; James & Stein
1961). Pixels that differ on their own are flagged, not subtracted.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np
from pydantic import Field
from scipy.ndimage import gaussian_filter, uniform_filter1d

from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.flags import Flag
from tracecube.core.params import Params
from tracecube.kernels.combine import clipped_moments, typical
from tracecube.kernels.halo import binned, refined

__all__ = ["Structure", "StructureParams", "amplifier_structure", "read_noise"]

_RUNS = (16, 64)  # rows: charge traps reach along columns
_SOME = 5  # one of so many pixels: they tell a level to a hundredth of the read noise
_BINS = 4  # px, of planes that are smoothed over many more
_PLAIN = 6.0  # read noises beyond which even the typical exposure of a pixel is no structure: hot, or hit
_GAUSSIAN = 2.0 * np.pi**0.5  # noise of a Gaussian-smoothed plane is that of a pixel / (2 sqrt(pi) s)


class StructureParams(Params):
    """How structure and bad pixels of an amplifier are told from noise."""

    smooth: float = Field(24.0, gt=1.0, description="width of the smooth surface, px")
    clip: float = Field(5.0, gt=2.0, description="deviations at which a pixel of the master dark is hot")
    least: float = Field(2.0, ge=0.0, description="electrons by which a hot pixel differs at least")


@dataclass(frozen=True)
class Structure:
    """What an amplifier adds to every exposure.

    Parameters
    ----------
    surface : array (y, x), electron
        Mean of zero over the amplifier.
    error : float, electron
        What is left unknown of a pixel of ``surface``.
    level : float, electron
        Mean of the illuminated part above the overscan in exposures of no time.
    dark : float, electron / s
        Dark current, with its error ``dark_error``.
    flags : int32 array (y, x)
    """

    surface: FloatArray
    error: float
    level: float
    dark: float
    dark_error: float
    flags: IntArray


def read_noise(zeros: FloatArray, structure: FloatArray | float = 0.0) -> float:
    """Return the read noise (electron) of exposures of no time (n, y, x): scatter of their differences.

    Of one exposure alone, its scatter about its own structure. Clipped moments are unbiased for a Gaussian, unlike
    the median absolute deviation of whole counts.
    """
    if len(zeros) > 1:
        pairs = [clipped_moments((a - b).ravel())[1] ** 2 for a, b in zip(zeros[1:], zeros[:-1], strict=True)]
        return float(np.sqrt(0.5 * np.mean(pairs)))
    plane = zeros[0] - structure
    return float(clipped_moments((plane[:, 1:] - plane[:, :-1]).ravel())[1] / 2.0**0.5)


def amplifier_structure(
    zeros: FloatArray,
    darks: FloatArray,
    exptime: FloatArray,
    noise: float,
    params: StructureParams,
    *,
    row_error: float = 0.0,
) -> Structure:
    """Separate structure, dark current and bad pixels of an amplifier.

    Parameters
    ----------
    zeros : array (n, y, x), electron
        Exposures of no time, less their overscan; n may be 0.
    darks : array (k, y, x), electron
        k may be 0.
    exptime : array (k,), s
    noise : float, electron
        Read noise.
    params : StructureParams
    row_error : float, electron
        Error of the level of a row of one exposure.
    """
    frames = np.concatenate([zeros, darks])
    levels = np.array([clipped_moments(frame.ravel()[::_SOME])[0] for frame in frames])
    middle, mean, number = _means(frames, levels, noise, params.clip)
    surface, error = _shrunk(mean, number, (noise, row_error), params.smooth)
    zero_level = float(levels[: len(zeros)].mean()) if len(zeros) else float("nan")
    dark, dark_error = _dark_current(levels, len(zeros), exptime, noise / (frames[0].size / _SOME) ** 0.5)
    flags = _hot(darks, surface, noise, params) if len(darks) > 1 else np.zeros(mean.shape, np.int32)
    flags |= _traps(middle - surface if len(frames) > 2 else mean - surface, noise, len(frames))
    level = zero_level if len(zeros) else float(levels.mean())
    return Structure(surface.astype(np.float32), error, level, dark, dark_error, flags)


def _means(
    frames: FloatArray, levels: FloatArray, noise: float, clip: float
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Typical sample (y, x) of frames less their levels, the mean of those near it, and how many those are."""
    flat = frames - levels[:, None, None].astype(np.float32)
    middle = typical(flat, np.ones(flat.shape, bool))
    plain = np.clip(middle, -_PLAIN * noise, _PLAIN * noise)
    total, number = np.zeros(middle.shape), np.zeros(middle.shape, np.int32)
    for one in flat:
        used = np.abs(one - plain) < clip * noise
        number += used
        total += np.where(used, one, 0.0)
    return middle, total / np.maximum(number, 1), number


def _smooth(plane: FloatArray, width: float) -> FloatArray:
    """Smooth a plane by a Gaussian much wider than a few pixels: their mean is smoothed, and interpolated."""
    bins = gcd(_BINS, *plane.shape)
    return refined(gaussian_filter(binned(plane, bins), width / bins, mode="nearest"), bins)


def _shrunk(mean: FloatArray, number: IntArray, noise: tuple[float, float], smooth: float) -> tuple[FloatArray, float]:
    """Return the part of a plane that stands out of its noise, and the error of what is returned.

    ``number`` (y, x) of exposures are in a pixel's mean; those of none have no weight. ``noise`` of one exposure is
    that of pixels, and that of the level of rows.
    """
    weight = number / max(int(number.max()), 1)
    sigma, rows = (value / float(number.mean()) ** 0.5 for value in noise)
    mean = mean - float(np.average(mean, weights=weight))
    broad = _smooth(weight * mean, smooth) / np.maximum(_smooth(weight, smooth), 1e-6)
    own = float(np.hypot(sigma / (_GAUSSIAN * smooth), rows / (2.0 * np.pi**0.5 * smooth) ** 0.5))
    share = _share(broad - broad.mean(), own)
    surface = share * broad
    lost = share * own**2
    for axis in (0, 1):
        sums = weight.sum(axis=axis)
        profile = (weight * (mean - surface)).sum(axis=axis) / np.maximum(sums, 1e-6)
        own = float(np.hypot(sigma / mean.shape[axis] ** 0.5, rows if axis == 1 else 0.0))
        share = _share(profile - profile.mean(), own)
        surface = surface + np.expand_dims(share * profile, axis)
        lost += share * own**2
    return np.asarray(surface - surface.mean()), float(lost**0.5)


def _share(values: FloatArray, noise: float) -> float:
    """Share of the variance of values that is signal."""
    total = float(np.var(values))
    return max(0.0, 1.0 - noise**2 / total) if total > 0.0 else 0.0


def _dark_current(levels: FloatArray, n_zero: int, exptime: FloatArray, error: float) -> tuple[float, float]:
    """Return dark current and its error from the levels of zeros and darks."""
    if n_zero == 0 or len(exptime) == 0:
        return 0.0, float("nan")
    base = levels[:n_zero]
    scatter = max(error, float(base.std(ddof=1)) if n_zero > 1 else error)
    rates = (levels[n_zero:] - base.mean()) / exptime
    spread = scatter * (1.0 / n_zero + 1.0 / len(exptime)) ** 0.5 / float(exptime.mean())
    return float(rates.mean()), float(spread)


def _hot(darks: FloatArray, surface: FloatArray, noise: float, params: StructureParams) -> IntArray:
    """Flag pixels that are bright in all darks: a cosmic ray hits one of them."""
    planes = darks - surface
    planes = planes - np.median(planes.reshape(len(planes), -1)[:, ::_SOME], axis=1)[:, None, None]
    low, high = planes.min(axis=0), planes.max(axis=0)
    sigma = noise / len(darks) ** 0.5
    mean = planes.mean(axis=0)
    limit = max(params.clip * sigma, params.least)
    # of n deviates about one mean none differs from it by more than the clip
    agree = high - low < max(params.clip, 4.0) * noise * 2.0**0.5 + 0.5 * np.abs(mean)
    hot = (np.abs(mean) > limit) & agree
    return np.where(hot, int(Flag.HOT_PIXEL), 0).astype(np.int32)


def _traps(plane: FloatArray, noise: float, n_frames: int) -> IntArray:
    """Flag runs of pixels along a column that read low or high together: charge traps and blocked columns."""
    sigma = 1.25 * noise / n_frames**0.5  # of a median
    local = np.clip(plane - np.median(plane), -4.0 * sigma, 4.0 * sigma)
    flags = np.zeros(plane.shape, np.int32)
    for run in _RUNS:
        sums = uniform_filter1d(local, run, axis=0, mode="constant")
        seed = np.abs(sums) > 6.5 * sigma / run**0.5
        reach = uniform_filter1d(seed.astype(np.float32), run, axis=0, mode="nearest") > 0.5 / run
        flags |= np.where(reach & (np.abs(sums) > 4.0 * sigma / run**0.5), int(Flag.BAD_PIXEL), 0).astype(np.int32)
    return flags
