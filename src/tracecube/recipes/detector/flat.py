"""Detector flats: the response of each pixel to the light of one lamp, and to any wavelength from all lamps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracecube.core.detector import Detector
from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.flags import Flag
from tracecube.core.pixels import DetectorFlat, Master
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs
from tracecube.recipes.detector.array import noise_numbers
from tracecube.recipes.detector.flat_fit import (
    PER_MICROMETRE,
    FlatFit,
    FlatParams,
    LampExposure,
    fit_flat,
    typical_chi2,
)
from tracecube.recipes.detector.flat_linearity import nonlinearity_numbers

__all__ = ["LampFlat", "SuperFlat", "lamp_flat", "super_flat"]


@dataclass(frozen=True, kw_only=True)
class LampFlat(Outputs):
    """Flat of one lamp, the pattern of the amplifiers and the light on the detector apart."""

    lamp_flat: Master
    amplifier_flat: Master
    large_scale_flat: Master
    non_linear_pixels: Master


@dataclass(frozen=True, kw_only=True)
class SuperFlat(Outputs):
    """Flat against wavelength."""

    detector_flat: DetectorFlat


def _numbers(found: FlatFit, noise_range: tuple[float, float]) -> tuple[QualityNumber, ...]:
    """Quality numbers that all flats share."""
    lamps = found.lamps
    first = lamps[0].clean
    level = np.array(found.levels)
    good = found.flags == 0
    gain = first.exposure.gain
    columns = found.amplifiers
    return (
        *noise_numbers([lamp.clean for lamp in lamps], noise_range),
        QualityNumber("LAMP FLUX AVG", float(np.mean(level)) / first.dit, "electron/s"),
        QualityNumber("LAMP ADU AVG", float(np.mean(level)) / gain, "adu"),
        QualityNumber("LAMP FLUX VARIANCE", float(np.var(level / first.dit)), "electron**2/s**2"),
        QualityNumber("NUM BADPIXELS", float((found.flags & int(Flag.BAD_PIXEL) != 0).sum()), high=0.05 * good.size),
        QualityNumber("RMS", found.spread),
        QualityNumber("FPN", float(np.sqrt(max(found.spread**2 - float(np.median(found.fit.variance[good])), 0.0)))),
        QualityNumber("CHI2", typical_chi2(found.fit, good), low=0.7, high=1.3),
        QualityNumber("PREAMP CORR MEAN", float(np.mean(columns))),
        QualityNumber("PREAMP CORR MEDIAN", float(np.median(columns))),
        QualityNumber("PREAMP CORR RMS", float(np.std(columns))),
    )


def lamp_flat(
    lamps: Sequence[LampExposure],
    darks: Sequence[Master],
    detector: Detector,
    params: FlatParams,
    *,
    noise_range: tuple[float, float],
) -> LampFlat:
    """Make the flat of one lamp: slope of each pixel's signal over the illumination.

    Raises
    ------
    MissingInput, BadData
        As `fit_flat`.
    """
    found = fit_flat(lamps, darks, detector, params)
    lamps = found.lamps
    fit = found.fit
    caveats = found.caveats
    if len(lamps) < 2:
        caveats = (*caveats, "a single level of light: linearity is not tested")
    numbers = (*_numbers(found, noise_range), *nonlinearity_numbers(found, darks))
    meta = {**lamps[0].clean.exposure.meta, "BUNIT": "", "LAMPWAVE": lamps[0].wave}
    count = np.full(fit.response.shape, float(sum(lamp.clean.count for lamp in lamps)), np.float32)
    zero = np.zeros_like(fit.response)
    rows = np.broadcast_to(found.amplifiers, fit.response.shape).astype(np.float32)
    good = np.zeros(fit.response.shape, np.int32)

    def master(data: FloatArray, flags: IntArray, variance: FloatArray, unit: str = "") -> Master:
        rms = np.sqrt(variance * count).astype(np.float32)
        return Master(data, flags, rms, count, variance, {**meta, "BUNIT": unit})

    return LampFlat(
        lamp_flat=master(fit.response, found.flags, fit.variance),
        amplifier_flat=master(rows, good, zero),
        large_scale_flat=master(found.bright, good, zero, "electron"),
        non_linear_pixels=master(found.departure, found.flags, fit.variance),
        quality=numbers,
        caveats=caveats,
    )


def super_flat(
    lamps: Sequence[LampExposure],
    darks: Sequence[Master],
    detector: Detector,
    params: FlatParams,
    *,
    noise_range: tuple[float, float],
) -> SuperFlat:
    """Make the flat against wavelength from the exposures of all lamps.

    Raises
    ------
    MissingInput, BadData
        As `fit_flat`.
    """
    found = fit_flat(lamps, darks, detector, params)
    lamps = found.lamps
    fit = found.fit
    waves = sorted({lamp.wave for lamp in lamps})
    level = [max(v for v, lamp in zip(found.levels, lamps, strict=True) if lamp.wave == w) for w in waves]
    caveats = found.caveats
    if len(waves) < 2:
        caveats = (*caveats, f"one lamp only ({waves[0] * 1e-4:.3f} um): the response is taken as grey")
    flat = DetectorFlat(
        data=fit.response,
        flags=found.flags,
        slope=fit.slope * np.float32(PER_MICROMETRE),
        variance=fit.variance,
        slope_variance=fit.slope_variance * np.float32(PER_MICROMETRE**2),
        covariance=fit.covariance * np.float32(PER_MICROMETRE),
        amplifiers=np.broadcast_to(found.amplifiers, fit.response.shape).astype(np.float32),
        chi2=fit.chi2,
        wave=np.array(waves),
        level=np.array(level),
        reference=params.reference,
        open_response=found.open_response,
        meta=lamps[0].clean.exposure.meta,
    )
    numbers = (
        *_numbers(found, noise_range),
        QualityNumber("FLAT ERROR", float(np.sqrt(np.median(fit.variance[found.flags == 0])))),
        QualityNumber("FLAT SLOPE RMS", fit.slope_spread, "1/um"),
        QualityNumber("N LAMPS", float(len(waves))),
    )
    if found.open_response is not None:
        numbers = (*numbers, QualityNumber("RESPONSE OPEN", found.open_response))
    return SuperFlat(detector_flat=flat, quality=numbers, caveats=caveats)
