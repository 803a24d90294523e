"""Emission lines on pixels: pixel-integrated Gaussians, and shift, strength and width of line groups."""

from __future__ import annotations

from math import erf, exp, pi, sqrt

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["gaussian_pixel", "group_fits", "line_image"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

# A pixel-integrated Gaussian is cut where it has fallen below 1e-7 of its total.
REACH = 5.0
# A group this much weaker than expected is not there (dead lenslet, masked pixels).
LEAST_STRENGTH = 0.2
# Share of a group's pixels that must be good.
LEAST_PIXELS = 0.8


@numba.njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]
def gaussian_pixel(t: float, sigma: float) -> tuple[float, float, float]:
    """Unit Gaussian integrated over the pixel at distance ``t`` from its centre, with derivatives.

    Returns
    -------
    value, d_centre, d_sigma : float
        Integral, and its derivatives with the centre and with ``sigma``.
    """
    low, high = (t - 0.5) / sigma, (t + 0.5) / sigma
    value = 0.5 * (erf(high / sqrt(2.0)) - erf(low / sqrt(2.0)))
    p_low, p_high = exp(-0.5 * low * low), exp(-0.5 * high * high)
    norm = 1.0 / (sqrt(2.0 * pi) * sigma)
    return value, norm * (p_low - p_high), norm * (low * p_low - high * p_high)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def line_image(position: F8, sigma: F8, strength: F8, start: I8, m: int) -> F8:
    """Spectra of lines on pixels.

    Parameters
    ----------
    position, sigma : array (n, k), px
        Centre and width of line k in spectrum n; NaN where it does not fall.
    strength : array (n, k)
    start : int array (n,)
        Pixel of the first sample.
    m : int
        Samples a spectrum.

    Returns
    -------
    image : array (n, m)
    """
    n, k = position.shape
    image = np.zeros((n, m))
    for i in range(n):
        for j in range(k):
            x, s = position[i, j] - start[i], sigma[i, j]
            if np.isfinite(x) and strength[i, j] != 0.0:
                for p in range(max(0, int(x - REACH * s)), min(m, int(x + REACH * s) + 2)):
                    image[i, p] += strength[i, j] * gaussian_pixel(p - x, s)[0]
    return image


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def group_fits(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    residual: F8, ivar: F8, start: I8, position: F8, sigma: F8, strength: F8, group: I8, n_group: int, with_width: bool
) -> tuple[F8, F8]:
    """Fit every group of lines in every spectrum: strength, shift, width, local continuum.

    With M the present model of a group, residual + M = alpha M + beta dM/dx + gamma dM/dsigma + c0
    + c1 t is solved by linear weighted least squares.

    Parameters
    ----------
    residual, ivar : array (n, m)
        Spectra less the present model of all lines and continuum.
    start : int array (n,)
    position, sigma : array (n, k), px
    strength : array (n, k)
    group : int array (k,)
        Group of each line, -1 for none.
    n_group : int
    with_width : bool
        Fit the width too.

    Returns
    -------
    fit : array (n, n_group, 3)
        alpha, shift beta / alpha (px), width change gamma / alpha (px); NaN where not fitted.
    error : array (n, n_group, 3)
    """
    n, m = residual.shape
    size = 5 if with_width else 4
    fit, error = np.full((n, n_group, 3), np.nan), np.full((n, n_group, 3), np.nan)
    basis = np.zeros((m, 5))
    for i in range(n):
        for g in range(n_group):
            low, high = m, -1
            for j in range(group.size):
                x = position[i, j] - start[i]
                if group[j] == g and np.isfinite(x) and strength[i, j] > 0.0:
                    low = min(low, max(0, int(x - 3.5 * sigma[i, j])))
                    high = max(high, min(m - 1, int(x + 3.5 * sigma[i, j]) + 1))
            if high - low < size:
                continue
            basis[low : high + 1] = 0.0
            for j in range(group.size):
                x = position[i, j] - start[i]
                if group[j] == g and np.isfinite(x) and strength[i, j] > 0.0:
                    for p in range(low, high + 1):
                        value, d_centre, d_sigma = gaussian_pixel(p - x, sigma[i, j])
                        basis[p, 0] += strength[i, j] * value
                        basis[p, 1] += strength[i, j] * d_centre
                        basis[p, 4] += strength[i, j] * d_sigma
            normal, rhs = np.zeros((size, size)), np.zeros(size)
            used = 0
            for p in range(low, high + 1):
                basis[p, 2] = 1.0
                basis[p, 3] = p - 0.5 * (low + high)
                if ivar[i, p] > 0.0:
                    used += 1
                    for a in range(size):
                        rhs[a] += ivar[i, p] * basis[p, a] * residual[i, p]
                        for b in range(size):
                            normal[a, b] += ivar[i, p] * basis[p, a] * basis[p, b]
            if used <= size + 1 or used < LEAST_PIXELS * (high - low + 1):
                continue
            scale = np.sqrt(np.diag(normal))
            if scale.min() <= 0.0:
                continue
            inverse = np.linalg.inv(normal / np.outer(scale, scale) + 1e-10 * np.eye(size)) / np.outer(scale, scale)
            x_hat = inverse @ rhs
            alpha = 1.0 + x_hat[0]
            if alpha < LEAST_STRENGTH:
                continue
            fit[i, g, 0], error[i, g, 0] = alpha, sqrt(inverse[0, 0])
            fit[i, g, 1], error[i, g, 1] = x_hat[1] / alpha, sqrt(inverse[1, 1]) / alpha
            if with_width:
                fit[i, g, 2], error[i, g, 2] = x_hat[4] / alpha, sqrt(inverse[4, 4]) / alpha
    return fit, error
