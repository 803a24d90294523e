"""From what the columns measured to smooth traces: centres, widths, and reference points."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from tracecube.kernels.polynomials import fit_field, shrink_to_field
from tracecube.recipes.optics.trace_model import Measured, TraceModel
from tracecube.recipes.optics.trace_search import FOOT

__all__ = ["Lamp", "Levels", "align_to_lamp", "centre_residuals", "fit_centres", "fit_widths"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
B1 = NDArray[np.bool_]

# A column whose centre lies this many errors off its trace does not count: a cosmic ray, a bad
# column, a ghost crossing.
_CLIP = 5.0
# The lamp's spectrum as the detector shows it: pixel-to-pixel response and lenslet-to-lenslet
# colour leave about this much of it unexplained.
_LAMP_ERROR = 0.02
# A sample this far off the lamp's spectrum, in units of its peak, is no lamp light of this lenslet.
_LAMP_FREEDOM = 0.3
# Reference points move by at most so many pixels at a time, and are unknown with a larger error:
# the steep end of the lamp's spectrum is about ten pixels long.
_LARGEST_STEP = 3.0
# Degree of the polynomial in (q, r) that reference points follow.
_LATTICE_DEGREE = 4


class Lamp(NamedTuple):
    """Spectrum of the lamp on the detector, common to all lenslets.

    ``shape`` (k,) at ``distance`` (k,) px from the reference point, one sample a pixel, peak 1;
    ``foot`` is where it begins.
    """

    distance: F8
    shape: F8
    foot: float

    def __call__(self, distance: F8) -> F8:
        """Return the shape at any distance, 0 outside."""
        return np.interp(distance, self.distance, self.shape, left=0.0, right=0.0)

    def lit(self, share: float) -> tuple[float, float]:
        """Return the range of distances where the lamp gives at least ``share`` of its peak."""
        bright = np.flatnonzero(self.shape >= share)
        return float(self.distance[bright[0]]), float(self.distance[bright[-1]])


class Levels(NamedTuple):
    """Light and reference point of each lenslet, arrays (n,), with their standard deviations.

    ``value`` is the flux at the lamp's peak (electron per column), ``along`` the reference point (px).
    """

    value: F8
    error: F8
    along: F8
    along_error: F8


def fit_centres(measured: Measured, model: TraceModel, along: F8, *, terms: int, degree: int) -> TraceModel:
    """Fit all traces: an offset each, slope and higher terms drawn to a smooth field over the detector.

    Parameters
    ----------
    measured : Measured
    model : TraceModel
        The model it was measured about.
    along : array (n,), px
        Reference points of the new model.
    terms : int
        Number of powers of the distance.
    degree : int
        Degree of the field over the detector that the terms beyond the offset follow.
    """
    new = replace(model, along=along, shape=np.zeros((along.size, terms)))
    row, good, flux, target, error = _targets(measured, model, new)
    powers = new.powers(row, measured.along, new.shape)
    design = fit_field(_places(new), new.shape, degree=degree).design(_places(new))
    free = np.arange(terms) == 0
    for _ in range(3):
        w = np.where(good, flux / error, 0.0)
        matrix, rhs = _normal(row, powers, w, np.where(good, target / error, 0.0), along.size)
        fit = shrink_to_field(matrix, rhs, design, free=free)
        pull = (target - flux * (powers * fit.coefficients[row]).sum(axis=1)) / error
        good = np.isfinite(pull) & (np.abs(pull) < _CLIP)
    return replace(new, shape=fit.coefficients, covariance=fit.covariance)


def _places(model: TraceModel) -> F8:
    return np.stack([model.along, model.across], axis=1)


def _targets(measured: Measured, model: TraceModel, new: TraceModel) -> tuple[I8, B1, F8, F8, F8]:
    """Flux times distance of the measured centre from the new base line, with its error."""
    row, error = measured.row, measured.moment_error
    flux = measured.flux
    base = new.across[row] + new.tilt * (measured.along - new.along[row])
    target = measured.moment + flux * (model.centre(row, measured.along) - base)
    good = np.isfinite(target) & np.isfinite(error) & (error > 0.0) & (flux > 0.0)
    return row, good, np.where(good, flux, 0.0), np.where(good, target, 0.0), np.where(good, error, 1.0)


def _normal(row: I8, powers: F8, w: F8, v: F8, n: int) -> tuple[F8, F8]:
    """Normal matrices (n, k, k) and right sides (n, k) of the weighted polynomial fits of each row."""
    k = powers.shape[1]
    scaled = powers * w[:, None]
    matrix, rhs = np.empty((n, k, k)), np.empty((n, k))
    for i in range(k):
        rhs[:, i] = np.bincount(row, scaled[:, i] * v, minlength=n)
        for j in range(i + 1):
            matrix[:, i, j] = matrix[:, j, i] = np.bincount(row, scaled[:, i] * scaled[:, j], minlength=n)
    return matrix, rhs


def fit_widths(measured: Measured, model: TraceModel, *, terms: int, degree: int) -> TraceModel:
    """Fit the logarithm of the core width as a smooth function of field and distance."""
    row = measured.row
    log_width = np.log(model.sigma(row, measured.along))
    flux, error = measured.flux, measured.spread_error
    target = measured.spread + flux * log_width
    good = np.isfinite(target) & np.isfinite(error) & (error > 0.0) & (flux > 0.0)
    flux, target, error = (np.where(good, values, 1.0) for values in (flux, target, error))
    new = replace(model, width=np.zeros((model.along.size, terms)))
    powers = new.powers(row, measured.along, new.width)
    design = fit_field(_places(new), new.shape[:, :1], degree=degree).design(_places(new))
    for _ in range(3):
        w = np.where(good, flux / error, 0.0)
        matrix, rhs = _normal(row, powers, w, np.where(good, target / error, 0.0), model.along.size)
        fit = shrink_to_field(matrix, rhs, design, free=np.zeros(terms, dtype=bool))
        pull = (target - flux * (powers * fit.coefficients[row]).sum(axis=1)) / error
        good &= np.abs(pull) < _CLIP
    return replace(new, width=fit.coefficients)


def centre_residuals(measured: Measured, model: TraceModel, before: TraceModel) -> tuple[F8, F8]:
    """Distance of the measured centres from the traces, and its error, px; NaN where there is none."""
    shift = before.centre(measured.row, measured.along) - model.centre(measured.row, measured.along)
    lit = measured.flux > 0.0
    flux = np.where(lit, measured.flux, np.nan)
    return measured.moment / flux + shift, measured.moment_error / flux


def align_to_lamp(measured: Measured, model: TraceModel, lamp: Lamp, *, reference: float) -> tuple[Lamp, Levels]:
    """Find level and reference point of each lenslet from its lamp spectrum.

    Lamp and lenslets are learnt in turn. Reference points follow the lattice, a smooth function of
    the node, with a scatter found from the data: a lenslet whose bright part lies off the detector
    gets its place from its fellows.

    Parameters
    ----------
    measured : Measured
    model : TraceModel
        The model it was measured about.
    lamp : Lamp
        First guess.
    reference : float, px
        Distance from the lamp's foot to the reference point.
    """
    along = model.along
    for _ in range(3):
        level = _match(measured, replace(model, along=along), lamp)
        along = level.along
        lamp = _learn_lamp(measured, replace(model, along=along), level.value)
    offset = lamp.foot + reference
    lamp = Lamp(lamp.distance - offset, lamp.shape, lamp.foot - offset)
    known = np.isfinite(level.along_error)
    weight = np.where(known, 1.0 / np.where(known, level.along_error, 1.0) ** 2, 0.0)
    nodes = model.index.astype(float)
    start = fit_field(nodes, along[:, None], degree=_LATTICE_DEGREE, weight=weight)
    residual = along - start(nodes)[:, 0]
    design = start.design(nodes)
    fit = shrink_to_field(weight[:, None, None], (weight * residual)[:, None], design, free=np.zeros(1, dtype=bool))
    settled = start(nodes)[:, 0] + fit.coefficients[:, 0] + offset
    return lamp, Levels(level.value, level.error, settled, np.sqrt(fit.covariance[:, 0, 0]))


def _learn_lamp(measured: Measured, model: TraceModel, level: F8) -> Lamp:
    """Median spectrum of the brighter half of the lenslets, in pixels from the reference point."""
    distance = measured.along - model.along[measured.row]
    bright = (level >= np.median(level[level > 0.0]))[measured.row] & np.isfinite(measured.flux)
    grid = np.arange(np.floor(model.span[0]), np.ceil(model.span[1]) + 1.0)
    share = measured.flux[bright] / level[measured.row[bright]]
    place = np.rint(distance[bright]).astype(int) - int(grid[0])
    order = np.argsort(place, kind="stable")
    groups = np.split(share[order], np.searchsorted(place[order], np.arange(1, grid.size)))
    shape = np.array([np.median(one) if one.size else 0.0 for one in groups])
    shape = np.clip(median_filter(shape, size=3), 0.0, None)
    shape /= shape.max()
    top = int(np.argmax(shape))
    low = np.flatnonzero(shape[:top] < FOOT)
    first = int(low[-1]) if low.size else 0
    rise = max(shape[first + 1] - shape[first], 1e-9)
    foot = grid[first] + np.clip((FOOT - shape[first]) / rise, 0.0, 1.0)
    return Lamp(grid, shape, float(foot))


def _match(measured: Measured, model: TraceModel, lamp: Lamp) -> Levels:
    """Fit each lenslet's spectrum by the lamp's: level, colour and shift along dispersion."""
    n = model.along.size
    row, flux = measured.row, measured.flux
    slope = np.gradient(lamp.shape, lamp.distance)
    good = np.isfinite(flux) & np.isfinite(measured.flux_error)
    noise = np.where(good, measured.flux_error, 1.0)
    shift, level = np.zeros(n), np.zeros(n)
    for _ in range(4):
        d = measured.along - model.along[row] - shift[row]
        shape, fall = lamp(d), np.interp(d, lamp.distance, slope, left=0.0, right=0.0)
        design = np.stack([shape, shape * d / model.scale, -fall], axis=1)
        error = np.hypot(noise, _LAMP_ERROR * np.abs(level[row]) * shape)
        matrix, rhs = _normal(row, design, good / error, np.where(good, flux / error, 0.0), n)
        inverse = np.linalg.inv(matrix + _tiny_ridge(matrix))
        solution = np.einsum("ljk,lk->lj", inverse, rhs)
        level, level_error = solution[:, 0], np.sqrt(inverse[:, 0, 0])
        known = level > _CLIP * level_error
        safe = np.where(known, level, 1.0)
        along_error = np.where(known, np.sqrt(inverse[:, 2, 2]) / safe, np.inf)
        known &= along_error < _LARGEST_STEP
        shift += np.where(known, np.clip(solution[:, 2] / safe, -_LARGEST_STEP, _LARGEST_STEP), 0.0)
        misfit = np.abs(flux - (design * solution[row]).sum(axis=1))
        good &= misfit < 2.0 * _CLIP * error + _LAMP_FREEDOM * np.abs(level[row])
    return Levels(level, level_error, model.along + shift, np.where(known, along_error, np.inf))


def _tiny_ridge(matrix: F8) -> F8:
    """Diagonal (n, k, k) that keeps matrices without information invertible."""
    diagonal = 1e-9 * np.einsum("ljj->lj", matrix) + 1e-300
    ridge: F8 = diagonal[:, :, None] * np.eye(matrix.shape[1])
    return ridge
