"""Emission lines in the spectra of a fibre bundle: one matched filter over fibres, exposures and wavelengths.

The filter is the light of a point source in each fibre (a Moffat function over the fibre's face, where refraction puts
it) times the line's shape (line-spread function and intrinsic width), weighted by inverse variance on the pixels the
light was measured with. What samples share, with the next fibre on the detector and through the continuum, is in the
variance of the filter: the significance of pure noise has a standard deviation of one, and the number of false lines is
known beforehand (`tracecube.recipes.science.line_map`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tracecube.core.fibres import FibreSpectra
from tracecube.core.flags import Flag
from tracecube.core.lines import Lines
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.sources import FieldSolution, Sources
from tracecube.kernels.fibre_psf import FibreShare, fibre_share
from tracecube.kernels.tangent_plane import plane_to_sky, sky_to_plane
from tracecube.recipes.science.fibre_field import FibreField, Refraction, gather
from tracecube.recipes.science.line_count import FITTED, RASTER_LOSS, count_false, maxima
from tracecube.recipes.science.line_filter import Continuum, filter_lines, fit_continuum
from tracecube.recipes.science.line_fit import LineFit, fit_line, with_noise
from tracecube.recipes.science.line_map import LineMap, map_lines
from tracecube.recipes.science.line_noise import MapNoise, apply_row_noise, half_width, map_noise, row_noise
from tracecube.recipes.science.star_lines import StarLight, StarLineParams, false_lines, star_lines

__all__ = ["FibreLinesParams", "Seeing", "find_lines", "with_star_lines"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

# Significance is a sum over few fibres where more than this share of it comes from one.
_LONE = 0.9
_ZERO_WIDTH = 1e-3
_BLANK = 0.9  # trust in places without a continuum
# A continuum whose structure is below this share of the error of a line is none: noise makes as much.
_NO_CONTINUUM = 0.3
# A line lifts the continuum beside it by at most this times its flux over the distance of the nodes, which is none:
# the least-squares fit of straight lines to a spike.
_OWN_CONTINUUM = float(np.sqrt(3.0))
# Maxima below this share of a line are its sidelobes where they lie within the filter's reach on the sky, or within
# two nodes of the continuum in wavelength: what the point source's wings and the nodes leave.
_SIDELOBE = 0.12


_FAINT = 21.0  # mag: a star of the sky's brightness in a fibre, whose light ends at ``star_radius``


class FibreLinesParams(Params):
    """Raster, filter and threshold of the search for lines."""

    step: float = Field(0.75, gt=0.1, le=1.5, description="step of the raster on the sky, arcsec")
    wave_step: float = Field(2.0, gt=0.2, le=4.0, description="step of the raster in wavelength, Angstrom")
    wave_range: tuple[float, float] = Field((3480.0, 5530.0), description="wavelengths searched, Angstrom")
    sigma: float = Field(1.3, ge=0.0, description="intrinsic width of the lines the filter is made for, Angstrom")
    threshold: float = Field(4.3, gt=3.0, description="least signal-to-noise of a line in the catalogue")
    reach: float = Field(4.0, gt=1.0, description="radius of the filter on the sky, arcsec")
    continuum_step: float = Field(60.0, gt=20.0, description="distance of the continuum's nodes, Angstrom")
    structure: float = Field(
        3.0, ge=0.0, description="equivalent width that structure of a continuum may have, Angstrom"
    )
    least_power: float = Field(
        0.25, ge=0.0, lt=1.0, description="places of less weight than this, of the typical, are left out"
    )
    star_radius: float = Field(
        2.0,
        ge=0.0,
        description="radius around known stars that is left out, arcsec: of 21 mag, more of brighter",
    )
    chance: float = Field(
        1e-4, gt=0.0, description="chance that a line of a point source is rejected: its fibres or exposures disagree"
    )
    same_place: float = Field(2.5, gt=0.0, description="maxima this near on the sky may be the same line, arcsec")
    same_wave: float = Field(10.0, gt=0.0, description="maxima this near in wavelength may be the same line, Angstrom")


class Seeing(NamedTuple):
    """The star's image in each exposure: a Moffat function.

    Parameters
    ----------
    exposure : int array (e,)
        Number of the exposure.
    fwhm : array (e,), arcsec
        At ``reference``.
    beta : float
    fibre_radius : float, arcsec
    slope : float
        The width goes with wavelength to this power.
    reference : float, Angstrom
    """

    exposure: I8
    fwhm: F8
    beta: float
    fibre_radius: float = 0.75
    slope: float = 0.0
    reference: float = 4700.0

    @classmethod
    def of(cls, solution: FieldSolution, fibre_radius: float) -> Seeing:
        """Seeing that the stars of a field tell."""
        fwhm = np.asarray(solution.fwhm, np.float64)
        return cls(
            np.asarray(solution.exposure, np.int64),
            fwhm,
            solution.beta,
            fibre_radius,
            solution.width_slope,
            solution.reference,
        )

    def shares(self, exposures: I8, reach: float, wave: float) -> tuple[FibreShare, ...]:
        """Share of a star's light of a wavelength in a fibre, for each of ``exposures``."""
        growth = (wave / self.reference) ** self.slope
        known = {int(e): float(f) * growth for e, f in zip(self.exposure, self.fwhm, strict=True)}
        return tuple(fibre_share(known[int(e)], self.beta, self.fibre_radius, reach) for e in exposures)


