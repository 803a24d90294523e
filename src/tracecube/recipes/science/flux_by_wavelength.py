"""Flux and sky at every wavelength: many small weighted least-squares problems."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.core.flags import Flag
from tracecube.recipes.science.scene import Scene

__all__ = ["Solution", "find_outliers", "light_of", "solution_flags", "solve"]

F8 = NDArray[np.float64]


class Solution(NamedTuple):
    """Flux, its errors and the sky at every wavelength."""

    flux: F8
    variance: F8
    covariance: F8
    sky: F8
    covered: F8
    model: F8


def solve(region: Scene, columns: F8, doubt: F8 | None = None) -> Solution:
    """Weighted least squares at every wavelength, with the covariance of neighbours carried along.

    Parameters
    ----------
    region : Scene
    columns : array (m, c, n)
        The source, the sky, and what else there is.
    doubt : array (m, n), optional
        Variance that the model has in each sample: it lowers the weight, and is no noise.
    """
    weight = np.where(region.good, 1.0 / (region.variance + (0.0 if doubt is None else doubt)), 0.0)
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
    return Solution(flux, variance, covariance, sky, covered, model)


def light_of(solution: Solution) -> F8:
    """Light of source and galaxy (m, n), the sky's apart."""
    return np.asarray(solution.model - np.nan_to_num(solution.sky)[:, None])


def find_outliers(region: Scene, solution: Solution, model_error: float, clip: float) -> NDArray[np.bool_]:
    """Samples that no model of this scene explains."""
    # Up to a tenth of the light in one lenslet, the sky's apart, is blamed on the shape of star and galaxy, never on
    # the sample: a bright galaxy has its noise far below what its model leaves.
    total = region.variance + (np.maximum(3.0 * model_error, 0.1) * light_of(solution)) ** 2
    return np.asarray(region.good & (np.abs(region.flux - solution.model) > clip * np.sqrt(total)))


def solution_flags(solution: Solution) -> NDArray[np.int32]:
    """Not measured where less than half of the source's light fell on good samples."""
    lost = (solution.covered < 0.5) | ~np.isfinite(solution.flux)
    return np.where(lost, int(Flag.NOT_MEASURED), 0).astype(np.int32)
