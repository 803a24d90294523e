"""Brightness of slices from the continuum: the seeing blurs the field over several slices, brightness jumps at each.

Of a piece of a slice, u = 1 + c + o: the light in it over the sky's, once its slice's brightness by lines is taken off;
c is what that brightness lacks, o the light of objects over the sky. Along a column of pieces, slice above slice, o is
the sum of a broad part (any level, slope and bend) and of a Gaussian process that is as smooth as the seeing makes
it, as strong as what is seen around. c is another one, without any smoothness, as wide as the errors of the lines say.
How smooth the seeing makes the field the pieces tell: of some lengths the one counts that makes them most probable.
All pieces of the slices of a stack together tell c (Rasmussen & Williams 2006, Gaussian Processes for Machine Learning,
section 2.7). Where objects are bright, or fill the field, less of c is told, and the lines stand.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import FloatArray

__all__ = ["Columns", "Evened", "columns", "continuum_excess", "even_slices"]

F8 = NDArray[np.float64]
I4 = NDArray[np.integer]

_SMOOTH = (1.2, 1.6, 2.1, 2.8)
"""Slices over which light is alike, 0.6 of the full width of images: of the sharpest that there is in the wide field, 2
slices or 0.4 arcsec, to 4.7 slices."""

_BROAD = 12.0  # slices of the broad part
_SHARP = 0.1  # of the power of light, that is as sharp as the sharpest image: a Moffat function has a cusp
_AROUND = 1.5  # slices over which the strength of objects is measured: in their wings it is that of the wings
_FAINT = 0.25  # share of a column, the faintest, above which light is that of objects
_FLOOR = 1e-3  # of the sky, the least strength: nothing is as even
_UNLIKE = 0.06  # of the light of objects that the smooth process does not follow: places, colours
_ODD = 5.0  # errors of the lines beyond which a slice does not depart from them by its brightness
_LEVEL = 1.0  # of the sky, width of the level of a column
_ROUNDS = 4
_MEDIAN = 0.455  # of the square of a Gaussian number of width 1
_SURE = 0.2  # share of the variance that the continuum takes away of slices that tell how wide errors are
_SAME = 1.1  # share by which scatter may exceed what is expected
_FEWEST = 6  # slices of a stack
_BLOCK = 64  # rows whose samples weigh alike
_CLEAR = 1.3  # of the typical sky of a block: more is a line
_SAMPLES = 500  # without which a piece tells nothing
_WIDEST = 5.0  # by which errors of lines may be too small


def columns(slice_: I4, piece: I4, x: FloatArray, y: FloatArray) -> Columns:
    """Return where pieces lie: those of one number in slices above each other are a column.

    Parameters
    ----------
    slice_, piece : int array (n,)
        Slice of each piece, and number along it.
    x, y : array (n,), arcsec
        Along and across slices; NaN for a piece without a place.
    """
    count = int(slice_.max()) + 1
    known = np.isfinite(x) & np.isfinite(y)
    many = np.maximum(np.bincount(slice_[known], minlength=count), 1)
    middle = np.bincount(slice_[known], x[known], count) / many
    parts = int(piece.max()) + 1
    ends = np.full((2, count), np.nan)
    np.fmin.at(ends[0], slice_[known], x[known])
    np.fmax.at(ends[1], slice_[known], x[known])
    each = np.unique(piece[known]).size  # every other one may be given
    length = float(np.nanmedian(ends[1] - ends[0])) * each / max(each - 1, 1)
    stack = np.rint((middle - np.min(middle[many > 1], initial=middle.max())) / max(length, 1e-9)).astype(int)
    column = np.maximum(stack, 0)[slice_] * parts + piece
    gaps = [np.diff(np.sort(y[known & (column == one)])) for one in np.unique(column[known])]
    steps = np.concatenate(gaps) if gaps else np.zeros(0)
    pitch = float(np.median(steps[steps > 0])) if (steps > 0).any() else 1.0
    return Columns(slice_, column, np.asarray(y / pitch, np.float64))


def continuum_excess(flux: F8, weight: F8, sky: F8) -> tuple[float, float]:
    """Return by what share a piece is brighter than the sky between its lines, and the variance of that.

    Samples of a block of rows weigh alike, or those that are low by chance would count more.

    Parameters
    ----------
    flux, weight, sky : array (k,)
        Light, inverse variance (0 for what does not count), and the sky in the piece's slice.
    """
    size = flux.size // _BLOCK * _BLOCK
    shape = (-1, _BLOCK)
    data, inverse, model = (np.asarray(part[:size], np.float64).reshape(shape) for part in (flux, weight, sky))
    good = inverse > 0
    rows = good.sum(axis=1) > _BLOCK // 2
    data, inverse, model, good = data[rows], inverse[rows], model[rows], good[rows]
    typical = np.median(model, axis=1, keepdims=True)
    good &= (model < _CLEAR * typical) & (typical > 0)
    if good.sum() < _SAMPLES:
        return float("nan"), float("inf")
    noise = np.where(good, 1.0 / np.where(good, inverse, 1.0), 0.0)
    level = noise.sum(axis=1) / np.maximum(good.sum(axis=1), 1)
    share = np.where(good & (level > 0)[:, None], model / np.where(level > 0, level, 1.0)[:, None], 0.0)
    power = float(np.sum(share * model))
    return float(np.sum(share * (data - model))) / power, float(np.sum(share**2 * noise)) / power**2


class Columns(NamedTuple):
    """Where pieces lie.

    Parameters
    ----------
    slice : int array (n,)
    column : int array (n,)
        Pieces above each other in the field.
    place : array (n,), slices
        Along the column.
    """

    slice: I4
    column: I4
    place: F8


class Evened(NamedTuple):
    """What slices lack.

    Parameters
    ----------
    change : array (s,)
        c; 0 for a slice that nothing tells of.
    error : array (s,)
        Of brightness with the change.
    told : array (s,)
        Share of the variance of the lines that the continuum takes away.
    evidence : float
        Natural logarithm of the probability of the pieces, but for a constant.
    """

    change: F8
    error: F8
    told: F8
    evidence: float


def even_slices(excess: F8, variance: F8, where: Columns, error: F8) -> tuple[Evened, float]:
    """Find what the brightness of slices lacks, and by what errors of lines are too small.

    Where slices beside few objects differ by more than those errors let expect, they are widened: changes have the
    variance that the continuum takes away.

    Parameters
    ----------
    excess : array (n,)
        u - 1 of pieces; NaN for what was not measured.
    variance : array (n,)
        Of its noise.
    where : Columns
    error : array (s,)
        Of the brightness of slices by lines, over it; infinite for a slice without.
    """
    tried = [(_even(excess, variance, where, error, smooth), smooth) for smooth in _SMOOTH]
    (found, smooth), scale = max(tried, key=lambda one: one[0].evidence), 1.0
    for _ in range(_ROUNDS):
        sure = found.told > _SURE
        if sure.sum() < _FEWEST:
            break
        ratio = float(np.median(found.change[sure] ** 2 / found.told[sure] / (scale * error[sure]) ** 2)) / _MEDIAN
        if ratio <= _SAME:
            break
        scale = min(scale * float(np.sqrt(ratio)), _WIDEST)
        found = _even(excess, variance, where, scale * error, smooth)
    return found, scale


def _even(excess: F8, variance: F8, where: Columns, error: F8, smooth: float) -> Evened:
    """Find what the brightness of slices lacks, errors of the lines and the smoothness of light being what they are."""
    change, spread, told, evidence = np.zeros(error.size), error.copy(), np.zeros(error.size), 0.0
    known = np.isfinite(excess) & (variance > 0) & np.isfinite(variance) & np.isfinite(error[where.slice])
    groups = _stacks(where, known)
    for pieces in groups:
        own, at = np.unique(where.slice[pieces], return_inverse=True)
        if own.size < _FEWEST:
            continue
        part = _Stack(excess[pieces], variance[pieces], where.column[pieces], where.place[pieces], at, smooth)
        found, covariance, probable = part.solved(error[own])
        odd = np.abs(found) > _ODD * error[own]
        if odd.any():  # something else than brightness: the lines stand
            part = part._replace(variance=np.where(odd[at], np.inf, part.variance))
            found, covariance, _ = part.without().solved(error[own])
        evidence += probable
        change[own] = found
        spread[own] = np.sqrt(np.diag(covariance))
        told[own] = 1.0 - np.diag(covariance) / error[own] ** 2
    return Evened(change, spread, told, evidence)


def _stacks(where: Columns, known: NDArray[np.bool_]) -> list[I4]:
    """Return the pieces of each set of slices that share columns."""
    parent = list(range(int(where.column.max()) + 1)) if where.column.size else []

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    first: dict[int, int] = {}
    for one, column in zip(where.slice[known], where.column[known], strict=True):
        a, b = root(first.setdefault(int(one), int(column))), root(int(column))
        parent[max(a, b)] = min(a, b)
    group = np.array([root(int(column)) for column in where.column], int)
    return [np.flatnonzero(known & (group == one)) for one in np.unique(group[known])]


class _Stack(NamedTuple):
    """Pieces of slices that lie above each other; ``slice`` counts from 0 within the stack, light is ``smooth``."""

    excess: F8
    variance: F8
    column: I4
    place: F8
    slice: I4
    smooth: float

    def without(self) -> _Stack:
        """Return the stack without the pieces of infinite variance."""
        kept = np.isfinite(self.variance)
        excess, variance, place = self.excess[kept], self.variance[kept], self.place[kept]
        return _Stack(excess, variance, self.column[kept], place, self.slice[kept], self.smooth)

    def solved(self, error: F8) -> tuple[F8, F8, float]:
        """Return c of the slices, its covariance, and the logarithm of the probability of what is seen."""
        change: F8 = np.zeros(error.size)
        chi2 = 0.0
        covariance: F8 = np.asarray(np.diag(error**2), np.float64)
        columns = [np.flatnonzero(self.column == one) for one in np.unique(self.column)]
        light: list[F8] = [self.excess[pieces] for pieces in columns]
        for _ in range(_ROUNDS):
            matrix, right = np.diag(1.0 / error**2), np.zeros(error.size)
            chi2 = float(np.sum(np.log(error**2)))
            for k, pieces in enumerate(columns):
                expected = self._objects(pieces, light[k])
                inverse = np.linalg.inv(expected)
                own, seen = self.slice[pieces], self.excess[pieces]
                matrix[np.ix_(own, own)] += inverse
                right[own] += inverse @ seen
                chi2 += float(seen @ inverse @ seen + np.linalg.slogdet(expected)[1])
            covariance = np.asarray(np.linalg.inv(matrix), np.float64)
            change = covariance @ right
            chi2 += float(np.linalg.slogdet(matrix)[1] - right @ change)
            light = [self.excess[pieces] - change[self.slice[pieces]] for pieces in columns]
        return change, covariance, -0.5 * chi2

    def _objects(self, pieces: I4, light: F8) -> F8:
        """Return the covariance of what is seen in a column besides c: objects, their level, and noise."""
        place = self.place[pieces]
        far = (place[:, None] - place[None, :]) ** 2
        near = np.exp(-0.5 * far / _AROUND**2)
        above = light - float(np.quantile(light, _FAINT))
        extra = near @ (above**2 - self.variance[pieces]) / near.sum(axis=1)
        strength = np.sqrt(np.maximum(extra, _FLOOR**2))
        alike = (1.0 - _SHARP) * np.exp(-0.5 * far / self.smooth**2) + _SHARP * np.exp(-0.5 * far / _SMOOTH[0] ** 2)
        smooth = strength[:, None] * strength[None, :] * alike
        broad = _LEVEL**2 + (0.01 + strength[:, None]) * (0.01 + strength[None, :]) * np.exp(-0.5 * far / _BROAD**2)
        unlike = _UNLIKE * np.maximum(above, strength)
        return np.asarray(smooth + broad + np.diag(self.variance[pieces] + unlike**2))
