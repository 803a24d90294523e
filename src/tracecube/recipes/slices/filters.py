"""Images of cubes through filters."""

from __future__ import annotations

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.core.flags import Flag
from tracecube.core.spectra import Cube, Image
from tracecube.recipes.slices.cube import flat_cards, spectral_factor

__all__ = ["filter_image"]

_FINE = 4001  # wavelengths at which the share within the cube is summed
_HALF = 0.5  # of the filter's light that must be measured


def filter_image(cube: Cube, wave: FloatArray, curve_wave: FloatArray, curve: FloatArray) -> tuple[Image, float]:
    """Return the mean flux density of every spaxel through a filter, weighted by its transmission.

    Parameters
    ----------
    cube : Cube
    wave : array (n_wave,), Angstrom
    curve_wave : array (k,), Angstrom
    curve : array (k,)
        Transmission.

    Returns
    -------
    image : Image
    share : float
        Of the filter's transmission that lies within the cube.
    """
    order = np.argsort(curve_wave)
    at, through = np.asarray(curve_wave, np.float64)[order], np.asarray(curve, np.float64)[order]
    weight = np.interp(wave, at, through, left=0.0, right=0.0)
    fine = np.linspace(at[0], at[-1], _FINE)
    passed = np.interp(fine, at, through)
    whole = float(passed.sum())
    share = float(passed[(fine >= wave[0]) & (fine <= wave[-1])].sum()) / whole if whole > 0 else 0.0
    total, noise, known = (np.zeros(cube.data.shape[1:]) for _ in range(3))
    for plane in np.flatnonzero(weight > 0):
        good = cube.flags[plane] == 0
        total[good] += weight[plane] * cube.data[plane][good]
        noise[good] += weight[plane] ** 2 * cube.variance[plane][good]
        known += weight[plane] * good
    noise *= spectral_factor(cube)
    measured = known > _HALF * max(float(weight.sum()), 1e-300)
    with np.errstate(divide="ignore", invalid="ignore"):
        data = np.where(measured, total / known, np.nan).astype(np.float32)
        variance = np.where(measured, noise / known**2, np.nan).astype(np.float32)
    flags = np.where(measured, 0, int(Flag.NOT_MEASURED)).astype(np.int32)
    return Image(data, variance, flags, flat_cards(cube.meta)), share
