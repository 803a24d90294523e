"""A smooth curve through samples with gaps: as many bends as the samples ask for, where they ask for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import BoolArray, FloatArray

__all__ = ["FEWEST", "Bent", "bent_curve"]

FEWEST = 40
"""Samples that a curve needs."""

_CLOSEST = 25.0  # Angstrom between knots, and from a knot to the closest sample: none stands in a band
_NEAR = 85.0  # Angstrom on either side of a knot in which there must be samples
_ROUGH = 85.0  # Angstrom between knots of the curve that tells outliers
_BETWEEN = 4.0  # samples between knots, where there are few
_TURNS = 6  # in which outliers are told
_OUTLYING = 5.0  # times the scatter
_LONGEST = 8  # samples in a row that are outlying: lines are no wider, and what is wider is the curve's own shape
_DRAWS = 16  # of the samples' weights; the scatter between them is known to a sixth
_FLOOR = 1e-4  # least noise of a logarithm, and least error of the curve
_END = 500.0  # Angstrom at the ends, along which the curve goes on


@dataclass(frozen=True)
class Bent:
    """A curve (k,), its error, which samples it follows, and its knots."""

    value: FloatArray
    error: FloatArray
    used: BoolArray
    knots: FloatArray


def bent_curve(wave: FloatArray, level: FloatArray, noise: FloatArray, given: BoolArray) -> Bent:
    """Draw a cubic spline with as few knots as the samples allow.

    Of knots wherever there are samples the least needed are dropped, one by one; as many stay as Schwarz's criterion
    (1978, Annals of Statistics 6, 461) has it, in which the place of a knot counts as a term as well. Samples off that
    curve, and off one with knots as far apart as a response may bend, are outliers.
    The curve is the mean over draws of the samples' weights (Bayesian bootstrap, Rubin 1981, Annals of Statistics 9,
    130), knots sought anew in each; their scatter is its error: of noise, of gaps, and of where to bend.

    Beyond its first and last sample each draw goes on as a straight line; half of what that adds is error besides.

    Parameters
    ----------
    wave : array (k,), Angstrom, rising
    level, noise : array (k,)
        Values and their relative noise: only their ratios from sample to sample count.
    given : bool array (k,)
        Samples that may count.

    Raises
    ------
    NoConvergence
        Too few samples follow a curve.
    """
    weight = 1.0 / np.maximum(noise, _FLOOR)
    used = _near_rough(wave, level, weight, given)
    for _ in range(_TURNS):
        curve, knots = _one(wave, level, weight, used)
        now = used | _near(level, curve, used, given)
        if np.array_equal(now, used):
            break
        used = now
    random = np.random.default_rng(1)  # the same draws for the same samples
    draws = [curve]
    for _ in range(_DRAWS):
        drawn = np.sqrt(random.exponential(size=wave.size))
        draws.append(_one(wave, level, weight * drawn, used)[0])
    value = np.mean(draws, axis=0)
    first, last = np.flatnonzero(used)[[0, -1]]
    added = np.where(wave < wave[first], value - value[first], np.where(wave > wave[last], value - value[last], 0.0))
    error = np.maximum(np.hypot(np.std(draws, axis=0), 0.5 * added), _FLOOR)
    return Bent(value, error, used, knots)


def _near(level: FloatArray, curve: FloatArray, used: BoolArray, given: BoolArray) -> BoolArray:
    """Return the samples that follow a curve, or that it does not follow: many in a row."""
    left = np.abs(level - curve)
    now = given & (left < _OUTLYING * 1.4826 * float(np.median(left[used])))
    now |= _in_a_row(given, given & ~now)
    if now.sum() < FEWEST:
        raise NoConvergence(
            f"{now.sum()} bins of the spectrum follow a smooth curve, {FEWEST} are needed",
            hint="is it a star with a smooth spectrum? Look at the picture of the exposure",
        )
    return now


def _in_a_row(given: BoolArray, outlying: BoolArray) -> BoolArray:
    """Return which outlying samples are more in a row than a line is wide."""
    places = np.flatnonzero(given)
    off = outlying[places].astype(int)
    edges = np.flatnonzero(np.diff(off, prepend=0, append=0)).reshape(-1, 2)
    found = np.zeros(given.size, bool)
    for first, stop in edges:
        if stop - first > _LONGEST:
            found[places[first:stop]] = True
    return found


def _near_rough(wave: FloatArray, level: FloatArray, weight: FloatArray, given: BoolArray) -> BoolArray:
    """Return the samples that follow a curve with knots at even distances."""
    used = given
    for _ in range(_TURNS):
        at = wave[used]
        places = _places(at, _ROUGH)
        curve = _drawn(wave, level, weight, used, places)
        now = _near(level, curve, used, given)
        if np.array_equal(now, used):
            break
        used = now
    return used | _in_a_row(given, given & ~used)


def _one(wave: FloatArray, level: FloatArray, weight: FloatArray, used: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return one curve (k,) with the knots that it needs, and these."""
    at, own = wave[used], weight[used]
    middle, half = _scale(at)
    places = _places(at, _CLOSEST)
    kept = _needed((at - middle) / half, level[used] * own, own, (places - middle) / half)
    return _drawn(wave, level, weight, used, places[kept]), places[kept]


