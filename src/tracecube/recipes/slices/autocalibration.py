"""Brightness of single slices, with its change along wavelength, from the sky around them; 1 where objects hide it.

A piece p of slice s sees, in range q of wavelengths, r = 1 + c_s(z_q) + B(x, y) times the sky that the lines tell of,
B the light of objects. B is the mean of what other slices see nearby, each less its own c: whatever changes slowly over
the field stays in it. c = a0 + a1 z + a2 P2(z), each a drawn from a Gaussian about 0, as wide as the slices themselves
show: brightness and colours that scatter no more than their errors let expect are noise. That of a0 is no more than
twice the errors of the brightness that the sky's lines and continuum have told: in a filled field slices show the
structure of the object. Pieces weigh by their noise and by what neighbours differ beyond it, so a field that is full of
structure leaves c at 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.spatial import cKDTree

from tracecube.core.params import Params
from tracecube.core.slice_light import SliceSky
from tracecube.core.slices import SliceSegments
from tracecube.recipes.slices.sky_light import seen

__all__ = ["EDGES", "AutocalParams", "Autocalibrated", "autocalibrate"]

F8 = NDArray[np.float64]
B1 = NDArray[np.bool_]

EDGES = np.array(
    [
        *(4650.0, 5000.0, 5265.0, 5466.0, 5658.0, 5850.0, 6120.0, 6440.0, 6678.0, 6931.0, 7211.0),
        *(7450.0, 7668.0, 7900.0, 8120.0, 8330.0, 8565.0, 8731.0, 9012.0, 9275.0, 10000.0),
    ]
)
"""Angstrom, ranges of wavelength of the observatory's autocalibration."""

_MIDDLE, _SPAN = 7000.0, 2300.0  # Angstrom: z = (wave - middle) / span
_WIDEST = np.array([0.01, 0.003, 0.003])  # of the three numbers of a slice: flats hold 1 per cent, and less colour
_NARROWEST = 1e-4
_Z = (0.5 * (EDGES[1:] + EDGES[:-1]) - _MIDDLE) / _SPAN
_BASIS = np.stack([np.ones_like(_Z), _Z, 0.5 * (3.0 * _Z * _Z - 1.0)], axis=1)  # (range, number)
_LEAST_SKY = 1e-3  # of the median: a range with less sky tells nothing
_ROUNDS = 12
_SURE = 2.0  # errors of the brightness by lines, which c is no wider than
_FEW = 40  # samples of a piece in a range


class AutocalParams(Params):
    """Numbers of the autocalibration."""

    clip: float = Field(
        default=3.0, gt=0, description="Errors off its surroundings beyond which a piece holds an object"
    )
    along: float = Field(default=3.0, gt=0, description="Reach of surroundings along slices, arcsec (wide field)")
    across: float = Field(default=1.2, gt=0, description="Reach of surroundings across slices, arcsec (wide field)")
    floor: float = Field(default=0.001, ge=0, description="Least difference between pieces, over the sky")


class Autocalibrated(NamedTuple):
    """What slices are brighter than the lines say.

    Parameters
    ----------
    value, error : array (s, q)
        c of each slice in each range.
    trust : array (s,)
        Share of a0 that the sky would decide were slices as unlike as they may be, the rest being drawn to 0.
    points : int array (s, q)
    masked : float
        Share of the pieces that hold objects.
    width : float
        Of a0, as the slices show it.
    detector : str array (s,)
    aperture : int array (s,)
    """

    value: F8
    error: F8
    trust: F8
    points: NDArray[np.int32]
    masked: float
    width: float
    detector: NDArray[np.str_]
    aperture: NDArray[np.int32]


class _Pieces(NamedTuple):
    """Ratios (p, q), their variances, samples, and of each piece its slice and place (arcsec)."""

    ratio: F8
    variance: F8
    points: NDArray[np.int32]
    owner: NDArray[np.intp]
    place: F8


