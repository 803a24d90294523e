"""Background of instrument and sky: light and dark current that no aperture of the target sent, per second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from pydantic import Field

from tracecube.core.fields import FloatArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.params import Params
from tracecube.core.pixels import Background, Master
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs
from tracecube.kernels.combine import clipped_moments
from tracecube.recipes.detector.array import CleanExposure, check_same, noise_numbers
from tracecube.recipes.detector.background_components import ComponentParams, find_components, robust_surface
from tracecube.recipes.detector.background_surface import polynomial_surface
from tracecube.recipes.detector.collapse import CollapseParams, collapse
from tracecube.recipes.detector.dark import DIT_CARD, dark_for, dit_of

__all__ = [
    "BackgroundFit",
    "BackgroundParams",
    "MatchParams",
    "background_for",
    "combine_backgrounds",
    "settle_sky",
]

Made = TypeVar("Made", bound=Master)

_FAR_DIT = 1.5  # times the integration beyond which scaling a background is worth a word
_CLIP = 5.0  # noises off the surface beyond which a pixel does not tell of it


class BackgroundParams(CollapseParams, ComponentParams):
    """Numbers of a master background."""

    reject_high: int = Field(
        default=1, ge=0, alias="clean_mean.reject_high", description="Highest samples a pixel left out of a clean mean"
    )
    reject_low: int = Field(
        default=1, ge=0, alias="clean_mean.reject_low", description="Lowest samples a pixel left out of a clean mean"
    )
    hot_clip: float = Field(
        default=5.0, gt=0, alias="sigma_clip", description="Expected noises off its surroundings beyond which: bad"
    )
    fit: bool = Field(default=False, alias="fit", description="Make a polynomial surface through the background too")
    fit_order: int = Field(default=10, ge=0, le=20, alias="fitorder", description="Its degree")
    samples: int = Field(default=1000, ge=100, alias="nsamples", description="Places at which it is fitted")
    smooth: float = Field(
        default=0.0, ge=0, alias="smooth", description="Smooth the background over so many px; 0 leaves it"
    )


class MatchParams(Params):
    """Numbers of bringing a background to a night's level."""

    sky_scale: float = Field(
        default=48.0, gt=0, description="Structure (px) of the sky's difference from the instrument background"
    )
    surface_scale: float = Field(
        default=16.0, gt=0, description="Structure (px) of the background where only a sky or dark tells of it"
    )


@dataclass(frozen=True, kw_only=True)
class BackgroundFit(Outputs):
    """A background (electron / s), and the surface through it."""

    background: Background
    background_fit: Master | None = None


def combine_backgrounds(
    exposures: Sequence[CleanExposure],
    darks: Sequence[Master],
    params: BackgroundParams,
    *,
    noise_range: tuple[float, float],
) -> BackgroundFit:
    """Make a background per second from frames of one integration time.

    Parameters
    ----------
    exposures : sequence of CleanExposure
        Shutter open, no source.
    darks : sequence of Master
        Tell hot pixels from light; may be empty.
    params : BackgroundParams
    noise_range : (float, float)
        Unremarkable range of the read noise, electron.

    Raises
    ------
    BadData
        Different integration times.
    """
    check_same(exposures)
    dit = exposures[0].dit
    few = len(exposures) <= params.reject_high + params.reject_low
    if few:  # the observatory's default rejection needs three frames; one or two are averaged
        params = params.model_copy(update={"reject_high": 0, "reject_low": 0})
    master = collapse(exposures, params)
    dark, caveats = dark_for(darks, dit) if darks else (None, ("no dark: hot pixels are told by their surroundings",))
    light = master.data if dark is None else master.data - dark.data
    known = master.flags == 0 if dark is None else (master.flags | dark.flags) == 0
    surface, kept = robust_surface(light, master.variance, known, max(params.smooth, 16.0), params.hot_clip)
    odd = known & ~kept
    data = master.data if params.smooth == 0 else surface + (0.0 if dark is None else dark.data)
    flags = master.flags | np.where(odd, int(Flag.HOT_PIXEL), 0)
    flags |= 0 if dark is None else dark.flags
    made = _per_second(replace(master, data=np.asarray(data, np.float32), flags=flags.astype(np.int32)), dit)
    frames = sorted(exposures, key=lambda one: one.exposure.name)[params.skip :]
    made, told, more = find_components(frames, made, kept, params)
    fitted = None
    if params.fit:
        field, error = polynomial_surface(light, kept, degree=params.fit_order, samples=params.samples)
        fitted = _per_second(replace(master, data=field, variance=error, flags=np.zeros_like(master.flags)), dit)
    shown = made.data[kept]
    middle, spread, _ = clipped_moments(shown)
    numbers = (
        *noise_numbers(exposures, noise_range),
        QualityNumber("BACKGROUND MEAN", middle, "electron/s"),
        QualityNumber("BACKGROUND RMS", spread, "electron/s"),
        QualityNumber("BACKGROUND MEDIAN", float(np.median(shown)), "electron/s"),
        QualityNumber("NUM BADPIXELS", float((made.flags & NOT_USABLE != 0).sum())),
        QualityNumber("N FRAMES", float(len(exposures))),
        *told,
    )
    return BackgroundFit(background=made, background_fit=fitted, quality=numbers, caveats=(*caveats, *more))


