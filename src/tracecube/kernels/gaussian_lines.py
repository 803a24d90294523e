"""Centres of emission lines in many short cuts: the Gaussian of least squares on a constant, one a cut.

All samples of a cut count alike, so that the centre of an asymmetric line does not move with its brightness, as it
would if noise weighed the samples. Its error is that of the noise that the samples have all the same.
"""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled

__all__ = ["CENTRE", "fit_gaussians"]

F8 = NDArray[np.float64]
B1 = NDArray[np.bool_]

CENTRE, SIGMA, AMPLITUDE, GROUND, ERROR = range(5)
"""Columns of what `fit_gaussians` returns."""

_STEPS = 30
_DONE = 1e-5  # px


@compiled()
def fit_gaussians(cuts: F8, variance: F8, good: B1, centre: F8, sigma: F8) -> F8:
    """Fit ``ground + amplitude exp(-(i - centre)^2 / 2 sigma^2)`` to every cut (Levenberg 1944, Marquardt 1963).

    Parameters
    ----------
    cuts, variance : array (n, k)
    good : bool array (n, k)
        A cut with a bad sample within two sigma of the centre is not fitted.
    centre, sigma : array (n,)
        First guesses, px from the first sample.

    Returns
    -------
    array (n, 5)
        Centre, sigma (px), amplitude, ground, and the error of the centre (px); NaN where no fit was found.
    """
    n = cuts.shape[0]
    out = np.full((n, 5), np.nan)
    p = np.empty(4)
    for i in range(n):
        if _start(cuts[i], good[i], centre[i], sigma[i], p) and _search(cuts[i], good[i], p):
            error = _error(cuts[i], variance[i], good[i], p)
            out[i, 0], out[i, 1], out[i, 2], out[i, 3], out[i, 4] = p[0], p[1], p[2], p[3], error
    return out


@compiled()
def _start(cut: F8, good: B1, centre: float, sigma: float, p: F8) -> bool:
    """Fill the first guess: the highest sample near the expected place, on the lowest; False without light."""
    low, high, at, used = np.inf, -np.inf, 0, 0
    for j in range(cut.size):
        if good[j]:
            used += 1
            low = min(low, cut[j])
            if cut[j] > high and abs(j - centre) < 3.0 * sigma + 1.0:
                high, at = cut[j], j
    p[0], p[1], p[2], p[3] = float(at), sigma, high - low, low
    return bool(used > 5 and high > low)


@compiled()
def _search(cut: F8, good: B1, p: F8) -> bool:
    """Improve the guess in place; whether it settled on a line that is whole in the cut."""
    normal, rhs, row = np.empty((4, 4)), np.empty(4), np.empty(4)
    change = np.zeros(4)
    damping, cost, found = 1e-3, np.inf, False
    for _ in range(_STEPS):
        total = _normal(cut, good, p, normal, rhs, row)
        if total > cost:
            p -= change
            damping *= 10.0
            total = _normal(cut, good, p, normal, rhs, row)
        else:
            damping *= 0.3
        cost = total
        for a in range(4):
            normal[a, a] = normal[a, a] * (1.0 + damping) + 1e-30
        change[:] = np.linalg.solve(normal, rhs)
        change[0] = min(max(change[0], -1.0), 1.0)
        change[1] = min(max(change[1], -0.3 * p[1]), 0.3 * p[1])
        p += change
        if abs(change[0]) < _DONE and abs(change[1]) < _DONE:
            found = True
            break
    whole = p[2] > 0.0 and 1.0 < p[0] < cut.size - 2.0 and 0.3 < p[1] < 4.0
    for j in range(cut.size):
        if not good[j] and abs(j - p[0]) < 2.0 * p[1]:
            whole = False
    return bool(found and whole)


@compiled()
def _error(cut: F8, variance: F8, good: B1, p: F8) -> float:
    """Error of the centre: the noise of the samples through an estimate that weighs them alike."""
    normal, rhs, row = np.empty((4, 4)), np.empty(4), np.empty(4)
    noise = np.zeros((4, 4))
    _normal(cut, good, p, normal, rhs, row)
    for j in range(cut.size):
        if good[j]:
            _derivatives(j, p, row)
            for a in range(4):
                for b in range(4):
                    noise[a, b] += row[a] * row[b] * variance[j]
    for a in range(4):
        normal[a, a] += 1e-30
    inverse = np.linalg.inv(normal)
    return sqrt(max((inverse @ noise @ inverse)[0, 0], 0.0))


@compiled(inline="always")
def _derivatives(j: int, p: F8, row: F8) -> float:
    """Fill the derivatives of the model at sample ``j``, and return its value."""
    t = (j - p[0]) / p[1]
    e = exp(-0.5 * t * t)
    row[0], row[1], row[2], row[3] = p[2] * e * t / p[1], p[2] * e * t * t / p[1], e, 1.0
    return float(p[3] + p[2] * e)


@compiled()
def _normal(cut: F8, good: B1, p: F8, normal: F8, rhs: F8, row: F8) -> float:
    """Fill the normal equations of one step, and return the sum of squares."""
    normal[:] = 0.0
    rhs[:] = 0.0
    total = 0.0
    for j in range(cut.size):
        if good[j]:
            left = cut[j] - _derivatives(j, p, row)
            total += left * left
            for a in range(4):
                rhs[a] += row[a] * left
                for b in range(4):
                    normal[a, b] += row[a] * row[b]
    return total
