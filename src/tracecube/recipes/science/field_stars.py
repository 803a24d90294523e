"""Stars of a solved field: measured bundle by bundle, brought to one zero point by their magnitudes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import NoConvergence
from tracecube.core.fibre_light import FibreBands
from tracecube.core.fibres import FibreSpectra
from tracecube.core.fields import Scalar
from tracecube.core.flags import Flag
from tracecube.core.params import Params
from tracecube.core.sources import BundleStars, FieldSolution, FluxScale, Sources
from tracecube.core.spectra import Spectrum
from tracecube.kernels.tangent_plane import plane_to_sky, sky_to_plane
from tracecube.recipes.flux.fibre_flux import (
    ZeroPointParams,
    electrons_per_flux,
    scale_flux,
    synthetic_magnitude,
    zero_point,
)
from tracecube.recipes.science.fibre_psf import star_groups
from tracecube.recipes.science.fibre_psf_errors import star_errors
from tracecube.recipes.science.fibre_psf_system import (
    FieldFit,
    FieldLight,
    FieldPsfParams,
    StarFit,
    move_star,
    relight,
    star_chi2,
    star_system,
    trust_stars,
)
from tracecube.recipes.science.fibre_sources import FibreSourceParams, GroupSpectra, extract_group, source_spectrum
from tracecube.recipes.science.field import StarCatalogue, air_refraction, field_light, solved_fit

__all__ = ["FieldStarsParams", "find_scale", "fit_stars", "measure_stars", "star_spectra", "star_table"]

F8 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]


class FieldStarsParams(Params):
    """Measurement of the catalogue's stars.

    Parameters
    ----------
    least : float
        Signal to noise in the fibres below which a catalogue star gives no spectrum.
    faintest : float, mag
        Stars of the catalogue that are measured.
    rounds : int
        Turns in which a star finds its place.
    """

    least: float = 3.0
    faintest: float = 20.5
    rounds: int = 8
    psf: FieldPsfParams = FieldPsfParams()
    extraction: FibreSourceParams = FibreSourceParams()


def fit_stars(
    bands: FibreBands,
    nominal: tuple[F8, F8],
    places: tuple[F8, F8],
    solution: FieldSolution,
    catalogue: StarCatalogue,
    params: FieldStarsParams = FieldStarsParams(),
) -> list[StarFit]:
    """Place and light of all stars of the catalogue that fall on fibres, in a field that is solved.

    Parameters
    ----------
    nominal, places : (east, north) (n,), arcsec
        Nominal and true places of the fibres.
    """
    if solution.stars == 0:
        return []
    wave = np.asarray(0.5 * (bands.edges[1:] + bands.edges[:-1]), np.float64)
    light = field_light(bands, nominal, air_refraction(solution, wave), solution.reference)
    stars = sky_to_plane(catalogue.ra, catalogue.dec, solution.ra0, solution.dec0)
    near = _near(places, stars, params.psf.reach)
    chosen = np.flatnonzero(np.isfinite(catalogue.g) & (catalogue.g < params.faintest) & near)
    chosen = chosen[np.argsort(catalogue.g[chosen], kind="stable")]
    known = stars[0][chosen], stars[1][chosen], chosen
    groups = star_groups(light, places, known, params.psf, every=True)
    fit = solved_fit(solution)
    for group in groups:
        _settle(light, fit, group, params)
    trust_stars(groups, solution.chi2)
    star_errors(light, fit, groups, params.psf)
    return groups


def _near(places: tuple[F8, F8], stars: tuple[F8, F8], reach: float) -> NDArray[np.bool_]:
    """Whether stars lie in the box that the fibres fill."""
    return np.asarray(
        np.all([(s > p.min() - reach) & (s < p.max() + reach) for s, p in zip(stars, places, strict=True)], axis=0)
    )


def _settle(light: FieldLight, fit: FieldFit, group: StarFit, params: FieldStarsParams) -> None:
    """Find the place and light of a group's stars, the field's own unknowns fixed."""
    relight(light, fit, group, params.psf)
    still = np.zeros(len(fit.values))
    for _ in range(params.rounds):
        before = group.move.copy()
        move_star(group, star_system(light, fit, group, params.psf), still)
        if np.max(np.abs(group.move - before)) < 1e-4:
            break
    group.chi2 = star_chi2(light, fit, group, params.psf)


def measure_stars(
    spectra: FibreSpectra,
    places: tuple[F8, F8],
    groups: Sequence[StarFit],
    solution: FieldSolution,
    about: tuple[StarCatalogue, tuple[F8, F8]],
    params: FieldStarsParams = FieldStarsParams(),
) -> BundleStars:
    """Extract the stars of a bundle.

    Parameters
    ----------
    spectra : FibreSpectra
        Of a bundle in all exposures, in nominal flux.
    places : (east, north) (n,), arcsec
    groups : sequence of StarFit
        From `fit_stars`.
    about : (StarCatalogue, (wave, response))
        The catalogue, and the band of its magnitudes.
    """
    scaled = scale_flux(spectra, solution)
    rows = []
    for group in groups:
        at = group.place + group.move
        found = extract_group(scaled, places, (at[:, 0], at[:, 1]), solution, params.extraction, group.own)
        rows += [row for k in range(group.own) if (row := _row(group, k, found, solution, about)).snr >= params.least]
    meta = {key: value for key, value in spectra.meta.items() if key != "BUNIT"}
    return _bundle(rows, params.extraction, meta)


@dataclass(frozen=True)
class _Row:
    """A star as measured, fluxes nominal."""

    name: str
    g: float
    sky: tuple[tuple[float, float], tuple[float, float]]
    catalogued: tuple[float, float]
    error: tuple[float, float]
    seen_error: float
    numbers: tuple[float, float, float]
    snr: float
    chi2: float
    weight: float
    spectrum: tuple[GroupSpectra, int]


def _row(
    group: StarFit, k: int, found: GroupSpectra, solution: FieldSolution, about: tuple[StarCatalogue, tuple[F8, F8]]
) -> _Row:
    catalogue, band = about
    star = group.star[k]
    # where fibres look worse than noise and image explain, something unknown shines in
    worse = float(np.sqrt(max(1.0, group.chi2 / solution.chi2)))
    magnitude, noise, mean = synthetic_magnitude(found.wave, found.flux[k], found.variance[k], found.flags[k], band)
    image = 2.5 / np.log(10.0) * solution.model_error * float(found.uneven[k])
    at = np.array([group.place[k] + group.move[k], group.place[k] + group.seen[k]])
    ra, dec = plane_to_sky(at[:, 0], at[:, 1], solution.ra0, solution.dec0)
    return _Row(
        name=str(catalogue.name[star]),
        g=float(catalogue.g[star]),
        sky=((float(ra[0]), float(dec[0])), (float(ra[1]), float(dec[1]))),
        catalogued=(float(catalogue.ra[star]), float(catalogue.dec[star])),
        error=(worse * float(group.move_error[k][0]), worse * float(group.move_error[k][1])),
        seen_error=worse * float(np.mean(group.seen_error[k])),
        numbers=(magnitude, worse * float(np.hypot(noise, image)), mean),
        snr=float(np.sqrt(np.sum((group.light[k] / np.maximum(group.light_error[k], 1e-30)) ** 2))),
        chi2=group.chi2,
        weight=group.weight,
        spectrum=(found, k),
    )


def _bundle(rows: Sequence[_Row], params: FibreSourceParams, meta: Mapping[str, Scalar]) -> BundleStars:
    """The stars of a bundle as a noun."""
    places = np.array([row.sky for row in rows]).reshape(-1, 2, 2)
    errors = np.array([row.error for row in rows]).reshape(-1, 2)
    numbers = np.array([row.numbers for row in rows]).reshape(-1, 3)
    catalogued = np.array([row.catalogued for row in rows], dtype=float).reshape(-1, 2)

    def column(name: str) -> F8:
        return np.array([getattr(row, name) for row in rows], dtype=float)

    def stacked(name: str) -> F8:
        values = [getattr(row.spectrum[0], name)[row.spectrum[1]] for row in rows]
        return np.array(values).reshape(-1, params.samples)

    return BundleStars(
        object=np.array([row.name for row in rows], dtype=str),
        ra=places[:, 0, 0],
        dec=places[:, 0, 1],
        ra_err=errors[:, 0],
        dec_err=errors[:, 1],
        ra_seen=places[:, 1, 0],
        dec_seen=places[:, 1, 1],
        seen_err=column("seen_error"),
        mag=numbers[:, 0],
        mag_err=numbers[:, 1],
        mag_cat=column("g"),
        mean=numbers[:, 2],
        snr=column("snr"),
        chi2=column("chi2"),
        weight=column("weight"),
        ra_cat=catalogued[:, 0],
        dec_cat=catalogued[:, 1],
        fit_chi2=np.array([row.spectrum[0].chi2 for row in rows], dtype=float),
        **{name: stacked(name) for name in ("flux", "variance", "covariance", "sky", "lsf_sigma")},
        flags=stacked("flags").astype(np.int32),
        wave=params.wave,
        meta=meta,
    )


def find_scale(
    parts: Sequence[BundleStars], params: ZeroPointParams = ZeroPointParams()
) -> tuple[FluxScale, tuple[str, ...]]:
    """Zero point by the stars of all bundles that look like stars; 1 and a caveat where they are too few."""
    magnitude, error, catalogue, weight = (
        np.concatenate([np.asarray(getattr(part, name), float) for part in parts])
        for name in ("mag", "mag_err", "mag_cat", "weight")
    )
    try:
        zero = zero_point(magnitude, error, catalogue, np.asarray(weight > 0.5), params)
    except NoConvergence as failure:
        none = FluxScale(factor=1.0, error=np.nan, scatter=np.nan, stars=0)
        return none, (f"flux: nominal throughput, no zero point ({failure.what})",)
    scale = FluxScale(factor=zero.factor, error=zero.error, scatter=zero.scatter, stars=int(zero.used.sum()))
    return scale, zero.caveats


def star_table(parts: Sequence[BundleStars], scale: FluxScale) -> Sources:
    """The table of sources of all bundles, by right ascension."""
    names = {item.name for item in fields(Sources)} & {item.name for item in fields(BundleStars)} - {"meta"}
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in sorted(names)}
    weight, mean = (np.concatenate([getattr(part, name) for part in parts]) for name in ("weight", "mean"))
    joined["mag"] = joined["mag"] - 2.5 * np.log10(scale.factor)
    flux = mean * scale.factor
    joined |= {"flux": flux, "flux_err": np.abs(flux) * joined["mag_err"] * 0.4 * np.log(10.0)}
    joined["dq"] = np.where(weight > 0.5, 0, int(Flag.OUTLIER)).astype(np.int32)
    order = np.lexsort((joined["dec"], joined["ra"]))
    return Sources(**{name: values[order] for name, values in joined.items()}, meta=parts[0].meta)


def star_spectra(stars: BundleStars, scale: FluxScale, curve: tuple[F8, F8]) -> tuple[Spectrum, ...]:
    """Spectra of a bundle's stars at the zero point.

    Parameters
    ----------
    curve : (wave, throughput)
        By which they were brought to nominal flux.
    """
    wave = np.asarray(stars.wave, float)
    response = electrons_per_flux(wave, np.ones(wave.size), curve, 1.0) / scale.factor
    flux, sky, lsf_sigma = (np.asarray(v, float) for v in (stars.flux, stars.sky, stars.lsf_sigma))
    variance, covariance = (scale.factor**2 * np.asarray(v, float) for v in (stars.variance, stars.covariance))
    flags = np.asarray(stars.flags, np.int32)
    sky = scale.factor * sky
    group = GroupSpectra(wave, scale.factor * flux, variance, covariance, flags, sky, lsf_sigma, np.nan)
    return tuple(
        source_spectrum(
            replace(group, chi2=float(stars.fit_chi2[k])),
            k,
            str(stars.object[k]),
            (float(stars.ra[k]), float(stars.dec[k])),
            response,
            stars.meta,
        )
        for k in range(len(stars.ra))
    )
