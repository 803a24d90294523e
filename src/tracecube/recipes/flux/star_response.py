"""What one standard star says of the response: a smooth curve and the depth of the telluric bands.

The star's counts are modelled, not divided: reference, extinction and telluric bands are multiplied
at the resolution of the tables, then seen through the line-spread function and the sampling, then
multiplied by a smooth response. Nothing is fitted to a quotient of noisy numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData
from tracecube.core.flags import Flag
from tracecube.kernels.atmosphere import broadening_matrix, extinction_transmission
from tracecube.recipes.flux.standards import Reference
from tracecube.recipes.flux.telluric import Absorbers

__all__ = ["Observation", "Smoothness", "StarResponse", "fit_star"]

F8 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]
MARGIN = 300.0  # Angstrom beyond the samples, six widths of the broadest line-spread function


@dataclass(frozen=True)
class Observation:
    """A star as observed.

    Parameters
    ----------
    wave : array (m,), Angstrom
    rate, variance, covariance : array (m,), electron / (s Angstrom)
    good : bool array (m,)
    lsf_sigma : array (m,), Angstrom
    airmass : float
    reference : Reference
    """

    wave: Floats
    rate: Floats
    variance: Floats
    covariance: Floats
    good: NDArray[np.bool_]
    lsf_sigma: Floats
    airmass: float
    reference: Reference


@dataclass(frozen=True)
class Smoothness:
    """How smooth a response is, and how far references are trusted.

    Parameters
    ----------
    knots : float, Angstrom
        Distance of the knots of the spline.
    line_error : float
        Error of reference and line-spread function inside lines, relative to the depth of the line.
    floor : float
        Relative error of the reference in the continuum, sample by sample.
    """

    knots: float
    line_error: float
    floor: float


@dataclass(frozen=True)
class StarResponse:
    """Smooth response of one star.

    Parameters
    ----------
    log_response, variance : array (m,)
        Natural logarithm of (electron / (s Angstrom)) / (erg / (s cm2 Angstrom)), and its variance.
    flags : int32 array (m,)
    depth, depth_error : array (a,)
    scatter : float
        Relative scatter of the samples about the fit.
    """

    log_response: F8
    variance: F8
    flags: NDArray[np.int32]
    depth: F8
    depth_error: F8
    scatter: float


class _Model:
    """Counts of the star for a flat response, as a function of the telluric depths."""

    def __init__(self, star: Observation, extinction: tuple[F8, F8], absorbers: Absorbers) -> None:
        step = float(star.reference.wave[1] - star.reference.wave[0])
        fine = np.arange(star.wave[0] - MARGIN, star.wave[-1] + MARGIN, step)
        flux = np.interp(fine, star.reference.wave, star.reference.flux)
        self.light = flux * extinction_transmission(fine, *extinction, star.airmass)
        self.absorption = absorbers.log_transmission(fine)
        self.seen = broadening_matrix(fine, star.wave, star.lsf_sigma)

    def __call__(self, depth: F8) -> tuple[F8, F8]:
        """Counts (m,) and their derivatives (a, m)."""
        light = self.light * np.exp(depth @ self.absorption)
        return self.seen @ light, (self.absorption * light) @ self.seen.T


def fit_star(
    star: Observation, extinction: tuple[F8, F8], absorbers: Absorbers, smoothness: Smoothness
) -> StarResponse:
    """Fit spline and depths to one star.

    The spline is penalised in its second differences; the penalty is found from the data (evidence,
    MacKay 1992), the depths start at the law of the templates with a prior of a factor of two.

    Raises
    ------
    BadData
        Fewer good samples than the spline has knots.
    """
    model = _Model(star, extinction, absorbers)
    basis = _spline_basis(star.wave, smoothness.knots)
    if np.count_nonzero(star.good & (star.rate > 0)) < basis.shape[1]:
        raise BadData(
            f"standard {star.reference.name}: {np.count_nonzero(star.good)} good samples",
            hint="leave this standard out",
        )
    start = star.airmass**absorbers.exponent
    counts, _ = model(start)
    error = _relative_error(star.wave, counts, smoothness)
    values = np.concatenate([_first_spline(basis, star, counts), np.log(start)])
    penalty, covariance = 1.0, np.eye(values.size)
    for _ in range(15):
        step, penalty, covariance = _step(model, basis, star, values, start, error=error, penalty=penalty)
        values = values + step
        if np.max(np.abs(step)) < 1e-5:
            break
    return _result(model, basis, star, values, covariance)


def _spline_basis(wave: Floats, spacing: float) -> F8:
    """Cubic B-splines, array (m, b)."""
    from scipy.interpolate import BSpline  # noqa: PLC0415 - slow to import

    count = max(2, round(float(wave[-1] - wave[0]) / spacing))
    step = float(wave[-1] - wave[0]) / count
    knots = wave[0] + step * np.arange(-3, count + 4)
    inside = np.clip(wave, wave[0], wave[-1] * (1 - 1e-12))
    return np.asarray(BSpline.design_matrix(inside, knots, 3).toarray())


def _relative_error(wave: Floats, counts: Floats, smoothness: Smoothness) -> F8:
    """Error that reference, template and line-spread function bring, largest inside lines."""
    from scipy.ndimage import median_filter  # noqa: PLC0415

    # 600 Angstrom: wider than the broadest Balmer lines and telluric bands
    width = max(3, round(600.0 / float(np.median(np.diff(wave)))))
    depth = np.abs(counts / median_filter(counts, width, mode="nearest") - 1.0)
    return np.asarray(np.hypot(smoothness.floor, smoothness.line_error * depth))


def _first_spline(basis: F8, star: Observation, counts: F8) -> F8:
    """Spline through the logarithm of the quotient, where to start."""
    sure = star.good & (star.rate > 0)
    root = np.where(sure, np.where(sure, star.rate, 0.0) / np.sqrt(star.variance), 0.0)
    quotient = np.log(np.where(sure, star.rate, 1.0) / np.where(sure, counts, 1.0))
    difference = np.diff(np.eye(basis.shape[1]), 2, axis=0)
    design = np.vstack([basis * root[:, None], difference])
    return np.asarray(np.linalg.lstsq(design, np.append(quotient * root, np.zeros(len(difference))), rcond=None)[0])


def _step(
    model: _Model, basis: F8, star: Observation, values: F8, start: F8, *, error: F8, penalty: float
) -> tuple[F8, float, F8]:
    """One Gauss-Newton step in relative residuals; return it, the new penalty and the covariance."""
    number = basis.shape[1]
    counts, slopes = model(np.exp(values[number:]))
    expected = np.exp(basis @ values[:number]) * counts
    tangent = np.column_stack([basis, (slopes * np.exp(values[number:])[:, None] / counts).T])
    residual = (star.rate - expected) / expected
    # A sample shares its noise with its neighbours: in a sum over many it counts with their covariance.
    noise = star.variance + star.covariance + np.append(0.0, star.covariance[:-1])
    weight = np.where(star.good, 1.0 / (noise / expected**2 + error**2), 0.0)
    # Samples that deviate by more than five sigma pull like five sigma (Huber 1964).
    bounded = weight * np.minimum(1.0, 5.0 / np.maximum(np.abs(residual) * np.sqrt(weight), 1e-30))
    difference = np.diff(np.eye(number), 2, axis=0)
    rough = difference.T @ difference
    prior = np.zeros((values.size, values.size))
    prior[:number, :number] = penalty * rough
    pull = prior @ values
    loose = 1.0 / np.log(2.0) ** 2
    prior[number:, number:] = loose * np.eye(values.size - number)
    pull[number:] = loose * (values[number:] - np.log(start))
    covariance = np.linalg.inv(tangent.T @ (bounded[:, None] * tangent) + prior)
    step = covariance @ (tangent.T @ (bounded * residual) - pull)
    spline = values[:number] + step[:number]
    determined = number - 2 - penalty * float(np.trace(rough @ covariance[:number, :number]))
    return step, max(determined, 1.0) / max(float(spline @ rough @ spline), 1e-12), covariance


def _result(model: _Model, basis: F8, star: Observation, values: F8, covariance: F8) -> StarResponse:
    number = basis.shape[1]
    depth = np.exp(values[number:])
    counts, _ = model(depth)
    log_response = basis @ values[:number]
    used = star.good
    relative = star.rate[used] / (counts * np.exp(log_response))[used] - 1.0
    outside = (star.wave < star.reference.low) | (star.wave > star.reference.high)
    return StarResponse(
        log_response=log_response,
        variance=np.einsum("mb,bc,mc->m", basis, covariance[:number, :number], basis),
        flags=np.where(outside, int(Flag.EXTRAPOLATED), 0).astype(np.int32),
        depth=depth,
        depth_error=depth * np.sqrt(np.diag(covariance)[number:]),
        # 1.4826: standard deviation of a normal distribution over its median absolute deviation
        scatter=float(1.4826 * np.median(np.abs(relative))),
    )
