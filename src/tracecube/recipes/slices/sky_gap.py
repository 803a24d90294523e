"""The sky's spectrum across a gap that no pixel sees: a straight line, lest what is next to it be drawn to nothing."""

from __future__ import annotations

import numpy as np

from tracecube.core.fields import FloatArray

__all__ = ["over_gap"]

_WITHIN = 0.9  # Angstrom from the ends of the gap up to where samples beside it tell the spline
_BESIDE = 30.0  # Angstrom on either side whose level is taken
_SHARE = 30.0  # per cent: the level is that between lines


def over_gap(coefficient: FloatArray, first: float, step: float, gap: tuple[float, float] | None) -> FloatArray:
    """Return the coefficients of a spline (k,) with a straight line in a gap (Angstrom); as they are without one.

    A spline is held by hardly anything where there are no samples: it runs off by many times the sky, and the lower
    envelope that is taken for the sky's continuum follows it for a hundred Angstrom on both sides.

    Parameters
    ----------
    coefficient : array (k,)
        Of the quintic B-splines of `tracecube.kernels.sky_spline`; the n-th is highest at ``first + (n - 2) step``.
    first, step : float, Angstrom
    gap : (float, float) or None, Angstrom
    """
    if gap is None:
        return coefficient
    centre = first + step * (np.arange(coefficient.size) - 2.0)
    inside = (centre > gap[0] + _WITHIN) & (centre < gap[1] - _WITHIN)
    below = (centre > gap[0] - _BESIDE) & (centre < gap[0])
    above = (centre > gap[1]) & (centre < gap[1] + _BESIDE)
    if not (inside.any() and below.any() and above.any()):
        return coefficient
    level = [float(np.percentile(coefficient[side], _SHARE)) for side in (below, above)]
    made = np.array(coefficient)
    made[inside] = np.interp(centre[inside], gap, level)
    return made
