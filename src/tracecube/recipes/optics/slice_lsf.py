"""Line-spread function of each slice, from all arc lines that stand alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from pydantic import Field

from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import Frame
from tracecube.core.params import Params
from tracecube.core.slices import SliceLsf, SliceTraces, SliceWavelengths
from tracecube.kernels.gaussian_lines import fit_gaussians
from tracecube.kernels.line_profile import Shape, evaluate_shape, line_terms, shape_system
from tracecube.recipes.optics.slice_lines import LampLines

__all__ = ["LsfParams", "measure_lsf"]

_KNOT = 0.4  # Angstrom, between knots: a third of a pixel; lines' tilt samples them finer still
_INSIDE = 2.5  # px from the edges of a slice that are left out
_ROUNDS = 5
_ODD_LINE = 3.0  # times the typical chi-square of a line beyond which something else stands beside it
_BORDERS = (4650.0, 9350.0)  # Angstrom, where z is -1 and 1
_COARSE = 0.5  # Angstrom, between the samples through which the Gaussian goes that says where a line is
_TYPICAL = 1.1  # Angstrom, sigma of a line, first guess
_ENDS = 1.0  # Angstrom at either end of the shape whose mean is 0
_LEAST = 1e-10  # of the largest eigenvalue: what is below is not measured (grounds, strengths, splines without samples)
_FAINTEST = 30.0  # signal-to-noise of a line in a slice


class LsfParams(Params):
    """Numbers of the line-spread function."""

    reach: float = Field(default=7.5, gt=1, alias="lsf_range", description="Angstrom on either side of a line")
    samples: int = Field(default=151, ge=21, alias="lsf_size", description="Offsets at which it is written")
    waves: int = Field(default=30, ge=2, alias="lambda_size", description="Wavelengths at which it is written")
    degree: int = Field(default=4, ge=0, description="Order of its change with wavelength")
    clip: float = Field(default=6.0, gt=0, description="Errors beyond which a pixel is left out")


@dataclass(frozen=True)
class _Samples:
    """Pixels about the lines of one slice."""

    offset: FloatArray
    value: FloatArray
    weight: FloatArray
    line: IntArray
    wave: FloatArray  # of each line


def measure_lsf(
    frames: Mapping[int, Frame],
    flat: Frame,
    traces: SliceTraces,
    solution: SliceWavelengths,
    lines: Sequence[LampLines],
    params: LsfParams,
) -> tuple[SliceLsf, FloatArray]:
    """Measure the line-spread function of every slice.

    Arc lines over the flat, brought to their own strengths, are samples of one shape that changes slowly with
    wavelength: a spline, found together with the strengths. Lines that do not follow it have a neighbour that no
    list names, and are left out.

    Parameters
    ----------
    frames : mapping of int to Frame
        Mean exposure of each lamp.
    flat : Frame
    traces : SliceTraces
    solution : SliceWavelengths
    lines : sequence of LampLines
        Of all lamps, in the order of the solution's list.
    params : LsfParams

    Returns
    -------
    lsf : SliceLsf
    rms : array (n,)
        Scatter of the samples about the shape, over the peak.
    """
    count = len(traces.aperture)
    wave = np.linspace(*_BORDERS, params.waves)
    offset = np.linspace(-params.reach, params.reach, params.samples)
    shape = Shape(-params.reach - 4.0 * _KNOT, _KNOT, int(2.0 * params.reach / _KNOT) + 8, params.degree)
    density = np.zeros((count, wave.size, offset.size), np.float32)
    error, dq = np.zeros_like(density), np.zeros(count, np.int32)
    fwhm, rms = np.full((count, wave.size), np.nan), np.full(count, np.nan)
    for row in range(count):
        samples = None if solution.dq[row] else _samples(row, frames, flat, traces, solution, lines, params)
        found = None if samples is None else _fit(samples, shape, params)
        if found is None:
            dq[row] = int(Flag.NOT_MEASURED)
            continue
        coefficients, covariance, rms[row] = found
        density[row], error[row] = _evaluated(coefficients, covariance, shape, wave, offset)
        fwhm[row] = [_width(offset, one) for one in density[row]]
    lsf = SliceLsf(
        density=density,
        error=error,
        wave=wave[None],
        offset=offset[None],
        aperture=traces.aperture,
        fwhm=fwhm,
        dq=dq,
        meta=traces.meta,
    )
    return lsf, rms


def _samples(  # noqa: PLR0913, PLR0917 - all that a slice's lines are seen in
    row: int,
    frames: Mapping[int, Frame],
    flat: Frame,
    traces: SliceTraces,
    solution: SliceWavelengths,
    lines: Sequence[LampLines],
    params: LsfParams,
) -> _Samples | None:
    """Return the pixels about the usable lines of one slice; None if there are too few lines."""
    rows = flat.data.shape[0]
    offsets = dict(zip(solution.list_wave, solution.list_offset, strict=True))
    parts: list[tuple[FloatArray, ...]] = []
    waves: list[float] = []
    middle = solution.wave(row, np.arange(rows, dtype=np.float64), np.zeros(rows))
    for one in lines:
        if one.lamp not in frames:
            continue
        for line in one.wave[one.usable & (one.wave > middle[60]) & (one.wave < middle[-60])]:
            at = int(np.searchsorted(middle, line))
            part = _pixels(
                row, at, float(line + offsets.get(line, 0.0)), frames[one.lamp], flat, traces, solution, params
            )
            if part is not None:
                parts.append((*part, np.full(part[0].size, len(waves))))
                waves.append(float(line))
    if len(waves) < 8:
        return None
    offset, value, weight, line_of = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _Samples(offset, value, weight, line_of.astype(np.int64), np.array(waves))


def _pixels(  # noqa: PLR0913, PLR0917 - what one line is seen in
    row: int, at: int, line: float, frame: Frame, flat: Frame, traces: SliceTraces, solution: SliceWavelengths,
    params: LsfParams,
) -> tuple[FloatArray, FloatArray, FloatArray] | None:  # fmt: skip
    """Return offset, value and weight of the pixels about one line; None where it is too faint."""
    half = int(params.reach / 1.2) + 4
    y = np.arange(at - half, at + half + 1)
    x = np.arange(int(np.ceil(traces.left[row, at] + _INSIDE)), int(np.floor(traces.right[row, at] - _INSIDE)) + 1)
    x = x[(x >= 0) & (x < frame.data.shape[1])]
    block = np.ix_(y, x)
    across = x[None, :] - traces.centre[row, y][:, None]
    offset = solution.wave(row, y[:, None].astype(np.float64), across) - line
    good = (frame.flags[block] | flat.flags[block]) & NOT_USABLE == 0
    response = flat.data[block] / np.maximum(np.median(flat.data[block], axis=1, keepdims=True), 1.0)
    good &= (response > 0.3) & (np.abs(offset) < params.reach)
    value = frame.data[block] / np.where(good, response, 1.0)
    noise = np.maximum(frame.variance[block], 1e-6)
    near = good & (np.abs(offset) < 2.0)
    ground = float(np.median(value[good & (np.abs(offset) > 5.0)])) if (good & (np.abs(offset) > 5.0)).any() else 0.0
    total = float(np.sum(value[near] - ground))
    if total < _FAINTEST * float(np.sqrt(np.sum(noise[near]))) or good.sum() < 200:
        return None
    kept = good.ravel()
    return offset.ravel()[kept], value.ravel()[kept].astype(np.float64), (1.0 / noise.ravel()[kept]).astype(np.float64)


def _fit(samples: _Samples, shape: Shape, params: LsfParams) -> tuple[FloatArray, FloatArray, float] | None:
    """Return coefficients (count, degree + 1) and their covariance, and the scatter over the peak."""
    z = (2.0 * samples.wave - sum(_BORDERS)) / (_BORDERS[1] - _BORDERS[0])
    n = samples.wave.size
    model = np.exp(-0.5 * (samples.offset / _TYPICAL) ** 2) / (_TYPICAL * np.sqrt(2.0 * np.pi))
    weight = samples.weight.copy()
    strength, ground, _ = line_terms(samples.value, weight, samples.line, model, n)
    coefficients: FloatArray = np.zeros((shape.splines, shape.degree + 1))
    for turn in range(_ROUNDS):
        matrix, rhs = shape_system((samples.offset, samples.value, weight, samples.line), strength, ground, z, shape)
        matrix += 1e-9 * np.trace(matrix) / len(matrix) * np.eye(len(matrix))
        coefficients = np.linalg.solve(matrix, rhs).reshape(shape.splines, shape.degree + 1)
        area = shape.step * coefficients.sum(axis=0)
        model = evaluate_shape(samples.offset, samples.line, z, coefficients, shape.first, shape.step)
        strength, ground, chi2 = line_terms(samples.value, weight, samples.line, model, n)
        known = strength > 0.0
        if known.sum() < 8:
            return None
        left = samples.value - strength[samples.line] * model - ground[samples.line]
        excess = max(float(np.median(chi2[known])), 1.0)
        odd = (chi2 > _ODD_LINE * excess) & (turn > 0)
        kept = (np.abs(left) * np.sqrt(samples.weight / excess) < params.clip) & ~odd[samples.line]
        weight = np.where(kept, samples.weight, 0.0)
    normal = _eliminated(samples, weight, strength, model, z, shape)
    covariance = np.linalg.pinv(normal, rcond=_LEAST, hermitian=True)
    scale = np.polynomial.polynomial.polyval(z, area)
    bright = strength[samples.line] > np.median(strength)
    rest = (left / np.maximum(strength * scale, 1e-9)[samples.line])[kept & bright]
    peak = float(model.max() / np.median(scale))
    return coefficients, covariance * excess, float(np.std(rest)) / peak


def _eliminated(
    samples: _Samples, weight: FloatArray, strength: FloatArray, model: FloatArray, z: FloatArray, shape: Shape
) -> FloatArray:
    """Return the normal equations of the shape without what strength and ground of each line can take up."""
    zero = np.zeros(z.size)
    order = np.argsort(samples.line, kind="stable")
    borders = np.searchsorted(samples.line[order], np.arange(z.size + 1))
    matrix = np.zeros((shape.size, shape.size))
    for first, last in pairwise(borders):
        own = order[first:last]
        part = (samples.offset[own], model[own], weight[own], samples.line[own])
        inner, with_model = shape_system(part, strength, zero, z, shape)
        _, with_one = shape_system((part[0], np.ones(own.size), *part[2:]), strength, zero, z, shape)
        basis = np.stack([np.ones(own.size), model[own]], axis=1)
        block = basis.T @ (weight[own, None] * basis)
        if np.linalg.det(block) > 0.0:
            cross = np.stack([with_one, with_model], axis=1)
            matrix += inner - cross @ np.linalg.solve(block, cross.T)
    return matrix


def _evaluated(
    coefficients: FloatArray, covariance: FloatArray, shape: Shape, wave: FloatArray, offset: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return density and its error (n_wave, n_offset): integral 1, the Gaussian's centre at 0, nothing at the ends.

    A constant beneath all lines and their grounds are the same thing: the ends of the shape decide.
    """
    z = (2.0 * wave - sum(_BORDERS)) / (_BORDERS[1] - _BORDERS[0])
    line = np.zeros(offset.size, np.int64)
    density, error = np.empty((wave.size, offset.size)), np.empty((wave.size, offset.size))
    ends = np.abs(offset) > np.abs(offset).max() - _ENDS
    step = offset[1] - offset[0]
    for k, at in enumerate(z):
        shift = 0.0
        for _ in range(2):
            one = evaluate_shape(offset + shift, line, np.array([at]), coefficients, shape.first, shape.step)
            shift += _centre(offset, one)
        design = (_basis(offset + shift, shape)[:, :, None] * at ** np.arange(shape.degree + 1)).reshape(
            offset.size, -1
        )
        design -= design[ends].mean(axis=0)
        one = design @ coefficients.ravel()
        area = float(one.sum()) * step
        density[k] = one / area
        change = design / area - np.outer(density[k], design.sum(axis=0) * step / area)
        error[k] = np.sqrt(np.maximum(np.einsum("oi,ij,oj->o", change, covariance, change, optimize=True), 0.0))
    return density, error


