"""Telluric oxygen and water: how deep at which airmass, and what an instrument sees of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Absorbers", "DepthLaw", "fit_depth_law"]

F8 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Absorbers:
    """Templates of telluric absorption.

    Parameters
    ----------
    wave : array (k,), Angstrom, vacuum
    transmission : array (a, k)
        Of each absorber at unit depth.
    exponent, exponent_error : array (a,)
        The depth goes with airmass to this power: below one, for the strong lines are saturated.
    """

    wave: F8
    transmission: F8
    exponent: F8
    exponent_error: F8

    def log_transmission(self, fine: F8) -> F8:
        """Logarithm of the transmission at unit depth on a grid, array (a, n); 0.1 per cent at least."""
        rows = [np.interp(fine, self.wave, row, left=1.0, right=1.0) for row in self.transmission]
        return np.log(np.maximum(rows, 1e-3))


@dataclass(frozen=True)
class DepthLaw:
    """Depth of each absorber against airmass: ``exp(level) * airmass ** exponent``, arrays (a,)."""

    level: F8
    exponent: F8

    def at(self, airmass: float) -> F8:
        """Depth (a,) at an airmass."""
        return np.asarray(np.exp(self.level) * airmass**self.exponent)


def fit_depth_law(airmass: Floats, depth: Floats, error: Floats, absorbers: Absorbers) -> DepthLaw:
    """Fit level and exponent of each absorber to the depths that stars saw.

    The exponent keeps close to its prior unless stars at different airmass know better.

    Parameters
    ----------
    airmass : array (s,)
    depth, error : array (s, a)
    """
    level, exponent = [], []
    lever = np.log(airmass)
    for column, (mean, width) in enumerate(zip(absorbers.exponent, absorbers.exponent_error, strict=True)):
        known = depth[:, column] > 0
        if not known.any():
            level.append(0.0)
            exponent.append(float(mean))
            continue
        value = np.log(depth[known, column])
        # One per cent: two stars never saw the same water; it keeps one of them from ruling.
        weight = 1.0 / np.hypot(error[known, column] / depth[known, column], 0.01)
        design = np.column_stack([weight, weight * lever[known]])
        design = np.vstack([design, [0.0, 1.0 / width]])
        right = np.append(weight * value, mean / width)
        found = np.linalg.lstsq(design, right, rcond=None)[0]
        level.append(float(found[0]))
        exponent.append(float(found[1]))
    return DepthLaw(np.array(level), np.array(exponent))
