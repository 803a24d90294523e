"""Light of fibres in a few wide bands: all that the solution of a field needs of their spectra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fibres import FibreSpectra
from tracecube.core.flags import NOT_USABLE
from tracecube.core.params import Params
from tracecube.recipes.science.fibre_psf_system import FieldPsfParams
from tracecube.recipes.sky.field_astrometry import FieldMatchParams

__all__ = ["FibreBands", "FieldParams", "band_light"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


class FieldParams(Params):
    """Solution of a field.

    Parameters
    ----------
    reference : float, Angstrom
        Wavelength at which places hold.
    first, last : float, Angstrom
        Range of the bands in which the stars are fitted.
    bands : int
    finding : (float, float), Angstrom
        Band in which sources are found.
    faintest : float, mag
        Catalogue stars that are fitted.
    most : int
        Of them, at most so many, the brightest.
    """

    reference: float = 4703.0
    first: float = 3600.0
    last: float = 5500.0
    bands: int = 8
    finding: tuple[float, float] = (4000.0, 5400.0)
    faintest: float = 20.5
    most: int = 600
    match: FieldMatchParams = FieldMatchParams()
    psf: FieldPsfParams = FieldPsfParams()

    @property
    def edges(self) -> F8:
        """Borders of the bands."""
        return np.asarray(np.linspace(self.first, self.last, self.bands + 1))


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
    lights, noises = [], []
    for low, high in pairwise(edges):
        inside = (spectra.wave >= low) & (spectra.wave < high)
        good = (inside & ok).sum(1)
        enough = good >= np.maximum(least * inside.sum(1), 1)
        count = np.maximum(good, 1)
        lights.append(np.where(enough, (flux * inside).sum(1) / count, 0.0))
        noises.append(np.where(enough, (variance * inside).sum(1) / count**2, np.inf))
    return np.array(lights).T, np.array(noises).T


@dataclass(frozen=True)
class FibreBands:
    """What the solution of a field needs of the spectra, small enough to hold a whole observation.

    Parameters
    ----------
    exposure, group : int array (n,)
        Exposure from 1, and bundle.
    flux, variance : array (n, b)
        Mean flux in bands; variance infinite where too little was measured.
    white, white_variance : array (n,)
        Mean flux in the band that sources are found in.
    """

    exposure: I8
    group: I8
    flux: F8
    variance: F8
    white: F8
    white_variance: F8

    @classmethod
    def of(cls, spectra: FibreSpectra, params: FieldParams = FieldParams()) -> FibreBands:
        """Bands of sky-subtracted spectra in nominal flux."""
        white, noise = band_light(spectra, np.array(params.finding))
        bands = band_light(spectra, params.edges)
        exposure, group = spectra.exp.astype(np.int64), spectra.ifuslot.astype(np.int64)
        return cls(exposure, group, *bands, white[:, 0], noise[:, 0])

    @classmethod
    def join(cls, parts: Sequence[FibreBands]) -> FibreBands:
        """Bands of several sets of fibres, one after the other."""
        return cls(*(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(cls)))
