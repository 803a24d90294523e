"""A polynomial surface through a background: what light out of focus leaves on a detector, without its noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import BoolArray, FloatArray
from tracecube.kernels.polynomials import fit_field
from tracecube.kernels.smooth import smooth_surface

__all__ = ["polynomial_surface"]

F8 = NDArray[np.float64]

_OVERLAP = np.pi
"""Samples are means under a Gaussian of half a cell: their correlations, exp(-k^2) k cells along either axis, add up to
(sum of exp(-k^2))^2 = 3.14, by which the variance of anything smooth through them is larger than if they were none."""


def polynomial_surface(
    light: FloatArray, kept: BoolArray, *, degree: int, samples: int
) -> tuple[FloatArray, FloatArray]:
    """Fit a polynomial through evenly spread samples, each the mean of its cell.

    Parameters
    ----------
    light : array (y, x)
    kept : bool array (y, x)
        Pixels that count.
    degree : int
    samples : int
        How many at least.

    Returns
    -------
    surface, variance : float32 array (y, x)
        The variance is that of the surface, from the scatter of the samples about it, structure that no polynomial
        follows included.
    """
    side = int(np.ceil(np.sqrt(samples)))
    smooth = smooth_surface(light, kept.astype(np.float32), light.shape[0] / side / 2.0)
    y, x = ((np.arange(side) + 0.5) * size / side for size in light.shape)
    gy, gx = (axis.ravel() for axis in np.meshgrid(y.astype(int), x.astype(int), indexing="ij"))
    value = smooth[gy, gx].astype(float)
    told = np.isfinite(value)
    points = np.column_stack([gx, gy]).astype(float)[told]
    field = fit_field(points, value[told][:, None], degree=degree)
    left = value[told] - field(points)[:, 0]
    design = field.design(points)
    spread = _OVERLAP * float(left @ left) / max(left.size - design.shape[1], 1)
    inverse = np.linalg.pinv(np.linalg.qr(design, mode="r"))
    columns = np.arange(light.shape[1], dtype=float)
    surface, variance = (np.empty(light.shape, np.float32) for _ in range(2))
    for row in range(light.shape[0]):
        at = field.design(np.column_stack([columns, np.full(columns.size, float(row))]))
        surface[row] = (at @ field.coefficients)[:, 0]
        variance[row] = spread * np.einsum("ij,ij->i", at @ inverse, at @ inverse)
    return surface, variance