def find_lines(
    spectra: Sequence[FibreSpectra],
    seeing: Seeing,
    refraction: Refraction,
    params: FibreLinesParams,
    *,
    ifuslot: int,
    stars: tuple[F8, F8] | tuple[F8, F8, F8] | None = None,
) -> tuple[Lines, tuple[QualityNumber, ...]]:
    """Search one fibre bundle for lines.

    Parameters
    ----------
    spectra : sequence of FibreSpectra
        Calibrated in flux and sky-subtracted, of all exposures; light common to exposures is equal in all of them.
    seeing : Seeing
    refraction : Refraction
    params : FibreLinesParams
    ifuslot : int
    stars : (array, array), degree, optional
        Right ascension and declination of known stars, and their magnitudes: the wings of bright ones reach farther.

    Returns
    -------
    Lines
    tuple of QualityNumber
        LINES FALSE EXPECTED: number of lines in the catalogue that noise makes, from theory and from how many of its
        minima there are; LINES FALSE THEORY: from theory alone, which counts maxima apart that are merged to a line;
        LINES FALSE 5: expected ones of signal-to-noise 5 and more; LINES TRIALS: independent places and wavelengths;
        LINES SN SIGMA: width of the distribution of significance by the variance of the spectra; LINES NOISE SCALE:
        what errors are multiplied by, typically, so that it is one; LINES NOISE ROWS: share of fibres that have a
        factor of their own; LINES REJECTED: maxima that are no point source; LINES NOT SEARCHED: share of the bundle
        that lies near stars, where a line is part of the star's own spectrum.
    """
    field = gather(spectra, ifuslot)
    shares = partial(seeing.shares, field.exposures, params.reach)
    continuum = fit_continuum(field, params.continuum_step)
    raster = np.arange(params.wave_range[0], params.wave_range[1] + 1e-6, params.wave_step)
    filtered = filter_lines(field, continuum, raster, params.sigma)
    rows = row_noise(filtered, params.continuum_step)
    field, continuum, filtered = apply_row_noise(field, continuum, filtered, rows)
    found = map_lines(field, filtered, shares, refraction, step=params.step, least_power=params.least_power)
    near = _near_stars(found, field, stars, (params.star_radius, seeing.beta))
    usable = found.used & ~near[None]
    blank = usable & (_trusted(found, params) > _BLANK)
    raw = half_width(found.sn[blank])
    noise = map_noise(found, blank, params.step)
    found = replace(found, sn=found.sn / noise.factor, error=found.error * noise.factor)
    trust = _trusted(found, params)
    blank = usable & (trust > _BLANK)
    floor = RASTER_LOSS * float(np.hypot(params.threshold, np.sqrt(FITTED)))
    peaks = maxima(found.sn, usable, floor)
    peaks = peaks[(found.sn * trust)[tuple(peaks.T)] >= floor]
    fits, rejected = _fits(field, continuum, shares, refraction, (found, peaks, noise), params)
    numbers = (
        QualityNumber("LINES SN SIGMA", raw, "", 0.97, 1.03),
        QualityNumber("LINES NOISE SCALE", _median(noise.factor[blank]), "", None, 1.05),
        QualityNumber("LINES NOISE ROWS", rows.share),
        QualityNumber("LINES REJECTED", float(rejected)),
        QualityNumber("LINES NOT SEARCHED", _share(near, np.asarray(found.used.any(axis=0)))),
    )
    return _catalogue(field, fits, spectra), numbers + _false(found, blank, params)


