"""Level of what is empty, where some apertures hold light and nobody knows which, nor how much.

An aperture's level is d = g + c + noise: the ground g, light c >= 0, and noise of known width s. Light is a mixture of
exponentials whose scales rise by threes from twice the noise, and of none at all, so d - g is a mixture of a Gaussian
and of Gaussians convolved with exponentials (Grushka 1972, Anal. Chem. 44, 1733). Shares (by expectation-maximisation;
Dempster, Laird & Rubin 1977, JRSS B 39, 1) and ground (by scoring; Berndt, Hall, Hall & Hausman 1974) are those of most
likelihood. Nothing is cut: a fibre in a galaxy's wing tells of the ground what its chance to be empty allows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

__all__ = ["EmptyLevel", "empty_level"]

F8 = NDArray[np.float64]
I8 = NDArray[np.integer]

_FIRST, _RATIO, _MOST = 2.0, 3.0, 10  # scales of light over the noise, their ratio, how many at most
_STEP = 4.0  # noise: a step of the ground is no longer
_DONE = 0.01  # of the error of the ground


class EmptyLevel(NamedTuple):
    """Ground of groups of apertures, and terms that all share.

    Parameters
    ----------
    level, error : array (n_group,)
        Ground of each group where the shared terms are zero; NaN for groups without apertures.
    terms : array (q,)
    covariance : array (q, q)
    empty : array (n,)
        Chance that an aperture holds no light that stands out of its noise.
    scatter : float
        What levels scatter by beyond their errors.
    """

    level: F8
    error: F8
    terms: F8
    covariance: F8
    empty: F8
    scatter: float


def empty_level(
    level: F8,
    error: F8,
    group: I8,
    shared: F8,
    precision: F8,
    *,
    low: float = 5.0,
    start: float = 35.0,
    turns: int = 300,
) -> EmptyLevel:
    """Find the ground of apertures, some of which hold light.

    Parameters
    ----------
    level, error : array (n,)
        NaN or infinite where unknown.
    group : int array (n,)
        Apertures of a group share a ground, and how often they hold light: 0, 1, ...
    shared : array (n, q)
        Terms of the ground that all groups have in common.
    precision : array (q,)
        Of the shared terms, about zero, from before: 1 / sigma**2.
    low : float
        Errors below the ground beyond which an aperture is a failure, and left out.
    start : float
        Percentile of a group from which the search begins.
    turns : int
        Steps at most.
    """
    known = np.isfinite(level) & np.isfinite(error) & (error > 0)
    count = int(group.max()) + 1
    held = np.bincount(group[known], minlength=count) > 0
    ground = np.array([np.percentile(level[known & (group == k)], start) if held[k] else np.nan for k in range(count)])
    terms, scatter, empty = np.zeros(shared.shape[1]), 0.0, np.zeros(level.size)
    scales = _scales(level[known] - ground[group[known]], error[known])
    share = np.full((count, scales.size + 1), 1.0 / (scales.size + 1))
    error_of, covariance = np.full(count, np.inf), np.diag(1.0 / precision)
    for _ in range(turns):
        away = level - ground[group] - shared @ terms
        sigma = np.hypot(error, scatter)
        use = known & (away > -low * sigma)
        if not use.any():
            break
        d, s, own = away[use], sigma[use], group[use]
        part = share[own].T
        density, bare = _densities(d, s, scales)
        joint = part * density
        chance = joint / joint.sum(axis=0)
        edges = part[1:] * bare / joint.sum(axis=0)  # of exponentials, which begin at the ground
        slope = chance[0] * d / s**2 + ((chance[1:] - edges) / scales[:, None]).sum(axis=0)
        step, error_of, covariance = _scoring(slope, own, shared[use], (count, precision, terms))
        limit = _STEP * float(np.median(s))
        ground, terms = ground + np.clip(step[:count], -limit, limit), terms + np.clip(step[count:], -limit, limit)
        total = np.stack([np.bincount(own, row, count) for row in chance], axis=1)
        share = (total + 1.0 / total.shape[1]) / (total.sum(axis=1, keepdims=True) + 1.0)
        scatter = float(np.sqrt(max(np.average(d**2 - error[use] ** 2, weights=chance[0] / s**4), 0.0)))
        empty = np.zeros(level.size)
        empty[use] = chance[0]
        if np.all(np.abs(step[:count][held]) < _DONE * error_of[held]) and np.all(np.abs(step[count:]) < limit * _DONE):
            break
    return EmptyLevel(
        np.where(held, ground, np.nan), np.where(held, error_of, np.inf), terms, covariance, empty, scatter
    )


def _scales(away: F8, error: F8) -> F8:
    """Scales of light: from twice the noise to the brightest."""
    first = _FIRST * float(np.median(error))
    many = int(np.ceil(np.log(max(float(away.max()), first) / first) / np.log(_RATIO))) + 1
    return first * _RATIO ** np.arange(min(max(many, 1), _MOST), dtype=float)


def _densities(d: F8, s: F8, scales: F8) -> tuple[F8, F8]:
    """Density of each component (k + 1, n), and of the noise alone (n,)."""
    z = d / s
    bare = np.exp(-0.5 * z**2) / (s * np.sqrt(2.0 * np.pi))
    parts = [bare]
    for scale in scales:
        ratio = s / scale
        parts.append(np.exp(0.5 * ratio**2 - d / scale + log_ndtr(z - ratio)) / scale)
    return np.maximum(np.stack(parts), 1e-300), bare


def _scoring(slope: F8, own: I8, shared: F8, about: tuple[int, F8, F8]) -> tuple[F8, F8, F8]:
    """One step of grounds and shared terms, errors of the grounds, covariance of the terms (arrow-shaped system)."""
    count, precision, terms = about
    square = slope**2
    diagonal = np.bincount(own, square, count)
    diagonal = np.where(diagonal > 0, diagonal, np.inf)
    right = np.bincount(own, slope, count)
    edge = (
        np.stack([np.bincount(own, square * column, count) for column in shared.T], axis=1)
        if shared.size
        else np.zeros((count, 0))
    )
    corner = (shared * square[:, None]).T @ shared + np.diag(precision)
    low = shared.T @ slope - precision * terms
    schur = corner - edge.T @ (edge / diagonal[:, None])
    covariance = np.asarray(np.linalg.inv(schur), np.float64) if schur.size else np.zeros((0, 0))
    second = covariance @ (low - edge.T @ (right / diagonal))
    first = (right - edge @ second) / diagonal
    across = edge / diagonal[:, None]
    error = np.sqrt(1.0 / diagonal + np.einsum("kq,qr,kr->k", across, covariance, across))
    return np.concatenate([first, second]), error, covariance
