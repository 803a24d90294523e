"""From what the columns measured to smooth traces: centres, widths, and reference points."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline

from tracecube.kernels.polynomials import fit_field, shrink_to_field
from tracecube.recipes.optics.trace_model import Measured, TraceModel
from tracecube.recipes.optics.trace_search import FOOT

__all__ = [
    "Lamp",
    "Levels",
    "align_to_lamp",
    "centre_residuals",
    "column_response",
    "expected_flux",
    "fit_centres",
    "fit_widths",
]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
B1 = NDArray[np.bool_]

# A column whose centre lies this many errors off its trace does not count: a cosmic ray, a bad
# column, a ghost crossing.
_CLIP = 5.0
# The lamp's spectrum as the detector shows it: pixel-to-pixel response and lenslet-to-lenslet
# colour leave about this much of it unexplained.
_LAMP_ERROR = 0.02
# Knots of the lamp's spectrum, px: its sharp end is some ten pixels long.
_LAMP_KNOTS = 3.0
# Weight of its third differences against that of the data: too weak to be seen where there are any.
_LAMP_STIFFNESS = 1e-6
# Samples may be so far off the last lamp spectrum, in units of its peak, while it is being learnt.
_LAMP_STEP = 0.1
# A sample this far off the lamp's spectrum, in units of its peak, is no lamp light of this lenslet;
# less and less is forgiven as its shift becomes known.
_LAMP_FREEDOM = (0.5, 0.3, 0.1, 0.03, 0.03)
# Reference points are known beforehand to three times their last error, within these bounds (px): the
# search is good to about its bins of four pixels.
_TRUST = (0.5, 5.0)
# Dispersions differ by some per cent between the lenslets at most.
_STRETCH = 0.03
# A sample is lamp light of its lenslet when it is within this share of what is expected: more than
# lenslets and pixels differ, less than a bad column or a dead block does.
_AGREEMENT = 0.3
# Traces above this share of the lamp's peak, at least so many, tell how a column responds.
_BRIGHT, _FEW = 0.2, 5
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
        """Return the range of distances about the peak where the lamp gives at least ``share`` of it."""
        top = int(np.argmax(self.shape))
        dark = np.flatnonzero(self.shape < share)
        low, high = dark[dark < top], dark[dark > top]
        first = int(low[-1]) + 1 if low.size else 0
        last = int(high[0]) - 1 if high.size else self.shape.size - 1
        return float(self.distance[first]), float(self.distance[last])


class Levels(NamedTuple):
    """Light and reference point of each lenslet, arrays (n,), with their standard deviations.

    ``value`` is the flux at the lamp's peak (electron per column), ``along`` the reference point (px).
    """

    value: F8
    error: F8
    along: F8
    along_error: F8


def fit_centres(measured: Measured, model: TraceModel, along: F8, flux: F8, *, terms: int, degree: int) -> TraceModel:
    """Fit all traces: an offset each, slope and higher terms drawn to a smooth field over the detector.

    Parameters
    ----------
    measured : Measured
    model : TraceModel
        The model it was measured about.
    along : array (n,), px
        Reference points of the new model.
    flux : array
        Expected flux of each entry of ``measured``, 0 where it shall not count. The noise of the
        measured flux goes with that of the moment, and would pull faint traces to one side.
    terms : int
        Number of powers of the distance.
    degree : int
        Degree of the field over the detector that the terms beyond the offset follow.
    """
    new = replace(model, along=along, shape=np.zeros((along.size, terms)))
    row = measured.row
    base = new.across[row] + new.tilt * (measured.along - new.along[row])
    target = measured.moment + flux * (model.centre(row, measured.along) - base)
    good, target, error = _usable(target, measured.moment_error, flux)
    powers = new.powers(row, measured.along, new.shape)
    design = fit_field(_places(new), new.shape, degree=degree).design(_places(new))
    free = np.arange(terms) == 0
    for _ in range(3):
        w = np.where(good, flux / error, 0.0)
        matrix, rhs = _normal(row, powers, w, np.where(good, target / error, 0.0), along.size)
        fit = shrink_to_field(matrix, rhs, design, free=free)
        pull = (target - flux * (powers * fit.coefficients[row]).sum(axis=1)) / error
        good &= np.abs(pull) < _CLIP
    return replace(new, shape=fit.coefficients, covariance=fit.covariance)


def _places(model: TraceModel) -> F8:
    return np.stack([model.along, model.across], axis=1)


def _usable(target: F8, error: F8, flux: F8) -> tuple[B1, F8, F8]:
    """Which entries count, and their targets and errors with something harmless in place of the others."""
    good = np.isfinite(target) & np.isfinite(error) & (flux > 0.0)
    return good, np.where(good, target, 0.0), np.where(good, error, 1.0)


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


def fit_widths(measured: Measured, model: TraceModel, flux: F8, *, terms: int, degree: int) -> TraceModel:
    """Fit the logarithm of the core width as a smooth function of field and distance; see `fit_centres`."""
    row = measured.row
    target = measured.spread + flux * np.log(model.sigma(row, measured.along))
    good, target, error = _usable(target, measured.spread_error, flux)
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


def expected_flux(measured: Measured, lamp: Lamp, level: Levels) -> F8:
    """Return the lamp light expected in each entry; 0 where the measured flux contradicts it."""
    expected = np.maximum(level.value[measured.row] * lamp(measured.along - level.along[measured.row]), 0.0)
    with np.errstate(invalid="ignore"):  # NaN, where nothing was measured, agrees with nothing
        agrees = np.abs(measured.flux - expected) < _CLIP * measured.flux_error + _AGREEMENT * expected
    return np.where(agrees, expected, 0.0)


def column_response(measured: Measured, lamp: Lamp, level: Levels, columns: I8) -> F8:
    """Return the median of measured over expected light of each column's bright traces; 1 where there are few."""
    shape = lamp(measured.along - level.along[measured.row])
    expected = level.value[measured.row] * shape
    bright = (shape > _BRIGHT) & (level.value[measured.row] > _CLIP * level.error[measured.row])
    bright &= np.isfinite(measured.flux)
    ratio, along = measured.flux[bright] / expected[bright], measured.along[bright]
    order = np.argsort(along, kind="stable")
    groups = np.split(ratio[order], np.searchsorted(along[order], columns[1:]))
    return np.array([np.median(one) if one.size >= _FEW else 1.0 for one in groups])


