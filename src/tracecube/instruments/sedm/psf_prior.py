"""What is known of the point-spread function of this instrument before looking at an exposure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tracecube.core.target import Target
from tracecube.instruments.sedm.headers import number
from tracecube.recipes.science.chromatic_fit import Prior

__all__ = ["REFERENCE_WAVE", "halo_of_night", "halos_of_night", "place_and_shape", "refraction_of_night"]

REFERENCE_WAVE = 6200.0
"""Angstrom: the guider's wavelength, at which refraction leaves a target where the guider holds it."""

# Medians and widths of the fits to isolated stars and targets with this instrument, 5 and 95 per cent taken as
# +-1.64 sigma (Lezmy et al. 2022, A&A 668, A43; pysedm's psfcube): halo radius over core width 1.8, halo exponent
# 2.06, share of the core 0.41, growth with wavelength -0.17, axis ratio 0.85 to 1. The widths are about doubled.
_SHAPE = {"log_ratio": (0.59, 0.2), "log_beta": (0.18, 0.35), "logit_core": (-0.36, 0.6), "rho": (-0.2, 0.1)}
_HALO = {"log_ratio": "PSFRATIO", "log_beta": "PSFBETA", "logit_core": "PSFCORE"}  # and the cards that keep them
# Of the literature's width, once standards were seen. Stars of 18.4 mag put at 18 places of one moonlit frame of a
# simulated night, with the profile fitted there, come out with a scatter of 3.2 per cent with half of that width and
# more, of 1.8 with a fifth; the profiles of three bright stars of that night give the same flux to 0.5 per cent.
_HALO_OF_NIGHT = 0.2
_HALO_FREEDOM = 2.0  # degrees of freedom that this guess of the width counts for, against what standards show
_ELLIPTICITY = 0.05
_SEEING_ERROR = 0.3  # of the width, when it is only a habit (1.56 to 2.40 arcsec in 77 real exposures)
_GUIDER_ERROR = 0.15  # of the width, when guide stars were measured: another camera, another focus
# The refraction is known from first principles; pressures of 630 to 824 hPa are met for this site, and the fit of
# any but the faintest source is far better than this prior.
_REFRACTION_ERROR = 0.3
_LATTICE_ANGLE_ERROR = float(np.radians(2.5))  # of the lenslet lattice against north
_NIGHT_ERROR = 0.03  # of either from one exposure of a night to the next: temperature, and the mean over the exposure


def halo_of_night(standards: Sequence[Target]) -> dict[str, tuple[float, float]]:
    """Halo as the night's standards show it, far brighter than any target; the literature's without any.

    The width is the guess of one standard, and comes closer to the scatter among standards the more there are: the
    mean of a scaled inverse chi-squared distribution. The three numbers trade for one another and are scaled as one.
    """
    halos = halos_of_night(standards)
    middle, width = (np.array([_SHAPE[name][i] for name in _HALO]) for i in (0, 1))
    if not len(halos):
        return dict(zip(_HALO, zip(middle.tolist(), width.tolist(), strict=True), strict=True))
    mean = halos.mean(axis=0)
    freedom = _HALO_FREEDOM + halos[1:].size
    scatter = float(np.sum(((halos - mean) / width) ** 2))
    share = math.sqrt((_HALO_FREEDOM * _HALO_OF_NIGHT**2 + scatter) / freedom)
    return dict(zip(_HALO, zip(mean.tolist(), (share * width).tolist(), strict=True), strict=True))


def halos_of_night(standards: Sequence[Target]) -> NDArray[np.float64]:
    """Halo of each standard, array (s, 3) in the order of `tracecube.recipes.science.chromatic_fit.HALO`."""
    rows = [[number(star.meta, key) for key in _HALO.values()] for star in standards]
    return np.array([row for row in rows if None not in row], dtype=float).reshape(-1, len(_HALO))


def refraction_of_night(standards: Sequence[Target]) -> tuple[float, float, float, float]:
    """Refraction over the computed one, as the night's standards measured it.

    Returns
    -------
    scale, scale_error : float
        Natural logarithm.
    turn, turn_error : float, radian
        Of the lattice against north: the same all night.
    """
    scale = _weighted(standards, "PSFADRSC", "PSFADRSE", _REFRACTION_ERROR)
    turn = _weighted(standards, "PSFADRTU", "PSFADRTE", _LATTICE_ANGLE_ERROR)
    return *scale, *turn


def _weighted(standards: Sequence[Target], value: str, error: str, width: float) -> tuple[float, float]:
    """Mean of a card over the standards and its error, for another exposure; zero of the given width without any."""
    rows = [(number(star.meta, value), number(star.meta, error)) for star in standards]
    known = [(v, e) for v, e in rows if v is not None and e is not None]
    if not known:
        return 0.0, width
    # A standard near the zenith says little, and its error says so.
    weight = np.array([1.0 / np.hypot(e, _NIGHT_ERROR) ** 2 for _, e in known])
    total = float(weight.sum() + 1.0 / width**2)
    return float(np.sum(weight * [v for v, _ in known]) / total), float(np.hypot(_NIGHT_ERROR, total**-0.5))


def place_and_shape(
    x: float, y: float, place_error: float, *, fwhm: float, measured: bool, standards: Sequence[Target] = ()
) -> Prior:
    """Prior of place and shape.

    Parameters
    ----------
    x, y, place_error : float, arcsec
    fwhm : float, arcsec
    measured : bool
        The width was measured on guide stars of this exposure.
    standards : sequence of Target
        Of the night: they measured refraction, the angle of the lattice, and the halo.
    """
    # 2.3548: full width at half maximum over the width of a Gaussian; core and halo are about equally wide
    width = (np.log(fwhm / 2.3548), _GUIDER_ERROR if measured else _SEEING_ERROR)
    refraction = refraction_of_night(standards)
    rows = [
        (x, place_error),
        (y, place_error),
        refraction[:2],
        refraction[2:],
        width,
        *halo_of_night(standards).values(),
        _SHAPE["rho"],
        (0.0, _ELLIPTICITY),
        (0.0, _ELLIPTICITY),
    ]
    table = np.array(rows, dtype=float)
    return Prior(table[:, 0], table[:, 1])