def _scale(at: FloatArray) -> tuple[float, float]:
    """Return middle and half of the samples' range, Angstrom."""
    return 0.5 * float(at[0] + at[-1]), 0.5 * float(at[-1] - at[0])


def _drawn(wave: FloatArray, level: FloatArray, weight: FloatArray, used: BoolArray, knots: FloatArray) -> FloatArray:
    """Return the curve (k,) with these knots; beyond the samples it goes on as a straight line."""
    at, own = wave[used], weight[used]
    middle, half = _scale(at)
    found = (knots - middle) / half
    design = _terms((at - middle) / half, found) * own[:, None]
    values = np.linalg.lstsq(design, level[used] * own, rcond=None)[0]
    inside = (wave >= at[0]) & (wave <= at[-1])
    curve = np.empty(wave.size)
    curve[inside] = _terms((wave[inside] - middle) / half, found) @ values
    for end, beyond in ((at[0], wave < at[0]), (at[-1], wave > at[-1])):
        near = used & (np.abs(wave - end) <= _END)
        slope = float(np.polyfit(wave[near] - end, curve[near], 1)[0])
        curve[beyond] = curve[wave == end] + slope * (wave[beyond] - end)
    return curve


def _places(at: FloatArray, step: float) -> FloatArray:
    """Return where a knot may stand: not in a gap, with samples on both sides."""
    wide = _BETWEEN * float(np.median(np.diff(at)))
    step, near = max(step, wide if wide > _NEAR else 0.0), max(_NEAR, wide)
    places = np.arange(at[0] + _CLOSEST, at[-1] - _CLOSEST, step)
    if not places.size:
        return places
    away = at[None] - places[:, None]
    below = ((away < 0) & (away > -near)).sum(axis=1)
    above = ((away > 0) & (away < near)).sum(axis=1)
    return np.asarray(places[(np.abs(away).min(axis=1) < max(_CLOSEST, 0.5 * wide)) & (np.minimum(below, above) > 2)])  # noqa: PLR2004


def _terms(x: FloatArray, knots: FloatArray) -> FloatArray:
    """Return a cubic's terms and the cubic beyond each knot (k, 4 + n)."""
    return np.hstack([np.vander(x, 4, increasing=True), np.maximum(x[:, None] - knots[None], 0.0) ** 3])


def _criterion(squares: float, count: int, terms: int) -> float:
    """Return Schwarz's criterion; a knot counts twice, for its place is chosen."""
    return count * float(np.log(max(squares, 1e-300) / count)) + 2.0 * terms * float(np.log(count))


def _needed(x: FloatArray, y: FloatArray, weight: FloatArray, places: FloatArray) -> BoolArray:
    """Return which knots are worth it: the others are dropped one by one, that first without which least is lost.

    What is lost without a term is its coefficient squared over its variance, and what that does to the others follows
    from their covariance: nothing is solved twice.
    """
    design = _terms(x, places) * weight[:, None]
    axes, triangle = np.linalg.qr(design)
    root = np.linalg.pinv(triangle)
    value, spread = root @ (axes.T @ y), root @ root.T
    squares = float(y @ y - (axes.T @ y) @ (axes.T @ y))
    kept, order = np.arange(4, value.size), []
    marks = [_criterion(squares, x.size, kept.size)]
    while kept.size:
        lost = value[kept] ** 2 / np.maximum(spread[kept, kept], 1e-300)
        least = int(kept[np.argmin(lost)])
        squares += float(lost.min())
        column = spread[:, least] / spread[least, least]
        value = value - column * value[least]
        spread = spread - np.outer(column, spread[least])
        kept = kept[kept != least]
        order.append(least - 4)
        marks.append(_criterion(squares, x.size, kept.size))
    worth = np.ones(places.size, bool)
    worth[order[: int(np.argmin(marks))]] = False
    return worth
