"""Relative gains of a detector's outputs and of their even and odd columns, from a smooth scene.

Only steps tell: light is continuous across the border of two outputs, gains are not. Each border's step
is what straight lines through the columns on either side differ by; the gains are their sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["amplifier_pattern"]

F8 = NDArray[np.float64]

_REACH = 16  # columns on either side of a border: a smooth scene is straight over so few


def amplifier_pattern(profile: F8, outputs: Sequence[tuple[int, int]]) -> F8:
    """Return the gain of every column, 1 on average, constant within an output but for even and odd.

    Parameters
    ----------
    profile : array (x,)
        Mean over rows of a scene over its smooth part; NaN where nothing was measured.
    outputs : sequence of (int, int)
        Columns of each output, first and one past the last.
    """
    parity = np.array([_parity(profile[a:b]) for a, b in outputs])
    columns = np.arange(profile.size)
    sign = np.where(columns % 2 == 0, 0.5, -0.5)
    even = np.ones(profile.size)
    for (a, b), step in zip(outputs, parity, strict=True):
        even[a:b] = 1.0 + sign[a:b] * step
    flat = profile / even
    steps = [_step(flat, left, right) for left, right in pairwise(outputs)]
    level = np.concatenate([[0.0], np.cumsum(steps)])
    # a sum of steps drifts by their errors; what a straight line explains is light as likely as gain
    place = np.arange(level.size) - 0.5 * (level.size - 1)
    level -= level.mean()
    if level.size > 2:
        level -= place * (place @ level) / (place @ place)
    gain = np.empty(profile.size)
    for (a, b), value in zip(outputs, level, strict=True):
        gain[a:b] = 1.0 + value
    return np.asarray(gain * even)


def _parity(part: F8) -> float:
    """Even columns over odd ones, less 1: each column against the mean of its two neighbours."""
    if part.size < 3:
        return 0.0
    bent = part[1:-1] - 0.5 * (part[:-2] + part[2:])
    signed = np.where(np.arange(1, part.size - 1) % 2 == 0, bent, -bent)
    known = signed[np.isfinite(signed)]
    return 0.0 if known.size == 0 else float(np.median(known))


def _step(profile: F8, left: tuple[int, int], right: tuple[int, int]) -> float:
    """By how much the profile rises at the border of two outputs; 0 where it is not measured."""
    a0, a1 = max(left[0], left[1] - _REACH), left[1]
    b0, b1 = right[0], min(right[1], right[0] + _REACH)
    x = np.arange(a0, b1) - (a1 - 0.5)
    y = profile[a0:b1]
    design = np.column_stack([np.ones_like(x), x, np.where(np.arange(a0, b1) >= b0, 1.0, 0.0)])
    known = np.isfinite(y)
    if known[: a1 - a0].sum() < 2 or known[a1 - a0 :].sum() < 2:
        return 0.0
    return float(np.linalg.lstsq(design[known], y[known], rcond=None)[0][2])
