"""The fit behind detector flats: light of the lamps, gains of the amplifiers, response of each pixel, its flags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field
from scipy import ndimage

from tracecube.core.detector import Detector
from tracecube.core.errors import BadData
from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.params import Params
from tracecube.core.pixels import Master
from tracecube.kernels.amplifiers import amplifier_pattern
from tracecube.kernels.combine import clipped_moments
from tracecube.kernels.responses import ResponseFit, fit_responses
from tracecube.kernels.smooth import smooth_surface
from tracecube.recipes.detector.array import CleanExposure
from tracecube.recipes.detector.dark import dark_for
from tracecube.recipes.detector.large_scale import open_response

__all__ = ["PER_MICROMETRE", "FlatFit", "FlatParams", "LampExposure", "fit_flat", "typical_chi2"]

_SAMPLE, _BLOCK = 8, 256  # rows: every so many tell the spread of slopes; so many are fitted at a time
_LEAST_LIGHT = 5.0  # noises of a frame: less is a lamp that was off
_REGION = 11  # px: clusters of dead pixels are smaller
_DIM_REACH = 3  # px: 49 pixels, whose median has a fifth of a pixel's noise
_PENUMBRA = 8  # px over which a stop out of focus lets light fade
PER_MICROMETRE = 1e-4
"""Steps of wavelength in the fit, so that slopes are of the order of responses."""


class FlatParams(Params):
    """Numbers of the detector flats."""

    robust: bool = Field(default=False, alias="robust_fit", description="Weigh outlying exposures down (Huber)")
    scale: float = Field(
        default=25.0, gt=4, description="Structure (px) of the lamps' light on the detector is not smaller than this"
    )
    low: float = Field(
        default=0.1, ge=0, alias="badpix_lowtolerance", description="Response below which a pixel is dead"
    )
    high: float = Field(
        default=10.0, gt=1, alias="badpix_uptolerance", description="Response above which a pixel is bad"
    )
    spread: float = Field(
        default=8.0, gt=3, description="Spreads of the responses off 1 beyond which a pixel is bad as well"
    )
    noisy: float = Field(
        default=4.0, gt=1, description="Significance (sigma) of excess scatter about the fit that makes a pixel noisy"
    )
    chi2: float = Field(
        default=50.0, gt=1, alias="badpix_chisqtolerance", description="Reduced chi-square of a bad pixel, in any case"
    )
    dim: float = Field(
        default=0.5, gt=0, lt=1, description="Share of the typical light below which a region is vignetted"
    )
    reference: float = Field(default=12500.0, gt=0, description="Wavelength of the super flat's response, Angstrom")


@dataclass(frozen=True)
class LampExposure:
    """A cleaned exposure of a lamp without dispersion.

    Parameters
    ----------
    wave : float, Angstrom
        Effective wavelength.
    """

    clean: CleanExposure
    wave: float


@dataclass(frozen=True)
class FlatFit:
    """What the fit of lamp exposures gives.

    Parameters
    ----------
    lamps : tuple of LampExposure
        Those that were used.
    fit : ResponseFit
        Slope per micrometre; offset from the dark.
    departure : array (y, x)
        What the faintest exposure has over the fit, relative to its light.
    amplifiers : array (x,)
    flags : int32 array (y, x)
    levels : tuple of float, electron
        Typical light of each exposure.
    bright : array (y, x), electron
        Smooth light of the brightest exposure.
    spread : float
        Standard deviation of the responses of good pixels, noise included.
    open_response : float or None
        Of the response on large scales, r.m.s. over the field, what the lamps leave open; None for a single lamp.
    caveats : tuple of str
    """

    lamps: tuple[LampExposure, ...]
    fit: ResponseFit
    departure: FloatArray
    amplifiers: FloatArray
    flags: IntArray
    levels: tuple[float, ...]
    bright: FloatArray
    spread: float
    open_response: float | None
    caveats: tuple[str, ...]


def fit_flat(lamps: Sequence[LampExposure], darks: Sequence[Master], detector: Detector, params: FlatParams) -> FlatFit:
    """Fit the responses of all pixels to all lamp exposures.

    Parameters
    ----------
    lamps : sequence of LampExposure
        Two levels of light tell response from offset by themselves; with one, the dark does.
    darks : sequence of Master
    detector : Detector
    params : FlatParams

    Raises
    ------
    MissingInput
        No dark.
    BadData
        No exposure, or no light in one.
    """
    lamps = sorted(lamps, key=lambda lamp: lamp.clean.exposure.name)
    inside = ~detector.dark()
    lamps, times, dark, caveats = _with_light(lamps, darks, inside)
    lights = [lamp.clean.data - dark.data * np.float32(time) for lamp, time in zip(lamps, times, strict=True)]
    typical = [float(np.median(light[inside])) for light in lights]
    vignetted = _vignetted(lights[int(np.argmax(typical))], inside, params.dim)
    good = inside & ~vignetted & (dark.flags & NOT_USABLE == 0)
    for light, level in zip(lights, typical, strict=True):
        good &= np.abs(light - level) < 0.7 * level
    amplifiers = _amplifiers(lamps, lights, good, detector, params.scale)
    lit = inside & ~vignetted
    surfaces = [_surface(light / amplifiers, good, params.scale) for light in lights]
    for light, surface in zip(lights, surfaces, strict=True):
        _fill(surface, light / amplifiers, vignetted & inside)
    fit = _fitted(lamps, (lights, surfaces, times), dark, good, params)
    flags, spread = _flags(fit, dark, good, (inside, lit), amplifiers, params)
    fit = _with_prior(fit, (inside, lit), amplifiers, spread)
    if len({lamp.wave for lamp in lamps}) > 1 and fit.slope_spread == 0:
        caveats = (*caveats, "no change of response with wavelength was found beyond the noise")
    least = int(np.argmin(typical))
    departure = _relative(lights[least] - np.float32(times[least]) * fit.offset, surfaces[least], fit.response)
    bright = surfaces[int(np.argmax(typical))]
    doubt = _open_response(lamps, typical, surfaces, lit)
    return FlatFit(tuple(lamps), fit, departure, amplifiers, flags, tuple(typical), bright, spread, doubt, caveats)


def _open_response(
    lamps: Sequence[LampExposure], typical: Sequence[float], surfaces: Sequence[FloatArray], lit: BoolArray
) -> float | None:
    """Return what the brightest exposures of all lamps leave open of the response on large scales."""
    brightest: dict[float, int] = {}
    for number, lamp in enumerate(lamps):
        if typical[number] > typical[brightest.setdefault(lamp.wave, number)]:
            brightest[lamp.wave] = number
    by_degree = open_response([surfaces[number] for number in brightest.values()], lit)
    return None if by_degree is None else float(np.sqrt(np.sum(by_degree**2)))


def _relative(light: FloatArray, surface: FloatArray, response: FloatArray) -> FloatArray:
    """Return what light (y, x) exceeds surface and response by, relative to the surface."""
    known = surface > 0
    return np.where(known, light / np.where(known, surface, np.float32(1.0)) - response, np.float32(0.0))


def _with_light(
    lamps: Sequence[LampExposure], darks: Sequence[Master], inside: BoolArray
) -> tuple[list[LampExposure], list[float], Master, tuple[str, ...]]:
    """Return exposures with light, their times over that of the dark, the dark, and what was left out.

    Raises
    ------
    BadData
        No exposure has light.
    """
    if not lamps:
        raise BadData("no lamp exposure for a detector flat", hint="take lamp flats without dispersion")
    dits = sorted(lamp.clean.dit for lamp in lamps)
    dit = dits[len(dits) // 2]
    dark, caveats = dark_for(darks, dit)
    kept, times, faint = [], [], ""
    for lamp in lamps:
        time = lamp.clean.dit / dit
        level = float(np.median((lamp.clean.data - np.float32(time) * dark.data)[inside]))
        if level > _LEAST_LIGHT * np.sqrt(lamp.clean.floor):
            kept.append(lamp)
            times.append(time)
        else:
            faint = f"{lamp.clean.exposure.name}: {level:.1f} electrons of lamp light in a typical pixel"
            caveats = (*caveats, f"{faint}; left out")
    if not kept:
        raise BadData(faint, hint="was the lamp on? Leave the frame out")
    return kept, times, dark, caveats


def _fitted(
    lamps: Sequence[LampExposure],
    scene: tuple[Sequence[FloatArray], Sequence[FloatArray], Sequence[float]],
    dark: Master,
    good: BoolArray,
    params: FlatParams,
) -> ResponseFit:
    """Fit all pixels, some rows at a time: ten exposures of four million pixels and their weights fill a gigabyte.

    ``scene`` is the light of each exposure, its smooth part, and its time over that of the dark.
    """
    lights, surfaces, times = scene
    nothing = np.zeros_like(dark.data)  # the dark is subtracted already, its error is left

    def part(rows: slice, spread: float | None) -> ResponseFit:
        return fit_responses(
            [light[rows] for light in lights],
            [_noise(lamp.clean, surface, dark, rows) for lamp, surface in zip(lamps, surfaces, strict=True)],
            [surface[rows] for surface in surfaces],
            [(lamp.wave - params.reference) * PER_MICROMETRE for lamp in lamps],
            times=times,
            dark=(nothing[rows], dark.variance[rows]),
            typical=good[rows],
            slope_spread=spread,
            robust=params.robust,
        )

    sample = part(slice(None, None, _SAMPLE), None)
    parts = [part(slice(a, a + _BLOCK), sample.slope_spread) for a in range(0, good.shape[0], _BLOCK)]
    return ResponseFit(
        offset=np.concatenate([one.offset for one in parts]),
        response=np.concatenate([one.response for one in parts]),
        slope=np.concatenate([one.slope for one in parts]),
        variance=np.concatenate([one.variance for one in parts]),
        slope_variance=np.concatenate([one.slope_variance for one in parts]),
        covariance=np.concatenate([one.covariance for one in parts]),
        chi2=np.concatenate([one.chi2 for one in parts]),
        slope_spread=sample.slope_spread,
        freedom=sample.freedom,
    )


def _noise(clean: CleanExposure, surface: FloatArray, dark: Master, rows: slice) -> FloatArray:
    """Return the variance (y, x) that rows of an exposure should have; infinite where they cannot be used."""
    expected = clean.noise(surface[rows] + np.maximum(dark.data[rows], 0.0))
    return np.where(clean.flags[rows] & NOT_USABLE == 0, expected, np.float32(np.inf))


def _vignetted(light: FloatArray, inside: BoolArray, dim: float) -> BoolArray:
    """Find regions without the lamp's light: most pixels around are dim, which no cluster of dead ones is."""
    low = inside & (light < dim * float(np.median(light[inside])))
    around = ndimage.uniform_filter(low.astype(np.float32), _REGION)
    region = ndimage.binary_propagation(around > 0.5, mask=low)
    return np.asarray(ndimage.binary_dilation(region, iterations=_PENUMBRA))


