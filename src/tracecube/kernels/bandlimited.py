"""Interpolation of a field that a telescope has made smooth, between samples on any lattice.

Light from an aperture D has no detail finer than lambda / D. The best linear interpolation of such a
field (kriging: Cressie 1993, Statistics for Spatial Data, sect. 3.2) uses its covariance, which is the
Fourier transform of the aperture's transfer function: the Airy pattern. Where samples lie closer than
half of lambda / D, the field between them follows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.airy import airy_density

__all__ = ["derivative_weights", "interpolation_weights"]

F8 = NDArray[np.float64]

# Targets solved at once: keeps the systems below 20 MB, and costs no time.
CHUNK = 1024
# White share added to the field's covariance: keeps the systems well-conditioned, and errors of the lattice harmless.
NUGGET = 1e-3


def _covariance(distance: F8, unit: F8 | float) -> tuple[F8, F8]:
    """Correlation of the field at a distance, and its slope (1 / unit of distance)."""
    value, slope = airy_density(distance / unit, 0.0)
    top = 0.25 * np.pi
    return value / top, slope / (top * unit)


def interpolation_weights(near: F8, unit: float) -> F8:
    """Weights of the samples near each target that give the field at the target.

    Parameters
    ----------
    near : array (n, k, 2)
        Places of the samples from each target; NaN where there is none.
    unit : float
        lambda / D of the finest detail.

    Returns
    -------
    array (n, k)
        The weights of a target sum to one (surface brightness is kept); 0 for absent samples.
    """
    n, k, _ = near.shape
    found = np.empty((n, k))
    for first in range(0, n, CHUNK):
        part = near[first : first + CHUNK]
        absent: NDArray[np.bool_] = np.asarray(~np.isfinite(part).all(axis=2))
        place = np.where(absent[..., None], 0.0, part)
        matrix = np.zeros((place.shape[0], k + 1, k + 1))
        distance = np.hypot(*np.moveaxis(place[:, :, None] - place[:, None], -1, 0))
        matrix[:, :k, :k] = _covariance(distance, unit)[0]
        both = absent[:, :, None] | absent[:, None, :]
        matrix[:, :k, :k][both] = 0.0
        matrix[:, np.arange(k), np.arange(k)] = 1.0 + NUGGET
        matrix[:, :k, k] = matrix[:, k, :k] = np.where(absent, 0.0, 1.0)
        right = np.zeros((place.shape[0], k + 1, 1))
        right[:, :k, 0] = np.where(absent, 0.0, _covariance(np.hypot(place[..., 0], place[..., 1]), unit)[0])
        right[:, k] = 1.0
        empty: NDArray[np.bool_] = np.asarray(absent.all(axis=1))
        matrix[empty, k, k] = 1.0
        found[first : first + CHUNK] = np.where(empty[:, None], 0.0, np.linalg.solve(matrix, right)[:, :k, 0])
    return found


def derivative_weights(offsets: F8, unit: float, *, noise: float) -> tuple[F8, F8]:
    """Weights of lattice neighbours that give the slopes of the field at the origin.

    Parameters
    ----------
    offsets : array (k, 2)
        Places of the samples; the origin may be among them.
    unit : float
        lambda / D.
    noise : float
        Variance of the samples' noise over that of the field.

    Returns
    -------
    along x, along y : array (k,)
        They sum to zero.
    """
    distance = np.hypot(*np.moveaxis(offsets[:, None] - offsets[None], -1, 0))
    matrix = _covariance(distance, unit)[0] + (NUGGET + noise) * np.eye(offsets.shape[0])
    radius = np.hypot(offsets[:, 0], offsets[:, 1])
    slope = _covariance(radius, unit)[1] / np.maximum(radius, 1e-12)
    # Covariance of the slope at the origin with a sample at r: minus the derivative of C at r, along each axis.
    right = -slope[:, None] * offsets
    weights = np.linalg.solve(matrix, right)
    weights -= weights.mean(axis=0)
    return np.asarray(weights[:, 0]), np.asarray(weights[:, 1])
