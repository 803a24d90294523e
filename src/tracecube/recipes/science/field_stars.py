"""Spectra of the catalogue's stars in a solved field, the zero point they give, and the table of sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData, NoConvergence
from tracecube.core.fibres import FibreSpectra
from tracecube.core.fields import Scalar
from tracecube.core.flags import Flag
from tracecube.core.params import Params
from tracecube.core.sources import Sources
from tracecube.core.spectra import Spectrum
from tracecube.kernels.tangent_plane import plane_to_sky, sky_to_plane
from tracecube.recipes.flux.fibre_flux import (
    FluxZeroPoint,
    ZeroPointParams,
    electrons_per_flux,
    scale_flux,
    synthetic_magnitude,
    zero_point,
)
from tracecube.recipes.science.fibre_sources import FibreSourceParams, GroupSpectra, extract_group, source_spectrum
from tracecube.recipes.science.field import FieldResult, StarCatalogue

__all__ = ["FieldStars", "FieldStarsParams", "measure_sources", "source_at"]

F8 = NDArray[np.float64]


class FieldStarsParams(Params):
    """Measurement of the catalogue's stars.

    Parameters
    ----------
    least : float
        Signal to noise in the fibres below which a catalogue star gives no spectrum.
    """

    least: float = 3.0
    extraction: FibreSourceParams = FibreSourceParams()
    zero: ZeroPointParams = ZeroPointParams()


@dataclass(frozen=True)
class FieldStars:
    """Products of a solved field.

    Parameters
    ----------
    spectra : FibreSpectra
        In erg/s/cm2/Angstrom, scaled to the mean transparency and illumination, zero point applied.
    sources : Sources
    stars : tuple of Spectrum
        One a row of ``sources``.
    zero : FluxZeroPoint or None
    caveats : tuple of str
    """

    spectra: FibreSpectra
    sources: Sources
    stars: tuple[Spectrum, ...]
    zero: FluxZeroPoint | None
    caveats: tuple[str, ...]


def measure_sources(
    result: FieldResult,
    catalogue: StarCatalogue,
    curve: tuple[F8, F8],
    band: tuple[F8, F8],
    params: FieldStarsParams = FieldStarsParams(),
) -> FieldStars:
    """Extract all stars of the fit, find the zero point, bring everything to it.

    Parameters
    ----------
    result : FieldResult
    catalogue : StarCatalogue
    curve : (wave, throughput)
        By which the spectra were brought to nominal flux.
    band : (wave, response)
        Of the catalogue's magnitudes.
    """
    if result.spectra is None:
        raise BadData("field: no spectra to measure", hint="use place_fibres on spectra of the same fibres")
    if result.fit is None:
        return FieldStars(scale_flux(result.spectra, result.solution), _table([], 1.0, {}, catalogue), (), None, ())
    rows = _extract(result, catalogue, band, params)
    zero, caveats = _zero(rows, params)
    factor = 1.0 if zero is None else zero.factor
    wave = params.extraction.wave
    response = electrons_per_flux(wave, np.ones(wave.size), curve, 1.0) / factor
    meta = {key: value for key, value in result.spectra.meta.items() if key != "BUNIT"}
    stars = tuple(
        source_spectrum(_times(row.spectrum[0], factor), row.spectrum[1], row.name, row.sky[0], response, meta)
        for row in rows
    )
    calibrated = scale_flux(result.spectra, result.solution, factor)
    return FieldStars(calibrated, _table(rows, factor, meta, catalogue), stars, zero, caveats)


@dataclass(frozen=True)
class _Row:
    """A star as measured, fluxes nominal."""

    star: int
    name: str
    g: float
    sky: tuple[tuple[float, float], tuple[float, float]]
    error: tuple[float, ...]
    seen_error: float
    numbers: tuple[float, float, float]
    snr: float
    chi2: float
    weight: float
    spectrum: tuple[GroupSpectra, int]


def _extract(
    result: FieldResult, catalogue: StarCatalogue, band: tuple[F8, F8], params: FieldStarsParams
) -> list[_Row]:
    """Spectra of all stars of the fit, group by group."""
    if result.fit is None or result.spectra is None:
        return []
    scaled = scale_flux(result.spectra, result.solution)
    rows: list[_Row] = []
    for group in result.fit.stars:
        place = group.place + group.move
        spectra = extract_group(
            scaled, (result.east, result.north), (place[:, 0], place[:, 1]), result.solution, params.extraction
        )
        for k, star in enumerate(group.star):
            snr = float(np.sqrt(np.sum((group.light[k] / np.maximum(group.light_error[k], 1e-30)) ** 2)))
            if snr < params.least:
                continue
            numbers = synthetic_magnitude(spectra.wave, spectra.flux[k], spectra.variance[k], spectra.flags[k], band)
            seen = (*group.seen[k], float(np.mean(group.seen_error[k])))
            sky = _places(result, place[k], group.place[k] + group.seen[k])
            rows.append(
                _Row(
                    int(star),
                    str(catalogue.name[star]),
                    float(catalogue.g[star]),
                    sky,
                    tuple(group.move_error[k]),
                    seen[2],
                    numbers,
                    snr,
                    group.chi2,
                    group.weight,
                    (spectra, k),
                )
            )
    return rows


def _zero(rows: list[_Row], params: FieldStarsParams) -> tuple[FluxZeroPoint | None, tuple[str, ...]]:
    """Zero point by the stars that look like stars; None and a caveat where they are too few."""
    try:
        magnitude, error, _ = np.array([row.numbers for row in rows]).reshape(-1, 3).T
        trusted = np.array([row.weight > 0.5 for row in rows], dtype=bool)
        zero = zero_point(magnitude, error, np.array([row.g for row in rows]), trusted, params.zero)
    except NoConvergence as failure:
        return None, (f"flux: nominal throughput, no zero point ({failure.what})",)
    return zero, zero.caveats


def _places(result: FieldResult, *planes: F8) -> tuple[tuple[float, float], tuple[float, float]]:
    """Right ascension and declination of two places in the tangent plane."""
    east, north = np.array(planes).T
    ra, dec = plane_to_sky(east, north, result.solution.ra0, result.solution.dec0)
    return (float(ra[0]), float(dec[0])), (float(ra[1]), float(dec[1]))


def _times(group: GroupSpectra, factor: float) -> GroupSpectra:
    return replace(
        group,
        flux=group.flux * factor,
        variance=group.variance * factor**2,
        covariance=group.covariance * factor**2,
        sky=group.sky * factor,
    )


def _table(rows: list[_Row], factor: float, meta: Mapping[str, Scalar], catalogue: StarCatalogue) -> Sources:
    """The table of sources, by right ascension."""
    places = np.array([row.sky for row in rows]).reshape(-1, 2, 2)
    errors = np.array([row.error for row in rows]).reshape(-1, 2)
    numbers = np.array([row.numbers for row in rows]).reshape(-1, 3)
    mean = numbers[:, 2] * factor
    star = np.array([row.star for row in rows], dtype=int)
    relative = numbers[:, 1] * 0.4 * np.log(10.0)
    return Sources(
        object=np.array([row.name for row in rows], dtype=str),
        ra=places[:, 0, 0],
        dec=places[:, 0, 1],
        ra_err=errors[:, 0],
        dec_err=errors[:, 1],
        ra_seen=places[:, 1, 0],
        dec_seen=places[:, 1, 1],
        seen_err=np.array([row.seen_error for row in rows], dtype=float),
        mag=numbers[:, 0] - 2.5 * np.log10(factor),
        mag_err=numbers[:, 1],
        mag_cat=np.array([row.g for row in rows], dtype=float),
        flux=mean,
        flux_err=np.abs(mean) * relative,
        snr=np.array([row.snr for row in rows], dtype=float),
        chi2=np.array([row.chi2 for row in rows], dtype=float),
        dq=np.array([0 if row.weight > 0.5 else int(Flag.OUTLIER) for row in rows], dtype=np.int32),
        ra_cat=np.asarray(catalogue.ra, dtype=float)[star],
        dec_cat=np.asarray(catalogue.dec, dtype=float)[star],
        meta=dict(meta),
    )


def source_at(
    calibrated: FibreSpectra,
    result: FieldResult,
    place: tuple[F8, F8],
    params: FibreSourceParams = FibreSourceParams(),
) -> GroupSpectra:
    """Spectra at any places (ra, dec in degree, arrays), solved for together, from calibrated fibres."""
    at = sky_to_plane(place[0], place[1], result.solution.ra0, result.solution.dec0)
    return extract_group(calibrated, (result.east, result.north), at, result.solution, params)
