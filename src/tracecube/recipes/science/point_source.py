"""Spectrum of a point source: place and shape from all wavelengths at once, then flux by flux.

Each wavelength is a small weighted least-squares problem: flux, sky with its slope across the
region, and, where there is one, the light of a host galaxy. Variances are those of the estimator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.core.flags import Flag
from tracecube.core.target import PointSourceFit
from tracecube.kernels.psf import full_width, lattice_pitch
from tracecube.recipes.science.chromatic_fit import (
    ChromaticFit,
    Geometry,
    Prior,
    Setting,
    centre_of,
    fit_source,
    fractions,
    growth_of,
    shape_of,
    slice_solution,
)
from tracecube.recipes.science.extended import ExtendedLight, fit_with_extended, refraction_of
from tracecube.recipes.science.scene import Scene, Track, make_slices

__all__ = ["Choices", "PointSource", "extract_point_source"]

F8 = NDArray[np.float64]


@dataclass(frozen=True)
class Choices:
    """How to extract.

    Parameters
    ----------
    radius : float, arcsec
        Of the region about the source.
    fit_low, fit_high : float, Angstrom
        Range in which place and shape are fitted.
    slices : int
    clip : float
        Samples that deviate by more sigma are given up, once.
    extended : bool
        Look for smooth light around the source.
    blob_width : float, arcsec
        Finest detail of the smooth light.
    pictures : int
        Pictures of different colour that make up the smooth light.
    minimum_gain : float
        Decrease of chi2, a free amplitude, from which smooth light is believed.
    minimum_share : float
        Scatter of the smooth light over the source's peak, from which it matters.
    minimum_sky_share : float
        Scatter of the smooth light over the sky, from which it is more than an error of the flat.
    """

    radius: float
    fit_low: float
    fit_high: float
    slices: int
    clip: float
    extended: bool
    blob_width: float
    pictures: int
    minimum_gain: float
    minimum_share: float
    minimum_sky_share: float


@dataclass(frozen=True)
class PointSource:
    """What was found.

    Parameters
    ----------
    flux, variance, covariance, sky : array (m,)
        Total flux in the units of the spectra; covariance with the next sample; sky per lenslet.
    flags : int32 array (m,)
    fit : ChromaticFit
    extended : ExtendedLight or None
    shape_error : float
        Relative error of the flux level that place and shape bring with them.
    outliers : float
        Share of samples given up.
    picture : PointSourceFit
        Data and model in slices.
    """

    flux: F8
    variance: F8
    covariance: F8
    sky: F8
    flags: NDArray[np.int32]
    fit: ChromaticFit
    extended: ExtendedLight | None
    shape_error: float
    outliers: float
    picture: PointSourceFit


class _Solution(NamedTuple):
    """Flux, its errors and the sky at every wavelength."""

    flux: F8
    variance: F8
    covariance: F8
    sky: F8
    covered: F8
    model: F8


def extract_point_source(scene: Scene, track: Track, prior: Prior, choices: Choices) -> PointSource:
    """Extract the source near the place that the prior names.

    Parameters
    ----------
    scene : Scene
        The whole field.
    track : Track (m,)
        Refraction and growth of the width against the reference wavelength.
    prior : Prior
        Place with its error, shape.
    choices : Choices

    Raises
    ------
    NoConvergence
        The fit of place and shape ends nowhere.
    BadData
        Too few samples in the range of the fit.
    """
    geometry = Geometry.of(scene)
    region = scene.near(prior.mean[0], prior.mean[1], choices.radius)
    planes = _planes(region, prior)
    light = _rough_spectrum(region, track, prior, geometry, planes)
    slices = make_slices(region, track, light, low=choices.fit_low, high=choices.fit_high, number=choices.slices)
    sky = np.broadcast_to(planes, (slices.wave.size, *planes.shape))
    setting = Setting(slices, region, geometry, sky)
    fit, extended = fit_source(setting, prior, clip=choices.clip), None
    if choices.extended and _smooth_residuals(setting, fit):
        fit, extended = _with_host(setting, prior, fit, choices)
    columns = _columns(region, track, fit, geometry, planes, extended)
    solution = _solve(region, columns)
    bad = _outliers(region, columns, solution, fit.model_error, choices.clip)
    solution = _solve(region.without(bad), columns)
    return PointSource(
        flux=solution.flux,
        variance=solution.variance,
        covariance=solution.covariance,
        sky=solution.sky,
        flags=_flags(solution),
        fit=fit,
        extended=extended,
        shape_error=_shape_error(setting, fit),
        outliers=float(bad.sum() / max(1, region.good.sum())),
        picture=_picture(setting, fit, extended),
    )


def _planes(region: Scene, prior: Prior) -> F8:
    """Columns of the sky: a constant and two slopes, array (3, n)."""
    dx, dy = region.x - prior.mean[0], region.y - prior.mean[1]
    scale = max(float(np.hypot(dx, dy).max()), 1.0)
    return np.stack([np.ones_like(dx), dx / scale, dy / scale])


def _rough_spectrum(region: Scene, track: Track, prior: Prior, geometry: Geometry, planes: F8) -> F8:
    """Spectrum with the shape of the prior, smoothed: the weight of wavelengths within a slice."""
    share = fractions(prior.mean, track, region.x, region.y, geometry)
    flux = np.nan_to_num(_solve(region, _stack(share, planes, None)).flux)
    kernel = np.ones(9) / 9.0
    smooth = np.convolve(np.pad(flux, 4, mode="edge"), kernel, mode="valid")
    return np.asarray(np.maximum(smooth, 0.1 * np.median(np.abs(smooth)) + 1e-30))


def _stack(share: F8, planes: F8, pictures: F8 | None) -> F8:
    """Columns of the linear problem at each wavelength, array (m, c, n)."""
    rows = [share[:, None, :], np.broadcast_to(planes, (share.shape[0], *planes.shape))]
    return np.asarray(np.concatenate(rows if pictures is None else [*rows, pictures], axis=1))


def _columns(
    region: Scene, track: Track, fit: ChromaticFit, geometry: Geometry, planes: F8, extended: ExtendedLight | None
) -> F8:
    share = fractions(fit.values, track, region.x, region.y, geometry)
    pictures = None if extended is None else extended.pictures(region.x, region.y, refraction_of(fit.values, track))
    return _stack(share, planes, pictures)


def _smooth_residuals(setting: Setting, fit: ChromaticFit) -> bool:
    """Whether neighbouring lenslets deviate together, as they do where light was left out of the model.

    Mean product of normalised residuals over pairs of neighbours (Moran 1950, Biometrika 37, 17), against five
    times its error for white noise.
    """
    from scipy.spatial import cKDTree  # noqa: PLC0415 - slow to import

    slices, scene = setting.slices, setting.scene
    columns = setting.columns(fit.values)
    model = np.einsum("kc,kcn->kn", slice_solution(slices, fit.weight, columns), columns)
    residual = np.clip((slices.flux - model) * np.sqrt(slices.weight), -5.0, 5.0)
    points = np.column_stack([scene.x, scene.y])
    first, second = cKDTree(points).query_pairs(1.2 * lattice_pitch(scene.x, scene.y), output_type="ndarray").T
    product = residual[:, first] * residual[:, second]
    return bool(product.sum() > 5.0 * np.sqrt(np.count_nonzero(product)))


def _with_host(
    setting: Setting, prior: Prior, alone: ChromaticFit, choices: Choices
) -> tuple[ChromaticFit, ExtendedLight | None]:
    """Fit source and smooth light together; keep the fit without if there is no such light.

    The start is the prior and not the fit without host: that one may have gone to the galaxy.
    """
    fit, extended = fit_with_extended(
        setting, prior, width=choices.blob_width, pictures=choices.pictures, clip=choices.clip
    )
    share, pictures = setting.share(fit.values), _pictures(setting, fit, extended)
    found = slice_solution(setting.slices, fit.weight, setting.columns(fit.values, pictures))
    peak = float(np.mean(found[:, 0] * share.max(axis=1)))
    scatter = float(np.std(np.mean(np.einsum("ka,kan->kn", found[:, 4:], pictures), axis=0)))
    sky = float(np.mean(found[:, 1]))
    least = max(choices.minimum_share * peak, choices.minimum_sky_share * sky)
    real = extended.gain > choices.minimum_gain * extended.freedom and scatter > least
    return (fit, extended) if real else (alone, None)


def _pictures(setting: Setting, fit: ChromaticFit, extended: ExtendedLight) -> F8:
    """Pictures of the smooth light in the slices, array (k, a, n)."""
    shift = refraction_of(fit.values, setting.slices.track)
    return extended.pictures(setting.scene.x, setting.scene.y, shift)


def _solve(region: Scene, columns: F8) -> _Solution:
    """Weighted least squares at every wavelength, with the covariance of neighbours carried along."""
    weight = np.where(region.good, 1.0 / region.variance, 0.0)
    weighted = columns * weight[:, None, :]
    normal = np.matmul(weighted, np.swapaxes(columns, 1, 2))
    scale = np.sqrt(np.einsum("kcc->kc", normal))
    scale = np.where(scale > 0, scale, 1.0)
    normal /= scale[:, :, None] * scale[:, None, :]
    # Nearly free directions (a picture without light there) get a variance, not an infinity.
    normal += 1e-12 * np.eye(columns.shape[1])
    inverse = np.linalg.inv(normal) / (scale[:, :, None] * scale[:, None, :])
    found = np.einsum("kcd,kdn,kn->kc", inverse, weighted, region.flux, optimize=True)
    estimator = np.einsum("kd,kdn->kn", inverse[:, 0], weighted)
    covariance = np.zeros(region.wave.size)
    covariance[:-1] = np.einsum("kn,kn,kn->k", estimator[:-1], region.covariance[:-1], estimator[1:])
    share = columns[:, 0]
    covered = np.sum(np.where(region.good, share, 0.0), axis=1) / np.maximum(share.sum(axis=1), 1e-30)
    model = np.einsum("kc,kcn->kn", found, columns)
    variance = np.einsum("kn,kn,kn->k", estimator, estimator, region.variance)
    measured = covered > 0
    flux, variance, sky = (np.where(measured, values, np.nan) for values in (found[:, 0], variance, found[:, 1]))
    return _Solution(flux, variance, covariance, sky, covered, model)


def _outliers(region: Scene, columns: F8, solution: _Solution, model_error: float, clip: float) -> NDArray[np.bool_]:
    """Samples that no model of this scene explains."""
    own = np.nan_to_num(solution.flux)[:, None] * columns[:, 0]
    # Up to a tenth of the star's own light in one lenslet is blamed on the shape, never on the sample.
    total = region.variance + (np.maximum(3.0 * model_error, 0.1) * own) ** 2
    return np.asarray(region.good & (np.abs(region.flux - solution.model) > clip * np.sqrt(total)))


def _flags(solution: _Solution) -> NDArray[np.int32]:
    """Not measured where less than half of the source's light fell on good samples."""
    lost = (solution.covered < 0.5) | ~np.isfinite(solution.flux)
    return np.where(lost, int(Flag.NOT_MEASURED), 0).astype(np.int32)


