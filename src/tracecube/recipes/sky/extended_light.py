"""Light of extended sources and stars' wings in a bundle, as far out as no fibre alone tells it from the sky.

A galaxy falls off about its middle: its light is a sum of elliptical exponentials of fixed scales (as a sum of
Gaussians is used by Emsellem, Monnet & Bacon 1994, A&A 285, 723), none of them negative, about one centre and of one
ellipse, which are fitted where no star shines (variable projection; Golub & Pereyra 1973, SIAM J. Numer. Anal. 10,
413); stars' wings are their fibres' light through a seeing's wings. They are fitted together with the ground and its
gradient to all fibres but those that stand out alone, which are stars.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares, nnls

from tracecube.core.fields import BoolArray, FloatArray

__all__ = ["MISS", "ExtendedLight", "extended_light"]

MISS = 0.1
"""Share of the extended light by which the model may miss a fibre's."""

_SCALES = (2.0, 3.0, 4.5, 6.75, 10.0)  # arcsec: e-folding lengths
_BETA, _ALPHA = 3.5, 1.8  # exponent and radius (arcsec) of a Moffat of 1.7 arcsec: wings of the site's seeing
_STAR = 4.0  # arcsec about one that stands out, within which a bright fibre is the same star
_NEIGHBOURS = 9  # fibres whose median no star lifts
_LIT, _LEAST = 3.0, 12  # errors above the ground, and fibres so, that make an extended source
_BRIGHT = 5.0  # errors above the ground of fibres whose light has wings
_STEEP = 0.3  # share of the light about a fibre by which that of a galaxy may stand out of it
_ALONE, _LOW = 3.0, -5.0  # errors above and below the model at which a fibre is left out
_ROUNDS, _SHAPED = 25, 3  # of choosing fibres; those in which centre and ellipse are fitted anew
_STEP = 0.1  # arcsec over which the light's change is taken
_STEPS = 8  # of the fit of centre and ellipse
_CENTRE, _ELLIPSE = 3.0, 0.3  # expected of how far (arcsec) the centre is from the first guess, and of log(a / b)


class ExtendedLight(NamedTuple):
    """Extended light in the fibres of a bundle.

    Parameters
    ----------
    light : array (n,)
        Of a galaxy and of stars' wings.
    wings : array (n,)
        Of stars' wings alone.
    steep : array (n, 2), 1/arcsec
        How the light of a galaxy changes with place: what a shift takes or adds.
    doubt : float
        What it leaves unknown of the ground.
    """

    light: FloatArray
    wings: FloatArray
    steep: FloatArray
    doubt: float

    @classmethod
    def none(cls, fibres: int) -> ExtendedLight:
        """Return that of a bundle that is empty but for stars."""
        return cls(np.zeros(fibres), np.zeros(fibres), np.zeros((fibres, 2)), 0.0)


class _Fibres(NamedTuple):
    """Levels (n,) of the fibres of a bundle with errors, places (n, 2), distances (n, n), light above the ground."""

    level: FloatArray
    error: FloatArray
    at: FloatArray
    distance: FloatArray
    away: FloatArray
    slope: float