def autocalibrate(segments: Sequence[SliceSegments], sky: SliceSky, params: AutocalParams) -> Autocalibrated:
    """Measure what each slice is brighter than the sky's lines say.

    Parameters
    ----------
    segments : sequence of SliceSegments
        One a detector.
    sky : SliceSky
        Of the same exposure.
    params : AutocalParams
    """
    detector, aperture = np.asarray(sky.detector).astype(str), np.asarray(sky.aperture)
    pieces = _ratios(segments, sky)
    basis = _BASIS
    near = _surroundings(pieces, params)
    numbers = np.zeros((len(aperture), basis.shape[1]))
    inverse = np.zeros((len(aperture), basis.shape[1], basis.shape[1]))
    width = widest = np.array([_widest(sky), *_WIDEST[1:]])
    free: B1 = np.asarray(np.isfinite(pieces.variance).any(axis=1))
    spread = np.full(len(free), params.floor**2)
    for _ in range(_ROUNDS):
        left = pieces.ratio - numbers[pieces.owner] @ basis.T
        around = near @ np.where(free, _white(left, pieces.variance)[0], 0.0)
        count = near @ free.astype(float)
        told = free & (count > 0)
        around = np.divide(around, count, out=np.zeros_like(around), where=count > 0)
        free, spread = _objects(left, pieces, around, near, told, params)
        numbers, inverse = _slices(pieces, around, spread, free & told, width, len(aperture))
        width = np.minimum(_widths(numbers, inverse, width), widest)
    told = np.maximum(
        1.0 / inverse[:, 0, 0] - 1.0 / width[0] ** 2, 0.0
    )  # by the sky: slices may be alike and well seen
    trust = told / (told + 1.0 / widest[0] ** 2)
    value = numbers @ basis.T
    error = np.sqrt(np.einsum("qa,sab,qb->sq", basis, inverse, basis))
    points = np.zeros(value.shape, np.int32)
    np.add.at(points, pieces.owner[free], pieces.points[free])
    known = np.isfinite(pieces.variance).any(axis=1)
    masked = 1.0 - float(free.sum()) / max(float(known.sum()), 1.0)
    return Autocalibrated(value, error, trust, points, masked, float(width[0]), detector, aperture.astype(np.int32))


def _ratios(segments: Sequence[SliceSegments], sky: SliceSky) -> _Pieces:
    """Return what each piece sees over what the sky's lines say it should, by ranges of wavelength."""
    ratio, variance, points, owner, place = [], [], [], [], []
    names = np.asarray(sky.detector).astype(str)
    for one in segments:
        name = str(one.meta.get("DETECTOR") or "")
        rows = np.flatnonzero(names == name)
        own = sky.of(name)
        for piece in range(len(one.flux)):
            at = np.flatnonzero(np.asarray(own.aperture) == one.aperture[piece])
            if not at.size or own.dq[at[0]]:
                continue
            known = np.isfinite(one.flux[piece]) & (one.variance[piece] > 0) & (one.flags[piece] == 0)
            found = _ratio(one, piece, known, own, int(at[0]))
            ratio.append(found[0])
            variance.append(found[1])
            points.append(found[2])
            owner.append(rows[at[0]])
            place.append((one.x[piece], one.y[piece]))
    return _Pieces(
        np.array(ratio),
        np.array(variance),
        np.array(points, np.int32),
        np.array(owner, np.intp),
        np.array(place, float),
    )


def _ratio(one: SliceSegments, piece: int, known: B1, sky: SliceSky, row: int) -> tuple[F8, F8, NDArray[np.int32]]:
    """Return the ratio less 1 in each range, its variance (infinite where it tells nothing), and its samples."""
    wave = one.wave[piece, known]
    expected = np.asarray(seen(sky, row, wave), np.float64)
    at = np.searchsorted(EDGES, wave) - 1
    inside = (at >= 0) & (at < EDGES.size - 1)
    typical = np.median(np.abs(expected)) if expected.size else 0.0
    weight = np.where(inside & (expected > _LEAST_SKY * typical), 1.0 / one.variance[piece, known], 0.0)
    at, count = np.clip(at, 0, EDGES.size - 2), EDGES.size - 1
    power = np.bincount(at, weight * expected**2, count)
    cross = np.bincount(at, weight * expected * one.flux[piece, known], count)
    points = np.bincount(at, weight > 0, count).astype(np.int32)
    good = (power > 0) & (points > _FEW)
    safe = np.where(good, power, 1.0)
    return np.where(good, cross / safe - 1.0, 0.0), np.where(good, 1.0 / safe, np.inf), points


def _white(values: F8, variance: F8) -> tuple[F8, F8]:
    """Return the mean over wavelength (p,) and its variance."""
    weight = 1.0 / variance
    total = weight.sum(axis=1)
    safe = np.where(total > 0, total, 1.0)
    return (weight * values).sum(axis=1) / safe, np.where(total > 0, 1.0 / safe, np.inf)


