"""The calibrated field: where all fibres are, how they see stars, what a star's light is worth.

`solve_field` turns the fibres' light in a few bands and a catalogue into a `FieldSolution`; with it the stars of each
bundle are measured for themselves (`tracecube.recipes.science.field_stars`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import NoConvergence
from tracecube.core.fibre_light import FibreBands
from tracecube.core.fibres import FibreSpectra
from tracecube.core.flags import Flag
from tracecube.core.sources import FieldSolution
from tracecube.kernels.atmosphere import air_to_vacuum, refraction_shift
from tracecube.kernels.tangent_plane import plane_to_sky, sky_to_plane
from tracecube.recipes.science.fibre_psf import fit_field, star_groups
from tracecube.recipes.science.fibre_psf_system import FieldFit, FieldLight, StarFit
from tracecube.recipes.science.field_bands import FieldParams
from tracecube.recipes.sky.field_astrometry import FieldPlate, match_field
from tracecube.recipes.sky.field_finds import find_sources

__all__ = [
    "Air",
    "FieldResult",
    "StarCatalogue",
    "air_refraction",
    "field_light",
    "place_fibres",
    "solve_field",
    "solved_fit",
    "true_places",
]

F8 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
I8 = NDArray[np.int64]
MOVED = 0.3  # arcsec: ten times the scatter of a catalogue


@dataclass(frozen=True)
class Air:
    """Air above the telescope at the middle of the observation.

    Parameters
    ----------
    airmass : float
    parallactic : float, degree
        Position angle of the zenith, north through east.
    pressure : float, hPa
    temperature : float, degree Celsius
    humidity : float, per cent
    """

    airmass: float
    parallactic: float
    pressure: float
    temperature: float
    humidity: float


@dataclass(frozen=True)
class StarCatalogue:
    """Stars of the field.

    Parameters
    ----------
    name : str array (n,)
    ra, dec : float64 array (n,), degree
    g : array (n,), AB mag
    """

    name: NDArray[np.str_]
    ra: F8
    dec: F8
    g: F8


@dataclass(frozen=True)
class FieldResult:
    """What `solve_field` found.

    Parameters
    ----------
    solution : FieldSolution
    fit : FieldFit or None
        The stars, where they were enough.
    caveats : tuple of str
    """

    solution: FieldSolution
    fit: FieldFit | None
    caveats: tuple[str, ...]


def solve_field(
    bands: FibreBands,
    nominal: tuple[F8, F8],
    centre: tuple[float, float],
    catalogue: StarCatalogue,
    air: Air,
    params: FieldParams,
) -> FieldResult:
    """Place, image and brightness of a field from its own stars.

    Parameters
    ----------
    bands : FibreBands
        Sky-subtracted, in nominal flux.
    nominal : (east, north) (n,), arcsec
        Nominal places of the fibres in the tangent plane about ``centre``.
    centre : (ra, dec), degree
    catalogue : StarCatalogue
    air : Air

    Returns
    -------
    FieldResult
        With the nominal places, large errors and a caveat where the stars do not suffice.
    """
    stars = sky_to_plane(catalogue.ra, catalogue.dec, *centre)
    wave = np.asarray(0.5 * (bands.edges[1:] + bands.edges[:-1]), np.float64)
    light = field_light(bands, nominal, _refraction(wave, air, params.reference), params.reference)
    white = np.asarray(bands.white, np.float64), np.asarray(bands.white_variance, np.float64)
    finds = find_sources(*nominal, *white, np.asarray(bands.group, np.int64), params.match)
    try:
        plate = match_field(finds, *stars, catalogue.g, params.match)
        fit = _fit(light, plate, nominal, (*stars, catalogue.g), params)
    except NoConvergence as failure:
        caveat = f"field: places are those of the headers ({failure.what})"
        return FieldResult(_nominal_solution(centre, light, params), None, (caveat,))
    solution = _solution(fit, light, centre, plate)
    caveats = [] if solution.stars >= 5 else [f"field: the solution rests on {solution.stars} stars"]
    if len(solution.exposure) < 3:
        caveats.append(f"field: {len(solution.exposure)} exposures")
    return FieldResult(solution, fit, tuple(caveats))


def true_places(nominal: tuple[F8, F8], exposure: Ints, solution: FieldSolution) -> tuple[F8, F8]:
    """East and north (arcsec) of fibres in the tangent plane of a solution, from their nominal places."""
    which = np.searchsorted(solution.exposure, exposure)
    e, n = nominal
    cosine, sine = np.cos(np.radians(solution.rotation)), np.sin(np.radians(solution.rotation))
    east, north = (np.asarray(v, np.float64)[which] for v in (solution.east, solution.north))
    return e * cosine - n * sine + east, e * sine + n * cosine + north


def place_fibres(spectra: FibreSpectra, places: tuple[F8, F8], solution: FieldSolution) -> FibreSpectra:
    """Spectra with right ascension and declination; flagged where these are the headers'.

    Parameters
    ----------
    places : (east, north) (n,), arcsec
        From `true_places`.
    """
    ra, dec = plane_to_sky(*places, solution.ra0, solution.dec0)
    dq = spectra.dq if solution.stars > 0 else spectra.dq | int(Flag.ASTROMETRY)
    return replace(spectra, ra=ra, dec=dec, dq=dq)


def field_light(bands: FibreBands, places: tuple[F8, F8], refraction: F8, reference: float) -> FieldLight:
    """Light of fibres as the fit of stars wants it.

    Parameters
    ----------
    refraction : array (b, 2), arcsec
        East and north, of each band.
    reference : float, Angstrom
    """
    wave = np.asarray(0.5 * (bands.edges[1:] + bands.edges[:-1]), np.float64)
    # a scale near one keeps the normal equations well conditioned
    known = bands.variance[np.isfinite(bands.variance)]
    unit = float(np.sqrt(np.median(known))) if known.size else 1.0
    flux, variance = (np.asarray(v, np.float64) for v in (bands.flux / unit, bands.variance / unit**2))
    return FieldLight(*places, np.asarray(bands.exposure, np.int64), wave, flux, variance, refraction, reference)


def solved_fit(solution: FieldSolution) -> FieldFit:
    """The unknowns of a solution as a fit without stars, and their errors."""
    values = np.concatenate(
        [
            solution.east,
            solution.north,
            [np.radians(solution.rotation)],
            np.log(solution.fwhm),
            np.log(solution.norm),
            [solution.refraction, solution.refraction_across, solution.width_slope, solution.beta],
        ]
    ).astype(float)
    covariance = np.zeros((values.size, values.size)) if solution.covariance is None else solution.covariance
    return FieldFit(
        np.asarray(solution.exposure, np.int64),
        np.asarray(values, np.float64),
        np.asarray(covariance, np.float64),
        [],
        solution.model_error,
        solution.catalogue_error,
        settled=True,
    )


def air_refraction(solution: FieldSolution, wave: F8) -> F8:
    """East and north (b, 2), arcsec, of the air's refraction as computed, which a solution has stretched and turned."""
    seen = np.interp(wave, solution.wave, solution.refraction_east) + 1j * np.interp(
        wave, solution.wave, solution.refraction_north
    )
    air = seen / (solution.refraction + 1j * solution.refraction_across)
    return np.column_stack([air.real, air.imag])


