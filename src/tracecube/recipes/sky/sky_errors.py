"""What the sky's subtraction adds to the error of a spectrum, and how well residuals agree with errors.

Shared terms: the error of the sky itself is the same for all fibres at a wavelength, those of a fibre's throughput and
of the ground beneath it are the same along its spectrum. All are in the variance of the samples; who adds samples up
must know that they do not average out, for which the correlation of any two is kept beside each fibre.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.polynomial import chebyshev

from tracecube.core.fibre_light import FibreThroughput, SkyModel
from tracecube.core.fibres import FibreSpectra, sum_variance
from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.quality import QualityNumber
from tracecube.kernels.spline_error import spline_covariance, spline_variance
from tracecube.recipes.sky.sky_fibres import SkyFibres

__all__ = ["series_covariance", "sky_covariance", "sky_pulls", "sky_variance", "throughput_error"]

_FAR = 6.0  # standard deviations beyond which a residual is no noise
_SUM = 64  # samples of a sum along a spectrum
_TOLERANCE = 0.05  # by which the width of pulls may differ from 1


def series_covariance(fibres: SkyFibres, model: FloatArray, clean: BoolArray, degree: int) -> FloatArray:
    """Covariance (n, d * d) of the Chebyshev series of fibres' factors on a common spectrum; infinite without light.

    Parameters
    ----------
    fibres : SkyFibres
    model : array (n, m)
        What a factor of 1 gives.
    clean : bool array (n, m)
    degree : int
    """
    basis: FloatArray = chebyshev.chebvander(np.linspace(-1.0, 1.0, model.shape[1]), degree)
    weight = np.where(clean, fibres.ivar, 0.0) * np.asarray(model, float) ** 2
    matrix = np.einsum("nm,mj,mk->njk", weight, basis, basis, optimize=True)
    lit = np.asarray(weight.sum(axis=1) > 0)
    found: FloatArray = np.full(matrix.shape, np.inf)
    found[lit] = np.linalg.pinv(matrix[lit], hermitian=True)
    return found.reshape(len(matrix), -1)


def throughput_error(found: FibreThroughput, rows: IntArray, samples: int) -> FloatArray:
    """Relative error (n, samples) of the throughput of the fibres in some rows of a table."""
    series = found.coefficients[rows]
    basis = chebyshev.chebvander(np.linspace(-1.0, 1.0, samples), series.shape[1] - 1)
    covariance = found.covariance[rows].reshape(len(rows), series.shape[1], -1)
    known = np.asarray(np.isfinite(covariance).all(axis=(1, 2)))
    covariance = np.where(known[:, None, None], covariance, 0.0)
    variance = np.sum((basis @ covariance) * basis, axis=2)
    value = series @ basis.T
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(np.maximum(variance, 0.0)) / np.abs(value)
    return np.where(known[:, None] & np.isfinite(error), error, np.inf)


def sky_covariance(
    fibres: Sequence[SkyFibres], parts: Iterable[tuple[FloatArray, FloatArray]], first: float, step: float, n: int
) -> FloatArray:
    """Covariance (n, 4) of each coefficient of a common spectrum with itself and its next three.

    Parameters
    ----------
    parts : iterable of (scale, weight), arrays (n, m)
        As of the fit, one a detector.
    first, step : float, Angstrom
        Knots.
    n : int
        Coefficients.
    """
    samples = ((one.shifted, scale, one.excess, weight) for one, (scale, weight) in zip(fibres, parts, strict=True))
    return spline_covariance(samples, first, step, n)


def sky_variance(model: SkyModel, wave: FloatArray, excess: FloatArray) -> FloatArray:
    """Variance of the sky at wavelengths, as samples with an ``excess`` width see it; (electron / Angstrom)**2."""
    return spline_variance(np.asarray(model.covariance, np.float64), wave, excess, model.first, model.step)


def sky_pulls(all_spectra: Sequence[FibreSpectra], blank: Sequence[BoolArray]) -> tuple[QualityNumber, ...]:
    """Width of residuals over errors in fibres that see the sky alone, amplifier by amplifier; that of sums of many.

    Parameters
    ----------
    all_spectra : sequence of FibreSpectra
        Less their sky.
    blank : sequence of bool array (n,)
    """
    found: dict[str, list[FloatArray]] = {}
    sums: list[FloatArray] = []
    for one, free in zip(all_spectra, blank, strict=True):
        good = (one.flags == 0) & (one.variance > 0) & free[:, None]
        pull = one.flux / np.sqrt(np.where(good, one.variance, 1.0))
        sums.append(_sum_pulls(one, good & (np.abs(pull) < _FAR), free))
        for amp in np.unique(one.amp):
            own = (one.amp == amp)[:, None] & good & (np.abs(pull) < _FAR)
            found.setdefault(f"{int(one.ifuslot[0]):03d}{str(amp).strip()}", []).append(pull[own])
    low, high = 1.0 - _TOLERANCE, 1.0 + _TOLERANCE
    widths = {name: np.concatenate(pulls) for name, pulls in sorted(found.items())}
    each = [
        QualityNumber(f"SKY PULL {name}", float(pull.std()), "", low=low, high=high)
        for name, pull in widths.items()
        if pull.size
    ]
    binned = np.concatenate(sums) if sums else np.zeros(0)
    wide = [QualityNumber("SKY SUM PULL", float(binned.std()), "", low=0.95, high=1.05)] if binned.size else []
    return (*each, *wide)


def _sum_pulls(spectra: FibreSpectra, good: BoolArray, free: BoolArray) -> FloatArray:
    """Sums of `_SUM` samples of blank fibres, over their errors."""
    correlation = np.zeros(len(free)) if spectra.correlation is None else np.asarray(spectra.correlation)
    pulls = []
    for start in range(0, spectra.flux.shape[1] - _SUM + 1, _SUM):
        part = slice(start, start + _SUM)
        weight = good[:, part].astype(float)
        rows = free & (weight.sum(axis=1) > 0.5 * _SUM)
        variance = sum_variance(spectra.variance[rows, part], weight[rows], correlation[rows])
        total = np.sum(weight[rows] * np.where(good[rows, part], spectra.flux[rows, part], 0.0), axis=1, dtype=float)
        pulls.append(total / np.sqrt(variance))
    return np.concatenate(pulls) if pulls else np.zeros(0)
