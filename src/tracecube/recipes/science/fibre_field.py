"""Fibres of one bundle in all exposures, on the plane of the sky."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fibres import FibreSpectra
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.sources import FieldSolution
from tracecube.kernels.tangent_plane import sky_to_plane

__all__ = ["FibreField", "Refraction", "gather", "refraction_of"]

F8 = NDArray[np.float64]
Mask = NDArray[np.bool_]

_UNUSED_FIBRE = NOT_USABLE | int(Flag.LOW_THROUGHPUT | Flag.NOT_ILLUMINATED)
_UNUSED_SAMPLE = NOT_USABLE | int(Flag.NOT_ILLUMINATED)
# Shifts by refraction are rounded to this, arcsec: a thirtieth of a fibre.
ROUNDING = 0.05


class Refraction(NamedTuple):
    """Where refraction moves light, in the coordinates of the fibre bundle or on the sky.

    Parameters
    ----------
    wave : array (k,), Angstrom
        Rising.
    x, y : array (k,), arcsec
        A star whose light of the reference wavelength falls on (0, 0) has its light of ``wave`` here.
    on_sky : bool
        x is to the east and y to the north; else they are the bundle's axes.
    """

    wave: F8
    x: F8
    y: F8
    on_sky: bool = False


def refraction_of(solution: FieldSolution) -> Refraction:
    """Refraction that the stars of a field tell."""
    wave = np.asarray(solution.wave, np.float64)
    east, north = (np.asarray(v, np.float64) for v in (solution.refraction_east, solution.refraction_north))
    return Refraction(wave, east, north, on_sky=True)


@dataclass(frozen=True)
class FibreField:
    """Fibres of one bundle, one row a fibre and exposure.

    Parameters
    ----------
    flux, variance : array (n, m)
        0 and infinite where there is no usable sample.
    wave, lsf_sigma : array (n, m), Angstrom
    blend : array (n, m)
        Covariance with the next row.
    east, north : array (n,), arcsec
        In the plane that touches the sky at ``centre``.
    exp : int array (n,)
        Exposure, from 0.
    exposures : int array (e,)
        Their numbers.
    centre : (float, float), degree
    axes : array (2, 2)
        Columns are the bundle's x and y axes in east and north.
    ifuslot : int
    medium, unit : str
    placed : bool
        Whether the places are those that stars tell; else they are the headers', seconds of arc off.
    """

    flux: F8
    variance: F8
    wave: F8
    lsf_sigma: F8
    blend: F8
    east: F8
    north: F8
    exp: NDArray[np.int64]
    exposures: NDArray[np.int64]
    centre: tuple[float, float]
    axes: F8
    ifuslot: int
    medium: str
    unit: str
    placed: bool = True

    @property
    def good(self) -> Mask:
        """Samples that count, (n, m)."""
        return np.isfinite(self.variance)

    def shift(self, refraction: Refraction, wave: F8) -> F8:
        """Shift of the light to the east and north (arcsec), (2, ...)."""
        moved = np.stack([np.interp(wave, refraction.wave, one) for one in (refraction.x, refraction.y)])
        return moved if refraction.on_sky else np.asarray(self.axes @ moved)

    def steps(self, refraction: Refraction, wave: F8) -> list[tuple[F8, NDArray[np.int64]]]:
        """Group wavelengths of nearly equal refraction.

        Returns
        -------
        list of (array (2,), int array)
            Shift of the light to the east and north (arcsec), and the numbers of the wavelengths that have it.
        """
        rounded = np.round(self.shift(refraction, wave) / ROUNDING).astype(int)
        values, group = np.unique(rounded, axis=1, return_inverse=True)
        return [(values[:, k] * ROUNDING, np.flatnonzero(group.ravel() == k)) for k in range(values.shape[1])]


def gather(spectra: Sequence[FibreSpectra], ifuslot: int, *, centre: tuple[float, float] | None = None) -> FibreField:
    """Take the fibres of a bundle out of the spectra of all exposures.

    Parameters
    ----------
    spectra : sequence of FibreSpectra
        Of one or several exposures, with ra and dec.
    ifuslot : int
    centre : (float, float), degree, optional
        Of the tangent plane; by default the middle of the fibres, to a thousandth of a degree.

    Raises
    ------
    MissingInput
        No fibre of the bundle has a place on the sky.
    BadData
        Exposures differ in medium or unit.
    """
    rows = [np.flatnonzero((one.ifuslot == ifuslot) & np.isfinite(one.ra) & np.isfinite(one.dec)) for one in spectra]
    if not sum(row.size for row in rows):
        raise MissingInput(f"IFU {ifuslot:03d}: no fibre has a place on the sky", hint="run the astrometry first")
    medium, unit = ({str(v) for v in values} for values in
                    ([s.medium for s in spectra], [s.meta.get("BUNIT", "") for s in spectra]))  # fmt: skip
    if len(medium) > 1 or len(unit) > 1:
        raise BadData(f"IFU {ifuslot:03d}: exposures in {sorted(medium)}, {sorted(unit)}", hint="calibrate all alike")

    def joined(name: str) -> NDArray[np.float64]:
        return np.concatenate([getattr(s, name)[row] for s, row in zip(spectra, rows, strict=True)])

    blend = np.concatenate([_blend(s, row) for s, row in zip(spectra, rows, strict=True)])
    flags, dq = joined("flags").astype(int), joined("dq").astype(int)
    flux, variance, wave = (joined(name).astype(np.float64) for name in ("flux", "variance", "wave"))
    good = np.isfinite(flux) & np.isfinite(wave) & (variance > 0) & np.isfinite(variance)
    good &= ((flags & _UNUSED_SAMPLE) == 0) & ((dq & _UNUSED_FIBRE) == 0)[:, None]
    ra, dec = joined("ra"), joined("dec")
    middle = centre or (float(np.round(_mean_angle(ra), 3)), float(np.round(dec.mean(), 3)))
    east, north = sky_to_plane(ra, dec, *middle)
    exposures, exp = np.unique(joined("exp").astype(int), return_inverse=True)
    return FibreField(
        flux=np.where(good, flux, 0.0),
        variance=np.where(good, variance, np.inf),
        wave=_whole(wave),
        lsf_sigma=_whole(joined("lsf_sigma").astype(np.float64)),
        blend=np.where(np.isfinite(blend), blend, 0.0),
        east=east,
        north=north,
        exp=exp.ravel(),
        exposures=exposures,
        centre=middle,
        axes=_axes(joined("x"), joined("y"), np.stack([east, north]), exp.ravel()),
        ifuslot=int(ifuslot),
        medium=medium.pop(),
        unit=unit.pop(),
        placed=not bool((dq & int(Flag.ASTROMETRY)).any()),
    )


def _blend(spectra: FibreSpectra, row: NDArray[np.int64]) -> F8:
    """Covariance with the next row, of the rows that stay: 0 where the next one does not."""
    beside = np.append(row[1:] == row[:-1] + 1, False)
    return np.where(beside[:, None], spectra.blend[row], 0.0)


def _mean_angle(degrees: F8) -> float:
    return float(np.degrees(np.angle(np.exp(1j * np.radians(degrees)).mean())) % 360.0)


def _whole(values: F8) -> F8:
    """Fill what is not known along each row by the nearest that is, or by the mean of all other rows."""
    known = np.isfinite(values)
    if known.all():
        return values
    mean = np.nanmean(np.where(known.any(axis=0), values, np.nanmean(values)), axis=0)
    return np.where(known, values, mean)


def _axes(x: F8, y: F8, sky: F8, exp: NDArray[np.int64]) -> F8:
    """Directions of the bundle's axes on the sky: a linear fit with an offset for each exposure."""
    known = np.isfinite(x) & np.isfinite(y)
    count = int(exp.max()) + 1
    basis = np.column_stack([x, y, *(exp == e for e in range(count))])[known].astype(np.float64)
    solution = np.linalg.lstsq(basis, sky.T[known], rcond=None)[0]
    return np.asarray(solution[:2].T)
