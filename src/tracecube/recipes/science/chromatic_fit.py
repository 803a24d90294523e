"""Place, refraction and shape of a point source from all wavelengths at once.

In every slice of wavelength the light is linear: flux times the point-spread function plus the
columns of the sky. Those are solved for in place (variable projection, Golub and Pereyra
1973), so that the search runs over eleven numbers that all wavelengths share, each with its prior.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import NoConvergence
from tracecube.kernels.psf import (
    Shape,
    hexagon_area,
    hexagon_nodes,
    lattice_angle,
    lattice_pitch,
    lenslet_fractions,
)
from tracecube.recipes.science.scene import Scene, Slices, Track

__all__ = [
    "HALO",
    "NAMES",
    "ChromaticFit",
    "Geometry",
    "Prior",
    "Setting",
    "centre_of",
    "fit_source",
    "fractions",
    "growth_of",
    "judge",
    "shape_of",
    "slice_solution",
]

F8 = NDArray[np.float64]

_SPREAD = 1.4826  # standard deviation of a normal distribution over its median absolute deviation

NAMES = ("x", "y", "log_refraction", "turn", "log_sigma", "log_ratio", "log_beta", "logit_core", "rho", "e1", "e2")
HALO = ("log_ratio", "log_beta", "logit_core")


class Prior(NamedTuple):
    """Gaussian priors of the eleven numbers, in the order of `NAMES`.

    x, y (arcsec); log of the refraction over the computed one; turn of its direction (radian); log of
    the core's width (arcsec); log of halo over core radius; log of the halo exponent minus one; logit
    of the core's share; exponent of the growth with wavelength; two ellipticities.
    """

    mean: F8
    sd: F8

    def with_halo_held(self, power: float) -> Prior:
        """Return a prior whose halo, learnt from other stars, stands against what structure of the frame feigns.

        Structure is alike at all wavelengths and looks like wings: what a source seems to tell of its halo counts for
        as much less as its variance is larger than that of the noise. The fit weighs by the noise: the prior gains.

        Parameters
        ----------
        power : float
            Variance with structure over that of the noise alone.
        """
        return Prior(self.mean, np.where(np.isin(NAMES, HALO), self.sd / np.sqrt(power), self.sd))


@dataclass(frozen=True)
class Geometry:
    """Hexagons of the lattice: quadrature nodes and area."""

    nodes: tuple[F8, F8, F8]
    area: float

    @classmethod
    def of(cls, scene: Scene) -> Geometry:
        """Measure pitch and direction of the lattice on the scene itself."""
        pitch = lattice_pitch(scene.x, scene.y)
        return cls(hexagon_nodes(pitch, lattice_angle(scene.x, scene.y)), hexagon_area(pitch))


@dataclass(frozen=True)
class ChromaticFit:
    """The fitted source.

    Parameters
    ----------
    values, covariance : array (11,), (11, 11)
        In the order of `NAMES`.
    chi2 : float
        Of the slices, a degree of freedom, without the model error.
    model_error : float
        Relative error of the model in the brightest lenslets, found from the residuals.
    weight : array (k, n)
        Weights of the slices after outliers were given up.
    """

    values: F8
    covariance: F8
    chi2: float
    model_error: float
    weight: F8

    def error(self, name: str) -> float:
        """One-sigma error of one of the numbers."""
        index = NAMES.index(name)
        return float(np.sqrt(self.covariance[index, index]))

    def __getitem__(self, name: str) -> float:
        return float(self.values[NAMES.index(name)])


def shape_of(values: F8) -> Shape:
    """Shape at the reference wavelength."""
    sigma = np.exp(values[4])
    return Shape(
        sigma=float(sigma),
        alpha=float(sigma * np.exp(values[5])),
        beta=float(1.0 + np.exp(values[6])),
        core=float(1.0 / (1.0 + np.exp(-values[7]))),
        rho=float(values[8]),
        e1=float(values[9]),
        e2=float(values[10]),
    )


def centre_of(values: F8, track: Track) -> tuple[F8, F8]:
    """Place of the source along its track, arcsec."""
    size = np.exp(values[2])
    cosine, sine = size * np.cos(values[3]), size * np.sin(values[3])
    return (
        values[0] + cosine * track.east - sine * track.north,
        values[1] + sine * track.east + cosine * track.north,
    )


def growth_of(values: F8, track: Track) -> F8:
    """Width along the track over that at the reference wavelength."""
    return np.asarray(np.exp(values[8] * track.growth))


def fractions(values: F8, track: Track, x: F8, y: F8, geometry: Geometry) -> F8:
    """Share of the source's flux in each lenslet, array (m, n)."""
    centre, growth = centre_of(values, track), growth_of(values, track)
    return lenslet_fractions(x, y, centre, growth, shape_of(values), geometry.nodes, area=geometry.area)


