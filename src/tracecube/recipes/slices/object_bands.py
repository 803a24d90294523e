"""What air and objects take out of the smooth light of objects, as bright pieces of slices show it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, median_filter

from tracecube.core.fields import FloatArray
from tracecube.kernels import sky_spline

__all__ = ["bands_at", "bands_of"]

F8 = NDArray[np.float64]

_STEP = 0.3  # Angstrom, samples
_SHARPEST, _ENVELOPE, _WIDE = 0.3, 120.0, 30.0  # Angstrom: nothing is as sharp (sigma), and what is continuum
_SEEN = 5.0  # continuum over the noise of a sample, from which on it tells of bands
_LEAST = 0.05  # is left in the deepest band


def bands_of(objects: F8) -> F8:
    """Return what is left of smooth light of objects (k,), samples 0.3 Angstrom apart; 1 where it is too faint."""
    light = gaussian_filter1d(objects, _SHARPEST / _STEP, mode="nearest")
    smooth = gaussian_filter1d(median_filter(light, int(_ENVELOPE / _STEP) | 1, mode="nearest"), _WIDE / _STEP)
    noise = 1.4826 * float(np.median(np.abs(light - smooth)))
    clear = smooth > _SEEN * noise
    return np.where(clear, np.clip(light / np.where(clear, smooth, 1.0), _LEAST, 1.0 + 1.0 / _SEEN), 1.0)


def bands_at(wave: F8, objects: FloatArray, first: float, step: float) -> F8:
    """Return what is left of smooth light at even wavelengths 0.3 Angstrom apart (k,), of coefficients of a spline."""
    return bands_of(sky_spline.derivatives(wave, np.asarray(objects, np.float64), first, step)[0])
