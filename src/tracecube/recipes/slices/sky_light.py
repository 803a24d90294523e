"""What a slice sees of the sky."""

from __future__ import annotations

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.core.slice_light import SliceSky
from tracecube.kernels import sky_spline
from tracecube.recipes.slices.sky_fit import REACH, REFERENCE, SPAN, shape_intervals

__all__ = ["seen", "shifted"]


def shifted(sky: SliceSky, row: int, wave: FloatArray) -> FloatArray:
    """Return wavelengths of an exposure from those of the day's solution."""
    return np.asarray(wave + sky.shift[row] + sky.stretch[row] * (wave - REFERENCE) / SPAN)


def seen(sky: SliceSky, row: int, wave: FloatArray) -> FloatArray:
    """Return the sky in a slice, light relative to the lamp.

    Parameters
    ----------
    sky : SliceSky
    row : int
    wave : array, Angstrom
        Wavelengths of the day's solution.
    """
    z = (wave - REFERENCE) / SPAN
    moments = sky.skew[row] / (4.0 * sky.width**2)
    shift, stretch = sky.shift[row] - sky.own_shift - moments[0], sky.stretch[row] - sky.own_stretch - moments[1]
    own = wave + shift + stretch * z
    shape = np.array([1.0, 0.0, 0.0, *sky.excess[row], *sky.skew[row], sky.flat[row]])
    pieces = shape_intervals(np.asarray(sky.coefficient, np.float64), sky.step, shape)
    light = sky_spline.seen(own.ravel(), z.ravel(), pieces, sky.first, sky.step, REACH, 1)[0]
    return np.asarray(sky.gain[row] * light.reshape(wave.shape))
