"""Linearity and gain of an array, from exposures of a steady lamp with different integration times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field

from tracecube.core.detector import Detector
from tracecube.core.errors import BadData
from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.params import Params
from tracecube.core.pixels import BadPixels, GainMap, Linearity, Master
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs
from tracecube.recipes.detector.array import CleanExposure, noise_numbers
from tracecube.recipes.detector.dark import dark_for
from tracecube.recipes.detector.output_gains import output_gains

__all__ = ["GainParams", "MeasuredLinearity", "measure_linearity"]

_LEVELS = 31  # samples of the curve: straight lines between them miss a parabola of 2 per cent by 1e-5


class GainParams(Params):
    """Numbers of the measurement of linearity and gain."""

    order: int = Field(
        default=2,
        ge=2,
        le=4,
        alias="order",
        description="Order of the polynomial counts(light): 2 is a loss that grows with the signal",
    )
    tolerance: float = Field(
        default=0.05, gt=0, description="Departure of a pixel's linearity from the common one that is worth a flag"
    )
    clip: float = Field(default=5.0, gt=0, description="Noises that such a departure must have")
    span: float = Field(default=3.0, gt=1, description="Least ratio of the brightest to the faintest exposure")


@dataclass(frozen=True, kw_only=True)
class MeasuredLinearity(Outputs):
    """Linearity of the detector, the pixels that do not share it, and the gains of the outputs."""

    linearity: Linearity
    non_linear_pixels: BadPixels
    gain_map: GainMap


def measure_linearity(
    exposures: Sequence[CleanExposure],
    darks: Sequence[Master],
    detector: Detector,
    params: GainParams,
    *,
    noise_range: tuple[float, float],
) -> MeasuredLinearity:
    """Measure how counts grow with the light of a steady lamp.

    The rate of counts, signal over integration time, would be constant were the detector linear and the lamp
    steady; a polynomial in the signal describes its fall, the scatter about it the lamp's flicker, which so enters
    the error. Differences of exposures of one time give the gains (`output_gains`).

    Parameters
    ----------
    exposures : sequence of CleanExposure
        Not corrected for linearity.
    darks : sequence of Master
    detector : Detector
    params : GainParams
    noise_range : (float, float)
        Unremarkable range of the read noise, electron.

    Raises
    ------
    MissingInput
        No dark.
    BadData
        Fewer exposures than the polynomial needs, or levels that are too much alike.
    """
    ordered = sorted(exposures, key=lambda one: (one.dit, one.exposure.name))
    if len(ordered) < params.order + 2:
        raise BadData(
            f"{len(ordered)} lamp exposures: {params.order + 2} are needed for linearity of order {params.order}",
            hint="take more levels of a steady lamp, two of each",
        )
    dark, _ = dark_for(darks, ordered[0].dit)
    good = ~detector.dark() & (dark.flags & NOT_USABLE == 0)
    good &= np.bitwise_or.reduce([one.flags for one in ordered]) & NOT_USABLE == 0
    lights = [one.data - dark.data * np.float32(one.dit / ordered[0].dit) for one in ordered]
    signal = np.array([float(np.median(light[good])) for light in lights])
    if not signal.min() > 0 or signal.max() < params.span * signal.min():
        raise BadData(
            f"{ordered[0].exposure.name}: lamp signals from {signal.min():.0f} to {signal.max():.0f} electrons",
            hint=f"levels must span a factor {params.span:g}: vary the integration time",
        )
    linearity, worst = _curve(signal, np.array([one.dit for one in ordered]), ordered[0].exposure.gain, params.order)
    bad = _departing(ordered, lights, signal, good, params)
    assumed, gains = ordered[0].exposure.gain, output_gains(ordered, lights, good, detector, linearity)
    gain, error = (assumed * number for number in gains.mean())
    flag = int(Flag.NON_LINEAR | Flag.BAD_PIXEL)
    flags = np.where(bad, flag, 0).astype(np.int32)
    others = [q for q in noise_numbers(ordered, noise_range) if q.name != "GAIN"]
    numbers = (
        *others,
        QualityNumber("GAIN", gain, "electron/adu"),
        QualityNumber("GAIN ERROR", error, "electron/adu"),
        QualityNumber("GAIN RMS", assumed * gains.spread(), "electron/adu"),
        QualityNumber("NONLINEARITY", float(linearity.factor[-1] - 1.0)),
        QualityNumber("NONLINEARITY ERROR", float(linearity.variance[-1] ** 0.5)),
        QualityNumber("RATE SCATTER", worst, high=0.01),
        QualityNumber("NUM BADPIXELS", float(bad.sum())),
    )
    meta = ordered[0].exposure.meta
    caveats = () if np.isfinite(gain) else ("no two exposures of one integration time: the gain is not measured",)
    return MeasuredLinearity(
        linearity=Linearity(linearity.level, linearity.factor, linearity.variance, meta),
        non_linear_pixels=BadPixels(flags, meta),
        gain_map=replace(gains.drawn(detector, assumed, bad, flag), meta={**meta, "BUNIT": "electron/adu"}),
        quality=numbers,
        caveats=caveats,
    )


def _curve(signal: FloatArray, dit: FloatArray, gain: float, order: int) -> tuple[Linearity, float]:
    """Fit the rate against the signal; return the curve up to the brightest level, and the scatter of the rate."""
    scale = float(signal.max())
    design = np.vander(signal / scale, order, increasing=True)
    rate = signal / dit
    weight = 1.0 / rate.mean()
    solution, *_ = np.linalg.lstsq(design * weight, rate * weight, rcond=None)
    scatter = float(np.sqrt(np.sum(((rate - design @ solution) * weight) ** 2) / (signal.size - order)))
    covariance = np.linalg.inv((design * weight).T @ (design * weight)) * scatter**2
    level = np.linspace(0.0, scale, _LEVELS)
    at = np.vander(level / scale, order, increasing=True)
    seen = at @ solution
    factor = solution[0] / seen
    # derivative of solution[0] / (at @ solution) by the coefficients
    slope = -factor[:, None] * at / seen[:, None]
    slope[:, 0] += 1.0 / seen
    variance = np.einsum("ij,jk,ik->i", slope, covariance, slope)
    return Linearity(level / gain, factor, variance), scatter


def _departing(
    ordered: Sequence[CleanExposure],
    lights: Sequence[FloatArray],
    signal: FloatArray,
    good: BoolArray,
    params: GainParams,
) -> BoolArray:
    """Pixels whose bright exposures are not as many times brighter than the faint ones as others' are."""
    middle = float(np.sqrt(signal.min() * signal.max()))
    ratio, variance = [], []
    for chosen in (signal >= middle, signal < middle):
        total = float(signal[chosen].sum())
        ratio.append(sum(light for light, take in zip(lights, chosen, strict=True) if take) / np.float32(total))
        noise = sum(float(one.noise(s).item()) for one, s, take in zip(ordered, signal, chosen, strict=True) if take)
        variance.append(noise / total**2)
    bright, faint = ratio
    departure = np.where(good & (faint > 0), bright / np.where(faint > 0, faint, 1.0) - 1.0, 0.0)
    limit = max(params.tolerance, params.clip * float(np.sqrt(sum(variance))))
    return np.asarray(good & (np.abs(departure - np.median(departure[good])) > limit))
