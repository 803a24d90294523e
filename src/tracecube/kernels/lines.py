"""Emission lines on pixels: pixel-integrated Gaussians, and shift, strength and width of line groups."""

from __future__ import annotations

from math import erf, exp, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled

__all__ = ["gaussian_pixel", "group_fits", "line_image"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

# A pixel-integrated Gaussian is cut where it has fallen below 1e-7 of its total.
REACH = 5.0
# A group this much weaker than expected is not there (dead lenslet, masked pixels).
LEAST_STRENGTH = 0.2
# Share of a group's pixels that must be good.
LEAST_PIXELS = 0.8
# A neighbour whose light in the window is this share of the group's, squared and summed, is no neighbour.
EMPTY = 1e-6


@compiled(inline="always")
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


@compiled()
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


@compiled()
def group_fits(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    residual: F8, ivar: F8, start: I8, position: F8, sigma: F8, strength: F8, group: I8, n_group: int, with_width: bool
) -> tuple[F8, F8]:
    """Fit every group of lines in every spectrum: strength, shift, width.

    With M the present model of a group, residual + M = alpha M + beta dM/dx + gamma dM/dsigma + c0
    + c1 t + left L + right R is solved by linear weighted least squares, L and R being the lines
    on either side, whose strengths in this spectrum are not better known than the group's.

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
    size = 7 if with_width else 6
    fit, error = np.full((n, n_group, 3), np.nan), np.full((n, n_group, 3), np.nan)
    basis = np.zeros((m, 7))
    for i in range(n):
        place = position[i] - start[i]
        for g in range(n_group):
            low, high = _window(place, sigma[i], strength[i], group == g, m)
            if high - low < size:
                continue
            _fill_basis(basis, place, sigma[i], strength[i], group == g, low, high)
            x, covariance, ok = _solve_window(
                basis[low : high + 1, :size], residual[i, low : high + 1], ivar[i, low : high + 1]
            )
            alpha = 1.0 + x[0]
            if not ok or alpha < LEAST_STRENGTH:
                continue
            fit[i, g, 0], error[i, g, 0] = alpha, sqrt(covariance[0, 0])
            fit[i, g, 1], error[i, g, 1] = x[1] / alpha, sqrt(covariance[1, 1]) / alpha
            if with_width:
                fit[i, g, 2], error[i, g, 2] = x[6] / alpha, sqrt(covariance[6, 6]) / alpha
    return fit, error


@compiled()
def _window(place: F8, sigma: F8, strength: F8, mine: NDArray[np.bool_], m: int) -> tuple[int, int]:
    """First and last sample within 3.5 widths of a group's lines."""
    low, high = m, -1
    for j in range(place.size):
        if mine[j] and np.isfinite(place[j]) and strength[j] > 0.0:
            low = min(low, max(0, int(place[j] - 3.5 * sigma[j])))
            high = max(high, min(m - 1, int(place[j] + 3.5 * sigma[j]) + 1))
    return low, high


@compiled()
def _fill_basis(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    basis: F8, place: F8, sigma: F8, strength: F8, mine: NDArray[np.bool_], low: int, high: int
) -> None:
    """Columns M, dM/dx, 1, t, L, R, dM/dsigma on the samples of a window."""
    basis[low : high + 1] = 0.0
    middle = 0.5 * (low + high)
    for p in range(low, high + 1):
        basis[p, 2], basis[p, 3] = 1.0, p - middle
    for j in range(place.size):
        x = place[j]
        if not np.isfinite(x) or strength[j] <= 0.0 or x < low - REACH * sigma[j] or x > high + REACH * sigma[j]:
            continue
        for p in range(low, high + 1):
            value, d_centre, d_sigma = gaussian_pixel(p - x, sigma[j])
            if mine[j]:
                basis[p, 0] += strength[j] * value
                basis[p, 1] += strength[j] * d_centre
                basis[p, 6] += strength[j] * d_sigma
            else:
                basis[p, 4 if x < middle else 5] += strength[j] * value


@compiled()
def _solve_window(basis: F8, data: F8, ivar: F8) -> tuple[F8, F8, bool]:
    """Weighted least squares of one window: solution, covariance, and whether enough pixels were good.

    Columns that are empty here (no neighbour) get the solution 0.
    """
    m, size = basis.shape
    normal, rhs, used = np.zeros((size, size)), np.zeros(size), 0
    for p in range(m):
        if ivar[p] > 0.0:
            used += 1
            for a in range(size):
                rhs[a] += ivar[p] * basis[p, a] * data[p]
                for b in range(size):
                    normal[a, b] += ivar[p] * basis[p, a] * basis[p, b]
    top = normal[0, 0]
    for a in range(size):
        if normal[a, a] <= EMPTY * top:
            normal[a, :], normal[:, a], rhs[a] = 0.0, 0.0, 0.0
            normal[a, a] = 1.0
    scale = np.sqrt(np.diag(normal))
    outer = scale.reshape(-1, 1) * scale
    covariance = np.linalg.inv(normal / outer + 1e-10 * np.eye(size)) / outer
    return covariance @ rhs, covariance, used > size + 1 and used >= LEAST_PIXELS * m and top > 0.0
