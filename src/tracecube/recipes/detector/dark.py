"""Master dark of one integration time, and the dark of any other from all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.flags import Flag
from tracecube.core.pixels import Master
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs
from tracecube.kernels.combine import clipped_moments
from tracecube.kernels.smooth import smooth_surface
from tracecube.recipes.detector.array import CleanExposure, check_same, noise_numbers
from tracecube.recipes.detector.collapse import CollapseParams, collapse

__all__ = ["DarkParams", "MasterDark", "combine_darks", "dark_for", "dit_of"]

DIT_CARD = "DIT"
"""Header card of masters: integration time that their signal belongs to, second."""

_LEAST_SCATTER = 0.1  # share of the variance: the noise of a frame of rounded counts is known to 5 per cent


class DarkParams(CollapseParams):
    """Numbers of the master dark."""

    hot_clip: float = Field(
        default=5.0, gt=0, alias="sigma_clip", description="Expected noises above its surroundings beyond which: hot"
    )
    smoothing: float = Field(
        default=5.0, gt=0, alias="smoothing", description="FWHM (px) of the surface that pixels are compared with"
    )
    least: float = Field(
        default=-100.0, alias="min_acceptable", description="Dark signal (adu) below which a pixel is bad"
    )
    most: float = Field(
        default=1000.0, alias="max_acceptable", description="Dark signal (adu) above which a pixel is bad"
    )


@dataclass(frozen=True, kw_only=True)
class MasterDark(Outputs):
    """A master dark (electron in one integration)."""

    master_dark: Master


def dit_of(master: Master) -> float:
    """Return the integration time (s) of a master.

    Raises
    ------
    MissingInput
        It does not state it.
    """
    value = master.meta.get(DIT_CARD)
    if not isinstance(value, int | float) or not value > 0:
        raise MissingInput(f"master: header card {DIT_CARD} is {value!r}", hint="make the master again")
    return float(value)


def combine_darks(
    exposures: Sequence[CleanExposure], params: DarkParams, *, noise_range: tuple[float, float]
) -> MasterDark:
    """Make the master dark of one integration time.

    Parameters
    ----------
    exposures : sequence of CleanExposure
        Shutter closed; stripes best found with all pixels as unlit ones.
    params : DarkParams
    noise_range : (float, float)
        Unremarkable range of the read noise, electron.

    Raises
    ------
    BadData
        No frame, different integration times, or more than a fifth of the pixels hot.
    """
    check_same(exposures)
    master = collapse(exposures, params)
    gain = exposures[0].exposure.gain
    inside = master.flags & int(Flag.NOT_ILLUMINATED) == 0
    hot, surroundings = _hot(master, inside, params)
    bad = inside & ((master.data < params.least * gain) | (master.data > params.most * gain))
    share = float(np.mean(hot[inside]))
    if share > 0.2:
        raise BadData(
            f"{exposures[0].exposure.name}: {100 * share:.0f} per cent of the pixels stand out of a dark",
            hint="was the shutter closed? Leave the frame out",
        )
    flags = master.flags | np.where(hot, int(Flag.HOT_PIXEL), 0) | np.where(bad, int(Flag.BAD_PIXEL), 0)
    meta = {**master.meta, DIT_CARD: exposures[0].dit}
    quiet = inside & ~hot & ~bad
    pattern = clipped_moments((master.data - surroundings)[quiet])[1]
    noise = float(np.median(master.variance[quiet]))
    numbers = (
        *noise_numbers(exposures, noise_range),
        QualityNumber("NUM HOTPIXELS", float(hot.sum())),
        QualityNumber("NUM BADPIXELS", float((hot | bad).sum()), high=0.05 * hot.size),
        QualityNumber("FPN", float(np.sqrt(max(pattern**2 - noise, 0.0))), "electron"),
        QualityNumber("RMS", pattern, "electron"),
        QualityNumber("NOISE RATIO", pattern / noise**0.5, low=0.8, high=1.25),
        QualityNumber("DARK CURRENT", float(np.mean(master.data[quiet])) / exposures[0].dit, "electron/s"),
        QualityNumber("N FRAMES", float(len(exposures))),
    )
    made = Master(master.data, flags.astype(np.int32), master.rms, master.weight, master.variance, meta)
    return MasterDark(master_dark=made, quality=numbers)


def _hot(master: Master, inside: BoolArray, params: DarkParams) -> tuple[BoolArray, FloatArray]:
    """Pixels that stand out of the surface through the others; two rounds, the second without the first's."""
    scale = params.smoothing / 2.3548  # FWHM of a Gaussian
    limit = params.hot_clip * np.sqrt(master.variance)
    hot = ~inside | (np.abs(master.data - np.median(master.data[inside])) > 2.0 * limit)
    surface = np.zeros_like(master.data)
    for _ in range(2):
        weight = np.where(inside & ~hot, np.float32(1.0), np.float32(0.0))
        # a surface over few pixels has noise of its own; four times the length makes it a tenth of a pixel's
        surface = np.nan_to_num(smooth_surface(master.data, weight, 4.0 * scale))
        hot = np.abs(master.data - surface) > limit
    return inside & (master.data - surface > limit), surface


