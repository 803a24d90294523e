"""Shapes by which a background changes from frame to frame, found in several frames of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field
from scipy import ndimage

from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.flags import Flag
from tracecube.core.params import Params
from tracecube.core.pixels import Background, Master
from tracecube.core.quality import QualityNumber
from tracecube.kernels.lowrank import left_out_errors, principal_components
from tracecube.kernels.smooth import smooth_surface
from tracecube.recipes.detector.array import CleanExposure

__all__ = ["ComponentParams", "find_components", "robust_surface"]

_LEAST = 3  # frames: two differ by one shape, and nothing tells whether a third would
_MOST = 8  # shapes
_FINER = 4  # samples a smoothing length: more tell nothing new
_AS_GOOD = 1.5  # times the least mean square error: more shapes follow levels of outputs, which planes tell themselves
_CLIP = 5.0  # noises off the surface beyond which a pixel does not tell of it


class ComponentParams(Params):
    """Numbers of the shapes by which a background changes."""

    sky_components: int = Field(
        default=-1,
        ge=-1,
        le=_MOST,
        description="Shapes the background changes by; -1: as many as frames left out are predicted best with, 0: none",
    )
    component_scale: float = Field(default=48.0, gt=0, description="Structure (px) of the shapes")
    component_border: int = Field(
        default=96, ge=1, description="Border (px) that tells the amounts in a frame left out, as free of spectra"
    )


def find_components(
    exposures: Sequence[CleanExposure], mean: Master, known: BoolArray, params: ComponentParams
) -> tuple[Background, tuple[QualityNumber, ...], tuple[str, ...]]:
    """Return a background with the shapes that its frames differ by, where there are three frames or more.

    Each frame's difference from the mean is smoothed, and the differences are taken apart into principal
    components. How many are kept, and what they leave of a frame that had no part in them, is told by leaving frames
    out one by one, their amounts fitted to the border alone: so they are in frames with spectra.

    Parameters
    ----------
    exposures : sequence of CleanExposure
        Of one integration time.
    mean : Master
        Their mean, electron / s.
    known : bool array (y, x)
        Pixels that tell of a smooth background.
    params : ComponentParams

    Returns
    -------
    background : Background
        As the mean where there are no components; with components its level is the plain mean of the frames.
    quality : tuple of QualityNumber
    caveats : tuple of str
    """
    plain = Background(mean.data, mean.flags, mean.rms, mean.weight, mean.variance, mean.meta)
    asked = params.sky_components
    if asked == 0:
        return plain, (), ()
    if len(exposures) < _LEAST:
        note = f"{asked} sky components asked for, {len(exposures)} frames tell of none: the mean background stands"
        return plain, (), (note,) if asked > 0 else ()
    surfaces, noise = _differences(exposures, mean, known, params.component_scale)
    step = max(1, int(params.component_scale / _FINER))
    lit = mean.flags & int(Flag.NOT_ILLUMINATED) == 0
    coarse = np.asarray(surfaces[:, ::step, ::step].reshape(len(surfaces), -1), float)
    weight = lit[::step, ::step].ravel().astype(float)
    told = _border(lit.shape, params.component_border)[::step, ::step].ravel()
    errors = left_out_errors(coarse, weight, told, most=_MOST)
    found = principal_components(coarse, weight)
    enough = int(np.argmax(errors <= _AS_GOOD * errors.min()))
    count = min(enough if asked < 0 else asked, found.spread.size, errors.size - 1)
    caveats = (f"{asked} sky components asked for, {len(exposures)} frames tell of {count}",) if asked > count else ()
    left = np.sqrt(np.maximum(errors - noise, 0.0))
    numbers = (
        QualityNumber("SKY COMPONENTS", float(count)),
        QualityNumber("SKY LEFT MEAN", float(left[0]), "electron/s"),
        QualityNumber("SKY LEFT", float(left[count]), "electron/s"),
    )
    if count == 0:
        return plain, numbers, caveats
    made = Background(
        np.asarray(mean.data + surfaces.mean(axis=0), np.float32),
        mean.flags,
        mean.rms,
        mean.weight,
        mean.variance,
        mean.meta,
        components=np.tensordot(found.mix[:count], surfaces, axes=1).astype(np.float32),
        spread=found.spread[:count],
        left=left[1 : count + 1],
    )
    return made, numbers, caveats


def robust_surface(
    image: FloatArray, variance: FloatArray, known: BoolArray, scale: float, clip: float
) -> tuple[FloatArray, BoolArray]:
    """Return a smooth surface through known pixels (y, x), and which of them agree with it.

    Parameters
    ----------
    image, variance : array (y, x)
    known : bool array (y, x)
    scale : float, px
    clip : float
        Noises off the surface beyond which a pixel does not tell of it.
    """
    kept = known & (np.abs(image - np.median(image[known])) < 10.0 * clip * np.sqrt(np.median(variance)))
    surface = np.zeros_like(image)
    for _ in range(2):
        surface = np.nan_to_num(smooth_surface(image, kept.astype(np.float32), scale))
        kept = known & (np.abs(image - surface) < clip * np.sqrt(variance))
    return surface, kept


def _differences(
    exposures: Sequence[CleanExposure], mean: Master, known: BoolArray, scale: float
) -> tuple[FloatArray, float]:
    """Return the smooth difference (m, y, x) of each frame from the mean, and its variance by noise and readout."""
    surfaces, noises = [], []
    for one in exposures:
        dit = np.float32(one.dit)
        variance = one.noise(mean.data * dit) / dit**2
        surfaces.append(robust_surface(one.data / dit - mean.data, variance, known, scale, _CLIP)[0])
        # a Gaussian weight of scale s averages 4 pi s^2 pixels
        pixels = float(np.median(variance)) / (4.0 * np.pi * scale**2)
        level = one.stripes.offset_error * one.exposure.gain / one.dit
        noises.append(pixels + _shared(len(one.stripes.offsets), mean.data.shape[1], scale) * level**2)
    return np.asarray(surfaces, np.float32), float(np.mean(noises))


def _shared(outputs: int, columns: int, scale: float) -> float:
    """Share of the variance of the outputs' levels that a smooth surface keeps."""
    strips = np.repeat(np.eye(outputs), -(-columns // outputs), axis=1)
    return float(np.mean(np.sum(ndimage.gaussian_filter1d(strips, scale, axis=1) ** 2, axis=0)))


def _border(shape: tuple[int, ...], width: int) -> BoolArray:
    """Pixels (y, x) of the border."""
    border = np.ones(shape, bool)
    border[width:-width, width:-width] = False
    return border