def _shape_error(setting: Setting, fit: ChromaticFit) -> float:
    """Relative error of the mean flux from the errors of place and shape, by moving each of them."""

    def level(values: F8) -> float:
        return float(np.sum(slice_solution(setting.slices, fit.weight, setting.columns(values))[:, 0]))

    middle = level(fit.values)
    errors = np.sqrt(np.diag(fit.covariance))
    slope = [level(fit.values + step) - middle for step in 0.1 * np.diag(errors)]
    gradient = np.array(slope) / (0.1 * errors)
    return float(np.sqrt(gradient @ fit.covariance @ gradient) / max(abs(middle), 1e-30))


def _picture(setting: Setting, fit: ChromaticFit, extended: ExtendedLight | None) -> PointSourceFit:
    """Data, model and variance in the slices."""
    slices, region = setting.slices, setting.scene
    columns = setting.columns(fit.values, None if extended is None else _pictures(setting, fit, extended))
    found = slice_solution(slices, fit.weight, columns)
    centre = centre_of(fit.values, slices.track)
    known = slices.weight > 0
    used = np.asarray((fit.weight > 0).any(axis=0), dtype=np.int16)
    return PointSourceFit(
        aperture=region.aperture,
        x=region.x,
        y=region.y,
        used=used,
        wave=slices.wave,
        centre_x=centre[0],
        centre_y=centre[1],
        fwhm=full_width(shape_of(fit.values)) * growth_of(fit.values, slices.track),
        data=np.where(known, slices.flux, np.nan),
        model=np.einsum("kc,kcn->kn", found, columns),
        variance=np.where(known, 1.0 / np.where(known, slices.weight, 1.0), np.nan),
    )