def centre_residuals(measured: Measured, model: TraceModel, before: TraceModel, flux: F8) -> tuple[F8, F8]:
    """Distance of the measured centres from the traces, and its error, px; NaN where no ``flux`` is expected."""
    shift = before.centre(measured.row, measured.along) - model.centre(measured.row, measured.along)
    lit = np.where(flux > 0.0, flux, np.nan)
    return measured.moment / lit + shift, measured.moment_error / lit


def align_to_lamp(
    measured: Measured, model: TraceModel, lamp: Lamp, error: F8, *, reference: float
) -> tuple[Lamp, Levels]:
    """Find level and reference point of each lenslet from its lamp spectrum.

    Lamp and lenslets are learnt in turn. A lenslet's spectrum is the lamp's, shifted and a little
    stretched (its dispersion differs); shift and stretch follow smooth functions of the lattice
    node with a scatter found from the data. So a lenslet whose bright part lies off the detector gets
    its place from its fellows.

    Parameters
    ----------
    measured : Measured
    model : TraceModel
        The model it was measured about.
    lamp : Lamp
        First guess.
    error : array (n,), px
        Standard deviation of the present reference points; inf where it is not known.
    reference : float, px
        Distance from the lamp's foot to the reference point.
    """
    along = model.along
    for _ in range(3):
        here = replace(model, along=along)
        match = _match(measured, here, lamp, np.clip(3.0 * error, *_TRUST))
        along, error = _settle(match, here)
        lamp = _learn_lamp(measured, replace(model, along=along), lamp, match.level)
    offset = lamp.foot + reference
    lamp = Lamp(lamp.distance - offset, lamp.shape, lamp.foot - offset)
    return lamp, Levels(match.level, match.level_error, along + offset, error)


def _settle(match: _Match, model: TraceModel) -> tuple[F8, F8]:
    """Draw shifts and stretches to smooth functions of the node; reference points and their errors."""
    nodes = model.index.astype(float)
    places = model.along + match.shift
    own = match.matrix[:, 0, 0] - match.matrix[:, 0, 1] ** 2 / np.maximum(match.matrix[:, 1, 1], np.finfo(float).tiny)
    start = fit_field(nodes, places[:, None], degree=_LATTICE_DEGREE, weight=np.maximum(own, 0.0))
    smooth = start(nodes)[:, 0]
    target = np.stack([places - smooth, match.stretch], axis=1)
    rhs = np.einsum("ljk,lk->lj", match.matrix, target)
    fit = shrink_to_field(match.matrix, rhs, start.design(nodes), free=np.zeros(2, dtype=bool))
    return smooth + fit.coefficients[:, 0], np.sqrt(fit.covariance[:, 0, 0])


