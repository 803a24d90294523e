"""One pair of white images: candidates for the displacement, then the fit."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter, maximum_filter

from tracecube.core.fields import BoolArray
from tracecube.kernels.masked_correlation import correlation
from tracecube.kernels.registration import Shift, fit_shift
from tracecube.recipes.align.white import White, flattened, mapped, sky_of

__all__ = ["Pair", "Search", "measure_pair"]

F8 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

_LIGHT = 4.0  # sigma of the smoothed image beyond which light of extended objects tells of the place
_WIDE = 3.0  # px, that smoothing
_CERTAIN = 0.015  # of the sky, beyond which it is no structure that flat fields leave: these leave a few thousandths
_UNTOLD = 30.0  # sigma instead of that where the brightness of the sky is not told: right for some ten minutes
_TENTH = 1.2816  # standard deviations between the median and the tenth per cent of a normal distribution
_TRIED = 3  # peaks of the correlation that are fitted
_NEAR = 3.0  # px that a fit may end from its candidate
_BLOCK = 16  # px of the map of what tells of the place
_LEAST = 400  # pixels that both must see
_UNLIKE = 5.0  # reduced chi-square of images that are not alike
_SURE = 6.0  # errors of the flux beyond which images show the same


class Search(NamedTuple):
    """Where to look: radii (arcsec) of successive searches, and bins across the histogram of the first."""

    radii: tuple[float, ...]
    bins: int
    reach: float


class Pair(NamedTuple):
    """What a pair of images says.

    Parameters
    ----------
    fit : Shift or None
        Displacement along y and x, px; None where nothing tells.
    reason : str
        Why not.
    map_first, map_second : array
        How much blocks of either image tell.
    significance : float
        Flux of the second over the first, in its errors: whether both show the same.
    """

    fit: Shift | None
    reason: str
    map_first: F8
    map_second: F8
    significance: float


def measure_pair(
    one: White, other: White, sources: tuple[Floats, Floats], search: Search, *, listed: bool = False
) -> Pair:
    """Measure the displacement of ``other`` against ``one``.

    Parameters
    ----------
    one, other : White
    sources : (array (n, 2), array (m, 2)), px
        Places of point sources (y, x) in either.
    search : Search
    listed : bool
        Sources were given: no other light counts.
    """
    rows, columns = other.known.shape
    y, x = np.mgrid[:rows, :columns].astype(np.float64)
    place = mapped(one, *sky_of(other, y, x))
    candidates = _candidates(one, other, place, sources, search)
    if not candidates:
        return _nothing("the images do not overlap")
    fits: list[tuple[float, Shift]] = []
    unsettled = False
    for start in candidates:
        use = _telling(other, place, sources, start, search, listed=listed)
        if use.sum() < _LEAST // 8:
            continue
        near = _NEAR if start.any() else search.radii[min(1, len(search.radii) - 1)] / one.side
        fit = fit_shift(one.picture, other.picture, place, use, start)
        error = float(np.sqrt(fit.of_first[2, 2] + fit.of_second[2, 2]))
        sure = fit.value[2] / error if error > 0 and np.isfinite(error) else 0.0
        if fit.converged and np.hypot(*(fit.value[:2] - start)) < near and sure > _SURE:
            fits.append((sure / np.sqrt(max(fit.chi2, 1.0)), fit))
        unsettled |= not fit.converged and sure > _SURE and fit.chi2 > _UNLIKE
    if not fits and unsettled:
        return _nothing("both images show sources, but not alike, as in very different seeing: no fit settles")
    if not fits:
        return _nothing("nothing in both images tells of their place: too few or too faint sources")
    sure, fit = max(fits, key=lambda one: one[0])
    return Pair(fit, "", _blocks(fit.first), _blocks(fit.second), float(sure))


def _nothing(reason: str) -> Pair:
    return Pair(None, reason, np.zeros(1), np.zeros(1), 0.0)


def _candidates(
    one: White,
    other: White,
    place: tuple[F8, F8],
    sources: tuple[Floats, Floats],
    search: Search,
) -> list[F8]:
    """Return displacements (y, x; px) worth trying, the best first."""
    middle = np.array([float(np.mean(place[0] - np.arange(len(place[0]))[:, None])), 0.0])
    middle[1] = float(np.mean(place[1] - np.arange(place[1].shape[1])[None, :]))
    base = np.rint(middle).astype(int)
    reach = int(np.ceil(search.radii[0] / one.side))
    first, second = _canvas(flattened(one), flattened(other), base)
    coefficient, pixels = correlation(first, second, reach=reach)
    if not (pixels > _LEAST).any():
        return []
    lag = np.arange(-reach, reach + 1, dtype=np.float64)
    far = (lag[:, None] ** 2 + lag[None, :] ** 2) / (0.5 * reach) ** 2
    independent = pixels / (4.0 * np.pi * _WIDE**2)
    score = np.where(pixels > _LEAST, coefficient * np.sqrt(np.maximum(independent, 0.0)), 0.0) - 0.5 * far
    peaks = (score == maximum_filter(score, size=7)) & (far <= 4.0) & (pixels > _LEAST)  # noqa: PLR2004 - the circle
    order = np.argsort(-score[peaks], kind="stable")[:_TRIED]
    at = np.argwhere(peaks)[order] - reach
    found = [shift + (middle - base) for shift in at.astype(np.float64)]
    voted = _vote(one, place, sources, search)
    return ([voted] if voted is not None else []) + found + [np.zeros(2)]


def _canvas(one: F8, other: F8, base: NDArray[np.integer]) -> tuple[F8, F8]:
    """Return both images on one grid, ``base`` px apart."""
    low = np.minimum(0, base)
    high = np.maximum(np.array(one.shape), base + np.array(other.shape))
    first, second = np.zeros(high - low), np.zeros(high - low)
    a, b = -low, base - low
    first[a[0] : a[0] + one.shape[0], a[1] : a[1] + one.shape[1]] = one
    second[b[0] : b[0] + other.shape[0], b[1] : b[1] + other.shape[1]] = other
    return first, second


def _in_one(place: tuple[F8, F8], points: Floats) -> F8:
    """Return where pixels of the second image (k, 2) lie in the first if nothing is displaced."""
    y, x = np.rint(points).astype(int).T
    y, x = np.clip(y, 0, place[0].shape[0] - 1), np.clip(x, 0, place[0].shape[1] - 1)
    rest = points - np.stack([y, x], axis=1)
    return np.asarray(np.stack([place[0][y, x], place[1][y, x]], axis=1) + rest)


def _vote(one: White, place: tuple[F8, F8], sources: tuple[Floats, Floats], search: Search) -> F8 | None:
    """Return the displacement that most pairs of sources agree on: a histogram, then circles of falling radii."""
    if not (len(sources[0]) and len(sources[1])):
        return None
    gap = (_in_one(place, sources[1])[:, None, :] - sources[0][None, :, :]).reshape(-1, 2)
    radii = [radius / one.side for radius in search.radii]
    gap = gap[np.hypot(*gap.T) <= radii[0]]
    if not len(gap):
        return None
    counts, y, x = np.histogram2d(gap[:, 0], gap[:, 1], bins=search.bins, range=[[-radii[0], radii[0]]] * 2)
    smooth = gaussian_filter(counts, 0.7)
    at = np.unravel_index(int(np.argmax(smooth)), smooth.shape)
    middle = np.array([0.5 * (y[at[0]] + y[at[0] + 1]), 0.5 * (x[at[1]] + x[at[1] + 1])])
    for radius in radii[1:] or radii[:1]:
        near = gap[np.hypot(*(gap - middle).T) <= radius]
        if len(near):
            middle = np.median(near, axis=0)
    return np.asarray(middle)


def _telling(
    other: White,
    place: tuple[F8, F8],
    sources: tuple[Floats, Floats],
    start: F8,
    search: Search,
    *,
    listed: bool,
) -> BoolArray:
    """Return the pixels of the second image that tell of the place: about sources, and light of extended objects."""
    use = np.zeros_like(other.known)
    y, x = np.mgrid[: use.shape[0], : use.shape[1]]
    at_first = sources[0] + start  # where sources of the first lie in the second, through the map of the second
    shown = [*sources[1]]
    if len(at_first):
        back = _in_one(place, np.array([[0.0, 0.0]]))[0]
        shown += [*(at_first - back)]
    for row, column in shown:
        near = (
            slice(max(int(row - search.reach), 0), int(row + search.reach) + 2),
            slice(max(int(column - search.reach), 0), int(column + search.reach) + 2),
        )
        use[near] |= np.hypot(y[near] - row, x[near] - column) <= search.reach
    if not listed:
        use |= _extended(other)
    return np.asarray(use & other.known)


def _extended(one: White) -> BoolArray:
    """Return where light of extended objects stands above noise, strips of slices, and what else a blank field shows.

    Flat fields leave structure of a few thousandths of the sky that moves with the telescope, however long an exposure
    is. What little light there is must stand above the scatter of the fainter half of the field; more than a hundredth
    of the sky counts as it is, for a nebula may fill that half, too.
    """
    if not one.known.any():
        return np.zeros(one.known.shape, bool)
    middle = float(np.median(one.data[one.known]))
    smooth = gaussian_filter(np.where(one.known, one.data - middle, 0.0), _WIDE)
    faintest, faint, half = np.percentile(smooth[one.known], [10.0, 25.0, 50.0])
    # strips are as wide as a pixel and longer than the smoothing: they are smoothed in one direction
    strips = one.pattern**2 / (2.0 * np.sqrt(np.pi) * _WIDE)
    noise = np.sqrt(np.where(one.known, one.variance, np.inf) / (4.0 * np.pi * _WIDE**2) + strips)
    certain = _CERTAIN * one.sky if one.sky > 0 else _UNTOLD * noise
    structure = np.minimum(_LIGHT * (half - faintest) / _TENTH, certain)
    bright = smooth - faint > np.maximum(_LIGHT * noise, structure)
    return np.asarray(binary_dilation(bright, iterations=3) & one.known) if bright.any() else bright


def _blocks(tells: F8) -> F8:
    rows, columns = (-(-n // _BLOCK) for n in tells.shape)
    padded = np.zeros((rows * _BLOCK, columns * _BLOCK))
    padded[: tells.shape[0], : tells.shape[1]] = tells
    return np.asarray(padded.reshape(rows, _BLOCK, columns, _BLOCK).sum(axis=(1, 3)).ravel())