def _with_prior(
    fit: ResponseFit, seen: tuple[BoolArray, BoolArray], amplifiers: FloatArray, spread: float
) -> ResponseFit:
    """Draw the responses of vignetted pixels towards their amplifier's, as far as they are worse known than alike.

    ``seen`` is as in `_flags`; reference pixels get their amplifier's.
    """
    inside, lit = seen
    share = np.where(lit, np.float32(1.0), np.float32(spread**2) / (np.float32(spread**2) + fit.variance))
    known = np.isfinite(share) & (fit.variance > 0) & inside
    share = np.where(known, share, np.float32(0.0))
    return replace(
        fit,
        response=np.where(known, amplifiers + share * (fit.response - amplifiers), amplifiers),
        variance=np.where(known, share * fit.variance, np.float32(spread**2)),
        slope=np.where(lit & known, fit.slope, np.float32(0.0)),
        slope_variance=np.where(lit & known, fit.slope_variance, np.float32(fit.slope_spread**2)),
        covariance=np.where(lit & known, fit.covariance, np.float32(0.0)),
    )


def _surface(light: FloatArray, good: BoolArray, scale: float) -> FloatArray:
    """Return the smooth part of the light of an exposure (y, x), electron; 0 where none can be told."""
    surface = smooth_surface(light, good.astype(np.float32), scale)
    return np.maximum(np.nan_to_num(surface), 0.0)


