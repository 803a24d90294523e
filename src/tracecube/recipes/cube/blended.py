"""Correlation of cube pixels through spectra that blend on the detector.

Samples that lie beside each other on the detector belong to neighbouring lenslets and to channels some way
apart. A cube's pixels are linear in the lenslets, so they are correlated at that distance in channel and on the sky.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.spectra import Spectra

__all__ = ["blended_correlations"]

_LEAST = 5e-4  # mean correlation below which an offset is not stated
_COMMON = 0.02  # share of all lenslets below which a kind of neighbour is an accident of the field's edge


class _Pairs(NamedTuple):
    """Pairs of lenslets of one kind: numbers (m,), distance (y, x) in pixels, mean correlation by channel offset."""

    first: IntArray
    second: IntArray
    distance: tuple[int, int]
    by_channel: dict[int, float]


def blended_correlations(
    spectra: Spectra, matrix: csr_array, size: tuple[int, int], step: float, usable: BoolArray
) -> dict[tuple[int, int, int], float]:
    """Return mean correlation coefficients of pixels by (wave, y, x) offset, from what lenslets share.

    Parameters
    ----------
    spectra : Spectra
    matrix : sparse (pixel, lenslet)
        The cube's operator.
    size : (int, int)
        Pixels (y, x) of the cube.
    step : float, arcsec
        Side of a pixel.
    usable : bool array (n, n_wave)
        Samples that count.

    Notes
    -----
    With equal noise in all lenslets. Empty where the spectra do not tell what they share.
    """
    found: dict[tuple[int, int, int], float] = {}
    norm = np.sqrt(matrix.power(2).sum(axis=1))
    for pairs in _kinds(spectra, step, usable):
        count = len(pairs.first)
        swap = csr_array((np.ones(count), (pairs.first, pairs.second)), shape=(matrix.shape[1],) * 2)
        moved = csr_array(matrix @ swap)  # weight of each pixel on the second lenslets of its own
        for dy, dx in _around(pairs.distance):
            spatial = _mean_product(moved, matrix, norm, size, (dy, dx))
            for channel, value in pairs.by_channel.items():
                key = (channel, dy, dx)
                if channel < 0:
                    key = (-channel, -dy, -dx)
                found[key] = found.get(key, 0.0) + spatial * value
    return {key: value for key, value in sorted(found.items()) if abs(value) > _LEAST}


def _around(distance: tuple[int, int]) -> list[tuple[int, int]]:
    """Offsets (y, x) of the pixel a distance away, and of those beside it."""
    return [(distance[0] + i, distance[1] + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]


def _kinds(spectra: Spectra, step: float, usable: BoolArray) -> list[_Pairs]:
    """Sort all pairs by their distance on the sky."""
    row, sample, correlation = spectra.beside, spectra.beside_sample, spectra.beside_correlation
    if row is None or sample is None or correlation is None:
        return []
    lenslet, channel = np.nonzero((row >= 0) & usable)
    other, at = row[lenslet, channel].astype(int), sample[lenslet, channel].astype(int)
    shift = np.stack([spectra.y[other] - spectra.y[lenslet], spectra.x[other] - spectra.x[lenslet]], axis=1) / step
    placed = np.isfinite(shift).all(axis=1)
    lenslet, channel, other, at = (values[placed] for values in (lenslet, channel, other, at))
    pixels = np.round(shift[placed]).astype(int)
    kinds, which = np.unique(pixels, axis=0, return_inverse=True)
    counts = np.bincount(which.ravel())
    made = []
    for kind in np.flatnonzero(counts > _COMMON * usable.shape[0] * usable.shape[1] / 2.0):
        here = which.ravel() == kind
        first, second = np.unique(np.stack([lenslet[here], other[here]]), axis=1)
        mean = _by_channel(at[here] - channel[here], correlation[lenslet[here], channel[here]], first.size, usable)
        made.append(_Pairs(first, second, (int(kinds[kind, 0]), int(kinds[kind, 1])), mean))
    return made


def _by_channel(apart: IntArray, correlation: FloatArray, pairs: int, usable: BoolArray) -> dict[int, float]:
    """Mean correlation over all pairs of lenslets and all channels that far apart."""
    half, n_wave = correlation.shape[1] // 2, usable.shape[1]
    found: dict[int, float] = {}
    for d in range(-half, half + 1):
        for offset in np.unique(apart + d):
            samples = pairs * max(n_wave - abs(int(offset)), 1)
            found[int(offset)] = found.get(int(offset), 0.0) + float(
                correlation[apart + d == offset, d + half].sum() / samples
            )
    return found


def _mean_product(
    moved: csr_array, matrix: csr_array, norm: NDArray[np.float64], size: tuple[int, int], offset: tuple[int, int]
) -> float:
    """Mean over pixels of (moved row) . (matrix row of the pixel ``offset`` away), over both norms."""
    dy, dx = offset
    index = np.arange(size[0] * size[1]).reshape(size)
    a = index[max(0, -dy) : size[0] - max(0, dy), max(0, -dx) : size[1] - max(0, dx)].ravel()
    b = a + dy * size[1] + dx
    both = (norm[a] > 0) & (norm[b] > 0)
    if not both.any():
        return 0.0
    product = moved[a[both]].multiply(matrix[b[both]]).sum(axis=1)
    return float(np.mean(product / (norm[a] * norm[b])[both]))
