"""Linear map of a field to the sky, from stars matched to a catalogue: as many numbers as the stars can tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import BoolArray, FloatArray, IntArray

__all__ = ["LinearMap", "match_stars", "solve_map"]

_ENOUGH = {4: 3, 6: 6}  # stars from which one scale and a turn, and any linear map, are free
_CLIP = 4.0


@dataclass(frozen=True)
class LinearMap:
    """``(west, north) = matrix (x, y) + shift``, arcsec.

    Parameters
    ----------
    matrix : array (2, 2)
    shift : array (2,), arcsec
    covariance : array (6, 6)
        Of matrix (by rows) and shift; includes the stars' scatter.
    residual : array (n, 2), arcsec
        Measured less catalogue; NaN for stars that are no pair.
    used : bool array (n,)
    terms : int
        2, 4 or 6 numbers were free.
    chi2 : float
        A degree of freedom.
    """

    matrix: FloatArray
    shift: FloatArray
    covariance: FloatArray
    residual: FloatArray
    used: BoolArray
    terms: int
    chi2: float


def match_stars(found: FloatArray, catalogue: FloatArray, *, reach: float, turn: float, tolerance: float) -> IntArray:
    """Return which star of the catalogue each found one is (n,), -1 for none.

    Every difference between a found and a catalogued star votes for a shift, at a few turns about the nominal
    direction; the shift on which most pairs agree wins, if it is more than chance.

    Parameters
    ----------
    found, catalogue : array (n, 2), (m, 2), arcsec
        Nominal places in the field, and places on the sky: to the west and north. Brightest first.
    reach : float, arcsec
        Largest error of the pointing.
    turn : float, degree
        Largest turn.
    tolerance : float, arcsec
        Pairs farther apart are none.

    Raises
    ------
    NoConvergence
        As many pairs could agree by chance.
    """
    best = (0.0, 0.0, np.zeros(2))
    for angle in np.arange(-turn, turn + 1e-6, 0.2 if turn else 1.0):
        turned = found @ _rotation(angle).T
        gap = (catalogue[None, :, :] - turned[:, None, :]).reshape(-1, 2)
        gap = gap[np.hypot(*gap.T) < reach]
        if not gap.size:
            continue
        near = np.hypot(*(gap[:, None, :] - gap[None, :, :]).transpose(2, 0, 1)) < tolerance
        votes = near.sum(axis=1)
        top = int(np.argmax(votes))
        if votes[top] > best[0]:
            best = (float(votes[top]), float(angle), gap[near[top]].mean(axis=0))
    votes, angle, shift = best
    chance = len(found) * len(catalogue) * (tolerance / max(reach, tolerance)) ** 2
    if votes < 1 or (votes < chance + 3.0 * np.sqrt(chance) + 1.0 and not _only(found, catalogue)):
        raise NoConvergence(
            f"{votes:.0f} of {len(found)} stars agree with the catalogue, {chance:.1f} would by chance",
            hint="is it the catalogue of this field? Look at the pointing, or lower the threshold",
        )
    place = found @ _rotation(angle).T + shift
    distance = np.hypot(*(catalogue[None, :, :] - place[:, None, :]).transpose(2, 0, 1))
    pair = np.full(len(found), -1, np.int32)
    for i in np.argsort(distance.min(axis=1), kind="stable"):
        j = int(np.argmin(distance[i]))
        if distance[i, j] < tolerance and j not in pair:
            pair[i] = j
    return pair


def _only(found: FloatArray, catalogue: FloatArray) -> bool:
    """Whether there is but one star to match, which nothing can confirm."""
    return len(found) == 1 and len(catalogue) == 1


def _rotation(angle: float) -> FloatArray:
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return np.array([[c, -s], [s, c]])


def solve_map(found: FloatArray, error: FloatArray, sky: FloatArray) -> LinearMap:
    """Fit the map to pairs; stars that do not fit are given up.

    Parameters
    ----------
    found, error : array (n, 2), arcsec
        Nominal places and their errors.
    sky : array (n, 2), arcsec
        To the west and north; NaN for stars that are no pair.
    """
    pair: BoolArray = np.asarray(np.isfinite(sky).all(axis=1))
    used: BoolArray = pair.copy()
    for _ in range(8):
        count = int(used.sum())
        terms = max((t for t, least in _ENOUGH.items() if count >= least), default=2)
        design = _design(found, terms)
        target = np.where(pair[:, None], sky - (found if terms == 2 else 0.0), 0.0)
        weight = np.where(used[:, None], error**-2.0, 0.0)
        normal = np.einsum("nik,ni,nil->kl", design, weight, design)
        value = np.linalg.solve(normal, np.einsum("nik,ni,ni->k", design, weight, target))
        left = np.where(pair[:, None], np.einsum("nik,k->ni", design, value) - target, np.nan)
        pull = np.sqrt(0.5 * np.sum((left / error) ** 2, axis=1))
        spread = max(float(np.median(pull[used])) / 0.833, 1.0)  # median of this pull is 0.833 for two coordinates
        kept = pair & (np.nan_to_num(pull, nan=np.inf) < _CLIP * spread)
        if kept.sum() < 1 or (kept == used).all():
            break
        used = kept
    freedom = 2 * int(used.sum()) - terms
    chi2 = float(np.nansum((weight * left**2)[used])) / freedom if freedom > 0 else float("nan")
    covariance = np.linalg.inv(normal) * max(np.nan_to_num(chi2, nan=1.0), 1.0)
    basis = _basis(terms)
    full = basis @ value + (np.array([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]) if terms == 2 else 0.0)
    return LinearMap(full[:4].reshape(2, 2), full[4:], basis @ covariance @ basis.T, left, used, terms, chi2)


def _basis(terms: int) -> FloatArray:
    """Return matrix (by rows) and shift (6,) as a linear function of the free numbers (6, terms)."""
    if terms == 6:
        return np.eye(6)
    basis = np.zeros((6, terms))
    basis[4, terms - 2] = basis[5, terms - 1] = 1.0
    if terms == 4:
        basis[0, 0] = basis[3, 0] = basis[2, 1] = 1.0
        basis[1, 1] = -1.0
    return basis


def _design(found: FloatArray, terms: int) -> FloatArray:
    """Return derivatives (n, 2, terms) of both coordinates."""
    n = len(found)
    full = np.zeros((n, 2, 6))
    full[:, 0, 0], full[:, 0, 1], full[:, 0, 4] = found[:, 0], found[:, 1], 1.0
    full[:, 1, 2], full[:, 1, 3], full[:, 1, 5] = found[:, 0], found[:, 1], 1.0
    return np.asarray(full @ _basis(terms))
