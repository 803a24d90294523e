"""How far single pixels depart from the straight line through a lamp's exposures, beyond their noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tracecube.core.fields import BoolArray
from tracecube.core.pixels import Master
from tracecube.core.quality import QualityNumber
from tracecube.kernels.combine import clipped_moments
from tracecube.recipes.detector.dark import dark_for
from tracecube.recipes.detector.flat_fit import FlatFit, typical_chi2

__all__ = ["nonlinearity_numbers"]


def nonlinearity_numbers(found: FlatFit, darks: Sequence[Master]) -> tuple[QualityNumber, ...]:
    """Spread of the pixels' departures from linearity at the faintest level, and the least that could be told.

    How bright a lamp was is not known: what all pixels have in common is not in it. A departure d of the faintest
    exposure, of leverage h (Hoaglin & Welsch 1978, Am. Stat. 32, 17), leaves a residual of (1 - h) d; of the residuals'
    variance the noise has the share 1 / (1 + E), E being how far chi-square exceeds its degrees of freedom. The least
    that could be told is what an error of the noise model, or of that chi-square, would make.

    Returns
    -------
    tuple of QualityNumber
        None of a single level.
    """
    if len(found.lamps) < 2:  # noqa: PLR2004 - a line through one level and the dark fits any pixel
        return ()
    good = found.flags == 0
    spread = clipped_moments(found.departure[good])[1] / (1.0 - _leverage(found, darks, good))
    freedom = max(found.fit.freedom, 1.0)
    excess = freedom * (typical_chi2(found.fit, good) - 1.0)
    doubt = max(-excess, float(np.sqrt(2.0 * freedom / max(int(np.count_nonzero(good)), 1))))
    value, least = (float(spread * np.sqrt(e / (1.0 + e))) for e in (max(excess, 0.0), doubt))
    return QualityNumber("FLAT NONLINEARITY", value), QualityNumber("FLAT NONLINEARITY ERROR", least)


def _leverage(found: FlatFit, darks: Sequence[Master], good: BoolArray) -> float:
    """Leverage of the faintest exposure in the line through a typical pixel's exposures and its dark."""
    times = np.array([lamp.clean.dit for lamp in found.lamps])
    dit = float(np.sort(times)[times.size // 2])
    dark = dark_for(darks, dit)[0]
    level = np.array(found.levels)
    pairs = zip(found.lamps, level, strict=True)
    noise = [float(np.asarray(lamp.clean.noise(float(one)))) for lamp, one in pairs]  # the dark's signal is small
    design = np.vstack([np.column_stack([times / dit, level]), [1.0, 0.0]])
    weight = 1.0 / np.array([*noise, float(np.median(dark.variance[good]))])
    row = design[int(np.argmin(level))]
    inverse = np.linalg.inv(design.T @ (weight[:, None] * design))
    return float(np.minimum(row @ inverse @ row * weight[int(np.argmin(level))], 0.95))
