"""Fit of one emission line: place, wavelength, flux and width, with the continuum marginalised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.fibre_psf import FibreShare
from tracecube.recipes.science.fibre_field import FibreField, Refraction
from tracecube.recipes.science.line_filter import Continuum, line_shape

__all__ = ["LineFit", "fit_line"]

F8 = NDArray[np.float64]

# Fibres and pixels of the fit: to this distance (arcsec), and to this many widths of the line.
_WIDTHS = 4.0
_STEPS = 12
# Steps of the tangents in east, north (arcsec), wavelength (Angstrom) and intrinsic variance (Angstrom**2).
_TINY = np.array([0.02, 0.02, 0.02, 0.05])
# Longest step of one iteration, and farthest from the start.
_STRIDE = np.array([0.4, 0.4, 1.0, 4.0])
_FARTHEST = np.array([1.5, 1.5, 4.0, np.inf])
# A fibre's light may differ from the model's by this share of the brightest fibre's: seeing is known to a few percent.
_MODEL_ERROR = 0.05
# An intrinsic variance below zero is noise: the line is not wider than the line-spread function. Kept above this
# share of the latter's variance.
_NARROWEST = -0.6
_WIDEST = 15.0  # Angstrom


class LineFit(NamedTuple):
    """One line. Places in arcsec on the tangent plane, wavelengths in Angstrom, flux in that of the spectra.

    Parameters
    ----------
    east, north, wave, flux : float
    variance : float
        Intrinsic, Angstrom**2; below zero where noise makes the line narrower than the line-spread function.
    errors : array (5,)
        Of flux, east, north, wave, variance.
    height : float
        Flux over its error at the maximum, with the width of the search.
    chi2 : float
        Reduced chi-square of the flux in each fibre against a point source.
    freedom : int
        Its degrees of freedom.
    lone : float
        Share of the significance that comes from one fibre.
    """

    east: float
    north: float
    wave: float
    flux: float
    variance: float
    errors: F8
    height: float
    chi2: float
    freedom: int
    lone: float


class _Patch(NamedTuple):
    """Samples around a line: arrays (f, p), and per fibre (f,) or (f, 1)."""

    rest: F8
    ivar: F8
    wave: F8
    pixel: F8
    lsf: F8
    doubt: F8  # variance of the continuum
    beside: F8  # covariance with the next row times both inverse variances, (f, p)
    east: F8
    north: F8
    exp: NDArray[np.int64]


def fit_line(
    field: FibreField,
    continuum: Continuum,
    shares: Sequence[FibreShare],
    refraction: Refraction,
    start: tuple[float, float, float],
    *,
    sigma: float,
) -> LineFit | None:
    """Fit a line.

    Parameters
    ----------
    start : (float, float, float)
        East and north (arcsec) and wavelength (Angstrom) of a maximum of the map.
    sigma : float, Angstrom
        Intrinsic width of the search.

    Returns
    -------
    LineFit or None
        None where the fit does not stay near the maximum, or its flux is not above zero.
    """
    patch = _patch(field, continuum, shares, refraction, start)
    fixed = _climb(patch, shares, np.array([*start, sigma**2]), free=3)
    if fixed is None:
        return None
    values, flux, _ = fixed
    place = _model(patch, shares, values)[None]
    gram, noise, score = (float(found(patch, place).ravel()[0]) for found in (_inner, _spread, _against))
    height = score / np.sqrt(noise)
    wide = _climb(patch, shares, values, free=4)
    values, flux, errors = wide if wide is not None else fixed
    chi2, freedom, lone = _across(patch, shares, values, flux)
    if not (flux > 0 and gram > 0 and np.isfinite(errors).all()):
        return None
    east, north, wave, variance = (float(v) for v in values)
    return LineFit(east, north, wave, float(flux), variance, errors, float(height), chi2, freedom, lone)


def _patch(
    field: FibreField, continuum: Continuum, shares: Sequence[FibreShare], refraction: Refraction,
    start: tuple[float, float, float],
) -> _Patch:  # fmt: skip
    """Cut out what the fit sees; refraction is that of the start."""
    shift = field.shift(refraction, np.array(start[2]))
    east, north = field.east - shift[0], field.north - shift[1]
    reach = max(share.reach for share in shares)
    rows = np.flatnonzero(np.hypot(east - start[0], north - start[1]) < reach + _FARTHEST[0])
    width = np.hypot(np.median(field.lsf_sigma[rows]), 2.0)
    columns = np.flatnonzero((np.abs(field.wave[rows] - start[2]) < _WIDTHS * width + _FARTHEST[2]).any(axis=0))
    cut = slice(int(columns[0]), int(columns[-1]) + 1)
    wave, ivar = field.wave[rows, cut], 1.0 / field.variance[rows, cut]
    part = continuum.of(rows)
    beside = np.zeros_like(ivar)
    next_to = rows[1:] == rows[:-1] + 1
    beside[:-1] = np.where(next_to[:, None], field.blend[rows[:-1], cut] * ivar[:-1] * ivar[1:], 0.0)
    near = np.full((rows.size, 1), start[2])
    middle = np.argmin(np.abs(wave - start[2]), axis=1)[:, None]
    return _Patch(
        field.flux[rows, cut] - part.at(wave)[0],
        ivar,
        wave,
        np.gradient(wave, axis=1),
        np.take_along_axis(field.lsf_sigma[rows, cut], middle, axis=1),
        part.at(near)[1],
        beside,
        east[rows],
        north[rows],
        field.exp[rows],
    )


def _parts(patch: _Patch, shares: Sequence[FibreShare], places: F8) -> F8:
    """Share of the light of a source at each place (k, 2) in each fibre, (k, f)."""
    distance = np.hypot(patch.east - places[:, :1], patch.north - places[:, 1:])
    part = np.zeros_like(distance)
    for number, share in enumerate(shares):
        mine = patch.exp == number
        part[:, mine] = share(distance[:, mine])
    return part


def _shape(patch: _Patch, wave: float, variance: float) -> F8:
    """Line of unit flux in each sample, (f, p)."""
    return line_shape(patch.wave, patch.pixel, np.sqrt(patch.lsf**2 + variance), wave, 0.0)


def _model(patch: _Patch, shares: Sequence[FibreShare], values: F8) -> F8:
    """Light of a line of unit flux at (east, north, wave, intrinsic variance)."""
    part = _parts(patch, shares, values[None, :2])[0]
    return np.asarray(part[:, None] * _shape(patch, float(values[2]), float(values[3])))


def _inner(patch: _Patch, models: F8) -> F8:
    """Products of models (k, f, p) with one another, less what the continuum can take of both: (k, k)."""
    flat, weighted = models.reshape(len(models), -1), models * patch.ivar
    sums = weighted.sum(axis=2)
    return np.asarray(weighted.reshape(len(models), -1) @ flat.T - (sums * patch.doubt[:, 0]) @ sums.T)


def _spread(patch: _Patch, models: F8) -> F8:
    """Covariances of the scores of models: their products, and what neighbouring rows share."""
    size = len(models)
    shared = (models[:, :-1] * patch.beside[:-1]).reshape(size, -1) @ models[:, 1:].reshape(size, -1).T
    return np.asarray(_inner(patch, models) + shared + shared.T)


def _against(patch: _Patch, models: F8) -> F8:
    """Scores of models: their products with the light above the continuum, (k,)."""
    return np.asarray(models.reshape(len(models), -1) @ (patch.rest * patch.ivar).ravel())


def _climb(patch: _Patch, shares: Sequence[FibreShare], values: F8, *, free: int) -> tuple[F8, float, F8] | None:
    """Gauss-Newton for the flux and the first ``free`` of the values; flux and errors (5,) with covariances."""
    start, flux = values.copy(), 0.0
    floor = _NARROWEST * float(np.min(patch.lsf)) ** 2
    for _ in range(_STEPS):
        models = _tangents(patch, shares, values, free)
        gram, score = _inner(patch, models), _against(patch, models)
        if flux == 0.0:
            flux = float(score[0] / gram[0, 0]) if gram[0, 0] > 0 else 0.0
            if flux <= 0.0:
                return None
        # the step of the flux is relative, so that all are of order one
        step = np.linalg.lstsq(flux**2 * gram, flux * (score - flux * gram[0]), rcond=1e-10)[0]
        move = np.clip(step[1:], -_STRIDE[:free], _STRIDE[:free])
        values = values.copy()
        values[:free] += move
        values[3] = np.clip(values[3], floor, _WIDEST**2)
        scale = flux
        flux *= max(1.0 + step[0], 0.1)
        if np.any(np.abs(values - start)[:3] > _FARTHEST[:3]):
            return None
        if np.all(np.abs(move) < 0.05 * _TINY[:free]):
            break
    inverse = np.linalg.pinv(scale**2 * gram)
    errors = np.full(5, 0.0)
    errors[: free + 1] = np.sqrt(np.maximum(np.diag(inverse @ (scale**2 * _spread(patch, models)) @ inverse), 0.0))
    errors[0] *= flux
    return values, float(flux), errors


def _tangents(patch: _Patch, shares: Sequence[FibreShare], values: F8, free: int) -> F8:
    """Model of unit flux, and its slopes with the first ``free`` of the values: (1 + free, f, p)."""
    (dx, dy), wave, variance = _TINY[:2], float(values[2]), float(values[3])
    steps = np.array([[0.0, 0.0], [dx, 0.0], [-dx, 0.0], [0.0, dy], [0.0, -dy]])
    part = _parts(patch, shares, values[:2] + steps)
    shape = _shape(patch, wave, variance)
    across = np.stack([part[0], (part[1] - part[2]) / (2.0 * dx), (part[3] - part[4]) / (2.0 * dy)])
    models = np.empty((1 + free, *shape.shape))
    models[:3] = across[:, :, None] * shape
    for k in range(2, free):
        tiny = np.zeros(2)
        tiny[k - 2] = _TINY[k]
        ahead, behind = (_shape(patch, wave + sign * tiny[0], variance + sign * tiny[1]) for sign in (1.0, -1.0))
        models[k + 1] = part[0][:, None] * (ahead - behind) / (2.0 * _TINY[k])
    return models


def _across(patch: _Patch, shares: Sequence[FibreShare], values: F8, flux: float) -> tuple[float, int, float]:
    """Chi-square of fluxes by fibre, its freedom, and the largest share of one fibre in the significance."""
    shape = line_shape(patch.wave, patch.pixel, np.sqrt(patch.lsf**2 + values[3]), float(values[2]), 0.0)
    model = _model(patch, shares, values)
    part = model.sum(axis=1) / np.maximum(shape.sum(axis=1), 1e-30)
    sums = np.sum(shape * patch.ivar, axis=1)
    power = np.sum(shape**2 * patch.ivar, axis=1) - sums**2 * patch.doubt[:, 0]
    seen = power > 0
    light = np.sum(shape * patch.rest * patch.ivar, axis=1)[seen] / power[seen]
    variance = 1.0 / power[seen] + (_MODEL_ERROR * flux * float(part.max())) ** 2
    chi2 = float(np.sum((light - flux * part[seen]) ** 2 / variance))
    freedom = max(int(seen.sum()) - 5, 1)
    weight = part[seen] ** 2 * power[seen]
    lone = float(weight.max() / weight.sum()) if seen.any() and weight.sum() > 0 else 1.0
    return chi2 / freedom, freedom, lone
