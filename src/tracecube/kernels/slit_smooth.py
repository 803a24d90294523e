"""Light expected of a slit of fibres: the spectrum they have in common, and what is smooth beside it.

Arrays are (m columns, n fibres): dispersion runs along the first axis.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_coeffs

from tracecube.kernels.compiled import compiled

__all__ = ["expected_light", "sorting_pairs"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

_LEVEL = 100  # columns on either side of the mean that is a fibre's level: wider than any line
_BESIDE = 5  # fibres on either side whose median is the common spectrum: sources fill fewer
_SMOOTH = 4  # columns on either side of the parabolas (Savitzky & Golay 1964) that smooth what is left
_FAINT = 1e-3  # share of the mean light below which a level is none


def sorting_pairs(count: int) -> I8:
    """Pairs (k, 2) of places whose values, put in order one pair after the other, are sorted in the end.

    Batcher's network (1968, AFIPS Conf. Proc. 32, 307): the same comparisons whatever the values, so that many
    columns of values are sorted at once.

    Examples
    --------
    >>> values = [3.0, 1.0, 2.0, 0.0, 5.0]
    >>> for low, high in sorting_pairs(5):
    ...     values[low], values[high] = sorted((values[low], values[high]))
    >>> values
    [0.0, 1.0, 2.0, 3.0, 5.0]
    """
    pairs: list[tuple[int, int]] = []
    p = 1
    while p < count:
        k = p
        while k >= 1:
            for j in range(k % p, count - k, 2 * k):
                pairs += [
                    (i + j, i + j + k)
                    for i in range(min(k, count - j - k))
                    if (i + j) // (2 * p) == (i + j + k) // (2 * p)
                ]
            k //= 2
        p *= 2
    return np.array(pairs, np.int64)


_PAIRS = sorting_pairs(2 * _BESIDE + 1)
_PARABOLAS = np.array([savgol_coeffs(2 * _SMOOTH + 1, 2, pos=i, use="dot") for i in range(2 * _SMOOTH + 1)])


def expected_light(flux: F4) -> F4:
    """Light (m, n) expected of every fibre from the samples around.

    The level of each fibre is a mean of 201 columns; the median of eleven neighbours' light over their levels is the
    common spectrum, and what a fibre has beside it is smoothed with parabolas over nine columns.

    Parameters
    ----------
    flux : array (m, n)
        At least nine columns.
    """
    least = _FAINT * max(float(flux.mean(dtype=np.float64)), _FAINT)
    level = _levels(flux, np.float32(least))
    rest = np.empty_like(flux)
    common = _common(flux, level, _PAIRS, rest)
    expected: F4 = _with_parabolas(common, rest, _PARABOLAS.astype(np.float32))
    return expected


@compiled()
def _levels(flux: F4, least: np.float32) -> F4:
    """Running means along columns; beyond the ends the light is mirrored."""
    m, n = flux.shape
    total, out = np.zeros(n), np.empty_like(flux)
    for c in range(-_LEVEL, _LEVEL + 1):
        total += flux[_mirrored(c, m)]
    for c in range(m):
        for j in range(n):
            out[c, j] = max(np.float32(total[j] / (2 * _LEVEL + 1)), least)
        behind = flux[_mirrored(c - _LEVEL, m)]
        ahead = flux[_mirrored(c + _LEVEL + 1, m)]
        for j in range(n):
            total[j] += np.float64(ahead[j]) - np.float64(behind[j])
    return out


@compiled()
def _mirrored(c: int, m: int) -> int:
    """Return the column that stands at ``c`` when columns go on mirrored at their edges."""
    while c < 0 or c >= m:
        c = -1 - c if c < 0 else 2 * m - 1 - c
    return c


@compiled(fastmath={"nnan", "nsz"})
def _common(flux: F4, level: F4, pairs: I8, rest: F4) -> F4:
    """Common light: level times the median of the neighbours' light over theirs; the rest goes into ``rest``."""
    m, n = flux.shape
    size = 2 * _BESIDE + 1
    many, out = np.empty((size, n), np.float32), np.empty_like(flux)
    padded = np.empty(n + 2 * _BESIDE, np.float32)
    for c in range(m):
        for j in range(n):
            padded[_BESIDE + j] = flux[c, j] / level[c, j]
        padded[:_BESIDE] = padded[_BESIDE]
        padded[_BESIDE + n :] = padded[_BESIDE + n - 1]
        for k in range(size):
            many[k] = padded[k : k + n]
        for i in range(len(pairs)):
            one = many[pairs[i, 0]]
            other = many[pairs[i, 1]]
            for j in range(n):
                a, b = one[j], other[j]
                one[j], other[j] = min(a, b), max(a, b)
        for j in range(n):
            out[c, j] = level[c, j] * many[_BESIDE, j]
            rest[c, j] = flux[c, j] - out[c, j]
    return out


@compiled(fastmath={"reassoc", "contract", "nsz"})
def _with_parabolas(common: F4, rest: F4, parabolas: F4) -> F4:
    """Add the smoothed rest; the first and last columns are read off the outermost parabolas."""
    m, n = rest.shape
    out = np.empty_like(rest)
    for c in range(m):
        first = min(max(c - _SMOOTH, 0), m - 2 * _SMOOTH - 1)
        smooth = out[c]
        smooth[:] = common[c]
        for k in range(2 * _SMOOTH + 1):
            weight = parabolas[c - first, k]
            one = rest[first + k]
            for j in range(n):
                smooth[j] += weight * one[j]
        for j in range(n):
            smooth[j] = max(smooth[j], np.float32(0.0))
    return out