def _learn_lamp(measured: Measured, model: TraceModel, lamp: Lamp, level: F8) -> Lamp:
    """Fit one smooth spectrum to the brighter half of the lenslets, in pixels from the reference point.

    A cubic spline with a weak penalty on its third differences (Eilers & Marx 1996, Stat. Sci. 11,
    89), which bridges pixels that no column has seen.
    """
    knots = np.arange(model.span[0] - 3 * _LAMP_KNOTS, model.span[1] + 4 * _LAMP_KNOTS, _LAMP_KNOTS)
    row = measured.row
    d = measured.along - model.along[row]
    good = (level >= np.median(level[level > 0.0]))[row] & np.isfinite(measured.flux)
    good &= (d > model.span[0]) & (d < model.span[1]) & np.isfinite(measured.flux_error)
    d, height = d[good], level[row[good]]
    share, error = measured.flux[good] / height, measured.flux_error[good] / height
    design = BSpline.design_matrix(d, knots, 3)
    stiff = np.diff(np.eye(design.shape[1]), n=3, axis=0)
    shape = lamp(d)
    for _ in range(3):
        spread = np.hypot(error, _LAMP_ERROR * np.maximum(shape, FOOT))
        w = np.where(np.abs(share - shape) < _CLIP * spread + _LAMP_STEP, 1.0 / spread**2, 0.0)
        normal = (design.T @ design.multiply(w[:, None])).toarray()
        normal += _LAMP_STIFFNESS * np.trace(normal) / normal.shape[0] * stiff.T @ stiff
        coefficients = np.linalg.solve(normal, design.T @ (w * share))
        shape = design @ coefficients
    grid = np.arange(np.ceil(model.span[0]), np.floor(model.span[1]) + 1.0)
    values = np.clip(BSpline(knots, coefficients, 3)(grid), 0.0, None)
    values /= values.max()
    top = int(np.argmax(values))
    first = max(int(np.argmax(values[top::-1] < FOOT)), 1)
    foot = top - first if values[: top + 1].min() < FOOT else 0
    rise = max(values[foot + 1] - values[foot], 1e-9)
    return Lamp(grid, values, float(grid[foot] + np.clip((FOOT - values[foot]) / rise, 0.0, 1.0)))


class _Match(NamedTuple):
    """Level, shift (px) and stretch of each lenslet's spectrum against the lamp's, arrays (n,).

    ``matrix`` (n, 2, 2) is the information on shift and stretch, the level eliminated.
    """

    level: F8
    level_error: F8
    shift: F8
    stretch: F8
    matrix: F8


def _match(measured: Measured, model: TraceModel, lamp: Lamp, trust: F8) -> _Match:
    """Fit each lenslet's spectrum by the lamp's; reference points are known to ``trust`` (n,) px beforehand."""
    n = model.along.size
    row, flux = measured.row, measured.flux
    slope = np.gradient(lamp.shape, lamp.distance)
    finite = np.isfinite(flux) & np.isfinite(measured.flux_error)
    noise, good = np.where(finite, measured.flux_error, 1.0), finite
    prior = np.zeros((n, 3, 3))
    prior[:, 1, 1], prior[:, 2, 2] = trust**-2, _STRETCH**-2
    total = np.zeros((n, 3))  # level, level times shift, level times stretch
    for freedom in _LAMP_FREEDOM:
        level = total[:, 0]
        shift = np.divide(total[:, 1], level, out=np.zeros(n), where=level > 0.0)
        d = measured.along - model.along[row] - shift[row]
        shape, fall = lamp(d), np.interp(d, lamp.distance, slope, left=0.0, right=0.0)
        # The shape about the present shift, for the whole of shift and stretch.
        design = np.stack([shape + fall * shift[row], -fall, -fall * d / model.scale], axis=1)
        error = np.hypot(noise, _LAMP_ERROR * np.abs(level[row]) * shape)
        matrix, rhs = _normal(row, design, good / error, np.where(good, flux / error, 0.0), n)
        weight = np.where(level > 0.0, level, np.median(np.abs(flux[finite]))) ** -2.0
        inverse = np.linalg.inv(matrix + prior * weight[:, None, None] + _tiny_ridge(matrix))
        total = np.einsum("ljk,lk->lj", inverse, rhs)
        misfit = np.abs(flux - (design * total[row]).sum(axis=1))
        good = finite & (misfit < _CLIP * error + freedom * np.abs(total[row, 0]))
    level, level_error = total[:, 0], np.sqrt(inverse[:, 0, 0])
    known = level > _CLIP * level_error
    safe = np.where(known, level, 1.0)
    head = np.maximum(matrix[:, :1, :1], np.finfo(float).tiny)
    information = matrix[:, 1:, 1:] - matrix[:, 1:, :1] * matrix[:, :1, 1:] / head
    information = np.where(known[:, None, None], information * (safe * safe)[:, None, None], 0.0)
    value = np.where(known[:, None], total[:, 1:] / safe[:, None], 0.0)
    return _Match(level, level_error, value[:, 0], value[:, 1], information)


def _tiny_ridge(matrix: F8) -> F8:
    """Diagonal (n, k, k) that keeps matrices without information invertible."""
    diagonal = 1e-9 * np.einsum("ljj->lj", matrix) + 1e-300
    ridge: F8 = diagonal[:, :, None] * np.eye(matrix.shape[1])
    return ridge
