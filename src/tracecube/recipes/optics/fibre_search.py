"""Finding the fibres of a slit on an evenly lit frame: which are there, which are missing, roughly where each runs.

The slit's pattern (how many fibres, wide gaps after which) is known; spectra that fit its places are counted off,
places without light are missing fibres, put where their neighbours say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from pydantic import Field
from scipy.ndimage import gaussian_filter1d

from tracecube.core.errors import BadData
from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.params import Params

__all__ = ["FoundFibres", "SlitParams", "find_fibres", "from_neighbours", "slit_places"]

_BAND = 20  # columns either side that are averaged to see a fibre
_WINDOW = 0.28  # of the spacing: sigma of the window within which a centroid is taken
_ROUGH_DEGREE = 4
_NEAR = 0.3  # of the spacing: a peak this close to a place of the slit belongs to it


class SlitParams(Params):
    """The slit, as it lies on one amplifier, and how weak a fibre still counts."""

    fibres: int = Field(112, ge=2, description="fibres of an amplifier")
    spacing: float = Field(8.76, gt=2, description="px between neighbours")
    spacing_range: float = Field(0.02, gt=0, lt=0.2, description="by which share the spacing may differ")
    gaps: tuple[int, ...] = Field((36, 74), description="fibres, from 0, after which one place is left empty")
    first: tuple[float, float] = Field((3.0, 40.0), description="rows between which the first fibre lies, px")
    weakest: float = Field(0.08, gt=0, lt=1, description="peak below this share of the median fibre's: missing")
    found_share: float = Field(0.5, gt=0, le=1, description="share of the fibres that has to be found")


@dataclass(frozen=True)
class FoundFibres:
    """Fibres of an amplifier, rough.

    Parameters
    ----------
    centre : array (n, columns), px
        Missing fibres stand where their neighbours say.
    live : bool array (n,)
    """

    centre: FloatArray
    live: BoolArray


def slit_places(params: SlitParams) -> FloatArray:
    """Places (n,) of the fibres along the slit in spacings, from 0; a gap counts for one more.

    Examples
    --------
    >>> slit_places(SlitParams(fibres=5, gaps=(1,)))
    array([0., 1., 3., 4., 5.])
    """
    index = np.arange(params.fibres, dtype=float)
    return np.asarray(index + sum((index > gap).astype(float) for gap in params.gaps))


def find_fibres(image: FloatArray, params: SlitParams) -> FoundFibres:
    """Find the fibres of an amplifier.

    Parameters
    ----------
    image : array (rows, columns), electron
        Evenly lit, dispersion along columns; bad pixels NaN.
    params : SlitParams

    Raises
    ------
    BadData
        Fewer than ``found_share`` of the fibres.
    """
    middle = image.shape[1] // 2
    profile = _band(image, middle)
    peaks, heights = _peaks(profile, params)
    place = slit_places(params)
    start = _count_off(peaks, place, params)
    near = np.abs(peaks[:, None] - start[None, :])
    live = near.min(axis=0) < _NEAR * params.spacing if peaks.size else np.zeros(place.size, bool)
    if live.sum() < params.found_share * place.size:
        raise BadData(
            f"{int(live.sum())} of {place.size} fibres found on an evenly lit frame",
            hint="is the lamp on, and the slit the one that the parameters describe?",
        )
    at = np.where(live, peaks[near.argmin(axis=0)], start)
    high = heights[near.argmin(axis=0)]
    live &= high > params.weakest * np.median(high[live])
    centre = _follow(image, at, live, params)
    return FoundFibres(from_neighbours(centre, live, place), live)


def from_neighbours(centre: FloatArray, live: BoolArray, place: FloatArray) -> FloatArray:
    """Put missing fibres (rows of ``centre`` (n, m)) where the two nearest live ones on either side say."""
    full = np.array(centre, float)
    lit = np.flatnonzero(live)
    for row in np.flatnonzero(~live):
        near = lit[np.argsort(np.abs(place[lit] - place[row]), kind="stable")[:4]]
        degree = min(2, near.size - 1) if np.ptp(np.sign(place[near] - place[row])) else min(1, near.size - 1)
        design = np.vander(place[near] - place[row], degree + 1, increasing=True)
        full[row] = np.linalg.lstsq(design, full[near], rcond=None)[0][0]
    return full


def _band(image: FloatArray, column: int) -> FloatArray:
    """Median over columns near one, array (rows,)."""
    part = np.sort(image[:, max(0, column - _BAND) : column + _BAND + 1], axis=1)  # bad pixels come last
    count = np.isfinite(part).sum(axis=1)
    row = np.arange(len(part))
    middle = 0.5 * (part[row, np.maximum(count - 1, 0) // 2] + part[row, count // 2])
    return np.where(count > 0, middle, 0.0)


def _peaks(profile: FloatArray, params: SlitParams) -> tuple[FloatArray, FloatArray]:
    """Places and heights of local maxima that stand out."""
    smooth = gaussian_filter1d(profile, 0.17 * params.spacing)
    at = np.flatnonzero((smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] >= smooth[2:])) + 1
    base = np.percentile(smooth, 5.0)
    typical = np.percentile(smooth[at], 75.0) - base if at.size else 0.0
    at = at[smooth[at] - base > params.weakest * max(typical, 1e-12)]
    return _centroids(profile - base, at.astype(float), params), smooth[at] - base


def _centroids(profile: FloatArray, at: FloatArray, params: SlitParams, rounds: int = 6) -> FloatArray:
    """Centroids under a Gaussian window that follows them."""
    sigma = _WINDOW * params.spacing
    half = int(np.ceil(0.5 * params.spacing))
    place = np.array(at, float)
    for _ in range(rounds):
        rows = np.rint(place).astype(int)[:, None] + np.arange(-half, half + 1)
        values = np.where((rows >= 0) & (rows < profile.size), profile[np.clip(rows, 0, profile.size - 1)], 0.0)
        away = rows - place[:, None]
        weight = np.maximum(values, 0.0) * np.exp(-0.5 * (away / sigma) ** 2)
        step = (weight * away).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-12)
        place += np.clip(1.6 * step, -1.0, 1.0)
    return place


def _count_off(peaks: FloatArray, place: FloatArray, params: SlitParams) -> FloatArray:
    """Places (n,) of all fibres in px: the pattern where most peaks fall on it, then bent to them."""
    best, found = -np.inf, place * params.spacing
    spread = params.spacing_range * params.spacing
    first = np.arange(params.first[0], params.first[1], 0.5)
    edge = np.concatenate([[-np.inf], np.sort(peaks), [np.inf]])
    for spacing in np.linspace(params.spacing - spread, params.spacing + spread, 41):
        there = first[:, None] + spacing * place
        at = np.searchsorted(edge, there)
        away = np.minimum(there - edge[at - 1], edge[at] - there)
        score = np.exp(-0.5 * (away / (0.2 * spacing)) ** 2).sum(axis=1)
        if score.max() > best:
            best, found = float(score.max()), there[int(score.argmax())]
    for degree in (1, 2, 3, 3):
        near = np.abs(peaks[:, None] - found[None, :])
        which = near.argmin(axis=1)
        good = near.min(axis=1) < _NEAR * params.spacing
        if good.sum() <= degree + 1:
            break
        found = chebyshev.Chebyshev.fit(place[which[good]], peaks[good], degree)(place)
    return np.asarray(found)


def _follow(image: FloatArray, at: FloatArray, live: BoolArray, params: SlitParams) -> FloatArray:
    """Follow the live fibres from the middle column to both ends; low-order polynomials through what is found."""
    width = image.shape[1]
    columns = np.arange(width // 2 % _BAND, width, _BAND)
    start = int(np.argmin(np.abs(columns - width // 2)))
    found = np.full((at.size, columns.size), np.nan)
    weight = np.zeros(columns.size)
    for order in (range(start, columns.size), range(start - 1, -1, -1)):
        last = at.copy() if order.step > 0 else found[:, start].copy()
        for k in order:
            profile = _band(image, int(columns[k]))
            base = np.percentile(profile, 5.0)
            last[live] = _centroids(profile - base, last[live], params)
            found[:, k] = last
            weight[k] = max(float(np.median(profile[np.clip(np.rint(last[live]).astype(int), 0, len(profile) - 1)])), 0)
    u = 2.0 * columns / (width - 1.0) - 1.0
    design = chebyshev.chebvander(u, min(_ROUGH_DEGREE, columns.size - 1)) * np.sqrt(weight)[:, None]
    coefficients = np.linalg.lstsq(design, (found * np.sqrt(weight)).T, rcond=None)[0]
    whole = chebyshev.chebvander(np.linspace(-1.0, 1.0, width), min(_ROUGH_DEGREE, columns.size - 1))
    return np.asarray((whole @ coefficients).T)
