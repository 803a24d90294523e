"""How bright the slices about a standard star are in its exposure: by the sky that is seen beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.slices import SliceSegments
from tracecube.recipes.slices.sky_fit import SkyParams, fit_sky
from tracecube.recipes.slices.sky_pieces import Slices, gather

__all__ = ["SliceBrightness", "brightness_near"]

_SHARE = 0.75  # of the pieces that see sky: a field of a star is empty but for it, as that of a SKY exposure
_UNLIKE = 1.5  # chi-square of a piece: where the star's halo fills the field, its lines are taken for the sky's
_CLEAR = 3.0  # standard deviations by which slices differ: less is what noise may feign
_FEWEST = 6  # slices that tell how they scatter
_WIDEST = 0.05  # by which slices differ at most: more is light of the star, where the sky is faint
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

    Every other piece of each slice, and the rest, tell it twice, u and v. What both have in common is the width t of
    what slices may be, t^2 the covariance of u and v; what they differ by is their error, e^2 = var(u - v) / 4 of the
    mean. With it, brightness is 1 + ((u + v) / 2 - 1) t^2 / (t^2 + e^2) (empirical Bayes). Of n slices that are alike,
    t^2 scatters by 2 e^2 / sqrt(n): they are taken to be alike where it is less than three times that, and where the
    sky cannot be told from the star, or is so faint that the star's light makes slices seem to differ by more than they
    do.
    """
    order = np.argsort([float(np.nanmin(np.abs(one.y - y), initial=np.inf)) for one in segments], kind="stable")
    slices = gather([segments[i] for i in sorted(order[:_CHANNELS].tolist())])
    count = len(slices.aperture)
    alike = SliceBrightness(slices.detector, slices.aperture, np.ones(count), np.full(count, np.inf))
    params = SkyParams(fraction=_SHARE, alike=False, faint=True)  # how alike they are, both halves tell
    try:
        fits = [fit_sky(_part(slices, slices.piece % 2 == odd), params) for odd in (0, 1)]
    except (NoConvergence, np.linalg.LinAlgError):
        return alike
    if not max(fit.chi2 for fit in fits) < _UNLIKE:
        return alike
    known = (fits[0].dq == 0) & (fits[1].dq == 0)
    if known.sum() < _FEWEST:
        return alike
    one, other = (np.where(known, fit.value[:, 0] / fit.value[known, 0].mean(), 1.0) for fit in fits)
    width2 = max(float(np.mean((one[known] - 1.0) * (other[known] - 1.0))), 0.0)
    error2 = float(np.var((one - other)[known])) / 4.0
    if not _CLEAR * 2.0 * error2 / np.sqrt(known.sum()) < width2 < _WIDEST**2:
        return alike
    told = np.where(known, width2 / max(width2 + error2, 1e-300), 0.0)
    return SliceBrightness(
        slices.detector, slices.aperture, 1.0 + told * (0.5 * (one + other) - 1.0), np.sqrt(width2 * (1.0 - told))
    )


def _part(slices: Slices, own: BoolArray) -> Slices:
    """Return some of the pieces."""
    names = ("flux", "weight", "wave", "slice", "white", "spread", "piece", "x", "y")
    return replace(slices, **{name: getattr(slices, name)[own] for name in names})
