"""Cosmic rays in slices, once the sky is off: pixels that light spread by seeing and spectrograph cannot make."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import BoolArray, FloatArray
from tracecube.kernels.compiled import compiled

__all__ = ["find_hits"]

F4 = NDArray[np.float32]

_ALONG = 5  # pixels on either side that the median along dispersion holds
_ACROSS = ((1, 0.6), (2, 1.5))
"""Pixels on either side that the medians across hold, and what a line in an image 2.5 px wide adds to them, over them.
"""
_WIDE = 10  # pixels on either side across dispersion: more than a track is long, less than a slice
_ROUGH = 0.3  # of the light around that its own structure may be
_GROW = 0.5  # of the limit: neighbours of a hit that stand out by as much belong to it
_SURELY = 0.5  # of the limit above zero: less than that no hit is, for light around is not that negative
_IMAGE = 0.9  # of a pixel: what its two neighbours across dispersion see together of an image 2 px wide is 1.0
_LINE = 0.5  # along dispersion, of a line 1.85 px wide (the narrowest of the instrument's) it is 0.88
_CLEAR = 2.0  # standard deviations by which they are fainter
_ROUNDS = 6  # a track is taken off from its ends and its rims


def find_hits(data: FloatArray, variance: FloatArray, good: BoolArray, *, limit: float) -> BoolArray:
    """Return which pixels of a slice were hit.

    A hit stands out of the median along dispersion and of that across it: stars are smooth along, lines across. A
    track along one of these may not; but it is sharper across than any image of a star, or along than any line.

    Parameters
    ----------
    data : array (y, x)
        Without the sky; dispersion along y.
    variance : array (y, x)
    good : bool array (y, x)
    limit : float
        Standard deviations by which it stands out.
    """
    filled = np.where(good, data, 0.0).astype(np.float32)
    noise = np.sqrt(np.where(good, variance, np.inf)).astype(np.float32)
    hit = np.zeros(data.shape, bool)
    bright = np.argwhere(filled > _SURELY * limit * noise)
    _mark(filled, noise, bright, limit, hit)
    for _ in range(_ROUNDS):
        if not _mark_tracks(filled, noise, bright, limit, hit):
            break
    return hit


@compiled()
def _median_along(filled: F4, y: int, x: int) -> float:
    """Return the median along dispersion; beyond the edge the edge goes on."""
    values = np.empty(2 * _ALONG + 1, np.float32)
    for k in range(values.size):
        values[k] = filled[min(max(y + k - _ALONG, 0), filled.shape[0] - 1), x]
    return float(np.median(values))


@compiled()
def _median_across(filled: F4, y: int, x: int, reach: int) -> float:
    """Return the median across dispersion; beyond the edge the edge goes on."""
    values = np.empty(2 * reach + 1, np.float32)
    for k in range(values.size):
        values[k] = filled[y, min(max(x + k - reach, 0), filled.shape[1] - 1)]
    return float(np.median(values))


@compiled()
def _excess(filled: F4, noise: F4, y: int, x: int, limit: float) -> float:
    """Return by how many thresholds a pixel stands out of the medians around it."""
    along, most = _median_along(filled, y, x), -np.inf
    for reach, share in _ACROSS:
        around = max(along, _median_across(filled, y, x, reach))
        most = max(most, (filled[y, x] - around) / (limit * noise[y, x] + share * max(around, 0.0)))
    return float(most)


@compiled()
def _mark(filled: F4, noise: F4, bright: NDArray[np.int64], limit: float, hit: BoolArray) -> None:
    """Mark hits (in place), and those of their neighbours that belong to them; bad pixels have infinite noise."""
    rows, columns = filled.shape
    for y, x in bright:
        if not _excess(filled, noise, y, x, limit) > 1.0:
            continue
        hit[y, x] = True
        for j in range(max(y - 1, 0), min(y + 2, rows)):
            for i in range(max(x - 1, 0), min(x + 2, columns)):
                if not hit[j, i] and np.isfinite(noise[j, i]) and _excess(filled, noise, j, i, limit) > _GROW:
                    hit[j, i] = True


@compiled()
def _base(filled: F4, noise: F4, hit: BoolArray, y: int, x: int, reach: tuple[int, int]) -> float:
    """Return the median about a pixel along one axis, of pixels that are good and were not hit; 0 without any."""
    values = np.empty(2 * max(reach) + 1, np.float32)
    n = 0
    for k in range(-max(reach), max(reach) + 1):
        j, i = y + (k if reach[0] else 0), x + (k if reach[1] else 0)
        inside = 0 <= j < filled.shape[0] and 0 <= i < filled.shape[1]
        if inside and not hit[j, i] and np.isfinite(noise[j, i]):
            values[n] = filled[j, i]
            n += 1
    return float(np.median(values[:n])) if n else 0.0


@compiled()
def _expected(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    filled: F4, noise: F4, hit: BoolArray, y: int, x: int, base: float, away: tuple[int, int]
) -> float:
    """Return what light above a base a pixel that was hit may have had, by the closest that were not along an axis.

    That is the geometric mean of both sides: of a Gaussian line as small a share on its flanks as at its middle, and 0
    at the end of a track. ``away`` (1, 0) or (0, 1) is the axis.
    """
    product, n = 1.0, 0
    for side in (-1, 1):
        for k in range(1, _ALONG + 1):
            j, i = y + side * k * away[0], x + side * k * away[1]
            if not (0 <= j < filled.shape[0] and 0 <= i < filled.shape[1]):
                break
            if not hit[j, i] and np.isfinite(noise[j, i]):
                product *= max(float(filled[j, i]) - base, 0.0)
                n += 1
                break
    if n == 0:
        return 0.0
    return float(np.sqrt(product)) if n > 1 else product


@compiled()
def _beside(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    filled: F4, noise: F4, hit: BoolArray, y: int, x: int, base: float, away: tuple[int, int]
) -> tuple[float, float]:
    """Return light of a neighbour above a base, and its variance, infinite of a bad one.

    Of one that was hit it is what the closest that were not along ``away``, the other axis, let expect: the star, line
    or knot that it lies on shines there too.
    """
    if y < 0 or x < 0 or y >= filled.shape[0] or x >= filled.shape[1] or not np.isfinite(noise[y, x]):
        return 0.0, np.inf
    if hit[y, x]:
        return _expected(filled, noise, hit, y, x, base, away), 0.0
    return max(float(filled[y, x]) - base, 0.0), float(noise[y, x]) ** 2


@compiled()
def _mark_tracks(filled: F4, noise: F4, bright: NDArray[np.int64], limit: float, hit: BoolArray) -> int:
    """Mark pixels that are sharper than light (in place); return how many. Beside hits, half the limit will do."""
    rows, columns = filled.shape
    found = 0
    for y, x in bright:
        if hit[y, x]:
            continue
        near = False
        for j in range(max(y - 1, 0), min(y + 2, rows)):
            for i in range(max(x - 1, 0), min(x + 2, columns)):
                near |= hit[j, i]
        least = limit * (_GROW if near else 1.0) * noise[y, x]
        for across in (True, False):
            base = max(_base(filled, noise, hit, y, x, (0, _WIDE)), 0.0)
            if not across:
                base = max(base, _base(filled, noise, hit, y, x, (_ALONG, 0)))
            own, share, dy, dx = filled[y, x] - base, (_IMAGE if across else _LINE), int(not across), int(across)
            if not own > least + _ROUGH * base:
                continue
            away = (dx, dy)
            one, of_one = _beside(filled, noise, hit, y - dy, x - dx, base, away)
            other, of_other = _beside(filled, noise, hit, y + dy, x + dx, base, away)
            if np.isinf(of_one) != np.isinf(of_other):  # at an edge the other side tells of both
                one = other = max(one, other)
                of_one = of_other = min(of_one, of_other)
            noisy = share**2 * noise[y, x] ** 2 + of_one + of_other
            if share * own - one - other > _CLEAR * np.sqrt(noisy):
                hit[y, x] = True
                found += 1
                break
    return found