@dataclass(frozen=True)
class Setting:
    """What a fit looks at.

    Parameters
    ----------
    slices : Slices
    scene : Scene
        The same lenslets, unaveraged.
    geometry : Geometry
        Of the whole field.
    sky : array (k, c, n)
        Columns that each slice may use freely.
    surface : int
        The first so many of them are the surface of the sky, alike in all slices.
    """

    slices: Slices
    scene: Scene
    geometry: Geometry
    sky: F8
    surface: int

    def share(self, values: F8) -> F8:
        """Share of the source's flux in each lenslet, array (k, n)."""
        return fractions(values, self.slices.track, self.scene.x, self.scene.y, self.geometry)

    def columns(self, values: F8, pictures: F8 | None = None) -> F8:
        """Columns of the linear problem: source, sky and pictures of a galaxy, array (k, c, n)."""
        rows = [self.share(values)[:, None, :], self.sky]
        return np.concatenate(rows if pictures is None else [*rows, pictures], axis=1)


class _Problem:
    """Residuals of the slices, sky projected out, as a function of the shared numbers."""

    def __init__(self, setting: Setting, weight: F8) -> None:
        self.setting = setting
        self.root = np.sqrt(weight)
        columns = np.moveaxis(setting.sky * self.root[:, None, :], 1, 2)
        self.basis = np.linalg.qr(columns)[0]
        self.data = self._project(setting.slices.flux * self.root)

    def _project(self, rows: F8) -> F8:
        """Take away from each row (k, n) what the sky can make."""
        inner = np.einsum("kn,knc->kc", rows, self.basis)
        return np.asarray(rows - np.einsum("kc,knc->kn", inner, self.basis))

    def residuals(self, values: F8) -> F8:
        """Weighted residuals (k, n) with the best flux in every slice."""
        model = self._project(self.setting.share(values) * self.root)
        power = np.maximum(np.einsum("kn,kn->k", model, model), 1e-300)
        flux = np.einsum("kn,kn->k", model, self.data) / power
        return np.asarray(self.data - flux[:, None] * model)


def fit_source(setting: Setting, prior: Prior, *, clip: float) -> ChromaticFit:
    """Fit the eleven shared numbers.

    The first pass weighs with the noise alone; its residuals give the relative error of the model
    (flat errors, departures from the shape) and the outliers, and the second pass uses both.

    Parameters
    ----------
    setting : Setting
    prior : Prior
    clip : float
        Slices of lenslets that deviate by more sigma are given up.

    Raises
    ------
    NoConvergence
        The search ends nowhere.
    """
    weight, values = setting.slices.weight, prior.mean
    for _ in range(2):
        values, covariance = _search(_Problem(setting, weight), prior, values)
        model_error, kept, chi2 = judge(setting, weight, setting.columns(values), clip, shared=values.size)
        weight = kept
    return ChromaticFit(values, covariance, chi2, model_error, weight)


def judge(setting: Setting, weight: F8, columns: F8, clip: float, *, shared: float) -> tuple[float, F8, float]:
    """Look at the residuals of a fit.

    Parameters
    ----------
    columns : array (k, c, n)
        The source first.
    shared : float
        Number of unknowns besides the columns' amplitudes.

    Returns
    -------
    model_error : float
    weight : array (k, n)
        For the next pass.
    chi2 : float
        A degree of freedom, with the noise alone and without outliers.
    """
    slices = setting.slices
    found = slice_solution(slices, weight, columns)
    deviation = slices.flux - np.einsum("kc,kcn->kn", found, columns)
    model_error, kept = _reweigh(slices, found[:, :1] * columns[:, 0], deviation, clip)
    freedom = max(1.0, np.count_nonzero(kept) - found.size - shared)
    chi2 = float(np.sum(np.where(kept > 0, deviation**2 * slices.weight, 0.0))) / freedom
    return model_error, kept, chi2


