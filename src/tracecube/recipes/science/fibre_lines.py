"""Emission lines in the spectra of a fibre bundle: one matched filter over fibres, exposures and wavelengths.

The filter is the light of a point source in each fibre (a Moffat function over the fibre's face, where refraction puts
it) times the line's shape (line-spread function and intrinsic width), weighted by inverse variance on the pixels the
light was measured with. What samples share, with the next fibre on the detector and through the continuum, is in the
variance of the filter: the significance of pure noise has a standard deviation of one, and the number of false lines is
known beforehand (`tracecube.recipes.science.line_map`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import stats
from scipy.ndimage import maximum_filter

from tracecube.core.fibres import FibreSpectra
from tracecube.core.flags import Flag
from tracecube.core.lines import Lines
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.sources import FieldSolution
from tracecube.kernels.fibre_psf import FibreShare, fibre_share
from tracecube.kernels.tangent import to_sky
from tracecube.recipes.science.fibre_field import FibreField, Refraction, gather
from tracecube.recipes.science.line_filter import Continuum, filter_lines, fit_continuum
from tracecube.recipes.science.line_fit import LineFit, fit_line
from tracecube.recipes.science.line_map import LineMap, map_lines
from tracecube.recipes.sky.astrometry import tangent_plane

__all__ = ["FibreLinesParams", "Seeing", "find_lines"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

# The maximum of the raster lies below that of the field by at most this factor.
_RASTER_LOSS = 0.8
# What a maximum over two places and a wavelength adds to the square of the significance.
_FITTED = 3.0
# Significance is a sum over few fibres where more than this share of it comes from one.
_LONE = 0.9
# Levels on the negative map between which minima are counted and compared with theory.
_NEGATIVE = (3.8, 5.2)
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
    star_radius: float = Field(3.0, ge=0.0, description="radius around known stars that is left out, arcsec")
    chance: float = Field(
        1e-4, gt=0.0, description="chance that a line of a point source is rejected by its chi-square"
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
        LINES SN SIGMA: width of the distribution of significance; LINES REJECTED: maxima that are no point source.
    """
    field = gather(spectra, ifuslot)
    shares = partial(seeing.shares, field.exposures, params.reach)
    continuum = fit_continuum(field, params.continuum_step)
    raster = np.arange(params.wave_range[0], params.wave_range[1] + 1e-6, params.wave_step)
    filtered = filter_lines(field, continuum, raster, params.sigma)
    found = map_lines(field, filtered, shares, refraction, step=params.step, least_power=params.least_power)
    usable = found.used & ~_near_stars(found, field, stars, (params.star_radius, seeing.beta))[None]
    level = found.continuum - _OWN_CONTINUUM / params.continuum_step * np.maximum(found.sn * found.error, 0.0)
    trust = _trust(found.error, level, params.structure)
    floor = _RASTER_LOSS * float(np.hypot(params.threshold, np.sqrt(_FITTED)))
    peaks = _maxima(found.sn, usable, floor)
    peaks = peaks[(found.sn * trust)[tuple(peaks.T)] >= floor]
    fits, rejected = _fits(field, continuum, shares, refraction, (found, peaks), params)
    share = float(np.mean(usable & (trust > _BLANK))) / max(float(np.mean(found.used)), 1e-9)
    return _catalogue(field, fits, spectra), _quality(found, (usable, trust), share, params, rejected)


def _near_stars(
    found: LineMap, field: FibreField, stars: tuple[F8, ...] | None, reach: tuple[float, float]
) -> NDArray[np.bool_]:
    """Places near a star, (n_y, n_x): within the radius of a star of magnitude `_FAINT`, as bright a wing of others.

    A Moffat's wing falls with the distance to the power -2 beta.
    """
    near = np.zeros((found.north.size, found.east.size), bool)
    if stars is None:
        return near
    east, north = tangent_plane(np.asarray(stars[0], float), np.asarray(stars[1], float), *field.centre)
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


def _maxima(sn: NDArray[np.float32], usable: NDArray[np.bool_], floor: float) -> I8:
    """Local maxima above ``floor``, (k, 3), highest first."""
    high = np.where(usable, sn, -np.inf)
    top = (high >= floor) & (high == maximum_filter(high, size=3, mode="constant", cval=-np.inf))
    places = np.argwhere(top)
    return np.asarray(places[np.argsort(-high[top], kind="stable")])


