"""How bright the star was, frame by frame, from its satellite spots: all spots and channels in one number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import MissingInput
from tracecube.core.star import StarCentre

__all__ = ["Amplitudes", "spot_amplitudes"]

F8 = NDArray[np.float64]

ROUNDS = 20


@dataclass(frozen=True)
class Amplitudes:
    """Brightness of frames over their mean.

    Parameters
    ----------
    amplitude, error : array (n_frame,)
        Errors by the noise of spots and halo; the mean over the frames is 1.
    chi2 : float
        Reduced: above 1 where the spots' colours or ratios changed between frames, which no number can tell.
    used : int array (n_frame,)
        Measurements (spots times channels) behind each amplitude.
    """

    amplitude: F8
    error: F8
    chi2: float
    used: NDArray[np.int64]


def spot_amplitudes(centres: Sequence[StarCentre]) -> Amplitudes:
    """Return the brightness of each frame relative to their mean.

    The flux of spot s in channel k of frame f is amplitude(f) times a common flux(s, k); both follow by
    weighted least squares, in turns (the two-way table of Tamuz et al. 2005, MNRAS 356, 1466).

    Raises
    ------
    MissingInput
        Fewer than two frames with spots.
    """
    having = [c for c in centres if np.isfinite(c.spot_flux).any()]
    if len(having) < 2 or len(having) < len(centres):
        raise MissingInput(
            f"{len(having)} of {len(centres)} frames have satellite spots: no brightness from frame to frame",
            hint="give at least two frames, all with spots (OBJECT,CENTER, or spots on throughout)",
        )
    flux = np.stack([np.asarray(c.spot_flux, float).ravel() for c in having])
    variance = np.stack([np.asarray(c.spot_variance, float).ravel() for c in having])
    good = np.isfinite(flux) & np.isfinite(variance) & (variance > 0)
    weight = np.where(good, 1.0 / np.where(good, variance, 1.0), 0.0)
    flux = np.where(good, flux, 0.0)
    amplitude = np.ones(len(having))
    for _ in range(ROUNDS):
        common = (amplitude[:, None] * weight * flux).sum(axis=0)
        common /= np.maximum((amplitude[:, None] ** 2 * weight).sum(axis=0), 1e-300)
        power = (weight * common**2).sum(axis=1)
        amplitude = (weight * common * flux).sum(axis=1) / np.maximum(power, 1e-300)
        amplitude /= amplitude.mean()
    residual = flux - amplitude[:, None] * common
    used = good.sum(axis=1)
    freedom = max(1, int(used.sum()) - common.size - len(having) + 1)
    return Amplitudes(amplitude, 1.0 / np.sqrt(power), float(np.sum(weight * residual**2) / freedom), used)