def _surroundings(pieces: _Pieces, params: AutocalParams) -> F8:
    """Return weights (p, p) of the pieces of other slices about each piece, by a Gaussian of the distance."""
    scaled = pieces.place / np.array([params.along, params.across])
    tree = cKDTree(scaled)
    made = np.zeros((len(scaled), len(scaled)))
    for i, near in enumerate(tree.query_ball_point(scaled, 3.0)):
        others = np.array([j for j in near if pieces.owner[j] != pieces.owner[i]], np.intp)
        if others.size:
            made[i, others] = np.exp(-0.5 * np.sum((scaled[others] - scaled[i]) ** 2, axis=1))
    return made


def _objects(left: F8, pieces: _Pieces, around: F8, near: F8, told: B1, params: AutocalParams) -> tuple[B1, F8]:
    """Return which pieces hold sky, or even light, and by how much neighbours differ beyond their noise (variance)."""
    value, variance = _white(left, pieces.variance)
    off = value - around
    known = np.isfinite(variance) & told
    level = np.where(known, off**2 - variance, 0.0)
    capped = np.minimum(
        level, (params.clip * np.sqrt(np.median(np.abs(level[known])) if known.any() else 0.0)) ** 2 * 9.0
    )
    count = near @ known.astype(float)
    spread = np.divide(near @ np.where(known, capped, 0.0), count, out=np.zeros_like(count), where=count > 0)
    spread = np.maximum(spread, params.floor**2)
    free = np.isfinite(variance) & (
        np.abs(off) < params.clip * np.sqrt(spread + np.where(np.isfinite(variance), variance, 0.0))
    )
    return free, spread


def _slices(pieces: _Pieces, around: F8, spread: F8, use: B1, width: F8, count: int) -> tuple[F8, F8]:
    """Return the numbers of each slice and their covariance."""
    terms, basis = _BASIS.shape[1], _BASIS
    matrix, rhs = np.zeros((count, terms, terms)), np.zeros((count, terms))
    weight = np.where(use[:, None], 1.0 / pieces.variance, 0.0)
    off = pieces.ratio - around[:, None]
    inner = np.einsum("pq,qa,qb->pab", weight, basis, basis)
    right = np.einsum("pq,qa->pa", weight * off, basis)
    # what neighbours differ is common to all wavelengths of a piece: it adds to the variance of its mean
    total = weight.sum(axis=1)
    share = 1.0 / (1.0 + spread * total)
    np.add.at(matrix, pieces.owner, inner * share[:, None, None])
    np.add.at(rhs, pieces.owner, right * share[:, None])
    prior = np.diag(1.0 / width**2)
    inverse = np.linalg.inv(matrix + prior)
    return np.asarray(np.einsum("sab,sb->sa", inverse, rhs)), np.asarray(inverse)


def _widest(sky: SliceSky) -> float:
    """Return the largest width of a0: flats hold 1 per cent, and less where lines have told the brightness."""
    error = np.asarray(sky.gain_error) / np.asarray(sky.gain)
    told = error[(np.asarray(sky.dq) == 0) & np.isfinite(error) & (error > 0)]
    return min(float(_WIDEST[0]), _SURE * float(np.median(told))) if told.size else float(_WIDEST[0])


def _widths(numbers: F8, inverse: F8, before: F8) -> F8:
    """Return by how much each of the three numbers scatters from slice to slice beyond its errors."""
    return np.array([_width(numbers[:, k], inverse[:, k, k], float(before[k]), k) for k in range(before.size)])


def _width(value: F8, variance: F8, before: float, term: int) -> float:
    """Return the scatter of one number of the slices that its errors do not explain.

    What was drawn to 0 is drawn back for it: ``value = kept * measured`` and ``variance = kept * error**2``.
    """
    kept = 1.0 - variance / before**2
    told = kept > 0.1  # noqa: PLR2004 - the others tell no scatter
    if told.sum() < 8:  # noqa: PLR2004 - too few for a scatter
        return before
    measured, error2 = value[told] / kept[told], variance[told] / kept[told]
    scatter = (1.4826 * float(np.median(np.abs(measured - np.median(measured))))) ** 2
    return float(np.clip(np.sqrt(max(scatter - float(np.median(error2)), 0.0)), _NARROWEST, _WIDEST[term]))