def _refraction(wave: F8, air: Air, reference: float) -> F8:
    """East and north (b, 2), arcsec, of the refraction of air as measured."""
    vacuum = air_to_vacuum(np.append(wave, reference))
    shift = refraction_shift(
        vacuum[:-1],
        float(vacuum[-1]),
        (air.airmass, air.airmass),
        (air.parallactic, air.parallactic),
        pressure=air.pressure,
        temperature=air.temperature,
        humidity=air.humidity,
    )
    return np.column_stack(shift)


def _fit(
    light: FieldLight, plate: FieldPlate, nominal: tuple[F8, F8], stars: tuple[F8, F8, F8], params: FieldParams
) -> FieldFit:
    """Fit with the catalogue's stars that fall on fibres."""
    chosen = np.flatnonzero(np.isfinite(stars[2]) & (stars[2] < params.faintest))
    chosen = chosen[np.argsort(stars[2][chosen], kind="stable")]
    fibres = plate.apply(*nominal, light.exposure)
    groups = star_groups(light, fibres, (stars[0][chosen], stars[1][chosen], chosen), params.psf)
    groups = groups if len(groups) <= params.most else _brightest(groups, stars[2], params.most)
    exposures = np.unique(light.exposure)
    start = np.full(len(exposures), plate.east.mean()), np.full(len(exposures), plate.north.mean()), plate.rotation
    fit = fit_field(light, groups, start, params.psf)
    _refuse_chance(fit, stars[2])
    return fit


