"""Spectra at given places of a calibrated field, and sources put into its fibres."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData
from tracecube.core.fibres import FibreSpectra
from tracecube.core.sources import FieldSolution, Sources
from tracecube.kernels.tangent_plane import plane_to_sky, sky_to_plane
from tracecube.recipes.science.fibre_sources import FibreSourceParams, GroupSpectra, extract_group, inject

__all__ = ["bundles_at", "inject_source", "place_in_bundle", "places_from", "spectra_at"]

F8 = NDArray[np.float64]

_SAME = 1.0  # arcsec: a known source this near is the target itself
_NEAR = 5.0  # arcsec: a place without a fibre this near lies in no bundle


def places_from(text: str) -> tuple[tuple[float, float], ...]:
    """Read places: right ascension and declination in degree, one place from the next by a semicolon.

    Raises
    ------
    BadData
        Not two numbers each, or none that can be on the sky.
    """
    places = []
    for part in (part.strip() for part in text.split(";") if part.strip()):
        try:
            ra, dec = (float(word) for word in re.split(r"[,\s]+", part))
        except ValueError:
            raise BadData(
                f"{part!r} is no place", hint="right ascension and declination in degree: 214.81 52.60"
            ) from None
        if not (0.0 <= ra < 360.0 and abs(dec) <= 90.0):  # noqa: PLR2004 - a turn, and the pole
            raise BadData(f"{part!r} is not on the sky", hint="degrees: 0 to 360, and -90 to 90")
        places.append((ra, dec))
    return tuple(places)


def _planes(spectra: FibreSpectra, solution: FieldSolution) -> tuple[F8, F8]:
    """Places of the fibres in the tangent plane of the solution."""
    ra, dec = (np.asarray(v, np.float64) for v in (spectra.ra, spectra.dec))
    return sky_to_plane(ra, dec, solution.ra0, solution.dec0)


def bundles_at(
    bundles: Iterable[FibreSpectra], solution: FieldSolution, places: Sequence[tuple[float, float]]
) -> tuple[FibreSpectra, ...]:
    """Return the spectra of the bundle at each place (degree); no more bundles than that are held at a time.

    Raises
    ------
    BadData
        No fibre is near.
    """
    asked = np.array(places, dtype=np.float64).reshape(-1, 2)
    at = sky_to_plane(asked[:, 0], asked[:, 1], solution.ra0, solution.dec0)
    nearest = np.full(len(asked), np.inf)
    found: list[FibreSpectra | None] = [None] * len(asked)
    for one in bundles:
        east, north = _planes(one, solution)
        apart = np.nan_to_num(np.hypot(east[:, None] - at[0], north[:, None] - at[1]), nan=np.inf).min(axis=0)
        for k in np.flatnonzero(apart < nearest):
            nearest[k], found[k] = apart[k], one
    for place, distance in zip(places, nearest, strict=True):
        if distance > _NEAR:
            raise BadData(
                f"{place[0]:.5f} {place[1]:+.5f} lies in no fibre bundle",
                hint=f"degrees; the nearest fibre is {distance:.0f} arcsec off",
            )
    return tuple(one for one in found if one is not None)


def place_in_bundle(bundles: Iterable[FibreSpectra], slot: int, x: float, y: float) -> tuple[float, float]:
    """Right ascension and declination (degree) of a place in a bundle's own coordinates (arcsec), undithered.

    Raises
    ------
    BadData
        There is no such bundle with places on the sky.
    """
    for spectra in bundles:
        mine = np.flatnonzero((spectra.ifuslot == slot) & np.isfinite(spectra.ra) & np.isfinite(spectra.x))
        if mine.size >= 3:  # noqa: PLR2004 - a plane needs three points
            return _on_sky(spectra, mine, x, y)
    raise BadData(f"IFU {slot:03d}: none, or without places on the sky", hint="see the slots in the product")


def _on_sky(spectra: FibreSpectra, mine: NDArray[np.int64], x: float, y: float) -> tuple[float, float]:
    first = mine[spectra.exp[mine] == spectra.exp[mine].min()]
    centre = float(spectra.ra[first[0]]), float(spectra.dec[first[0]])
    east, north = sky_to_plane(np.asarray(spectra.ra[first], float), np.asarray(spectra.dec[first], float), *centre)
    basis = np.column_stack([spectra.x[first], spectra.y[first], np.ones(first.size)]).astype(np.float64)
    at = np.array([x, y, 1.0]) @ np.linalg.lstsq(basis, np.column_stack([east, north]), rcond=None)[0]
    ra, dec = plane_to_sky(at[:1], at[1:], *centre)
    return float(ra[0]), float(dec[0])


def spectra_at(
    bundles: Iterable[FibreSpectra],
    solution: FieldSolution,
    places: tuple[tuple[float, float], ...],
    *,
    known: Sources | None = None,
    params: FibreSourceParams = FibreSourceParams(),
) -> tuple[tuple[GroupSpectra, int], ...]:
    """Spectra of point sources at places of the sky.

    Parameters
    ----------
    bundles : iterable of FibreSpectra
        Calibrated, with places.
    places : (ra, dec), degree
    known : Sources, optional
        Sources of the field: those that share fibres with a place are solved for together with it.

    Returns
    -------
    tuple of (GroupSpectra, int)
        One a place: what was solved for, and which of it the place is.
    """
    asked = np.array(places, dtype=np.float64).reshape(-1, 2)
    at = np.array(sky_to_plane(asked[:, 0], asked[:, 1], solution.ra0, solution.dec0))
    others = np.empty((2, 0))
    if known is not None and len(known.ra):
        ra, dec = (np.asarray(v, np.float64) for v in (known.ra, known.dec))
        others = np.array(sky_to_plane(ra, dec, solution.ra0, solution.dec0))
    found = []
    for k, spectra in enumerate(bundles_at(bundles, solution, places)):
        apart = np.hypot(*(others - at[:, k : k + 1]))
        beside = others[:, (apart > _SAME) & (apart < 2.0 * params.reach)]
        group = np.concatenate([at[:, k : k + 1], beside], axis=1)
        fibres = _planes(spectra, solution)
        found.append((extract_group(spectra, fibres, (group[0], group[1]), solution, params), 0))
    return tuple(found)


def inject_source(
    spectra: FibreSpectra,
    solution: FieldSolution,
    place: tuple[float, float],
    spectrum: tuple[F8, F8],
    *,
    seeing: float | None = None,
) -> FibreSpectra:
    """Put a point source into calibrated fibres of all exposures, without noise of its own.

    Parameters
    ----------
    place : (ra, dec), degree
    spectrum : (wave, flux)
        Angstrom, air, rising; and the unit of the spectra.
    seeing : float, arcsec, optional
        Full width at half maximum in all exposures; by default that of each.

    Raises
    ------
    BadData
        The place lies in no bundle, or the spectrum does not cover the fibres.
    """
    bundles_at([spectra], solution, [place])
    wave, flux = (np.asarray(v, np.float64) for v in spectrum)
    seen = spectra.wave[np.isfinite(spectra.wave)]
    if wave.size < 2 or not np.all(np.diff(wave) > 0) or wave[0] > seen.min() or wave[-1] < seen.max():  # noqa: PLR2004
        raise BadData(
            f"the source's spectrum does not cover {seen.min():.0f} to {seen.max():.0f} Angstrom in rising order",
            hint="wavelengths in Angstrom (air); put zeros where it has no light",
        )
    image = solution if seeing is None else replace(solution, fwhm=np.full(len(solution.fwhm), float(seeing)))
    at = sky_to_plane(np.array([place[0]]), np.array([place[1]]), solution.ra0, solution.dec0)
    light = inject(spectra, _planes(spectra, solution), (float(at[0][0]), float(at[1][0])), (wave, flux), image)
    return replace(spectra, flux=spectra.flux + light)
