"""Slices that are as bright as their illumination flat says: brightness that noise alone tells is none."""

from __future__ import annotations

import numpy as np

from tracecube.core.fields import FloatArray

__all__ = ["drawn_to_alike"]

_UNSURE = 2.3  # relative error of a squared scatter from the median of n departures, times the root of n
_FEWEST = 12  # slices that tell how they scatter


def drawn_to_alike(gain: FloatArray, error: FloatArray, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Draw the brightness of slices to a slope over the field as far as it scatters no more than its errors let expect.

    Slices scatter by t about the slope, ``t^2 = s^2 - e^2``, s from the median of what they depart by, e their errors:
    each keeps ``t^2 / (t^2 + e^2)`` of its departure (empirical Bayes). Where they brighten and fade by more than the
    errors nothing changes; where the illumination flat has told all, noise is not put into them.

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
    width2 = max(scatter2 - float(np.median(noise**2)), 0.0)
    widest2 = width2 + _UNSURE * scatter2 / np.sqrt(own.size)
    kept = width2 / (width2 + noise**2)
    slope2 = np.einsum("na,ab,nb->n", design, inverse @ inverse.T, design)
    made, sure = gain.copy(), error.copy()
    made[known] = smooth + kept * left
    sure[known] = np.sqrt((kept * noise) ** 2 + (1.0 - kept) ** 2 * (widest2 + slope2))
    return made, sure
