"""The profile of fibres across dispersion: effective (pixel included), oversampled, changing smoothly over the chip.

Measured in zones along the slit and at nodes along the spectra, all fibres of a zone and their neighbours' wings at
once (`kernels.shapes`); kept as a mean and its leading departures, each about its flux centroid.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import erf

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.interpolate import BSpline, CubicSpline
from scipy.linalg import block_diag
from scipy.optimize import nnls

from tracecube.core.fields import FloatArray
from tracecube.core.params import Params
from tracecube.kernels.forward import DesignMatrix
from tracecube.kernels.profiles import profile_knots
from tracecube.kernels.shapes import BASIS_STEP, RowTraces, ShapeEquations, mixed_matrix, shape_equations

__all__ = [
    "FibreProfile",
    "FibreProfileParams",
    "fibre_matrix",
    "fit_profile",
    "gaussian_profile",
    "side_by_side",
    "with_slopes",
]

_ORDER = 3
_ROUGH = 0.02  # fourth difference of the splines' coefficients that is believed without data; the peak is about 0.2
_HOLD = 1e2  # weight by which the integral is held at 1; the fluxes leave it free
_ALIKE = 0.02  # change over the amplifier that is believed where pixels can not tell; the peak is about 0.2


class FibreProfileParams(Params):
    """How finely the profile is measured."""

    reach: float = Field(8.5, gt=3, le=30, description="px from the centre at which the profile ends")
    zones: int = Field(3, ge=1, le=8, description="zones along the slit of an amplifier")
    nodes: int = Field(4, ge=2, le=12, description="nodes along the spectra, linear between them")
    every: int = Field(8, ge=1, le=32, description="take every so many columns")
    shapes: int = Field(4, ge=1, le=8, description="shapes kept: the mean and its departures")


@dataclass(frozen=True)
class FibreProfile:
    """Shapes and their weights over an amplifier.

    Parameters
    ----------
    u : array (k,), px
    value : array (k, n_shape)
        The first has integral 1, the others 0; flux centroids at 0.
    weight : array (n_shape, zones, nodes)
    rows : (float, float)
        First and last row of the amplifier's zones.
    """

    u: FloatArray
    value: FloatArray
    weight: FloatArray
    rows: tuple[float, float]

    def mix(self, centre: FloatArray) -> NDArray[np.float32]:
        """Weights (n_shape, n, m) for fibres at ``centre`` (n, m), linear between and beyond zones and nodes."""
        n_zone, n_node = self.weight.shape[1:]
        m = centre.shape[1]
        along = _linear(np.arange(m) / max(m - 1, 1) * (n_node - 1), n_node)
        place = (centre.mean(axis=1) - self.rows[0]) / (self.rows[1] - self.rows[0]) * n_zone - 0.5
        across = _linear(place, n_zone)
        return np.asarray(np.einsum("iz,szk,xk->six", across, self.weight, along, optimize=True), np.float32)


def _linear(place: FloatArray, count: int) -> NDArray[np.float64]:
    """Weights (n, count) of linear interpolation at ``place``, going on straight beyond both ends."""
    weight = np.zeros((place.size, count))
    if count == 1:
        return weight + 1.0
    low = np.clip(np.floor(place).astype(int), 0, count - 2)
    share = np.clip(place - low, -0.5, 1.5)
    weight[np.arange(place.size), low] = 1.0 - share
    weight[np.arange(place.size), low + 1] = share
    return weight


def gaussian_profile(reach: float, sigma: float, rows: tuple[float, float]) -> FibreProfile:
    """A Gaussian integrated over pixels, everywhere the same."""
    half = round(reach / BASIS_STEP)
    u = np.arange(-half, half + 1) * BASIS_STEP
    edge = [np.array([erf(v) for v in (u + side) / (sigma * 2**0.5)]) for side in (0.5, -0.5)]
    return FibreProfile(u, (0.5 * (edge[0] - edge[1]))[:, None], np.ones((1, 1, 2)), rows)


def fibre_matrix(
    centre: FloatArray, profile: tuple[FloatArray, FloatArray, FloatArray], shape: tuple[int, int], *, slope: bool
) -> DesignMatrix:
    """Footprints of fibres on an image, unknowns column by column and within a column from the bottom up.

    Parameters
    ----------
    centre : array (n, m), px
        Rising along the first axis; ``m`` is the number of columns.
    profile : (u (k,), value (k, n_shape), mix (n_shape, n, m))
    shape : (int, int)
    slope : bool
        Give the derivative with the centre instead.
    """
    u, value, mix = profile
    n, m = centre.shape
    return mixed_matrix(
        np.repeat(np.arange(m, dtype=np.float64), n),
        np.ascontiguousarray(centre.T, np.float64).ravel(),
        np.ascontiguousarray(np.moveaxis(mix, 2, 1), np.float32).reshape(mix.shape[0], n * m),
        np.asarray(u, np.float64),
        np.asarray(value, np.float64),
        shape=shape,
        half_width=int(np.ceil(u[-1])),
        shift_across=slope,
    )


def side_by_side(parts: list[DesignMatrix], counts: list[int], shape: tuple[int, int]) -> DesignMatrix:
    """Interleave the columns of amplifiers that lie one above the other."""
    if len(parts) == 1:
        return parts[0]
    width = max(part.weight.shape[1] for part in parts)
    columns = shape[1]
    weight, origin = [], []
    for part, n in zip(parts, counts, strict=True):
        wide = np.pad(part.weight, ((0, 0), (0, width - part.weight.shape[1]), (0, 0)))
        weight.append(wide.reshape(columns, n, width, 1))
        origin.append(part.origin.reshape(columns, n, 2))
    total = sum(counts)
    return DesignMatrix(
        np.concatenate(origin, axis=1).reshape(columns * total, 2),
        np.concatenate(weight, axis=1).reshape(columns * total, width, 1),
        shape,
    )


def with_slopes(a: DesignMatrix, slope: DesignMatrix) -> DesignMatrix:
    """Interleave footprints with their derivatives: unknowns flux, flux times shift, next flux, ..."""
    weight = np.stack([a.weight, slope.weight], axis=1).reshape(-1, *a.weight.shape[1:])
    return DesignMatrix(np.repeat(a.origin, 2, axis=0), np.ascontiguousarray(weight), a.shape)


@dataclass(frozen=True)
class _Splines:
    """The basis: values (n, k) at ``u`` (k,), and the integral (n,) of each."""

    u: NDArray[np.float64]
    values: NDArray[np.float64]
    area: NDArray[np.float64]

    @classmethod
    def reaching(cls, reach: float) -> _Splines:
        knots = profile_knots(reach)
        half = round(reach / BASIS_STEP)
        u = np.arange(-half, half + 1) * BASIS_STEP
        each = [
            BSpline.basis_element(knots[i : i + _ORDER + 2], extrapolate=False) for i in range(knots.size - _ORDER - 1)
        ]
        values = np.array([np.nan_to_num(one(u)) for one in each])
        return cls(np.asarray(u, np.float64), values, values.sum(axis=1) * BASIS_STEP)

    def coefficients(self, curve: FloatArray) -> NDArray[np.float64]:
        """Coefficients of the nearest curve of integral 1 that is nowhere negative."""
        found = nnls(self.values.T, np.asarray(curve, np.float64))[0]
        return np.asarray(found / (found @ self.area))


def fit_profile(
    data: FloatArray,
    ivar: FloatArray,
    centre: FloatArray,
    old: FibreProfile,
    params: FibreProfileParams,
    *,
    ground: bool,
) -> tuple[FibreProfile, float]:
    """Measure the profile of an amplifier's fibres about given centres.

    Parameters
    ----------
    data, ivar : array (rows, columns)
    centre : array (n, columns), px
        Of the live fibres.
    old : FibreProfile
        To start from.
    params : FibreProfileParams
    ground : bool
        Give every column of a zone a constant of its own; else scattered light has been taken off.

    Returns
    -------
    FibreProfile
    float
        Reduced chi-square before this step.
    """
    splines = _Splines.reaching(params.reach)
    n, m = centre.shape
    node = np.tile(np.arange(m) / (m - 1.0) * (params.nodes - 1), n)
    order = np.lexsort((centre.ravel(), np.tile(np.arange(m), n)))
    traces = RowTraces(np.arange(m + 1) * n, centre.ravel()[order].astype(np.float64), node[order])
    edges = np.linspace(old.rows[0], old.rows[1], params.zones + 1).astype(int)
    start = splines.coefficients(np.interp(splines.u, old.u, old.value[:, 0]))
    sums = [
        shape_equations(
            np.asarray(data, np.float32),
            np.asarray(ivar, np.float32),
            traces,
            splines.values,
            np.tile(start, (params.nodes, 1)),
            zone=(int(low), int(high), 0, m),
            every=params.every,
            ground=ground,
        )
        for low, high in pairwise(edges)
    ]
    chi2 = sum(one.chi2 for one in sums) / max(sum(one.samples for one in sums), 1)
    curves = _smooth_solution(sums, start, splines, params) @ splines.values
    return _leading(splines.u, curves, params, old.rows), float(chi2)


def _smooth_solution(
    sums: list[ShapeEquations], start: FloatArray, splines: _Splines, params: FibreProfileParams
) -> NDArray[np.float64]:
    """Coefficients (zones * nodes, n) of one solution in which they are low polynomials over the amplifier.

    What changes over the amplifier is symmetric: a lean that changes can not be told from centres that move.
    """
    y = np.linspace(-1.0, 1.0, params.zones) if params.zones > 1 else np.zeros(1)
    x = np.linspace(-1.0, 1.0, params.nodes)
    terms = [np.ones((y.size, x.size)), np.add.outer(0.0 * y, x)]
    terms += [np.add.outer(y, 0.0 * x)] if params.zones > 1 else []
    terms += [np.add.outer(0.0 * y, x**2 - 0.5)] if params.nodes > 2 else []
    terms += [np.multiply.outer(y, x)] if params.zones > 1 else []
    terms += [np.add.outer(y**2 - 0.5, 0.0 * x)] if params.zones > 2 else []
    design = np.stack(terms, axis=2)
    count, n = design.shape[2], start.size
    rough = np.diff(np.eye(n), 4, axis=0) / _ROUGH
    each = rough.T @ rough + _HOLD**2 * np.outer(splines.area, splines.area)
    first = np.zeros((count, n))
    first[0] = start
    matrix, rhs = np.zeros((count * n, count * n)), np.zeros(count * n)
    for at, one in zip(design, sums, strict=True):
        spread = np.kron(at, np.eye(n))
        own = np.kron(np.eye(params.nodes), each)
        pull = np.tile(_HOLD**2 * splines.area, params.nodes) - own @ np.tile(start, params.nodes)
        matrix += spread.T @ (one.matrix + own) @ spread
        rhs += spread.T @ (one.rhs + pull)
    changing = np.repeat(np.arange(count) > 0, n)
    matrix += np.diag(changing / _ALIKE**2)
    even = 0.5 * (np.eye(n) + np.eye(n)[::-1])[:, : (n + 1) // 2]
    free = block_diag(np.eye(n), *[even] * (count - 1))
    found = first.ravel() + free @ np.linalg.solve(free.T @ matrix @ free, free.T @ rhs)
    return np.asarray(design.reshape(-1, count) @ found.reshape(count, n))


def _leading(u: FloatArray, curves: FloatArray, params: FibreProfileParams, rows: tuple[float, float]) -> FibreProfile:
    """Keep the mean curve about its flux centroid, and the leading departures from it.

    Zones and nodes are laid upon the mean by shift and stretch: a centroid of each would swing with its faint wings.
    """
    curves = curves / (curves.sum(axis=1, keepdims=True) * BASIS_STEP)
    for _ in range(3):
        mean = curves.mean(axis=0)
        slope = np.gradient(mean, BASIS_STEP)
        modes = np.stack([-slope, -(mean + u * slope)], axis=1)
        move = np.linalg.lstsq(modes, (curves - mean).T, rcond=None)[0][0]
        move += float((mean * u).sum() * BASIS_STEP)
        curves = np.array([CubicSpline(u, curve)(u + step) for curve, step in zip(curves, move, strict=True)])
        curves /= curves.sum(axis=1, keepdims=True) * BASIS_STEP
    mean = curves.mean(axis=0)
    left, power, right = np.linalg.svd(curves - mean, full_matrices=False)
    kept = min(params.shapes - 1, power.size)
    weight = np.concatenate([np.ones((len(curves), 1)), left[:, :kept] * power[:kept]], axis=1)
    return FibreProfile(
        u, np.vstack([mean, right[:kept]]).T, weight.T.reshape(kept + 1, params.zones, params.nodes), rows
    )
