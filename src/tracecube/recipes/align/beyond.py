"""Light of stars beyond the edge of an image, from what is seen of them.

Where images are blurred to be compared, light from beyond the edge belongs to what comes out within it. A star that the
edge cuts is continued by its own circular Moffat profile; everything else goes on as it was at the edge. The edge may
be the frame of the array, or that of a gap. What is seen of a star need not tell what is not, as where its middle lies
beyond: such places are told, and nothing is compared so near to them that their light comes in.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, distance_transform_edt, gaussian_filter, maximum_filter
from scipy.optimize import least_squares

from tracecube.core.fields import BoolArray

__all__ = ["RIM", "Beyond", "continued"]

F8 = NDArray[np.float64]

RIM = 8
"""px, by which an image is continued beyond the frame of its array: twice what the smoothing reaches."""

_NEAR = 10.0  # px from the edge within which a star's light beyond it matters
_EVEN = 2.0  # px, sigma by which other light at the edge is smoothed
_APART = 7  # px between stars
_BRIGHT = 50.0  # noises of the brightest pixel
_MOST = 30  # stars
_AROUND = 8.0  # px about a star that tell of its profile
_FEWEST = 40  # pixels for that
_NARROW, _WIDE = 1.0, 12.0  # px, radius of the profile
_FLAT, _STEEP = 1.5, 6.0  # its power
_OFF = 2.0  # px from the brightest pixel to the middle
_SHARE = 0.4  # of a star's light: next to the pixel left out, 7 per cent comes from beyond, and fits allow for 3
_STEP = 0.02  # of a value, or that much: the longest step by which slopes are told


class Beyond(NamedTuple):
    """An image and its surroundings, `RIM` px on each side more than the image has.

    ``light`` (y, x) is what is seen, or what is thought to be there; ``trusted`` tells where that is good enough for
    all but the pixel next to it. What is seen of a star that does not tell of the rest is not trusted either: air that
    changes brings light in from farther than smoothing does.
    """

    light: F8
    trusted: BoolArray


def continued(data: F8, variance: F8, known: BoolArray, level: float) -> Beyond:
    """Return the image continued to where it is not known: stars as stars, other light as at the edge.

    Parameters
    ----------
    data, variance : array (y, x)
    known : bool array (y, x)
    level : float
        Light of a blank place.
    """
    data, variance, known = np.pad(data, RIM), np.pad(variance, RIM), np.pad(known, RIM)
    if not known.any():
        return Beyond(np.full(data.shape, level), known)
    y, x = np.mgrid[: data.shape[0], : data.shape[1]].astype(np.float64)
    stars, doubt = np.zeros_like(y), np.zeros_like(y)
    whole = np.asarray(binary_fill_holes(known))
    told = known | ~whole  # what a hole hides is not, but wings all round tell of a star
    cut = distance_transform_edt(whole) < _NEAR
    for order, at in enumerate(_stars(data, variance, known, level)):
        found = _profile(data, variance, known, at, level) if order < _MOST else None
        if found is not None and not whole[tuple(np.rint(found.value[1:3] + at).astype(int))]:
            found = None
        if found is None:
            told &= ~cut[at] | (np.hypot(y - at[0], x - at[1]) > _AROUND)
            continue
        far = y - at[0], x - at[1]
        stars += found.light(*far)
        doubt += found.variance(*far)
    rest = gaussian_filter(np.where(known, data - stars - level, 0.0), _EVEN)
    share = gaussian_filter(known.astype(np.float64), _EVEN)
    nearest = tuple(distance_transform_edt(~known, return_distances=False, return_indices=True))
    edge = np.divide(rest, share, out=np.zeros_like(rest), where=share > 0)[nearest]
    sure = doubt < np.maximum((_SHARE * stars) ** 2, variance[nearest])
    return Beyond(np.where(known, data, level + stars + edge), np.asarray(told & (known | sure)))


def _moffat(far: F8, radius: float, power: float) -> F8:
    return np.asarray((1.0 + (far / radius) ** 2) ** -power)


class _Profile(NamedTuple):
    """A star: height, middle (y, x) from its brightest pixel, radius and power of its profile; their covariance."""

    value: F8
    covariance: F8

    def light(self, y: F8, x: F8) -> F8:
        """Return its light at places from its brightest pixel."""
        return _star(self.value, y, x)

    def variance(self, y: F8, x: F8) -> F8:
        """Return the variance of that."""
        slopes = []
        for k, step in enumerate(np.sqrt(np.diag(self.covariance))):
            off = np.zeros_like(self.value)
            off[k] = min(step, _STEP * max(abs(self.value[k]), 1.0))
            slopes.append((_star(self.value + off, y, x) - _star(self.value - off, y, x)) / (2.0 * max(off[k], 1e-300)))
        made = np.array(slopes)
        return np.asarray(np.einsum("ayx,ab,byx->yx", made, self.covariance, made))


def _star(value: F8, y: F8, x: F8) -> F8:
    return np.asarray(value[0] * _moffat(np.hypot(y - value[1], x - value[2]), value[3], value[4]))


def _stars(data: F8, variance: F8, known: BoolArray, level: float) -> list[tuple[int, int]]:
    """Return the brightest pixels of stars near the edge, the brightest star first."""
    light = gaussian_filter(np.where(known, data - level, 0.0), 1.0)
    noise = np.sqrt(np.where(known, variance, np.inf))
    edge = distance_transform_edt(np.pad(known, 1))[1:-1, 1:-1]
    peak = (light == maximum_filter(light, size=_APART)) & (light > _BRIGHT * noise) & (edge < _NEAR) & known
    at = np.argwhere(peak)
    order = np.argsort(-light[peak], kind="stable")
    return [(int(row), int(column)) for row, column in at[order]]


def _profile(data: F8, variance: F8, known: BoolArray, at: tuple[int, int], level: float) -> _Profile | None:
    """Return a star's profile; None where it is no star's, or its middle is not seen."""
    y, x = np.mgrid[: data.shape[0], : data.shape[1]]
    use = known & (np.hypot(y - at[0], x - at[1]) < _AROUND)
    if np.count_nonzero(use) < _FEWEST:
        return None
    rows, columns, light, noise = y[use] - at[0], x[use] - at[1], data[use] - level, np.sqrt(variance[use])
    top = float(data[at] - level)

    def off(value: F8) -> F8:
        return np.asarray((top * (_star(value[:5], rows, columns) + value[5]) - light) / noise)

    low = [0.3, -_OFF, -_OFF, _NARROW, _FLAT, -1.0]
    high = [3.0, _OFF, _OFF, _WIDE, _STEEP, 1.0]
    fit = least_squares(off, [1.0, 0.0, 0.0, 3.0, 2.5, 0.0], bounds=(low, high), max_nfev=60)
    value = fit.x
    if not fit.success or np.any(np.abs(value[1:3]) > 0.99 * _OFF) or not _NARROW < value[3] < 0.99 * _WIDE:
        return None
    chi2 = max(2.0 * float(fit.cost) / max(rows.size - value.size, 1), 1.0)
    scale = np.array([top, 1.0, 1.0, 1.0, 1.0])
    covariance = chi2 * np.linalg.pinv(fit.jac.T @ fit.jac)[:5, :5] * np.outer(scale, scale)
    return _Profile(value[:5] * scale, covariance)
