"""The sky of an exposure taken off fibres, on the pixels they were measured with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.polynomial import legendre

from tracecube.core.errors import BadData
from tracecube.core.fibre_light import SkyModel
from tracecube.core.fibres import FibreSpectra
from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.flags import Flag
from tracecube.kernels.common_spectrum import CommonSpectrum, evaluate
from tracecube.kernels.robust import known_median
from tracecube.recipes.sky.fibre_throughput import rows_of
from tracecube.recipes.sky.sky_errors import sky_variance
from tracecube.recipes.sky.sky_fibres import LOW, excess_width

__all__ = ["scaled", "series_along", "subtract_sky"]

_OWN = 0.1  # of the variance, that a sample or a sum keeps which alone tells of the sky or the ground


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
    noise = sky_variance(model, wave, excess) * step**2
    lost |= ~np.isfinite(noise) | ~np.isfinite(error)
    tint = series_along(spectra.wave, np.asarray(model.colour, np.float64)[rows], np.asarray(model.wave, np.float64))
    factor = np.where(lost, 1.0, throughput * model.light[rows][:, None] * tint)
    error = np.where(lost, 0.0, error)
    variance, correlation = _uncertain(spectra, model, rows, (factor, np.where(lost, 0.0, noise), error * sky), lost)
    shared = np.where(lost | np.roll(lost, -1, axis=0), 0.0, spectra.blend / (factor * np.roll(factor, -1, axis=0)))
    flags = spectra.flags | np.where(lost & (spectra.flags == 0), int(Flag.NOT_MEASURED), 0).astype(np.int32)
    dim = known_median(np.where(lost, np.nan, throughput), axis=1)
    ground = model.ground[rows]
    within = ground if spectra.box_ground is None else ground * spectra.box_ground
    return replace(
        spectra,
        flux=((spectra.flux - ground[:, None]) / factor - sky).astype(np.float32),
        variance=variance,
        blend=shared.astype(np.float32),
        flags=flags,
        wave=wave,
        sky=sky.astype(np.float32),
        box=None if spectra.box is None else ((spectra.box - within[:, None]) / factor - sky).astype(np.float32),
        throughput=np.nan_to_num(dim * model.light[rows]),
        level_error=np.nan_to_num(known_median(np.where(lost, np.nan, error), axis=1)),
        ground_error=_ground_error(spectra, model, rows),
        correlation=correlation,
    )


def _uncertain(
    spectra: FibreSpectra,
    model: SkyModel,
    rows: IntArray,
    parts: tuple[FloatArray, FloatArray, FloatArray],
    lost: BoolArray,
) -> tuple[FloatArray, FloatArray]:
    """Variance (n, m) of what is left, and the correlation (n,) of any two samples of a fibre.

    Parameters
    ----------
    parts : (array (n, m), array (n, m), array (n, m))
        What fluxes are divided by, variance of the sky, and error of the throughput times the sky.
    """
    factor, noise, level = parts
    # the noise of a fibre that sky or ground were found from is in them, too
    own, told = (np.where(one[rows] == 1, -1.0, 1.0)[:, None] for one in (model.blank, model.told))
    before = 0.0 if spectra.ground_error is None else spectra.ground_error[:, None] ** 2
    ground = told * _ground_error(spectra, model, rows)[:, None] ** 2
    variance = _with_shares((spectra.variance - before) / factor**2, own * noise + ground / factor**2 + level**2)
    ends = [np.where(lost, 0.0, part).sum(axis=1) for part in (1.0 / factor, level, np.sqrt(np.maximum(variance, 0.0)))]
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = (ground[:, 0] * ends[0] ** 2 + ends[1] ** 2) / ends[2] ** 2
    # with no more than this, a sum keeps its share whatever its weights: (sum w s)**2 <= m sum (w s)**2
    least = -(1.0 - _OWN) / max(variance.shape[1] - 1, 1)
    return variance, np.maximum(np.nan_to_num(correlation), least)


def _ground_error(spectra: FibreSpectra, model: SkyModel, rows: IntArray) -> FloatArray:
    """Error of the ground (n,), electron a sample: as it was found, or as stated before where none was."""
    stated = np.zeros(len(rows)) if spectra.ground_error is None else spectra.ground_error
    found = model.ground_error[rows]
    return np.asarray(np.where(found > 0, found, stated))


def _with_shares(variance: FloatArray, shares: FloatArray) -> FloatArray:
    """Variance with what the sky adds or takes; a sample that alone tells of the sky keeps some of its own."""
    return np.asarray(np.maximum(variance + shares, _OWN * variance), np.float32)
