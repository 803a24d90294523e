"""Cross-dispersion profile of lenslet spectra: a few shapes, mixed by place on the detector and wavelength.

Zone by zone and at a few nodes along the spectrum the profile is a sum of B-splines fitted to lamp
frames with the fluxes eliminated (`kernels.shapes`). An evenly lit field says little of the wings, for
what one trace loses its neighbours give back; a frame of pinholes does, and all zones share what they
know: zones scatter about the detector's profile by so much, and each is drawn towards it by its own
error (normal-normal hierarchical model; Gelman et al., Bayesian Data Analysis, eqs. 5.17-5.20, in many
dimensions). Of all zones' and nodes' profiles only the leading shapes are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.interpolate import BSpline, CubicSpline
from scipy.ndimage import map_coordinates
from scipy.optimize import nnls
from scipy.special import erf

from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.flags import NOT_USABLE
from tracecube.core.frame import Frame
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.kernels.profiles import profile_knots
from tracecube.kernels.shapes import BASIS_STEP, RowTraces, shape_equations
from tracecube.recipes.optics.profile_leak import leak_errors, level_covariance

__all__ = ["LensletProfile", "ProfileParams", "fit_lenslet_profile"]

_ORDER = 3
_CORE = 3.0  # px: nearer to the centre a zone's profile is free, farther out it is drawn towards the detector's
_FREE = 0.1  # scatter of a zone's core coefficients about the detector's: a fourth of the profile's peak
_ROUGH = 0.05
"""Scatter of the fourth differences of neighbouring coefficients: those of a core of 2.2 px FWHM."""
_WING_POWER = 2.5  # of the wings' fall: diffraction by a lenslet's edge, integrated along the dispersion
_FAR = 7.0  # px: two traces stand 5 px apart, the next 10
_BUMP, _FAR_BUMP = 0.15, 0.02  # second difference of a wing over its power law, from knot to knot, near and far
_UNLIKE = 0.15  # scatter of the wings from node to node over the power law
_WINDOW, _CENTRE_STEPS = 1.2, 20  # px: of the core's centroid; a step of twice the centroid nearly meets it
_HOLD = 1e3  # inverse variance that keeps a profile's integral at 1 where fluxes are free to take any other


class ProfileParams(Params):
    """How the cross-dispersion profile is measured."""

    profile_reach: float = Field(20.0, gt=4, le=40, description="px from the centre to the end of a profile's wings")
    profile_zones: int = Field(5, ge=1, le=12, description="zones a side of the detector with a profile each")
    profile_nodes: int = Field(4, ge=2, le=8, description="nodes along the spectrum between which the profile changes")
    profile_shapes: int = Field(5, ge=1, le=12, description="shapes that are kept")
    profile_rounds: int = Field(3, ge=1, le=10, description="steps of the fit")
    profile_every: int = Field(4, ge=1, le=64, description="use every so many detector rows")
    wing_tolerance: float = Field(0.25, gt=0, description="how far a zone's wings may be from the detector's, share")


@dataclass(frozen=True)
class LensletProfile:
    """Shapes and their weights.

    Parameters
    ----------
    u : array (k,), px
    value : array (k, n_shape)
        Effective profiles (the pixel's width included); the first has integral 1, the others 0.
    weight : array (n_shape, zones, zones, n_node)
        Of each shape by zone (y, x) and node; the first is 1 everywhere.
    offset : array (zones, zones, n_node), px
        Centre of the core from the centre that was given, over that of all zones and nodes; taken out of the profiles.
    shape : (int, int)
        Detector (y, x).
    """

    u: FloatArray
    value: FloatArray
    weight: FloatArray
    offset: FloatArray
    shape: tuple[int, int]

    def mix(self, x: FloatArray, y: FloatArray, node: FloatArray) -> FloatArray:
        """Weights of the shapes at places (px) and nodes: array (n_shape, *x.shape), linear between zones and nodes."""
        return np.stack([self._at(one, x, y, node) for one in self.weight]).astype(np.float32)

    def move(self, x: FloatArray, y: FloatArray, node: FloatArray) -> FloatArray:
        """Offset (px) of the core at places (px) and nodes, array of their shape."""
        return self._at(self.offset, x, y, node)

    def _at(self, values: FloatArray, x: FloatArray, y: FloatArray, node: FloatArray) -> FloatArray:
        zones = values.shape[0]
        rows = np.clip(y / self.shape[0] * zones - 0.5, 0, zones - 1)
        columns = np.clip(x / self.shape[1] * zones - 0.5, 0, zones - 1)
        place = [np.nan_to_num(axis) for axis in (rows, columns, node)]
        return np.asarray(map_coordinates(values, place, order=1, mode="nearest"))


@dataclass(frozen=True)
class _Splines:
    """The basis: values (n, k) at ``u`` (k,), the integral (n,) of each, and the place of its peak."""

    u: FloatArray
    values: NDArray[np.float64]
    area: FloatArray
    middle: FloatArray

    @classmethod
    def reaching(cls, reach: float) -> _Splines:
        knots = profile_knots(reach)
        half = round(reach / BASIS_STEP)
        u = np.arange(-half, half + 1) * BASIS_STEP
        count = knots.size - _ORDER - 1
        values = np.array(
            [
                np.nan_to_num(BSpline.basis_element(knots[i : i + _ORDER + 2], extrapolate=False)(u))
                for i in range(count)
            ]
        )
        return cls(u, values, values.sum(axis=1) * BASIS_STEP, knots[2 : count + 2])

    def gaussian(self, sigma: float) -> FloatArray:
        """Coefficients of a Gaussian integrated over pixels."""
        edge = [erf((self.u + side) / (sigma * 2**0.5)) for side in (0.5, -0.5)]
        found = nnls(self.values.T, 0.5 * (edge[0] - edge[1]))[0]
        return np.asarray(found / (found @ self.area))


def fit_lenslet_profile(
    frames: Sequence[Frame],
    weights: Sequence[float],
    start: IntArray,
    centre: NDArray[np.float64],
    node: NDArray[np.float64],
    params: ProfileParams,
    *,
    sigma: float,
) -> tuple[LensletProfile, tuple[QualityNumber, ...]]:
    """Measure the profile of lenslet spectra that run along y.

    Parameters
    ----------
    frames : sequence of Frame
        White light through the lenslets; pinholes tell the wings.
    weights : sequence of float
        Of the frames: how far what they leave of the model is noise.
    start : int array (n,)
        First detector row of each spectrum.
    centre : array (n, m), px
        Place across on rows ``start + j``; NaN where there is no spectrum.
    node : array (n, m)
        Place along the spectrum, 0 at the blue end to ``profile_nodes`` - 1 at the red.
    params : ProfileParams
    sigma : float, px
        Width of the first, Gaussian profile.
    """
    shape = frames[0].data.shape
    traces = _by_row(start, centre, node, shape[0])
    splines = _Splines.reaching(params.profile_reach)
    light = [_canonical(frame, weight) for frame, weight in zip(frames, weights, strict=True)]
    count, zones = params.profile_nodes, params.profile_zones
    found = np.tile(splines.gaussian(sigma), (zones * zones, count, 1))
    equations: list[_Equations] = []
    told: _Told | None = None
    for _ in range(params.profile_rounds):
        places = [_zone(row, column, zones, shape) for row in range(zones) for column in range(zones)]
        equations = [
            _sum_up(light, weights, traces, splines, old, zone=zone, every=params.profile_every)
            for old, zone in zip(found, places, strict=True)
        ]
        found, told = _drawn_together(equations, found, splines, params.wing_tolerance)
    chi2 = float(np.mean([one.chi2 for one in equations]))
    profile = _leading(found.reshape(zones, zones, count, -1), splines, params, (shape[0], shape[1]))
    return profile, (QualityNumber("PROFILE CHI2", chi2, "", high=2.0), *_leak_numbers(told, splines, traces))


def _leak_numbers(told: _Told | None, splines: _Splines, traces: RowTraces) -> tuple[QualityNumber, ...]:
    """What the profile leaves open, by the frames alone, and with calm wings.

    Light found in the first and second neighbour, and flux at one place of the spectrum against that at the others.
    """
    gaps = np.diff(traces.place)
    gaps = gaps[gaps > 0.0]  # where a row ends the next begins
    if told is None or not gaps.size:
        return ()
    spacing, u, common = float(np.median(gaps)), np.asarray(splines.u, float), np.asarray(told.common, float)
    numbers = []
    for name, normal in (("UNTOLD", told.frames), ("ERROR", told.frames + told.calm)):
        leak = 100.0 * leak_errors(u, splines.values, common, normal, spacing=spacing)
        level = level_covariance(u, splines.values, common, normal, traces, spacing=spacing)
        numbers += [QualityNumber(f"LEAK{number + 1} {name}", float(leak[number]), "%") for number in (0, 1)]
        numbers.append(QualityNumber(f"LEVEL {name}", 100.0 * float(np.sqrt(np.trace(level) / len(level))), "%"))
    return tuple(numbers)


def _by_row(start: IntArray, centre: NDArray[np.float64], node: NDArray[np.float64], n_rows: int) -> RowTraces:
    """Sort trace samples by detector row and place."""
    rows = start[:, None] + np.arange(centre.shape[1])
    on = np.isfinite(centre) & (rows >= 0) & (rows < n_rows)
    order = np.lexsort((centre[on], rows[on]))
    return RowTraces(
        np.searchsorted(rows[on][order], np.arange(n_rows + 1)),
        centre[on][order],
        np.ascontiguousarray(node[on][order]),
    )


def _canonical(frame: Frame, weight: float) -> tuple[FloatArray, FloatArray]:
    """Return data and weight (across, along)."""
    bad = ((frame.flags & NOT_USABLE) != 0) | ~np.isfinite(frame.data)
    ivar = np.where(bad, 0.0, weight / np.where(bad, 1.0, frame.variance))
    return np.where(bad, 0.0, frame.data).T.astype(np.float32), ivar.T.astype(np.float32)


def _zone(row: int, column: int, zones: int, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Pixels of a zone: across (x) from and to, along (y) from and to."""
    x = np.linspace(0, shape[1], zones + 1).astype(int)
    y = np.linspace(0, shape[0], zones + 1).astype(int)
    return int(x[column]), int(x[column + 1]), int(y[row]), int(y[row + 1])


@dataclass(frozen=True)
class _Equations:
    """Of one zone: ``matrix @ step = rhs`` for a step in its coefficients, and chi-square before it."""

    matrix: FloatArray
    rhs: FloatArray
    chi2: float


@dataclass(frozen=True)
class _Told:
    """Of the detector's profile: coefficients (n_node, n), and inverse covariance by the frames and by calm wings."""

    common: FloatArray
    frames: NDArray[np.float64]
    calm: NDArray[np.float64]


def _sum_up(
    light: Sequence[tuple[FloatArray, FloatArray]],
    weights: Sequence[float],
    traces: RowTraces,
    splines: _Splines,
    found: NDArray[np.float64],
    *,
    zone: tuple[int, int, int, int],
    every: int,
) -> _Equations:
    """Sum a zone's equations over the frames, with what holds everywhere: integral 1, and smoothness."""
    sums = [shape_equations(d, w, traces, splines.values, found, zone=zone, every=every) for d, w in light]
    samples = sum(weight * one.samples for weight, one in zip(weights, sums, strict=True))
    nodes, n = found.shape
    fourth = np.diff(np.eye(n), 4, axis=0) / _ROUGH
    own = np.kron(np.eye(nodes), fourth.T @ fourth + _HOLD**2 * np.outer(splines.area, splines.area))
    pull = np.kron(np.ones(nodes), _HOLD**2 * splines.area) - own @ found.ravel()
    return _Equations(
        np.sum([one.matrix for one in sums], axis=0) + own,
        np.sum([one.rhs for one in sums], axis=0) + pull,
        float(sum(one.chi2 for one in sums) / max(samples, 1e-9)),
    )


def _drawn_together(
    equations: Sequence[_Equations], found: FloatArray, splines: _Splines, tolerance: float
) -> tuple[NDArray[np.float64], _Told]:
    """Return all zones' coefficients (n_zone, n_node, n), each drawn towards the detector's by its own error."""
    shape = found[0].shape
    wing = np.tile(np.abs(splines.middle) > _CORE, (shape[0], 1)).ravel()
    targets = [one.matrix @ old.ravel() + one.rhs for one, old in zip(equations, found, strict=True)]
    scatter = np.where(wing, 1e-3, _FREE)  # a thousandth of the peak, until the wings are known
    common = np.mean(found, axis=0).ravel()
    for _ in range(3):
        spread = np.diag(scatter**2)
        left, right = np.zeros((wing.size, wing.size)), np.zeros(wing.size)
        for one, target in zip(equations, targets, strict=True):
            marginal = np.linalg.inv(np.eye(wing.size) + one.matrix @ spread)  # (M^-1 + T)^-1 = (1 + M T)^-1 M
            left += marginal @ one.matrix
            right += marginal @ target
        calm = np.asarray(_calm_wings(common, splines, shape), np.float64)
        common = np.linalg.solve(left + calm, right)
        scatter = np.where(wing, tolerance * np.abs(common) + 1e-4, _FREE)
    pull = 1.0 / scatter**2
    new = [
        np.linalg.solve(one.matrix + np.diag(pull), target + pull * common)
        for one, target in zip(equations, targets, strict=True)
    ]
    return np.array(new).reshape(found.shape), _Told(common.reshape(shape), left, calm)


def _calm_wings(common: FloatArray, splines: _Splines, shape: tuple[int, ...]) -> FloatArray:
    """Inverse covariance by which either wing follows a power law times what changes slowly, alike at all nodes.

    Traces stand at equal distances, so an evenly lit field cannot tell a bump of the wing at that
    distance from the neighbour's own light: far bumps are not believed, nor wings that come and go.
    """
    nodes, n = shape
    level = np.abs(common.reshape(nodes, n)).mean(axis=0)
    total = np.zeros((nodes * n, nodes * n))
    alike = np.eye(nodes) - 1.0 / nodes
    for side in (-1.0, 1.0):
        wing = np.flatnonzero(side * splines.middle >= _CORE)
        wing = wing[np.argsort(np.abs(splines.middle[wing]))]
        distance = np.abs(splines.middle[wing])
        law = max(float(level[wing[0]]), 1e-3) * (distance[0] / distance) ** _WING_POWER
        bump = np.where(distance[2:] < _FAR, _BUMP, _FAR_BUMP)
        bend = np.diff(np.eye(wing.size), 2, axis=0) / law / bump[:, None]
        for node in range(nodes):
            at = node * n + wing
            total[np.ix_(at, at)] += bend.T @ bend
        for k, place in enumerate(wing):
            at = np.arange(nodes) * n + place
            total[np.ix_(at, at)] += alike / (_UNLIKE * law[k]) ** 2
    return total


def _leading(found: FloatArray, splines: _Splines, params: ProfileParams, shape: tuple[int, int]) -> LensletProfile:
    """Keep the mean profile and the leading departures from it, each about the centre of its core."""
    zones, nodes = found.shape[0], found.shape[2]
    curves = found.reshape(-1, found.shape[3]) @ splines.values
    offset = np.array([_core_centre(splines.u, curve) for curve in curves])
    offset -= offset.mean()  # common to all is the asymmetry of a PSFlet, not a miss of the lasers
    flat = np.array(
        [CubicSpline(splines.u, curve)(splines.u + move) for curve, move in zip(curves, offset, strict=True)]
    )
    flat /= flat.sum(axis=1, keepdims=True) * BASIS_STEP
    mean = flat.mean(axis=0)
    left, power, right = np.linalg.svd(flat - mean, full_matrices=False)
    kept = min(params.profile_shapes - 1, power.size)
    weight = np.concatenate([np.ones((len(flat), 1)), left[:, :kept] * power[:kept]], axis=1)
    return LensletProfile(
        u=splines.u,
        value=np.vstack([mean, right[:kept]]).T,
        weight=weight.T.reshape(kept + 1, zones, zones, nodes),
        offset=offset.reshape(zones, zones, nodes),
        shape=shape,
    )


def _core_centre(u: FloatArray, curve: FloatArray) -> float:
    """Centroid of a profile in a Gaussian window about itself."""
    centre = 0.0
    for _ in range(_CENTRE_STEPS):
        window = np.exp(-0.5 * ((u - centre) / _WINDOW) ** 2) * curve
        centre += 2.0 * float(((u - centre) * window).sum() / window.sum())
    return centre
