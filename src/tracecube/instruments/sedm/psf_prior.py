"""What is known of the point-spread function of this instrument before looking at an exposure."""

from __future__ import annotations

import numpy as np

from tracecube.recipes.science.chromatic_fit import Prior

__all__ = ["REFERENCE_WAVE", "place_and_shape"]

REFERENCE_WAVE = 6200.0
"""Angstrom: the guider's wavelength, at which refraction leaves a target where the guider holds it."""

# Medians and widths of the fits to isolated stars and targets with this instrument, 5 and 95 per cent taken as
# +-1.64 sigma (Lezmy et al. 2022, A&A 668, A43; pysedm's psfcube): halo radius over core width 1.8, halo exponent
# 2.06, share of the core 0.41, growth with wavelength -0.17, axis ratio 0.85 to 1. The widths are about doubled.
_SHAPE = {"log_ratio": (0.59, 0.2), "log_beta": (0.18, 0.35), "logit_core": (-0.36, 0.6), "rho": (-0.2, 0.1)}
_ELLIPTICITY = 0.05
_SEEING_ERROR = 0.3  # of the width, when it is only a habit (1.56 to 2.40 arcsec in 77 real exposures)
_GUIDER_ERROR = 0.15  # of the width, when guide stars were measured: another camera, another focus
# The refraction is known from first principles; pressures of 630 to 824 hPa are met for this site, and the fit of
# any but the faintest source is far better than this prior.
_REFRACTION_ERROR = 0.3
_LATTICE_ANGLE_ERROR = np.radians(2.5)  # of the lenslet lattice against north


def place_and_shape(x: float, y: float, place_error: float, *, fwhm: float, measured: bool) -> Prior:
    """Prior of place and shape.

    Parameters
    ----------
    x, y, place_error : float, arcsec
    fwhm : float, arcsec
    measured : bool
        The width was measured on guide stars of this exposure.
    """
    # 2.3548: full width at half maximum over the width of a Gaussian; core and halo are about equally wide
    width = (np.log(fwhm / 2.3548), _GUIDER_ERROR if measured else _SEEING_ERROR)
    rows = [
        (x, place_error),
        (y, place_error),
        (0.0, _REFRACTION_ERROR),
        (0.0, _LATTICE_ANGLE_ERROR),
        width,
        *_SHAPE.values(),
        (0.0, _ELLIPTICITY),
        (0.0, _ELLIPTICITY),
    ]
    table = np.array(rows, dtype=float)
    return Prior(table[:, 0], table[:, 1])