def with_star_lines(
    found: Lines, light: Sequence[StarLight], sources: Sources, params: FibreLinesParams, *, ifuslot: int
) -> tuple[Lines, tuple[QualityNumber, ...]]:
    """Add the lines in the spectra of known sources, at the places of these, to those of the map between them.

    Their width is not fitted: NaN, as is what fibres would say of the light's place.

    Returns
    -------
    Lines
    tuple of QualityNumber
        LINES IN STARS, and LINES IN STARS FALSE: how many of these noise makes, at most.
    """
    how = StarLineParams(
        params.sigma, params.threshold, params.continuum_step, params.structure, params.same_wave, params.wave_range
    )
    lines = star_lines(light, how)
    numbers = (
        QualityNumber("LINES IN STARS", float(len(lines))),
        QualityNumber("LINES IN STARS FALSE", false_lines(light, how), "", None, 1.0),
    )
    if not lines:
        return found, numbers
    star = np.array([line.number for line in lines])
    unknown = np.full(len(lines), np.nan)
    values: dict[str, NDArray[Any]] = {
        "ra": np.asarray(sources.ra, float)[star],
        "dec": np.asarray(sources.dec, float)[star],
        "ra_err": np.asarray(sources.ra_err, float)[star],
        "dec_err": np.asarray(sources.dec_err, float)[star],
        "chi2": unknown,
        "sigma": unknown,
        "sigma_err": unknown,
        "ifuslot": np.full(len(lines), ifuslot, np.int32),
        "dq": np.asarray(sources.dq, np.int32)[star],
    }
    values |= {
        name: np.array([getattr(line, name) for line in lines])
        for name in ("wave", "wave_err", "flux", "flux_err", "sn", "continuum")
    }
    joined = {name: np.concatenate([getattr(found, name), value]) for name, value in values.items()}
    order = np.argsort(-joined["sn"], kind="stable")
    ordered: dict[str, Any] = {name: value[order] for name, value in joined.items()}
    return replace(found, **ordered), numbers


