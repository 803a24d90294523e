"""Light of fibres in a few wide bands: all that the solution of a field needs of their spectra."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tracecube.core.fibre_light import FibreBands
from tracecube.core.fibres import FibreSpectra, sum_variance
from tracecube.core.flags import NOT_USABLE
from tracecube.core.params import Params
from tracecube.recipes.science.fibre_psf_system import FieldPsfParams
from tracecube.recipes.sky.field_astrometry import FieldMatchParams

__all__ = ["BandParams", "FieldParams", "band_light", "fibre_bands"]

F8 = NDArray[np.float64]


class BandParams(Params):
    """The bands that a field is solved in."""

    first: float = Field(3600.0, description="first wavelength of the bands in which stars are fitted, Angstrom")
    last: float = Field(5500.0, description="last wavelength of these bands, Angstrom")
    bands: int = Field(8, ge=2, le=40, description="their number")
    finding: tuple[float, float] = Field((4000.0, 5400.0), description="band in which sources are found, Angstrom")

    @property
    def edges(self) -> F8:
        """Borders of the bands."""
        return np.asarray(np.linspace(self.first, self.last, self.bands + 1))


class FieldParams(Params):
    """Solution of a field.

    Parameters
    ----------
    reference : float, Angstrom
        Wavelength at which places hold: the instrument says which, no other number would do.
    faintest : float, mag
        Catalogue stars that are fitted.
    most : int
        Of them, the field is solved with at most so many, the brightest that stand alone.
    """

    reference: float
    faintest: float = 20.5
    most: int = 300
    match: FieldMatchParams = FieldMatchParams()
    psf: FieldPsfParams = FieldPsfParams()


def band_light(spectra: FibreSpectra, edges: F8, least: float = 0.3) -> tuple[F8, F8]:
    """Mean flux of each fibre in bands and its variance, infinite where too few samples are good; (n, b).

    Parameters
    ----------
    edges : array (b + 1,), Angstrom
    least : float
        Share of the samples of a band that must be good.
    """
    ok = ((spectra.flags & NOT_USABLE) == 0) & np.isfinite(spectra.flux) & np.isfinite(spectra.variance)
    ok &= (spectra.variance > 0) & (spectra.dq == 0)[:, None]
    flux, variance = np.where(ok, spectra.flux, 0.0), np.where(ok, spectra.variance, 0.0)
    correlation = 0.0 if spectra.correlation is None else np.asarray(spectra.correlation)
    lights, noises = [], []
    for low, high in pairwise(edges):
        inside = (spectra.wave >= low) & (spectra.wave < high)
        good = (inside & ok).sum(1)
        enough = good >= np.maximum(least * inside.sum(1), 1)
        count = np.maximum(good, 1)
        lights.append(np.where(enough, (flux * inside).sum(1) / count, 0.0))
        summed = sum_variance(variance, (inside & ok).astype(float), correlation)
        noises.append(np.where(enough, summed / count**2, np.inf))
    return np.array(lights).T, np.array(noises).T


def fibre_bands(spectra: FibreSpectra, params: BandParams) -> FibreBands:
    """Bands of sky-subtracted spectra in nominal flux."""
    white, noise = band_light(spectra, np.array(params.finding))
    flux, variance = band_light(spectra, params.edges)
    return FibreBands(
        exposure=spectra.exp.astype(np.int64),
        group=spectra.ifuslot.astype(np.int64),
        x=np.asarray(spectra.x, np.float64),
        y=np.asarray(spectra.y, np.float64),
        flux=flux,
        variance=variance,
        white=white[:, 0],
        white_variance=noise[:, 0],
        edges=params.edges,
        meta=spectra.meta,
    )
