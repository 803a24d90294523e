"""From electrons to erg: response, extinction and telluric bands taken off a spectrum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.atmosphere import broadening_matrix, extinction_transmission
from tracecube.recipes.flux.telluric import Absorbers

__all__ = ["atmosphere_and_response"]

F8 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]
MARGIN = 300.0  # Angstrom beyond the samples, six widths of the broadest line-spread function
STEP = 3.0  # Angstrom, the sampling of the telluric templates


def atmosphere_and_response(
    wave: Floats,
    lsf_sigma: Floats,
    log_response: F8,
    *,
    airmass: float,
    extinction: tuple[F8, F8],
    absorbers: Absorbers,
    depth: F8,
) -> F8:
    """Electrons per erg that a flat spectrum above the atmosphere gives at each sample.

    Telluric bands are seen through the line-spread function.

    Parameters
    ----------
    wave, lsf_sigma, log_response : array (m,)
    airmass : float
    extinction : pair of arrays
        Wavelength and magnitudes per airmass.
    depth : array (a,)
        Of the absorbers at this airmass.

    Returns
    -------
    array (m,), (electron / (s Angstrom)) / (erg / (s cm2 Angstrom))
    """
    fine = np.arange(wave[0] - MARGIN, wave[-1] + MARGIN, STEP)
    through = extinction_transmission(fine, *extinction, airmass) * np.exp(depth @ absorbers.log_transmission(fine))
    return np.asarray(np.exp(log_response) * (broadening_matrix(fine, wave, lsf_sigma) @ through))