def _share(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> float:
    """Share of places that lie in a part."""
    return float(np.count_nonzero(part & whole)) / max(int(np.count_nonzero(whole)), 1)


def _median(values: NDArray[Any]) -> float:
    return float(np.median(values)) if values.size else float("nan")


def _trusted(found: LineMap, params: FibreLinesParams) -> NDArray[np.float32]:
    """`_trust` of all places, a line's own light taken off the continuum beside it."""
    level = found.continuum - _OWN_CONTINUUM / params.continuum_step * np.maximum(found.sn * found.error, 0.0)
    return _trust(found.error, level, params.structure)


def _false(found: LineMap, blank: NDArray[np.bool_], params: FibreLinesParams) -> tuple[QualityNumber, ...]:
    """How many lines noise makes."""
    share = float(np.mean(blank)) / max(float(np.mean(found.used)), 1e-9)
    merged = (params.same_wave / params.wave_step, params.same_place / params.step)
    false = count_false(found, blank, share, threshold=params.threshold, merged=merged)
    return (
        QualityNumber("LINES TRIALS", share * found.resels),
        QualityNumber("LINES FALSE EXPECTED", false.lines),
        QualityNumber("LINES FALSE THEORY", false.theory),
        QualityNumber("LINES FALSE 5", false.five, "", None, 1.0),
    )


def _near_stars(
    found: LineMap, field: FibreField, stars: tuple[F8, ...] | None, reach: tuple[float, float]
) -> NDArray[np.bool_]:
    """Places near a star, (n_y, n_x): within the radius of a star of magnitude `_FAINT`, as bright a wing of others.

    A Moffat's wing falls with the distance to the power -2 beta.
    """
    near = np.zeros((found.north.size, found.east.size), bool)
    if stars is None:
        return near
    east, north = sky_to_plane(np.asarray(stars[0], float), np.asarray(stars[1], float), *field.centre)
    magnitude = np.asarray(stars[2], float) if len(stars) > 2 else np.full(east.size, _FAINT)  # noqa: PLR2004
    brighter = np.where(np.isfinite(magnitude), np.maximum(_FAINT - magnitude, 0.0), 0.0)
    radius = reach[0] * 10.0 ** (0.4 * brighter / (2.0 * reach[1]))
    for x, y, r in zip(east, north, radius, strict=True):
        near |= np.hypot(found.east[None, :] - x, found.north[:, None] - y) < r
    return near


def _trust(error: NDArray[Any], level: NDArray[Any], structure: float) -> NDArray[np.float32]:
    """Factor on the significance for what structure of the continuum adds to its error."""
    spread = structure * np.maximum(level, 0.0)
    spread = np.where(spread > _NO_CONTINUUM * error, spread, 0.0)
    with np.errstate(invalid="ignore"):
        factor = error / np.hypot(error, spread)
    return np.asarray(np.nan_to_num(factor), np.float32)


class _Found(NamedTuple):
    """A fit with what the maps tell of its place."""

    fit: LineFit
    sn: float
    continuum: float


def _fits(
    field: FibreField,
    continuum: Continuum,
    shares: Callable[[float], Sequence[FibreShare]],
    refraction: Refraction,
    peaks: tuple[LineMap, I8, MapNoise],
    params: FibreLinesParams,
) -> tuple[list[_Found], int]:
    """Fit the maxima, highest first; those that belong to a line that stands already are left out."""
    found, places, noise = peaks
    lines: list[_Found] = []
    rejected: list[LineFit] = []
    for k, j, i in places:
        start = (float(found.east[i]), float(found.north[j]), float(found.wave[k]))
        standing = [one.fit for one in lines] + rejected
        height = float(found.sn[k, j, i])
        if any(_same(start, height, one, params) for one in standing):
            continue
        fit = fit_line(field, continuum, shares(start[2]), refraction, start, sigma=params.sigma)
        fit = None if fit is None else with_noise(fit, float(noise.factor[k, j, i]))
        if fit is None or any(_same((fit.east, fit.north, fit.wave), fit.height, one, params) for one in standing):
            continue
        level = found.continuum[k, j, i] - _OWN_CONTINUUM / params.continuum_step * fit.flux
        trust = float(_trust(found.error[k, j, i], level, params.structure))
        sn = float(np.sqrt(max((fit.height * trust) ** 2 - FITTED, 0.0)))
        if fit.chance < params.chance:
            rejected.append(fit)
        elif sn >= params.threshold:
            lines.append(_Found(fit, sn, float(found.continuum[k, j, i])))
    return sorted(lines, key=lambda one: -one.sn), len(rejected)


def _same(place: tuple[float, float, float], height: float, line: LineFit, params: FibreLinesParams) -> bool:
    """Whether a maximum is part of a line, or a sidelobe of it."""
    apart, along = float(np.hypot(place[0] - line.east, place[1] - line.north)), abs(place[2] - line.wave)
    if apart < params.same_place and along < params.same_wave:
        return True
    near = apart < 2.0 * params.reach and along < 2.0 * params.continuum_step
    return near and height < _SIDELOBE * line.height


def _catalogue(field: FibreField, found: list[_Found], spectra: Sequence[FibreSpectra]) -> Lines:
    fits = [one.fit for one in found]

    def column(values: list[float]) -> F8:
        return np.array(values, dtype=np.float64)

    ra, dec = plane_to_sky(column([f.east for f in fits]), column([f.north for f in fits]), *field.centre)
    errors = np.array([f.errors for f in fits]).reshape(-1, 5)
    variance = column([f.variance for f in fits])
    sigma = np.sqrt(np.maximum(variance, 0.0))
    dq = np.array([int(Flag.OUTLIER) if f.lone > _LONE else 0 for f in fits], np.int32)
    dq |= 0 if field.placed else int(Flag.ASTROMETRY)
    return Lines(
        ra=ra,
        dec=dec,
        wave=column([f.wave for f in fits]),
        flux=column([f.flux for f in fits]),
        flux_err=errors[:, 0],
        sn=column([one.sn for one in found]),
        sigma=sigma,
        chi2=column([f.chi2 for f in fits]),
        ifuslot=np.full(len(fits), field.ifuslot, np.int32),
        dq=dq,
        ra_err=errors[:, 1],
        dec_err=errors[:, 2],
        wave_err=errors[:, 3],
        sigma_err=np.where(sigma > _ZERO_WIDTH, errors[:, 4] / (2.0 * np.maximum(sigma, _ZERO_WIDTH)),
                           np.sqrt(errors[:, 4])),
        continuum=column([one.continuum for one in found]),
        medium=field.medium,
        meta=spectra[0].meta,
    )  # fmt: skip
