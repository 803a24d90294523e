"""Light of extended sources and stars' wings in a bundle, as far out as no fibre alone tells it from the sky.

A galaxy falls off about its middle: its light is a sum of elliptical exponentials of fixed scales (as a sum of
Gaussians is used by Emsellem, Monnet & Bacon 1994, A&A 285, 723), none of them negative, with centre and ellipse from
its bright part; stars' wings are the bright fibres' light through a seeing's wings. They are fitted together with the
ground and its gradient to all fibres but those that stand out alone, which are stars.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from tracecube.core.fields import FloatArray

__all__ = ["MISS", "extended_light"]

MISS = 0.1
"""Share of the extended light by which the model may miss a fibre's."""

_SCALES = (2.0, 3.0, 4.5, 6.75, 10.0)  # arcsec: e-folding lengths
_BETA, _ALPHA = 3.5, 1.8  # exponent and radius (arcsec) of a Moffat of 1.7 arcsec: wings of the site's seeing
_NEIGHBOURS = 9  # fibres whose median no star lifts
_LIT, _LEAST = 3.0, 12  # errors above the ground, and fibres so, that make an extended source
_BRIGHT = 5.0  # errors above the ground of fibres whose light has wings
_ALONE, _LOW = 2.0, -5.0  # errors above and below the model at which a fibre is left out
_ROUNDS = 25


def extended_light(
    level: FloatArray, error: FloatArray, at: FloatArray, ground: FloatArray, slope: float
) -> tuple[FloatArray, float]:
    """Return the extended light (n,) of the fibres of a bundle, and what it leaves unknown of the ground.

    Parameters
    ----------
    level, error : array (n,)
        All finite; light is in their unit.
    at : array (n, 2), arcsec
        Places of the fibres.
    ground : array (n,)
        First guess of the level of an empty fibre.
    slope : float, 1/arcsec
        Gradient that is expected of the ground.
    """
    n = level.size
    light = np.zeros(n)
    terms = _templates(level - ground, error, at) if n >= _LEAST else np.zeros((n, 0))
    if terms.shape[1] == 0:
        return light, 0.0
    free = np.concatenate([np.ones((n, 1)), at, -at], axis=1)  # gradients either way, from terms that are positive
    design = np.concatenate([free, terms], axis=1)
    before = np.zeros((2, design.shape[1]))
    before[[0, 1], [1, 2]], before[[0, 1], [3, 4]] = 1.0 / slope, -1.0 / slope
    use = level - ground < 8.0 * error
    for _ in range(_ROUNDS):
        sigma = np.hypot(error, MISS * light)
        matrix = np.concatenate([design[use] / sigma[use, None], before])
        found, _ = nnls(matrix, np.concatenate([level[use] / sigma[use], np.zeros(2)]))
        light = terms @ found[free.shape[1] :]
        away = (level - design @ found) / np.hypot(error, MISS * light)
        now = (away < _ALONE) & (away > _LOW)
        if (now == use).all() or now.sum() < _LEAST:
            break
        use = now
    taken = np.flatnonzero(found > 0)
    taken = taken[taken >= free.shape[1]]
    if taken.size == 0:
        return np.asarray(light), 0.0
    covariance = np.linalg.pinv(matrix[:, [0, 1, 2, *taken]].T @ matrix[:, [0, 1, 2, *taken]], hermitian=True)
    return np.asarray(light), float(np.sqrt(max(covariance[0, 0], 0.0)))


def _templates(away: FloatArray, error: FloatArray, at: FloatArray) -> FloatArray:
    """Return what extended light may look like (n, k): wings of bright fibres, exponentials about what is extended."""
    distance = np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1))
    moffat = (1.0 + (distance / _ALPHA) ** 2) ** -_BETA
    np.fill_diagonal(moffat, 0.0)
    wings = moffat @ np.where(away > _BRIGHT * error, away, 0.0)
    terms = [wings] if (wings > 0).any() else []
    near = np.argpartition(distance, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
    smooth = np.median(away[near], axis=1)
    lit = smooth > _LIT * np.median(error)
    if lit.sum() >= _LEAST:
        weight = np.where(lit, smooth, 0.0) ** 2  # the bright part alone: the rest is cut by the bundle's edge
        off = at - weight @ at / weight.sum()
        shape = (off * weight[:, None]).T @ off / weight.sum()
        shape = shape / np.sqrt(np.linalg.det(shape))
        radius = np.sqrt(np.einsum("ni,ij,nj->n", off, np.linalg.inv(shape), off))
        terms += [np.exp(-radius / scale) for scale in _SCALES]
    return np.stack(terms, axis=1) if terms else np.zeros((away.size, 0))