def _fill(surface: FloatArray, light: FloatArray, where: BoolArray) -> None:
    """Put the median of the pixels around in place of a surface: light ends in steps there, which medians keep."""
    y, x = np.nonzero(where)
    padded = np.pad(light, _DIM_REACH, mode="reflect")
    side = 2 * _DIM_REACH + 1
    around = np.stack([padded[y + j, x + i] for j in range(side) for i in range(side)])
    surface[y, x] = np.maximum(np.median(around, axis=0), 0.0) if y.size else 0.0


def _amplifiers(
    lamps: Sequence[LampExposure], lights: Sequence[FloatArray], good: BoolArray, detector: Detector, scale: float
) -> FloatArray:
    """Return the relative gain of each column, of all exposures together."""
    outputs = [(amplifier.data.x0, amplifier.data.x1) for amplifier in detector.amplifiers]
    total, weight = np.zeros(good.shape[1]), np.zeros(good.shape[1])
    for lamp, light in zip(lamps, lights, strict=True):
        ratio = light / smooth_surface(light, good.astype(np.float32), scale)
        level = float(np.median(light[good]))
        worth = level**2 / (lamp.clean.floor + level / lamp.clean.count)  # inverse variance of a ratio
        kept = good & (np.abs(ratio - 1.0) < 0.5)
        total += worth * np.where(kept, ratio, 0.0).sum(axis=0, dtype=float)
        weight += worth * kept.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(amplifier_pattern(total / weight, outputs), np.float32)


