"""Emission lines of many spectra fitted at once: lines of a group share shift, width and shape.

The shape is a Gaussian with two terms of its Gram-Charlier series, phi(z) (1 + a He3(z) + b He4(z)), integrated over
the pixel: a is the skewness / 6, b the excess kurtosis / 24, negative for a flat-topped line such as the image of a round
fibre. Neither moves the centroid, so the place that is fitted is that of the light.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

__all__ = ["LineFits", "fit_lines"]

F8 = NDArray[np.float64]

_TURNS = 12
_STEP = 0.7  # px: largest change of the place in one turn
_WIDTHS = (0.5, 3.0)  # px: what a width may be
_SMALL = 1e-9


class LineFits(NamedTuple):
    """Place and width (n,) of a group of lines in every spectrum, px, with errors; strengths (n, k); chi-square.

    ``shape`` (n, 2) is how far it differs from the one that was given, with its error.
    """

    place: F8
    place_error: F8
    width: F8
    width_error: F8
    strength: F8
    strength_error: F8
    chi2: F8
    shape: F8
    shape_error: F8


def fit_lines(  # noqa: PLR0913 - what is known of the lines
    flux: F8,
    ivar: F8,
    start: F8,
    width: F8,
    offsets: F8,
    *,
    reach: float = 6.0,
    width_prior: float = 0.0,
    shape: tuple[float, float] = (0.0, 0.0),
    shape_prior: float = 0.0,
    ratio: F8 | None = None,
) -> LineFits:
    """Fit the same group of lines in every spectrum.

    Parameters
    ----------
    flux, ivar : array (n, m)
        Samples with ``ivar`` 0 count for nothing.
    start : array (n,), px
        Where the first line is expected; NaN for a spectrum that is not to be fitted.
    width : array (n,), px
        Expected width (sigma).
    offsets : array (n, k), px
        Distance of each line of the group from the first.
    reach : float, px
        Samples this far from any of the lines are used.
    width_prior : float, px
        Error of ``width`` as a prior; 0 leaves the width free.
    shape : (float, float)
        a and b.
    shape_prior : float
        Their error as a prior; 0 keeps them.
    ratio : array (k,) or None
        Strengths over that of the first line; free without it.

    Returns
    -------
    LineFits
        NaN where too few samples are good. ``chi2`` is a degree of freedom's.
    """
    n, m = flux.shape
    known = np.isfinite(start)
    place, sigma = np.where(known, start, 0.5 * m), np.clip(width, *_WIDTHS)
    low = np.floor(place + offsets.min(axis=1) - reach).astype(int)
    size = int(np.ceil(2.0 * reach + np.ptp(offsets, axis=1).max())) + 1
    x = low[:, None] + np.arange(size)
    inside = (x >= 0) & (x < m) & known[:, None]
    column = np.clip(x, 0, m - 1)
    row = np.arange(n)[:, None]
    y = np.where(inside, flux[row, column], 0.0)
    w = np.where(inside, ivar[row, column], 0.0)
    mix = np.eye(offsets.shape[1]) if ratio is None else np.asarray(ratio, float)[None]
    n_strength = len(mix)
    prior = np.zeros((n, n_strength + 6))
    prior[:, -3] = 0.0 if width_prior == 0.0 else width_prior**-2.0
    prior[:, -2:] = 1e12 if shape_prior == 0.0 else shape_prior**-2.0
    expected = sigma.copy()
    for _ in range(_TURNS):
        shapes = _shapes(x, place, sigma, offsets, shape)
        basis, slope, spread, lean, peak = (np.einsum("jk,knp->jnp", mix, part) for part in shapes)
        middle = x - (low[:, None] + 0.5 * (size - 1))
        linear = np.concatenate([basis, np.ones_like(x, float)[None], middle[None] / size])
        zero = np.zeros((n, len(linear)))
        strength = _solve(linear, y, w, zero, zero)[0][:, :n_strength]
        derived = [np.einsum("nk,knp->np", strength, part)[None] for part in (slope, spread, lean, peak)]
        full = np.concatenate([linear, *derived])
        pull = np.zeros_like(prior)
        pull[:, -3] = prior[:, -3] * (expected - sigma)
        values, covariance = _solve(full, y, w, prior, pull)
        step = np.clip(np.nan_to_num(values[:, -4]), -_STEP, _STEP)
        place = place + step
        sigma = np.clip(sigma + np.clip(np.nan_to_num(values[:, -3]), -0.3, 0.3), *_WIDTHS)
        if np.abs(step).max(initial=0.0) < 1e-5:
            break
    model = np.einsum("nk,knp->np", values, full)
    used = (w > 0).sum(axis=1)
    freedom = np.maximum(used - full.shape[0], 1)
    chi2 = (w * (y - model) ** 2).sum(axis=1) / freedom
    good = known & (used > full.shape[0]) & np.isfinite(values).all(axis=1)
    error = np.sqrt(np.maximum(np.einsum("nkk->nk", covariance), 0.0))
    parts = (
        place,
        error[:, -4],
        sigma,
        error[:, -3],
        values[:, :n_strength],
        error[:, :n_strength],
        chi2,
        values[:, -2:],
        error[:, -2:],
    )
    return LineFits(*(np.where(good if part.ndim == 1 else good[:, None], part, np.nan) for part in parts))


def _shapes(x: F8, place: F8, sigma: F8, offsets: F8, shape: tuple[float, float]) -> tuple[F8, ...]:
    """Return lines (k, n, p) of unit strength, and their derivatives with place, width and shape."""
    t = x[None] - (place[None, :, None] + offsets.T[:, :, None])
    s = sigma[None, :, None]
    low, high = (t - 0.5) / s, (t + 0.5) / s
    p_low, p_high = (np.exp(-0.5 * z**2) / (2.0 * np.pi) ** 0.5 for z in (low, high))
    skew, kappa = shape
    # the integral of phi (1 + a (z^3 - 3 z) + b (z^4 - 6 z^2 + 3)) is Phi + a (1 - z^2) phi + b (3 z - z^3) phi
    lean = (1.0 - high**2) * p_high - (1.0 - low**2) * p_low
    peak = (3.0 * high - high**3) * p_high - (3.0 * low - low**3) * p_low
    value = 0.5 * (erf(high / 2.0**0.5) - erf(low / 2.0**0.5)) + skew * lean + kappa * peak
    d_low, d_high = (
        p * (1.0 + skew * (z**3 - 3.0 * z) + kappa * (z**4 - 6.0 * z**2 + 3.0)) for p, z in ((p_low, low), (p_high, high))
    )
    return value, (d_low - d_high) / s, (low * d_low - high * d_high) / s, lean, peak


def _solve(basis: F8, y: F8, w: F8, prior: F8, pull: F8) -> tuple[F8, F8]:
    """Solve the weighted least squares of every spectrum; return values (n, k) and covariance (n, k, k)."""
    matrix = np.einsum("knp,np,lnp->nkl", basis, w, basis, optimize=True)
    rhs = np.einsum("knp,np->nk", basis, w * y) + pull
    matrix = matrix + np.einsum("nk,kl->nkl", prior, np.eye(len(basis)))
    scale = np.sqrt(np.maximum(np.einsum("nkk->nk", matrix), _SMALL**2))
    unit = matrix / (scale[:, :, None] * scale[:, None, :]) + _SMALL * np.eye(len(basis))
    inverse = np.linalg.inv(unit)
    covariance = inverse / (scale[:, :, None] * scale[:, None, :])
    return np.einsum("nkl,nl->nk", covariance, rhs), covariance