def _basis(offset: FloatArray, shape: Shape) -> FloatArray:
    """Return every spline at offsets (n_offset, splines)."""
    line, z = np.zeros(offset.size, np.int64), np.zeros(1)
    unit = np.eye(shape.splines)
    each = [evaluate_shape(offset, line, z, unit[:, j : j + 1], shape.first, shape.step) for j in range(shape.splines)]
    return np.stack(each, axis=1)


def _centre(offset: FloatArray, density: FloatArray) -> float:
    """Return the centre of the Gaussian of least squares (Angstrom)."""
    stride = max(round(_COARSE / (offset[1] - offset[0])), 1)
    at, cut = offset[::stride], density[None, ::stride].astype(np.float64)
    step, middle = at[1] - at[0], 0.5 * (at.size - 1)
    fit = fit_gaussians(
        cut / cut.max(),
        np.ones_like(cut),
        np.ones(cut.shape, bool),
        np.array([middle + 1e-6]),
        np.array([_TYPICAL / step]),
    )
    return float((fit[0, 0] - middle) * step) if np.isfinite(fit[0, 0]) else 0.0


def _width(offset: FloatArray, density: FloatArray) -> float:
    """Return the full width at half maximum (Angstrom), by straight lines between samples."""
    top = int(np.argmax(density))
    half = 0.5 * density[top]
    left = np.flatnonzero(density[:top] < half)
    right = np.flatnonzero(density[top:] < half)
    if not left.size or not right.size:
        return float("nan")
    a, b = left[-1], top + right[0]
    low = offset[a] + (half - density[a]) / (density[a + 1] - density[a]) * (offset[1] - offset[0])
    high = offset[b - 1] + (density[b - 1] - half) / (density[b - 1] - density[b]) * (offset[1] - offset[0])
    return float(high - low)
