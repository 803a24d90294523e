"""Share of a star's light that a round fibre collects, against the distance between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.fibre_disc import disc_light

__all__ = ["FibreShare", "fibre_share"]

F8 = NDArray[np.float64]

# Step of the table, arcsec: linear interpolation in it is good to 1e-5 of the centre's share.
_STEP = 0.01


class FibreShare:
    """Share of a star's light in a fibre at some distance: a table that `fibre_share` filled.

    Parameters
    ----------
    distance, share : array (k,)
        Distance from 0, in equal steps (arcsec), and share of the star's total light. No light beyond the table.
    """

    def __init__(self, distance: F8, share: F8) -> None:
        self.distance, self.share = distance, share

    @property
    def reach(self) -> float:
        """Largest distance of the table, arcsec."""
        return float(self.distance[-1])

    def __call__(self, distance: F8) -> F8:
        """Share of the light at each distance (arcsec)."""
        return np.asarray(np.interp(distance, self.distance, self.share, right=0.0))


def fibre_share(fwhm: float, beta: float, radius: float, reach: float) -> FibreShare:
    """Integrate a Moffat function over the face of a fibre, for distances up to ``reach``.

    Parameters
    ----------
    fwhm, radius, reach : float, arcsec
    beta : float
        Above 1; the function integrates to one over the whole plane.
    """
    distance = np.arange(0.0, reach + _STEP, _STEP)
    return FibreShare(distance, disc_light(distance, np.zeros_like(distance), np.asarray(fwhm), beta, radius))