def _refuse_chance(fit: FieldFit, magnitude: F8) -> None:
    """Refuse a match in which most of the catalogue's brighter stars are not where they should be."""
    rows = [
        (magnitude[star], group.light[k] / np.maximum(group.light_error[k], 1e-30), np.hypot(*group.move[k]))
        for group in fit.stars
        for k, star in enumerate(group.star[: group.own])
    ]
    rows.sort(key=lambda row: row[0])
    bright = rows[: max(3, len(rows) // 2)]
    good = [np.linalg.norm(np.maximum(signal, 0.0)) > 10.0 and move < MOVED for _, signal, move in bright]
    if sum(good) < max(2, 0.35 * len(bright)):
        raise NoConvergence(
            f"field: {sum(good)} of the {len(bright)} brightest catalogue stars are where they should be",
            hint="check the pointing and the catalogue of this field",
        )


def _brightest(groups: list[StarFit], magnitude: F8, most: int) -> list[StarFit]:
    order = np.argsort([magnitude[group.star[: group.own]].min() for group in groups], kind="stable")
    return [groups[i] for i in order[:most]]


def _solution(fit: FieldFit, light: FieldLight, centre: tuple[float, float], plate: FieldPlate) -> FieldSolution:
    """The noun of a fit."""
    along, across = fit["refraction"]
    air = light.refraction
    # the refraction goes with the square of the frequency but for a per cent of its curvature
    square = (light.reference / light.wave) ** 2 - 1.0
    dense = np.linspace(3400.0, 5600.0, 111)
    along_e, along_n = (
        np.asarray(np.polynomial.Polynomial.fit(square, column, 3)((light.reference / dense) ** 2 - 1.0))
        for column in air.T
    )
    width, norm = np.exp(fit["width"]), np.exp(fit["norm"])
    angle, angle_error = fit["rotation"][0], fit.error("rotation")[0]
    return FieldSolution(
        exposure=fit.exposures,
        east=fit["east"],
        north=fit["north"],
        east_error=fit.error("east"),
        north_error=fit.error("north"),
        fwhm=width,
        fwhm_error=width * fit.error("width"),
        norm=norm / norm.mean(),
        norm_error=norm / norm.mean() * fit.error("norm"),
        wave=dense,
        refraction_east=along * along_e - across * along_n,
        refraction_north=along * along_n + across * along_e,
        ra0=centre[0],
        dec0=centre[1],
        rotation=float(np.degrees(angle)),
        rotation_error=float(np.degrees(angle_error)),
        scale=plate.scale,
        scale_error=plate.scale_error,
        reference=light.reference,
        beta=float(fit["beta"][0]),
        width_slope=float(fit["slope"][0]),
        refraction=float(along),
        refraction_error=float(fit.error("refraction")[0]),
        refraction_across=float(across),
        refraction_across_error=float(fit.error("refraction")[1]),
        model_error=fit.model_error,
        catalogue_error=fit.catalogue_error,
        stars=int(sum(group.own for group in fit.stars if group.weight > 0.5)),
        chi2=max(1.0, float(np.median([group.chi2 for group in fit.stars]))),
        covariance=fit.covariance,
    )


def _nominal_solution(centre: tuple[float, float], light: FieldLight, params: FieldParams) -> FieldSolution:
    """The headers' places, for want of stars."""
    exposures = np.unique(light.exposure)
    k = len(exposures)
    none, far = np.zeros(k), np.full(k, 5.0)
    order = np.argsort(light.wave)
    return FieldSolution(
        exposure=exposures,
        east=none,
        north=none,
        east_error=far,
        north_error=far,
        fwhm=np.full(k, params.psf.seeing),
        fwhm_error=np.full(k, 0.5),
        norm=np.ones(k),
        norm_error=np.full(k, 0.2),
        wave=light.wave[order],
        refraction_east=light.refraction[order, 0],
        refraction_north=light.refraction[order, 1],
        ra0=centre[0],
        dec0=centre[1],
        rotation=0.0,
        rotation_error=0.1,
        scale=1.0,
        scale_error=0.01,
        reference=light.reference,
        beta=params.psf.beta,
        width_slope=params.psf.width_slope,
        refraction=1.0,
        refraction_error=params.psf.refraction_error,
        refraction_across=0.0,
        refraction_across_error=params.psf.refraction_error,
        model_error=0.05,
        catalogue_error=params.psf.catalogue_error,
        stars=0,
    )
