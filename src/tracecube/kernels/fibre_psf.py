"""Share of a star's light that a round fibre collects, against the distance between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["FibreShare", "fibre_share", "moffat_scale"]

F8 = NDArray[np.float64]

# Nodes over the fibre's face, outwards and around half of it (the other half is its mirror image): shares
# are good to 1e-5 where the seeing is wider than the fibre's radius.
_OUTWARDS, _AROUND = 8, 12
# Step of the table, arcsec: linear interpolation in it is good to 1e-5 of the centre's share.
_STEP = 0.01


def moffat_scale(fwhm: float, beta: float) -> float:
    """Scale radius of a Moffat function, in the unit of its full width at half maximum."""
    return float(0.5 * fwhm / np.sqrt(2.0 ** (1.0 / beta) - 1.0))


class FibreShare:
    """Share of a star's light in a fibre at some distance: a table that `fibre_share` filled.

    Parameters
    ----------
    distance, share : array (k,)
        Distance from 0, in equal steps (arcsec), and share of the star's total light. No light beyond the table.
    """

    def __init__(self, distance: F8, share: F8) -> None:
        self.distance, self.share = distance, share
        self.slopes = np.gradient(share, distance)

    @property
    def reach(self) -> float:
        """Largest distance of the table, arcsec."""
        return float(self.distance[-1])

    def __call__(self, distance: F8) -> F8:
        return np.asarray(np.interp(distance, self.distance, self.share, right=0.0))

    def slope(self, distance: F8) -> F8:
        """Derivative of the share by distance, 1/arcsec."""
        return np.asarray(np.interp(distance, self.distance, self.slopes, right=0.0))


def fibre_share(fwhm: float, beta: float, radius: float, reach: float) -> FibreShare:
    """Integrate a Moffat function over the face of a fibre, for distances up to ``reach``.

    Parameters
    ----------
    fwhm, radius, reach : float, arcsec
    beta : float
        Above 1; the function integrates to one over the whole plane.
    """
    node, weight = np.polynomial.legendre.leggauss(_OUTWARDS)
    r = radius * np.sqrt(0.5 * (node + 1.0))  # uniform in area
    angle = (np.arange(_AROUND) + 0.5) * np.pi / _AROUND
    x, y = r[:, None] * np.cos(angle), r[:, None] * np.sin(angle)
    area = np.broadcast_to(0.5 * weight[:, None] / _AROUND * np.pi * radius**2, x.shape)
    distance = np.arange(0.0, reach + _STEP, _STEP)
    alpha = moffat_scale(fwhm, beta)
    radius2 = (distance[:, None] - x.ravel()) ** 2 + y.ravel() ** 2
    density = (beta - 1.0) / (np.pi * alpha**2) * np.exp(-beta * np.log1p(radius2 / alpha**2))
    return FibreShare(distance, density @ area.ravel())
