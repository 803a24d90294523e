"""The cross-dispersion profile with its wings, and the smooth ground under the traces."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from tracecube.kernels.forward import DesignMatrix, Footprints, Profile, design_matrix, project
from tracecube.kernels.profiles import (
    profile_basis,
    profile_coefficients,
    profile_knots,
    solve_profile,
    to_core_gauge,
)
from tracecube.kernels.scatter import spline_basis
from tracecube.kernels.solve import MEASURED_SHARE
from tracecube.recipes.optics.trace_model import WIDTH_STEP, Light, TraceModel, footprints, unknowns

__all__ = ["Shape", "fit_profile"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

# Powers of the distance along the traces that centre and width may be off by, all traces alike.
_TREND_TERMS = 3
# Share of its own information by which a flux is held at zero: parts traces that lie on each other.
_RIDGE = 1e-6


class _Column(NamedTuple):
    """One detector column: its pixels, its traces (with powers of their distance), the ground's splines."""

    data: F8
    ivar: F8
    ground: F8
    foot: Footprints
    trend: F8
    smooth: F8


class Shape(NamedTuple):
    """Profile and ground.

    ``density`` (k,) over ``u`` (k,), in core widths from the core's centre, integral 1. ``shift``
    and ``stretch`` are centre and width of the new core in the old one's units. ``ground`` (across,
    along) is the smooth light under the traces.
    """

    u: F8
    density: F8
    shift: float
    stretch: float
    ground: F4


def fit_profile(light: Light, model: TraceModel, old: Profile, columns: I8, *, reach: float, pieces: int) -> Shape:
    """Improve the profile of all traces, and fit the ground, for known centres and widths.

    One Gauss-Newton step on d = A(p) f + ground, with the fluxes f of all traces eliminated column
    by column: what a change of the profile does to the fluxes is part of the equations (variable
    projection; Golub & Pereyra 1973, SIAM J. Numer. Anal. 10, 413). So are common errors of centre
    and width that vary along the traces: at their faint ends these look like wings of the brighter
    neighbours, and would be slow to part if one were fitted after the other.

    Parameters
    ----------
    light : Light
        Its ground is fitted anew.
    model : TraceModel
    old : Profile
        The profile so far.
    columns : int array
        Columns to use: some ten thousand samples of all phases fix the profile.
    reach : float
        Where the wings end, in core widths.
    pieces : int
        Spline pieces of the ground a side.
    """
    knots = profile_knots(reach)
    basis = profile_basis(knots)
    shape = light.data.shape
    across, along = spline_basis(shape[0], pieces), spline_basis(shape[1], pieces)
    half_width = int(np.ceil(reach * float(np.exp(model.width[:, 0]).max()))) + 1
    row, column = unknowns(model, columns, shape[1])
    n_ground = across.shape[1] * along.shape[1]
    size = len(basis) + 2 * _TREND_TERMS + n_ground
    matrix, rhs = np.zeros((size, size)), np.zeros(size)
    for x in columns:
        here = column == x
        foot = footprints(model, row[here], column[here], columns)
        foot = foot._replace(along=np.zeros(int(here.sum())))
        data, ivar, ground = (image[:, x].astype(float) for image in (light.data, light.ivar, light.ground))
        trend = (column[here, None] - model.along[row[here], None]) / model.scale
        powers = trend ** np.arange(1, _TREND_TERMS + 1)
        touching = np.flatnonzero(along[x])
        smooth = np.einsum("ci,j->cij", across, along[x, touching]).reshape(shape[0], -1)
        left, right = _column_equations(_Column(data, ivar, ground, foot, powers, smooth), old, basis, half_width)
        under = np.add.outer(np.arange(across.shape[1]) * along.shape[1], touching).ravel()
        place = np.concatenate([np.arange(size - n_ground), size - n_ground + under])
        matrix[np.ix_(place, place)] += left
        rhs[place] += right
    area = np.array([one.cumulative[-1] for one in basis])
    coefficients, rest = solve_profile(matrix, rhs, profile_coefficients(knots, old), area)
    u, density, shift, stretch = to_core_gauge(knots, coefficients)
    surface = rest[2 * _TREND_TERMS :].reshape(across.shape[1], along.shape[1])
    return Shape(u, density, shift, stretch, np.asarray(across @ surface @ along.T, np.float32))


def _column_equations(column: _Column, old: Profile, basis: list[Profile], half_width: int) -> tuple[F8, F8]:
    """Normal equations of profile, trends and ground from one column, the fluxes eliminated."""
    data, ivar, ground, foot, trend, smooth = column
    shape = (data.size, 1)

    def build(profile: Profile, widened: float = 1.0, *, shift: bool = False) -> DesignMatrix:
        wide = foot._replace(sigma=foot.sigma * widened)
        return design_matrix(wide, profile, shape, half_width=half_width, shift_across=shift)

    a = build(old).sparse()
    squared = a.multiply(a)
    share = (squared.T @ (ivar > 0.0)) / np.maximum(np.median(squared.sum(axis=0)), np.finfo(float).tiny)
    measured = share > MEASURED_SHARE
    a = a[:, measured]
    weighted = a.T.multiply(ivar).tocsr()
    gram = (weighted @ a).toarray()
    gram += np.diag(_RIDGE * np.diag(gram))
    factor = cho_factor(gram)
    flux = np.zeros(measured.size)
    flux[measured] = cho_solve(factor, weighted @ (data - ground))
    images = [project(build(one), flux)[:, 0] for one in basis]
    moved, wider = build(old, shift=True), build(old, 1.0 + WIDTH_STEP)
    narrower = build(old, 1.0 - WIDTH_STEP)
    images += [project(moved, flux * power)[:, 0] for power in trend.T]
    images += [(project(wider, flux * p) - project(narrower, flux * p))[:, 0] / (2.0 * WIDTH_STEP) for p in trend.T]
    design = np.concatenate([np.stack(images, axis=1).astype(float), smooth], axis=1)
    cross = weighted @ design
    left = (design.T * ivar) @ design - cross.T @ cho_solve(factor, cross)
    right = design.T @ (ivar * data) - cross.T @ cho_solve(factor, weighted @ data)
    return left, right
