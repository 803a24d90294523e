"""Joint extraction: all apertures of a detector in one weighted least-squares solution.

d = A f + b + n is solved for the spectra f on detector columns and a smooth scattered-light
surface b together (docs: physics/extraction). Bad pixels weigh nothing; the variance of each pixel
is read noise plus the light that the model, not the noisy count, says is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.flags import NOT_USABLE
from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet
from tracecube.core.params import Params
from tracecube.kernels.forward import DesignMatrix, Footprints, cumulative_profile, design_matrix, project
from tracecube.kernels.ground import Curvature, Ground, Strips, ground_of
from tracecube.kernels.scatter import column_levels, fit_scattered
from tracecube.kernels.shapes import mixed_matrix
from tracecube.kernels.solve import Factor, Solution, band_width, estimate, factorise, normal_equations, solve

__all__ = ["Extraction", "ExtractionParams", "TraceMatrix", "extract", "reduced_chi2", "trace_matrix"]


# Pixels with more than this share of some footprint count in the chi-square.
LIT_WEIGHT = 0.02
_NO_ERRORS = np.zeros((0, 0))


class ExtractionParams(Params):
    """How spectra are taken off the detector."""

    half_width: int = Field(12, ge=2, le=40, description="pixels on either side of a trace that its footprint covers")
    scatter_pieces: int = Field(6, ge=0, le=30, description="spline pieces of scattered light a side; 0 for none")
    strips: int = Field(
        0,
        ge=0,
        le=64,
        description="strips across dispersion, one an output, whose levels are fitted with that; 0 for none",
    )
    strip_pieces: int = Field(4, ge=1, le=16, description="spline pieces along a strip")
    strip_reference: int = Field(512, ge=1, description="reference pixels behind the level of a strip")
    stripes: bool = Field(
        False,
        description="fit a level of every detector column (across dispersion) with that: an array's rows share one",
    )
    clip: float = Field(6.0, gt=3.0, description="pixels this many sigma off the model are outliers")
    passes: int = Field(3, ge=1, le=6, description="solutions; each takes variance and outliers from the last")
    method: Literal["joint", "optimal", "box"] = Field(
        "joint", description="all apertures at once, or each alone as older pipelines do, for comparison"
    )
    box: float = Field(
        5.0,
        ge=1,
        le=15,
        description="width of a box across dispersion, px; pixels at its ends count by their part in it",
    )

    def ground(self, shape: tuple[int, int], floor: float) -> Ground | None:
        """What lies beneath spectra where outputs have levels of their own, None where they have not.

        Parameters
        ----------
        shape : (int, int)
            Image (across, along).
        floor : float, electron**2
            Variance of a pixel without light: by it reference pixels tell the levels.
        """
        if not self.strips or not self.scatter_pieces:
            return None
        strips = Strips(self.strips, self.strip_pieces, float(np.sqrt(floor / self.strip_reference)))
        return ground_of(shape, pieces=self.scatter_pieces, strips=strips)


@dataclass(frozen=True)
class TraceMatrix:
    """A on detector columns, with the place of each unknown in the arrays of the trace set.

    Parameters
    ----------
    a : DesignMatrix
    row, sample : int array (n_unknown,)
        Aperture row and sample of each unknown.
    size : (int, int)
        Apertures and samples of the trace set.
    band : int
        Reach of blending, in unknowns.
    axis : int
        Image axis of dispersion.
    """

    a: DesignMatrix
    row: NDArray[np.int64]
    sample: NDArray[np.int64]
    size: tuple[int, int]
    band: int
    axis: int

    def canonical(self, image: FloatArray) -> FloatArray:
        """Turn an image to (across, along)."""
        return image if self.axis == 1 else image.T

    def spread(self, values: FloatArray, missing: float = np.nan) -> FloatArray:
        """Put values of the unknowns (n_unknown,) into the shape of the trace set."""
        grid = np.full(self.size, missing)
        grid[self.row, self.sample] = values
        return grid

    def beside(self) -> tuple[IntArray, IntArray]:
        """Aperture row and sample (n, m) of the unknown next across on the same detector column, -1 where none is."""
        row, sample = (np.full(self.size, -1, np.int64) for _ in range(2))
        on = self.a.origin[1:, 1] == self.a.origin[:-1, 1]
        here = self.row[:-1][on], self.sample[:-1][on]
        row[here], sample[here] = self.row[1:][on], self.sample[1:][on]
        return row, sample

    def gather(self, grid: FloatArray) -> FloatArray:
        """Take the values of the unknowns out of an array in the shape of the trace set."""
        return np.ascontiguousarray(grid[self.row, self.sample], np.float64)


@dataclass(frozen=True)
class Extraction:
    """Spectra on detector columns.

    Parameters
    ----------
    flux, variance : array (n, m), electron a column
        NaN where nothing was measured.
    blend : array (n, m)
        Covariance with the next aperture across on the same column.
    model, scattered : array (y, x), electron
        A f + b, and b alone.
    outlier : bool array (y, x)
        Pixels far off the model.
    chi2 : float
        Reduced chi-square of the good pixels under the footprints.
    step : float
        Root mean square by which the last solution still moved what lies beneath the spectra, over the noise of a pixel
        without light; 0 where that was not found in steps.
    """

    flux: FloatArray
    variance: FloatArray
    blend: FloatArray
    model: FloatArray
    scattered: FloatArray
    outlier: BoolArray
    chi2: float
    step: float = 0.0


def trace_matrix(
    traces: TraceSet,
    shape: tuple[int, int],
    *,
    half_width: int,
    shift: tuple[float, float] = (0.0, 0.0),
    derivative: bool = False,
    every: int = 1,
) -> TraceMatrix:
    """Build A for the light of all traces.

    Parameters
    ----------
    traces : TraceSet
    shape : (int, int)
        Detector (y, x).
    half_width : int
        Pixels of a footprint on either side of its centre.
    shift : (float, float), px
        How far the light has moved along and across dispersion since the traces were measured.
    derivative : bool
        Give dA / d(shift across) instead.
    every : int
        Take every so many detector columns alone; enough for what is smooth along dispersion.
    """
    size = shape if traces.axis == 1 else shape[::-1]
    centre = shifted(traces.centre, shift[0]) + shift[1]
    row, sample = np.nonzero(np.isfinite(centre))
    along = traces.start[row] + sample
    inside = (along >= 0) & (along < size[1]) & (along % every == 0)
    row, sample, along = row[inside], sample[inside], along[inside]
    order = np.lexsort((centre[row, sample], along))
    row, sample, along = row[order], sample[order], along[order]
    zero = np.zeros(row.size)
    foot = Footprints(along.astype(float), centre[row, sample], zero, traces.sigma[row, sample].astype(float), zero)
    a = _mixed(traces, foot, size, (row, sample), half_width=half_width, derivative=derivative)
    return TraceMatrix(a, row, sample, centre.shape, band_width(a), traces.axis)


def _mixed(
    traces: TraceSet,
    foot: Footprints,
    size: tuple[int, int],
    where: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    half_width: int,
    derivative: bool,
) -> DesignMatrix:
    """Build A of traces whose profile is one shape, or several mixed sample by sample."""
    u, shapes = traces.profile_u.astype(float), traces.profile.astype(float)
    if traces.mix is None:
        return design_matrix(foot, cumulative_profile(u, shapes), size, half_width=half_width, shift_across=derivative)
    mix = traces.mix[:, where[0], where[1]]
    return mixed_matrix(
        foot.along, foot.across, mix, u, shapes, shape=size, half_width=half_width, shift_across=derivative
    )


def shifted(centre: FloatArray, dx: float) -> FloatArray:
    """Trace centres (n, m) of light that has moved by ``dx`` along dispersion: centre(x - dx), linear."""
    slope = np.gradient(centre, axis=1)
    slope = np.where(np.isfinite(slope), slope, 0.0)
    return np.asarray(centre - dx * slope, np.float64)


def extract(frame: Frame, matrix: TraceMatrix, params: ExtractionParams, *, floor: float) -> Extraction:
    """Solve d = A f + b + n for the spectra and the scattered light of one frame.

    Parameters
    ----------
    frame : Frame
    matrix : TraceMatrix
    params : ExtractionParams
    floor : float, electron**2
        Variance of a pixel without light. The card NCOMBINE of the frame says of how many exposures
        it is the mean, and so by how much the shot noise of the light is less.

    Notes
    -----
    The first pass takes the frame's own variance; later passes take floor + max(model, 0)
    and give no weight to pixels more than ``params.clip`` sigma off the model.
    """
    data = np.ascontiguousarray(matrix.canonical(frame.data), np.float32)
    bad = matrix.canonical((frame.flags & NOT_USABLE) != 0) | ~np.isfinite(data)
    variance = np.ascontiguousarray(matrix.canonical(frame.variance), np.float32)
    data = np.where(bad, np.float32(0), data)
    shot = 1.0 / float(frame.meta.get("NCOMBINE") or 1)
    surface, outlier = None, np.zeros(data.shape, bool)
    scattered = np.zeros_like(data)
    ground = params.ground((data.shape[0], data.shape[1]), floor)
    beneath = None if ground is None else _Beneath(ground, ground.empty, None)
    for number in range(1, params.passes + 1):
        ivar = np.where(bad | outlier, np.float32(0), 1.0 / variance).astype(np.float32)
        if params.scatter_pieces and beneath is None:
            scattered, surface = fit_scattered(
                data, ivar, matrix.a, matrix.band, pieces=params.scatter_pieces, start=surface
            )
        last, before = number == params.passes, beneath
        solution, scattered, beneath = _solution(
            matrix, data, scattered, ivar, beneath, errors=last, stripes=params.stripes and last
        )
        model = project(matrix.a, np.nan_to_num(solution.flux)) + scattered
        deviation = (data - model) / np.sqrt(variance)
        variance = (floor + shot * np.maximum(model, 0)).astype(np.float32)
        outlier = ~bad & (np.abs(deviation) > params.clip)
    return Extraction(
        flux=matrix.spread(solution.flux),
        variance=matrix.spread(solution.covariance[0]),
        blend=matrix.spread(solution.covariance[1]) if matrix.band else matrix.spread(np.zeros(matrix.row.size)),
        model=matrix.canonical(model),
        scattered=matrix.canonical(scattered),
        outlier=outlier if matrix.axis == 1 else outlier.T,
        chi2=reduced_chi2(matrix, deviation, ivar),
        step=0.0 if before is None or beneath is None else beneath.moved(before) / float(np.sqrt(floor)),
    )


@dataclass(frozen=True)
class _Beneath:
    """What is known so far of the light beneath spectra; the curvature, once found, serves all passes."""

    ground: Ground
    coefficients: NDArray[np.float64]
    curvature: Curvature | None

    def moved(self, before: _Beneath) -> float:
        """Root mean square of the change since then, electron."""
        change = self.ground.image(self.coefficients - before.coefficients)
        return float(np.sqrt(np.mean(np.square(change), dtype=float)))


def _solution(
    matrix: TraceMatrix,
    data: FloatArray,
    scattered: FloatArray,
    ivar: FloatArray,
    beneath: _Beneath | None,
    *,
    errors: bool,
    stripes: bool,
) -> tuple[Solution, FloatArray, _Beneath | None]:
    """One solution for the spectra and for what lies beneath; its equations, a hundred megabytes, go with it."""
    bare = np.asarray(data - scattered, np.float32)
    equations = normal_equations(matrix.a, bare, np.asarray(ivar, np.float32), band=matrix.band)
    rhs, factor = equations.rhs, factorise(equations)
    del equations
    if errors:
        solution = estimate(factor, rhs)
        solution = Solution(solution.flux, solution.covariance[:2].copy())  # with itself and the next: no more is kept
    else:
        solution = Solution(np.where(factor.measured, solve(factor, rhs), np.nan), _NO_ERRORS)
    if beneath is not None:
        solution, scattered, beneath = _with_ground(matrix, solution, data - scattered, (ivar, factor), beneath)
    if stripes:
        solution, scattered = _without_stripes(matrix, solution, data, scattered, (ivar, factor))
    return solution, scattered, beneath


def _with_ground(
    matrix: TraceMatrix,
    solution: Solution,
    bare: FloatArray,
    equations: tuple[FloatArray, Factor],
    known: _Beneath,
) -> tuple[Solution, FloatArray, _Beneath]:
    """Improve what lies beneath by what a solution leaves of ``bare``, the data without it, and the spectra with it."""
    ivar, factor = equations
    curvature = known.curvature or known.ground.curvature(ivar, matrix.a, factor)
    left = bare - project(matrix.a, np.nan_to_num(solution.flux))
    step, more = known.ground.step(curvature, left, known.coefficients, ivar=ivar, a=matrix.a, factor=factor)
    coefficients = known.coefficients + step
    return (
        Solution(solution.flux + more, solution.covariance),
        known.ground.image(coefficients),
        _Beneath(known.ground, coefficients, curvature),
    )


def _without_stripes(
    matrix: TraceMatrix,
    solution: Solution,
    data: FloatArray,
    scattered: FloatArray,
    equations: tuple[FloatArray, Factor],
) -> tuple[Solution, FloatArray]:
    """Take the level of every detector column out of a solution, and put it into the scattered light."""
    ivar, factor = equations
    found = column_levels(np.asarray(data - scattered, np.float32), ivar, matrix.a, factor)
    along = matrix.a.origin[:, 1]
    covariance = solution.covariance.copy()
    for beside, own in enumerate(covariance):  # all spectra of a column share what stays unknown of its level
        here, there = slice(0, along.size - beside), slice(beside, None)
        both = np.where(along[here] == along[there], found.variance[along[here]], 0.0)
        own[here] += found.share[here] * found.share[there] * both
    flux = solution.flux - found.share * found.level[along]
    return Solution(flux, covariance), scattered + found.level.astype(np.float32)


def reduced_chi2(matrix: TraceMatrix, deviation: FloatArray, ivar: FloatArray) -> float:
    """Chi-square per degree of freedom of the good pixels that traces light up."""
    lit = (project(matrix.a, np.ones(matrix.row.size)) > LIT_WEIGHT) & (ivar > 0)
    freedom = int(lit.sum()) - matrix.row.size
    return float((deviation[lit].astype(float) ** 2).sum() / max(freedom, 1))