def extended_light(
    level: FloatArray, error: FloatArray, at: FloatArray, ground: FloatArray, slope: float
) -> ExtendedLight:
    """Find the extended light of the fibres of a bundle, in the unit of the levels.

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
    light = np.zeros(level.size)
    if level.size < _LEAST:
        return ExtendedLight.none(level.size)
    fibres = _Fibres(level, error, at, np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1)), level - ground, slope)
    wings, clear = _stars(fibres)
    smooth = np.maximum(_smooth(fibres, clear), 0.0)
    about = _first_guess(fibres, np.where(clear & (smooth > _LIT * np.median(error)), smooth, 0.0))
    if about is None:
        use = fibres.away < 2.0 * _BRIGHT * error
    else:
        light, use = smooth, clear & (np.abs(fibres.away - smooth) < _ALONE * np.hypot(error, _STEEP * smooth))
    if (about is None and wings.shape[1] == 0) or use.sum() < _LEAST:
        return ExtendedLight.none(level.size)
    for turn in range(_ROUNDS):
        if about is not None and turn < _SHAPED:
            about = _shaped(fibres, about, wings, light, use)
        terms = np.concatenate([wings, _exponentials(at, about)], axis=1)
        found, matrix, rest = _solved(fibres, terms, light, use)
        light = terms @ found[5:]
        with np.errstate(divide="ignore"):
            away = rest / np.hypot(error, MISS * light)
        now = (away < _ALONE) & (away > _LOW)
        if (now == use).all() or now.sum() < _LEAST:
            break
        use = now
    taken = np.flatnonzero(found > 0)
    taken = taken[taken >= 5]  # noqa: PLR2004 - the ground and its gradients either way
    if taken.size == 0:
        return ExtendedLight.none(level.size)
    covariance = np.linalg.pinv(matrix[:, [0, 1, 2, *taken]].T @ matrix[:, [0, 1, 2, *taken]], hermitian=True)
    many = 5 + wings.shape[1]
    steps = [_exponentials(at + step, about) - _exponentials(at - step, about) for step in _STEP * np.eye(2)]
    steep = np.stack([step @ found[many:] for step in steps], axis=1) / (2.0 * _STEP)
    return ExtendedLight(light, wings @ found[5:many], steep, float(np.sqrt(max(covariance[0, 0], 0.0))))


def _stars(fibres: _Fibres) -> tuple[FloatArray, BoolArray]:
    """Return the wings of stars (n, 1), none (n, 0) without one, and fibres (n,) in which no star shines."""
    every = np.ones(fibres.level.size, bool)
    smooth = np.maximum(_smooth(fibres, every), 0.0)
    alone = fibres.away - smooth > _BRIGHT * np.hypot(fibres.error, _STEEP * smooth)
    near = np.where(alone[None, :], fibres.distance, np.inf).min(axis=1) < _STAR
    bright = np.where(near & (fibres.away > _BRIGHT * fibres.error), fibres.away, 0.0)
    moffat = (1.0 + (fibres.distance / _ALPHA) ** 2) ** -_BETA
    np.fill_diagonal(moffat, 0.0)
    wings = moffat @ bright
    clear = ~alone & (wings < fibres.error)
    if clear.sum() < 2 * _LEAST:
        clear = ~alone
    return (wings[:, None] if bright.any() else np.zeros((wings.size, 0))), clear


def _smooth(fibres: _Fibres, use: BoolArray) -> FloatArray:
    """Median (n,) of the nearest fibres that are used."""
    many = min(_NEIGHBOURS, int(use.sum()))
    if many == 0:
        return np.zeros(fibres.level.size)
    near = np.argpartition(np.where(use[None, :], fibres.distance, np.inf), many - 1, axis=1)[:, :many]
    return np.asarray(np.median(fibres.away[near], axis=1))


def _first_guess(fibres: _Fibres, lit: FloatArray) -> FloatArray | None:
    """Centre, and ellipse as log(a / b) along twice its angle (4,), by moments of the bright part; None without one."""
    if np.count_nonzero(lit) < _LEAST:
        return None
    weight = lit**2  # the bright part alone: the rest is cut by the bundle's edge
    centre = weight @ fibres.at / weight.sum()
    off = fibres.at - centre
    size, axes = np.linalg.eigh((off * weight[:, None]).T @ off / weight.sum())
    turn = 2.0 * np.arctan2(axes[1, 1], axes[0, 1])
    flat = 0.5 * float(np.log(size[1] / max(size[0], 1e-6 * size[1])))
    return np.array([*centre, flat * np.cos(turn), flat * np.sin(turn)])


def _exponentials(at: FloatArray, about: FloatArray | None) -> FloatArray:
    """What a galaxy of a centre and an ellipse may look like, (n, k); nothing (n, 0) without one."""
    if about is None:
        return np.zeros((len(at), 0))
    off, (p, q) = at - about[:2], about[2:]
    flat = float(np.hypot(p, q))
    turned = np.array([[p, q], [q, -p]]) * (np.sinh(flat) / flat if flat > 0 else 1.0)
    square = np.einsum("ni,ij,nj->n", off, np.cosh(flat) * np.eye(2) - turned, off)
    radius = np.sqrt(np.maximum(square, 0.0))
    return np.stack([np.exp(-radius / scale) for scale in _SCALES], axis=1)


def _solved(
    fibres: _Fibres, terms: FloatArray, light: FloatArray, use: BoolArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return ground, gradients and terms, none of them negative, their weighted design, and what is left (n,)."""
    at = fibres.at  # gradients either way, from terms that are positive
    design = np.concatenate([np.ones((len(at), 1)), at, -at, terms], axis=1)
    before = np.zeros((2, design.shape[1]))
    before[[0, 1], [1, 2]], before[[0, 1], [3, 4]] = 1.0 / fibres.slope, -1.0 / fibres.slope
    sigma = np.hypot(fibres.error, MISS * light)[use]
    matrix = np.concatenate([design[use] / sigma[:, None], before])
    found, _ = nnls(matrix, np.concatenate([fibres.level[use] / sigma, np.zeros(2)]))
    return found, matrix, np.asarray(fibres.level - design @ found)


def _shaped(fibres: _Fibres, about: FloatArray, wings: FloatArray, light: FloatArray, use: BoolArray) -> FloatArray:
    """Fit centre and ellipse of a galaxy; brightnesses are those that fit best with each."""
    sigma = np.hypot(fibres.error, MISS * light)[use]

    def residual(trial: FloatArray) -> FloatArray:
        terms = np.concatenate([wings, _exponentials(fibres.at, trial)], axis=1)
        rest = _solved(fibres, terms, light, use)[2][use]
        return np.concatenate([rest / sigma, (trial[:2] - about[:2]) / _CENTRE, trial[2:] / _ELLIPSE])

    return np.asarray(least_squares(residual, about, max_nfev=_STEPS, diff_step=1e-3, x_scale=[1, 1, 0.2, 0.2]).x)
