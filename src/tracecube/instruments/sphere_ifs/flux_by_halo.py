"""The star's flux beside its mask brought together with its halo behind the mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tracecube.core.quality import QualityNumber
from tracecube.core.spectra import Spectra
from tracecube.core.star import StarCentre, StarPsf
from tracecube.recipes.science.star_by_halo import halo_spectrum, star_by_halo

__all__ = ["with_halo"]

_INNER, _OUTER = 0.15, 0.8  # arcsec: from beyond the mask to the field's edge


def with_halo(
    psf: StarPsf, spectra: Sequence[Spectra], centres: Sequence[StarCentre]
) -> tuple[StarPsf, tuple[QualityNumber, ...]]:
    """Return the star with its fine structure told by its halo, and how far its own is from that.

    It stays as it was where the halo does not tell. Errors that channels share are further rows of ``tilt``.

    Parameters
    ----------
    psf : StarPsf
    spectra, centres
        DITs of the star behind its mask, and where it is in them.
    """
    halo = halo_spectrum(spectra, centres, inner=_INNER, outer=_OUTER)
    if halo is None or halo[0].size != np.size(psf.wave):
        return psf, ()
    known = (np.asarray(psf.flags) == 0) & np.isfinite(psf.flux) & (np.asarray(psf.variance) >= 0.0)
    star = np.where(known & (psf.flux > 0), psf.flux, np.nan)
    noise = np.sqrt(np.asarray(psf.variance, float)) / star
    light = np.where(halo[0] > 0.0, halo[0], np.nan)
    found = star_by_halo(np.asarray(psf.wave, float), star, noise, np.nan_to_num(light), halo[1] / light)
    if found is None:
        return psf, ()
    flux = psf.flux * found.factor
    variance = np.where(np.isfinite(found.error), (found.error * flux) ** 2, psf.variance)
    own = [] if psf.tilt is None else [np.atleast_2d(np.asarray(psf.tilt, float))]
    made = replace(psf, flux=flux, variance=variance, tilt=np.vstack([*own, found.tilt]))
    return made, (QualityNumber("STAR OVER HALO CHI2", found.chi2, "", high=6.0),)