def _vertices(sn: NDArray[np.float32], places: I8) -> F8:
    """Heights of the parabolas through maxima of the raster and the samples beside them along each axis."""
    top = sn[tuple(places.T)].astype(np.float64)
    height = top.copy()
    for axis in range(3):
        step = np.zeros(3, int)
        step[axis] = 1
        last = np.array(sn.shape) - 1
        ahead, behind = (sn[tuple(np.clip(places + way, 0, last).T)].astype(np.float64) for way in (step, -step))
        bend = np.maximum(2.0 * top - ahead - behind, 1e-6)
        height += np.clip((ahead - behind) ** 2 / (8.0 * bend), 0.0, 0.125 * bend)
    return np.asarray(height)


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
    peaks: tuple[LineMap, I8],
    params: FibreLinesParams,
) -> tuple[list[_Found], int]:
    """Fit the maxima, highest first; those that belong to a line that stands already are left out."""
    found, places = peaks
    lines: list[_Found] = []
    rejected: list[LineFit] = []
    for k, j, i in places:
        start = (float(found.east[i]), float(found.north[j]), float(found.wave[k]))
        standing = [one.fit for one in lines] + rejected
        height = float(found.sn[k, j, i])
        if any(_same(start, height, one, params) for one in standing):
            continue
        fit = fit_line(field, continuum, shares(start[2]), refraction, start, sigma=params.sigma)
        if fit is None or any(_same((fit.east, fit.north, fit.wave), fit.height, one, params) for one in standing):
            continue
        level = found.continuum[k, j, i] - _OWN_CONTINUUM / params.continuum_step * fit.flux
        trust = float(_trust(found.error[k, j, i], level, params.structure))
        sn = float(np.sqrt(max((fit.height * trust) ** 2 - _FITTED, 0.0)))
        if stats.chi2.sf(fit.chi2 * fit.freedom, fit.freedom) < params.chance:
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

    ra, dec = to_sky(column([f.east for f in fits]), column([f.north for f in fits]), field.centre)
    errors = np.array([f.errors for f in fits]).reshape(-1, 5)
    variance = column([f.variance for f in fits])
    sigma = np.sqrt(np.maximum(variance, 0.0))
    dq = np.array([int(Flag.OUTLIER) if f.lone > _LONE else 0 for f in fits], np.int32)
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


def _apart(places: I8, params: FibreLinesParams) -> I8:
    """Maxima, highest first, without those that a higher one would be merged with as the same line."""
    limits = np.array([params.same_wave / params.wave_step, *(2 * [params.same_place / params.step])])
    kept: list[I8] = []
    for place in places:
        offset = np.abs(np.array(kept).reshape(-1, 3) - place)
        near = (offset[:, 0] < limits[0]) & (np.hypot(offset[:, 1], offset[:, 2]) < limits[1])
        if not near.any():
            kept.append(place)
    return np.array(kept, dtype=np.int64).reshape(-1, 3)


def _quality(
    found: LineMap,
    where: tuple[NDArray[np.bool_], NDArray[np.float32]],
    share: float,
    params: FibreLinesParams,
    rejected: int,
) -> tuple[QualityNumber, ...]:
    """Measure the width of the significance, and count what noise makes."""
    blank = where[0] & (where[1] > _BLANK)
    values = found.sn[blank]
    low, high = np.quantile(values, [0.15865525, 0.84134475]) if values.size else (np.nan, np.nan)
    level, five = np.hypot(params.threshold, np.sqrt(_FITTED)), np.hypot(5.0, np.sqrt(_FITTED))
    places = _apart(_maxima(-found.sn, blank, _RASTER_LOSS * _NEGATIVE[0]), params)
    minima = _vertices(-found.sn, places)
    inside = int(np.sum((minima >= _NEGATIVE[0]) & (minima < _NEGATIVE[1])))
    # How many lines noise makes, over what theory says: maxima that are merged are counted apart by theory.
    per_line = inside / max(share * (found.expected(_NEGATIVE[0]) - found.expected(_NEGATIVE[1])), 1e-9)
    theory = share * found.expected(float(level))
    return (
        QualityNumber("LINES SN SIGMA", float(0.5 * (high - low)), "", 0.97, 1.03),
        QualityNumber("LINES TRIALS", share * found.resels),
        QualityNumber("LINES FALSE EXPECTED", per_line * theory),
        QualityNumber("LINES FALSE THEORY", theory),
        QualityNumber("LINES FALSE 5", per_line * share * found.expected(float(five)), "", None, 1.0),
        QualityNumber("LINES REJECTED", float(rejected)),
    )
