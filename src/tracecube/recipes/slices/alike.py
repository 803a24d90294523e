"""Slices that are as bright as their illumination flat says: brightness that noise alone tells is none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tracecube.core.fields import FloatArray, IntArray

__all__ = ["drawn_to_alike", "drawn_together", "mean_places", "told_by_lines"]

_UNSURE = 2.3  # relative error of a squared scatter from the median of n departures, times the root of n
_FEWEST = 12  # slices that tell how they scatter
_APART, _MOVED = 0.06, 0.02  # Angstrom: more than slices of a detector ever move apart, and what they do
_DIM = 0.02  # error of brightness by lines from which on the continuum is as well that of objects
_WIDEST = 0.02  # what slices scatter by, at most, where it is not plainly seen: some 0.01 after an illumination flat


def drawn_to_alike(gain: FloatArray, error: FloatArray, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Draw the brightness of slices to a slope over the field as far as it scatters no more than its errors let expect.

    Slices scatter by t about the slope, ``t^2 = s^2 - e^2``, s from the median of what they depart by, e their errors:
    each keeps ``t^2 / (t^2 + e^2)`` of its departure (empirical Bayes). Where they brighten and fade by more than the
    errors nothing changes; where the illumination flat has told all, noise is not put into them. Nor where the sky is
    too faint to tell, and light of objects feigns more than slices differ by: t is a fiftieth at most.

    Parameters
    ----------
    gain, error : array (n,)
        Infinite error for a slice that was not measured: it stays.
    x, y : array (n,), arcsec
        Place in the field; NaN is taken for the middle.

    Returns
    -------
    gain, error : array (n,)
        The error holds that of the slope, and of the scatter.
    """
    known = np.isfinite(error) & (error > 0)
    if known.sum() < _FEWEST:
        return gain, error
    own, noise = gain[known], error[known]
    design = np.stack([np.ones(own.size), *(np.nan_to_num(part[known]) / 30.0 for part in (x, y))], axis=1)
    root = 1.0 / noise
    inverse = np.linalg.pinv(design * root[:, None])
    smooth = design @ (inverse @ (own * root))
    left = own - smooth
    scatter2 = (1.4826 * float(np.median(np.abs(left)))) ** 2
    width2 = min(max(scatter2 - float(np.median(noise**2)), 0.0), _WIDEST**2)
    widest2 = width2 + _UNSURE * scatter2 / np.sqrt(own.size)
    kept = width2 / (width2 + noise**2)
    slope2 = np.einsum("na,ab,nb->n", design, inverse @ inverse.T, design)
    made, sure = gain.copy(), error.copy()
    made[known] = smooth + kept * left
    sure[known] = np.sqrt((kept * noise) ** 2 + (1.0 - kept) ** 2 * (widest2 + slope2))
    return made, sure


def drawn_together(value: FloatArray, error: FloatArray, detector: np.ndarray) -> tuple[FloatArray, FloatArray]:
    """Give slices of a detector one shift, stretch and shape of lines where the sky is too faint to tell them apart.

    Slices of a detector move together, to some 0.02 Angstrom. Where they seem to move by more than `_APART` that is
    noise, whatever their errors say: noise of the spectrum that they share passes for lines that tell of shifts.

    Parameters
    ----------
    value, error : array (n, k)
        Brightness, shift (Angstrom), and what else slices differ in. Brightness stays.
    detector : str array (n,)

    Returns
    -------
    value, error : array (n, k)
    """
    made, sure = value.copy(), error.copy()
    for name in np.unique(detector):
        own = np.flatnonzero((detector == name) & np.isfinite(error[:, 1]))
        if own.size < _FEWEST:
            continue
        middle = np.median(value[own], axis=0)
        spread = 1.4826 * np.median(np.abs(value[own] - middle), axis=0)
        if spread[1] < _APART:
            continue
        made[own, 1:] = middle[1:]
        sure[own, 1:] = (np.sqrt(0.5 * np.pi / own.size) * spread)[1:]
        sure[own, 1] = np.hypot(sure[own, 1], _MOVED)
    return made, sure


def told_by_lines(value: FloatArray, error: FloatArray) -> bool:
    """Whether lines tell how bright slices are, of their terms and errors (n, k), brightness first."""
    known = np.isfinite(error[:, 0])
    return bool(known.any()) and float(np.median(error[known, 0] / value[known, 0])) < _DIM


def mean_places(x: FloatArray, y: FloatArray, pieces: Sequence[IntArray]) -> FloatArray:
    """Return the mean place (2, n) of the pieces of each slice, arcsec; 0 where it has none."""
    return np.array([[np.nanmean(part[own]) if own.size else 0.0 for own in pieces] for part in (x, y)])