def _flags(
    fit: ResponseFit,
    dark: Master,
    good: BoolArray,
    seen: tuple[BoolArray, BoolArray],
    amplifiers: FloatArray,
    params: FlatParams,
) -> tuple[IntArray, float]:
    """Flag dead, odd, noisy and unlit pixels; return the spread of the others' responses too.

    ``seen`` are the pixels with photodiode, and those of them that the lamps light.
    """
    inside, lit = seen
    own = fit.response / amplifiers
    spread = clipped_moments(own[good])[1]
    odd = np.abs(own - 1.0) > params.spread * np.sqrt(spread**2 + fit.variance)
    dead = (own < params.low) | (own > params.high)
    # chi-square of f degrees: its cube root is nearly Gaussian (Wilson & Hilferty 1931)
    width = 2.0 / (9.0 * max(fit.freedom, 1.0))
    typical = typical_chi2(fit, good)  # an error of the noise model is common to all
    pull = (np.cbrt(fit.chi2 / max(typical, 1.0)) - (1.0 - width)) / np.sqrt(width)
    noisy = (pull > params.noisy) | (fit.chi2 > params.chi2)
    # where little light came, only what is surely dead is told
    dark_dead = (own < 0.5) & (1.0 - own > 5.0 * np.sqrt(fit.variance)) & (fit.variance > 0)
    flags = np.where(inside & np.where(lit, odd | dead | noisy, dark_dead), int(Flag.BAD_PIXEL), 0)
    flags |= np.where(lit, 0, int(Flag.NOT_ILLUMINATED)) | dark.flags
    return flags.astype(np.int32), spread


def typical_chi2(fit: ResponseFit, good: BoolArray) -> float:
    """Reduced chi-square of the typical pixel: the median over that of the distribution."""
    return float(np.median(fit.chi2[good])) / (1.0 - 2.0 / (9.0 * max(fit.freedom, 1.0))) ** 3