def _search(problem: _Problem, prior: Prior, start: F8) -> tuple[F8, F8]:
    """Run the search in units of the prior's widths; return values and covariance."""
    from scipy.optimize import least_squares  # noqa: PLC0415 - slow to import

    def residuals(steps: F8) -> F8:
        return np.concatenate([problem.residuals(prior.mean + prior.sd * steps).ravel(), steps])

    begin = (start - prior.mean) / prior.sd
    # The change of chi2 that ends the search is a thousandth of a sigma for a few thousand rows.
    found = least_squares(residuals, begin, method="trf", ftol=1e-7, xtol=1e-6, gtol=1e-12, max_nfev=40)
    if not np.all(np.isfinite(found.x)):
        raise NoConvergence("point source: the fit of place and shape diverged", hint="give a starting place")
    covariance = np.linalg.inv(found.jac.T @ found.jac)
    return prior.mean + prior.sd * found.x, covariance * np.outer(prior.sd, prior.sd)


def _reweigh(slices: Slices, own: F8, deviation: F8, clip: float) -> tuple[float, F8]:
    """Find the errors that the noise does not know, and the outliers; return model error and weights.

    Around the source, excess scatter is taken as noise of that slice (flat errors of a bright sky). In
    lenslets where the star is ten times brighter than the noise, it is taken to be proportional to
    the star's light (errors of the shape).

    Parameters
    ----------
    own : array (k, n)
        Light of the source in the model.
    deviation : array (k, n)
        Data minus model.
    """
    known = slices.weight > 0
    variance = np.where(known, 1.0 / np.where(known, slices.weight, 1.0), np.inf)
    variance = variance * _sky_excess(deviation, variance, known & (own < np.sqrt(variance)))
    bright = known & (own > 10.0 * np.sqrt(np.where(known, variance, 0.0)))
    model_error = 0.0
    if np.count_nonzero(bright) >= 30:
        relative = deviation[bright] / own[bright]
        excess = (_SPREAD * np.median(np.abs(relative))) ** 2 - np.median(variance[bright] / own[bright] ** 2)
        model_error = float(np.sqrt(max(0.0, excess)))
    total = variance + (model_error * own) ** 2
    keep = known & (np.abs(deviation) <= clip * np.sqrt(total))
    return model_error, np.where(keep, 1.0 / total, 0.0)


def _sky_excess(deviation: F8, variance: F8, faint: NDArray[np.bool_]) -> F8:
    """Variance about the source over that of the noise, slice by slice, one at least; array (k, 1)."""
    rows = [
        (_SPREAD * np.median(np.abs(gap[where]))) ** 2 / np.median(noise[where])
        if np.count_nonzero(where) >= 30
        else 1.0
        for gap, noise, where in zip(deviation, variance, faint, strict=True)
    ]
    return np.asarray(np.maximum(1.0, np.array(rows))[:, None])


def slice_solution(slices: Slices, weight: F8, columns: F8) -> F8:
    """Amplitudes (k, c) of columns (k, c, n) in the slices; that of a column without light is zero."""
    weighted = columns * weight[:, None, :]
    normal = np.matmul(weighted, np.swapaxes(columns, 1, 2))
    size = np.sqrt(np.maximum(np.einsum("kcc->kc", normal), 1e-30))
    # A trillionth keeps columns that vanish, as those of a faint galaxy's further pictures, from being free.
    normal = normal / (size[:, :, None] * size[:, None, :]) + 1e-12 * np.eye(columns.shape[1])
    found = np.linalg.solve(normal, np.matmul(weighted, slices.flux[..., None]) / size[..., None])
    return np.asarray(found[..., 0] / size)
