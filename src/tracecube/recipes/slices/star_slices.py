"""How bright the slices about a standard star are in its exposure: by the sky that is seen beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.slices import SliceSegments
from tracecube.recipes.slices.sky_fit import SkyParams, fit_sky
from tracecube.recipes.slices.sky_pieces import gather

__all__ = ["SliceBrightness", "brightness_near"]

_SHARE = 0.75  # of the pieces that see sky: a field of a star is empty but for it
_UNLIKE = 1.5  # chi-square of a piece: where the star's halo fills the field, its lines are taken for the sky's
_CHANNELS = 3  # the closest to the star: their mean is known to a tenth of what slices scatter


@dataclass(frozen=True)
class SliceBrightness:
    """Brightness of slices over their mean.

    Parameters
    ----------
    detector, aperture : array (n,)
    value, error : array (n,)
        Drawn to 1 as far as the sky does not tell it: lines of a short exposure are faint, and slices alike.
    """

    detector: np.ndarray
    aperture: IntArray
    value: FloatArray
    error: FloatArray

    def of(self, detector: str, aperture: IntArray) -> FloatArray:
        """Return the brightness of slices of a detector; 1 of those that are not known."""
        own = self.detector == detector
        known = dict(zip(self.aperture[own].tolist(), self.value[own].tolist(), strict=True))
        return np.array([known.get(int(one), 1.0) for one in aperture])


def brightness_near(segments: Sequence[SliceSegments], y: float) -> SliceBrightness:
    """Measure the brightness of the slices of the channels closest to a place across slices (arcsec).

    How much slices scatter beyond their errors is the width of what they may be (empirical Bayes): with v the fit and
    e its error, 1 + (v - 1) t^2 / (t^2 + e^2), t^2 the variance of v less the mean of e^2. Slices are alike where the
    sky cannot be told from the star.
    """
    order = np.argsort([float(np.nanmin(np.abs(one.y - y), initial=np.inf)) for one in segments], kind="stable")
    slices = gather([segments[i] for i in sorted(order[:_CHANNELS].tolist())])
    count = len(slices.aperture)
    alike = SliceBrightness(slices.detector, slices.aperture, np.ones(count), np.full(count, np.inf))
    try:
        fit = fit_sky(slices, SkyParams(fraction=_SHARE))
    except (NoConvergence, np.linalg.LinAlgError):
        return alike
    if not fit.chi2 < _UNLIKE:
        return alike
    value, error, known = fit.value[:, 0], fit.error[:, 0], fit.dq == 0
    width2 = max(float(np.var(value[known]) - np.mean(error[known] ** 2)), 0.0) if known.any() else 0.0
    told = np.where(known, width2 / (width2 + np.where(known, error, 1.0) ** 2), 0.0)
    made = 1.0 + told * (np.where(known, value, 1.0) - 1.0)
    return SliceBrightness(slices.detector, slices.aperture, made, np.sqrt(width2 * (1.0 - told)))
