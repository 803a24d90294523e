"""The sky of an exposure taken off fibres, on the pixels they were measured with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.polynomial import legendre

from tracecube.core.errors import BadData
from tracecube.core.fibre_light import SkyModel
from tracecube.core.fibres import FibreSpectra
from tracecube.core.fields import FloatArray
from tracecube.core.flags import Flag
from tracecube.kernels.common_spectrum import CommonSpectrum, evaluate
from tracecube.kernels.robust import known_median
from tracecube.recipes.sky.fibre_throughput import rows_of
from tracecube.recipes.sky.sky_errors import sky_variance
from tracecube.recipes.sky.sky_fibres import LOW, excess_width

__all__ = ["scaled", "series_along", "subtract_sky"]


def scaled(wave: FloatArray, grid: FloatArray) -> FloatArray:
    """Wavelengths from -1 to 1 between the ends of a grid."""
    return np.asarray((2.0 * wave - grid[0] - grid[-1]) / (grid[-1] - grid[0]))


def series_along(wave: FloatArray, series: FloatArray, grid: FloatArray) -> FloatArray:
    """Legendre series (d,), or one a fibre (n, d), at wavelengths (n, m)."""
    terms = np.moveaxis(np.atleast_2d(series), 1, 0)[:, :, None]
    return np.asarray(legendre.legval(scaled(wave, grid), terms, tensor=False))


def subtract_sky(
    spectra: FibreSpectra, throughput: FloatArray, model: SkyModel, error: FloatArray | float = 0.0
) -> FibreSpectra:
    """Take the sky off fibres, divided by throughput and illumination, at wavelengths with the exposure's shift.

    The variance holds what is unknown of the sky itself, and what an error of the throughput leaves of the sky.

    Parameters
    ----------
    spectra : FibreSpectra
        Of the exposure of the model, electrons a pixel.
    throughput : array (n, m)
    model : SkyModel
    error : array (n, m)
        Relative error of the throughput.

    Raises
    ------
    BadData
        The model knows none of these fibres.
    """
    rows = rows_of(model, spectra)
    if (rows < 0).any():
        raise BadData(f"sky: unit {spectra.unit[0]} is none of the exposure's", hint="subtract its own sky")
    step = np.gradient(spectra.wave, axis=1)
    wave = spectra.wave + model.shift[rows][:, None]
    with np.errstate(invalid="ignore"):
        lost = ~(np.isfinite(throughput) & (throughput > LOW)) | (spectra.dq != 0)[:, None]
    lost |= (spectra.flags != 0) | ~np.isfinite(spectra.flux) | ~(spectra.variance > 0)
    excess = excess_width(spectra.wave, spectra.lsf_sigma, np.stack([model.wave, model.sigma]))
    common = CommonSpectrum(model.first, model.step, np.asarray(model.coefficients, np.float64))
    excess = np.where(lost, 0.0, excess)
    sky = np.nan_to_num(evaluate(common, wave, excess)[0]) * step
    error = np.where(lost, 0.0, error)
    # the noise of a fibre that the sky was found from is in the sky, too
    own = np.where(model.blank[rows] == 1, -1.0, 1.0)[:, None]
    ground, known = model.ground[rows], np.where(own[:, 0] < 0, -1.0, 1.0) * model.ground_error[rows] ** 2
    shares = own * sky_variance(model, wave, excess) * step**2 + (error * sky) ** 2
    lost |= ~np.isfinite(shares)
    tint = series_along(spectra.wave, np.asarray(model.colour, np.float64)[rows], np.asarray(model.wave, np.float64))
    factor = np.where(lost, 1.0, throughput * model.light[rows][:, None] * tint)
    before = 0.0 if spectra.ground_error is None else np.asarray(spectra.ground_error)[:, None] ** 2
    beneath = np.where(
        model.ground_error[rows][:, None] > 0, spectra.variance - before + known[:, None], spectra.variance
    )
    shared = np.where(lost | np.roll(lost, -1, axis=0), 0.0, spectra.blend / (factor * np.roll(factor, -1, axis=0)))
    flags = spectra.flags | np.where(lost & (spectra.flags == 0), int(Flag.NOT_MEASURED), 0).astype(np.int32)
    dim = known_median(np.where(lost, np.nan, throughput), axis=1)
    return replace(
        spectra,
        flux=((spectra.flux - ground[:, None]) / factor - sky).astype(np.float32),
        variance=_with_shares(beneath / factor**2, np.where(lost, 0.0, shares)),
        blend=shared.astype(np.float32),
        flags=flags,
        wave=wave,
        sky=sky.astype(np.float32),
        box=None if spectra.box is None else (spectra.box / factor - sky).astype(np.float32),
        throughput=np.nan_to_num(dim * model.light[rows]),
        level_error=np.nan_to_num(known_median(np.where(lost, np.nan, error), axis=1)),
    )


def _with_shares(variance: FloatArray, shares: FloatArray) -> FloatArray:
    """Variance with what the sky adds or takes; a sample that alone tells of the sky keeps a tenth of its own."""
    return np.asarray(np.maximum(variance + shares, 0.1 * variance), np.float32)