def dark_for(darks: Sequence[Master], dit: float) -> tuple[Master, tuple[str, ...]]:
    """Return the dark of an integration time from those of any, hot pixels scaled with time.

    Darks of other times are scaled and averaged in by their noise, as far as they agree: what they differ
    by beyond their noise is measured over all pixels and added to their variance.

    Parameters
    ----------
    darks : sequence of Master
        Master darks of different integration times, electron. Where there is none a background taken with the shutter
        open (electron / s) counts as the dark of its time: it holds the instrument's warm light too.
    dit : float, second

    Returns
    -------
    dark : Master
    caveats : tuple of str
        Says so when none has this integration time, and when it is no dark.

    Raises
    ------
    MissingInput
        No dark at all.
    """
    if not darks:
        raise MissingInput(f"no dark for integrations of {dit} s", hint="take darks (shutter closed) of any DIT")
    lit = all(_is_background(dark) for dark in darks)
    darks = [_in_one_integration(dark) for dark in darks if lit or not _is_background(dark)]
    times = [dit_of(dark) for dark in darks]
    nearest = min(range(len(darks)), key=lambda i: (abs(np.log(times[i] / dit)), times[i]))
    base = darks[nearest]
    data, variance = _scaled(base, dit / times[nearest])
    total, mean = 1.0 / variance, data / variance
    quiet = np.bitwise_or.reduce([dark.flags for dark in darks]) == 0
    for i, other in enumerate(darks):
        if i == nearest:
            continue
        scaled, noise = _scaled(other, dit / times[i])
        noise = noise + np.float32(_excess(data - scaled, variance + noise, quiet))
        total += 1.0 / noise
        mean += scaled / noise
    flags = np.bitwise_or.reduce([dark.flags for dark in darks])
    caveats: tuple[str, ...] = ()
    known = ", ".join(f"{time:g}" for time in sorted(set(times)))
    if lit:
        what = "no dark at all: a background with the shutter open stands in, with the instrument's warm light in it"
        caveats = (f"{what} (DIT {known} s, for {dit:g} s)",)
    elif times[nearest] != dit:
        caveats = (f"no dark of DIT {dit:g} s: scaled from darks of {known} s; hot pixels need not scale",)
    meta = {**base.meta, DIT_CARD: dit}
    return Master(mean / total, flags, base.rms, base.weight, 1.0 / total, meta), caveats


def _is_background(master: Master) -> bool:
    """Whether it is a background, which is told per second."""
    return str(master.meta.get("BUNIT") or "").endswith("/s")


def _in_one_integration(master: Master) -> Master:
    """Return a background as a dark of its own integration time, a dark as it is."""
    if not _is_background(master):
        return master
    dit = dit_of(master)
    data, variance = _scaled(master, dit)
    rms = master.rms * np.float32(dit)
    return Master(data, master.flags, rms, master.weight, variance, {**master.meta, "BUNIT": "electron"})


def _scaled(dark: Master, factor: float) -> tuple[FloatArray, FloatArray]:
    """Return signal and variance of a dark for so many times its integration."""
    return dark.data * np.float32(factor), dark.variance * np.float32(factor**2)


def _excess(difference: FloatArray, expected: FloatArray, quiet: BoolArray) -> float:
    """Variance by which two darks differ beyond their noise."""
    if not quiet.any():
        return 0.0
    noise = float(np.median(expected[quiet]))
    found = clipped_moments(difference[quiet] / np.sqrt(expected[quiet]))[1] ** 2
    return noise * (found - 1.0) if found - 1.0 > _LEAST_SCATTER else 0.0