def settle_sky(
    sky: Background, instrument: Background | None, darks: Sequence[Master], params: MatchParams | None = None
) -> tuple[Background, tuple[str, ...]]:
    """Return the background of a sky (electron / s) without the noise of its few frames.

    A sky is a frame or two whose noise would be added to the target's. With an instrument background
    its level is taken over large scales and the pixels' own pattern from the better measured one; without
    it a surface through the sky stands on the dark. Sky light that came through the apertures is lost
    at small scales either way: it is for the spectra of the sky to tell. Shapes by which the background changes
    are those of the sky.

    Parameters
    ----------
    sky : Background
        Electron / s.
    instrument : Background or None
        Electron / s.
    darks : sequence of Master
        Electron in one integration of their own.
    params : MatchParams

    Raises
    ------
    MissingInput
        Neither instrument background nor dark.
    """
    params = params or MatchParams()
    dit = dit_of(sky)
    seen = _for_time(sky, dit)
    caveats: tuple[str, ...] = ()
    base: Master
    if instrument is not None:
        base, scale = _for_time(instrument, dit), params.sky_scale
    else:
        scale = params.surface_scale
        base, notes = dark_for(darks, dit)
        caveats = (*notes, f"no instrument background: structure of the sky below {scale:g} px is smoothed over")
    surface, error = _difference(seen, base, scale)
    settled = Background(
        data=base.data + surface,
        flags=base.flags,
        rms=base.rms,
        weight=base.weight,
        variance=base.variance + error,
        meta={**sky.meta, "SKYLEVEL": float(np.median(surface)) / dit},
        components=seen.components,
        spread=seen.spread,
        left=seen.left,
    )
    return _per_second(settled, dit), caveats


def background_for(
    sky: Background | None, instrument: Background | None, darks: Sequence[Master], dit: float
) -> tuple[Master, tuple[str, ...]]:
    """Return the best background (electron in one integration) that there is: sky, instrument, dark.

    Parameters
    ----------
    sky, instrument : Background or None
        Electron / s; a sky as `settle_sky` made it.
    darks : sequence of Master
        Electron in one integration of their own.
    dit : float, second

    Returns
    -------
    background : Master
        Electron; the dark current is part of it. A `Background` where it is one.
    caveats : tuple of str
        What stood in for what.

    Raises
    ------
    MissingInput
        Not even a dark.
    """
    best = sky if sky is not None else instrument
    if best is not None:
        taken = dit_of(best)
        scaled = taken / dit > _FAR_DIT or dit / taken > _FAR_DIT
        note = f"background of DIT {taken:g} s scaled to {dit:g} s"
        return _for_time(best, dit), (note,) if scaled else ()
    dark, caveats = dark_for(darks, dit)
    return dark, (*caveats, "no background of sky or instrument: the dark alone is subtracted")


def _difference(sky: Master, base: Master, scale: float) -> tuple[FloatArray, FloatArray]:
    """Return the smooth difference sky - base and its variance."""
    variance = sky.variance + base.variance
    known = (sky.flags | base.flags) & (NOT_USABLE | int(Flag.NOT_ILLUMINATED)) == 0
    surface, _ = robust_surface(sky.data - base.data, variance, known, scale, _CLIP)
    # a Gaussian weight of scale s averages 4 pi s^2 pixels
    return surface, np.asarray(variance / np.float32(4.0 * np.pi * scale**2), np.float32)


def _per_second(master: Made, dit: float) -> Made:
    """Bring a master from one integration to a second."""
    return _times(master, 1.0 / dit, {"BUNIT": "electron/s", DIT_CARD: dit})


def _for_time(background: Made, dit: float) -> Made:
    """Bring a background (electron / s) to an integration time."""
    return _times(background, dit, {"BUNIT": "electron", DIT_CARD: dit})


def _times(master: Made, factor: float, cards: dict[str, str | float]) -> Made:
    """Scale a master; components have no unit, their amounts have."""
    f = np.float32(factor)
    scaled = replace(
        master,
        data=master.data * f,
        rms=master.rms * f,
        variance=master.variance * f * f,
        meta={**master.meta, **cards},
    )
    if not isinstance(scaled, Background) or scaled.spread is None or scaled.left is None:
        return scaled
    return replace(scaled, spread=scaled.spread * factor, left=scaled.left * factor)
