"""Joint extraction of all fibres of a CCD: every column one banded solution, both amplifiers together.

The frame itself tells how far its light has moved since the traces were measured, and whether it is wider; its own
extracted light makes its scattered light; what no fibre can have written is a cosmic ray. The variance of a pixel is
read noise and the light that is expected there, smoothed along and across the spectra: never the count itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.ndimage import median_filter, uniform_filter1d
from scipy.signal import savgol_filter

from tracecube.core.errors import BadData
from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.kernels.cosmics import grow_in_residual
from tracecube.kernels.forward import DesignMatrix, adjoint, project
from tracecube.kernels.solve import Factor, estimate, factorise, normal_equations, solve
from tracecube.recipes.optics.fibre_profile import fibre_matrix, side_by_side
from tracecube.recipes.optics.fibre_scatter import (
    Halo,
    HaloParams,
    dark_pixels,
    ground_along,
    halo_light,
    mirrored,
)

__all__ = ["FibreExtraction", "FibreExtractionParams", "Move", "extract_fibres"]

_BAND = 2  # footprints reach the second neighbour at most
_TERMS = 4  # of a move: shift, its slopes along the slit and the spectra, width


class FibreExtractionParams(Params):
    """How fibres are taken off a CCD."""

    halo: HaloParams = HaloParams()
    moves: int = Field(2, ge=0, le=6, description="steps in which the frame's own shift and width are fitted")
    passes: int = Field(3, ge=2, le=8, description="solutions; each takes variance and hits from the last")
    clip: float = Field(6.0, gt=3, description="sigma above the model beyond which a pixel was hit")
    grow: float = Field(3.0, gt=1, description="sigma above the model down to which pixels beside a hit belong to it")
    low_clip: float = Field(8.0, gt=3, description="sigma below the model beyond which a pixel is left out")
    trust: float = Field(0.05, ge=0, description="share of the light by which the model may be off before it counts")
    hit_share: float = Field(0.08, gt=0, le=1, description="of a sample's weight, lost to hits: the sample is flagged")
    bad_share: float = Field(0.3, gt=0, le=1, description="of a sample's weight, lost to bad pixels: it is flagged")
    box: float = Field(5.0, ge=1, le=9, description="px: width of the centred aperture of the cross-check")


@dataclass(frozen=True)
class Move:
    """How the light of an amplifier lies against its traces, with errors of one sigma.

    Parameters
    ----------
    value, error : array (4,)
        Shift of the middle (px), its change from the middle to the last row and to the last column (px), and the
        change of the profile's width (a share of it).
    """

    value: FloatArray
    error: FloatArray


@dataclass(frozen=True)
class FibreExtraction:
    """Spectra of a CCD. Tuples hold one entry an amplifier from the bottom up, None where it is dead.

    Parameters
    ----------
    flux, variance, blend, chi2, box : tuple of array (n, m), electron a column
        ``blend`` is the covariance with the next fibre up, ``chi2`` reduced, of the pixels under the sample, ``box``
        the sum over a centred aperture. NaN for missing fibres.
    flags : tuple of int32 array (n, m)
    move : tuple of Move
    model, scattered : array (rows, columns), electron
        Of the CCD; scattered light with the levels of the amplifiers.
    hits : bool array (rows, columns)
    quality : tuple of QualityNumber
    """

    flux: tuple[FloatArray | None, ...]
    variance: tuple[FloatArray | None, ...]
    blend: tuple[FloatArray | None, ...]
    chi2: tuple[FloatArray | None, ...]
    box: tuple[FloatArray | None, ...]
    flags: tuple[IntArray | None, ...]
    move: tuple[Move | None, ...]
    model: FloatArray
    scattered: FloatArray
    hits: BoolArray
    quality: tuple[QualityNumber, ...]


@dataclass
class _Fibres:
    """Live fibres of the CCD from the bottom up, rows of the CCD."""

    centre: FloatArray
    mix: FloatArray
    u: list[FloatArray]
    value: list[FloatArray]
    amplifier: IntArray
    row: IntArray

    def matrix(self, move: FloatArray, shape: tuple[int, int], kind: str = "light") -> DesignMatrix:
        """Footprints, or their change with shift or width, where the light lies now."""
        parts = []
        for k in np.unique(self.amplifier):
            own = self.amplifier == k
            u, value = self.u[k], self.value[k]
            wider = -(value[:, :1] + u[:, None] * np.gradient(value[:, :1], u, axis=0))
            centre = self.centre[own] + _bent(self.terms(shape)[:3, own], move[k])
            mix = self.mix[: value.shape[1], own]
            if kind == "width":
                shapes, mix = wider, np.ones((1, *centre.shape), np.float32)
            else:
                shapes = np.hstack([value, wider])
                mix = np.concatenate([mix, np.full((1, *centre.shape), move[k, 3], np.float32)])
            parts.append((fibre_matrix(centre, (u, shapes, mix), shape, slope=kind == "shift"), int(own.sum())))
        return side_by_side([part for part, _ in parts], [n for _, n in parts], shape)

    def terms(self, shape: tuple[int, int]) -> FloatArray:
        """The terms of a move for every sample, array (4, n, m)."""
        half = shape[0] / len(self.u)
        y = 2.0 * (self.centre - self.amplifier[:, None] * half) / half - 1.0
        x = np.broadcast_to(np.linspace(-1.0, 1.0, self.centre.shape[1]), y.shape)
        return np.stack([np.ones_like(y), y, x, np.ones_like(y)])


def _bent(terms: FloatArray, move: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("knm,k->nm", terms, move[:3]))


def _gather(traces: Sequence[TraceSet | None], rows: int) -> _Fibres:
    """Take the live fibres out of the trace sets."""
    half = rows // len(traces)
    known = [(k, one) for k, one in enumerate(traces) if one is not None]
    if not known:
        raise BadData("no amplifier of the CCD has traces", hint="leave the CCD out")
    live = [np.flatnonzero(one.dq == 0) for _, one in known]
    most = max(0 if one.mix is None else len(one.mix) for _, one in known)
    mixes = []
    for (_, one), rows_ in zip(known, live, strict=True):
        mix = np.ones((1, *one.centre.shape), np.float32) if one.mix is None else one.mix
        mixes.append(np.pad(mix[:, rows_], ((0, most - len(mix)), (0, 0), (0, 0))))
    u: list[FloatArray] = [np.zeros(0)] * len(traces)
    value: list[FloatArray] = [np.zeros(0)] * len(traces)
    for k, one in known:
        u[k], value[k] = one.profile_u.astype(float), one.profile.reshape(one.profile_u.size, -1).astype(float)
    return _Fibres(
        np.concatenate([one.centre[rows_] + k * half for (k, one), rows_ in zip(known, live, strict=True)]),
        np.concatenate(mixes, axis=1),
        u,
        value,
        np.concatenate([np.full(rows_.size, k) for (k, _), rows_ in zip(known, live, strict=True)]),
        np.concatenate(live),
    )


@dataclass
class _Image:
    """The frame and what is known of it so far."""

    data: NDArray[np.float32]
    bad: BoolArray
    floor: NDArray[np.float32]
    shot: float
    variance: NDArray[np.float32]
    ground: NDArray[np.float32]
    hits: BoolArray

    def ivar(self) -> NDArray[np.float32]:
        return np.where(self.bad | self.hits, 0.0, 1.0 / self.variance).astype(np.float32)


def extract_fibres(
    frame: Frame, traces: Sequence[TraceSet | None], halo: Halo, params: FibreExtractionParams
) -> FibreExtraction:
    """Extract all fibres of a CCD.

    Parameters
    ----------
    frame : Frame
        Dispersion along x; variance that of a pixel without light, NCOMBINE of ``meta`` the number of exposures
        it is the mean of.
    traces : sequence of TraceSet or None
        One an amplifier from the bottom up (`trace_fibres`).
    halo : Halo
        Amplitude and power of the scattered light.
    params : FibreExtractionParams
    """
    shape = (frame.data.shape[0], frame.data.shape[1])
    fibres = _gather(traces, shape[0])
    lost = np.repeat([one is None for one in traces], shape[0] // len(traces))
    image = _opened(frame, lost)
    move, error = np.zeros((len(traces), _TERMS)), np.full((len(traces), _TERMS), np.nan)
    a = fibres.matrix(move, shape)
    dark = dark_pixels(fibres.centre, shape, params.halo.away)
    rounds = max(params.passes, params.moves + 1)
    for turn in range(rounds):
        ivar = image.ivar()
        equations = normal_equations(a, image.data - image.ground, ivar, band=_BAND)
        factor = factorise(equations)
        if turn == rounds - 1:
            break
        flux = solve(factor, equations.rhs)
        _learn(image, (a, flux), fibres, (halo, dark), params, dead=np.array([one is None for one in traces]))
        if turn < params.moves:
            step, error = _step(image, (a, flux), (factor, image.ivar()), fibres, move)
            move = move + step
            a = fibres.matrix(move, shape)
    solution = estimate(factor, equations.rhs)
    flux = np.nan_to_num(solution.flux)
    light = project(a, flux)
    deviation = (image.data - light - image.ground) * np.sqrt(ivar)
    extra = _checks(a, image, (light, deviation, ivar), solution.covariance[0], (fibres, move, params))
    flags = _flags(a, image, frame, equations.share, params)
    columns = (solution.flux, solution.covariance[0], solution.covariance[1], extra[0], extra[1])
    spread = [_spread(one, fibres, traces, np.nan) for one in columns]
    moves = tuple(None if one is None else Move(move[k], error[k]) for k, one in enumerate(traces))
    own = _spread(flags.astype(float), fibres, traces, int(Flag.NOT_ILLUMINATED | Flag.NOT_MEASURED))
    return FibreExtraction(
        flux=spread[0],
        variance=spread[1],
        blend=spread[2],
        chi2=spread[3],
        box=spread[4],
        flags=tuple(None if one is None else one.astype(np.int32) for one in own),
        move=moves,
        model=light + image.ground,
        scattered=image.ground,
        hits=image.hits,
        quality=_quality(extra[0], image, lost, move),
    )


def _quality(chi2: FloatArray, image: _Image, lost: BoolArray, move: FloatArray) -> tuple[QualityNumber, ...]:
    lit = image.hits & ~lost[:, None]
    return (
        QualityNumber("EXTRACT CHI2", float(np.nanmedian(chi2)), "", high=1.5),
        QualityNumber("COSMIC SHARE", float(lit.sum() / max((~image.bad).sum(), 1)), "", high=0.02),
        QualityNumber("TRACE SHIFT", float(np.abs(move[:, 0]).max()), "px", high=1.0),
    )


def _opened(frame: Frame, lost: BoolArray) -> _Image:
    """Start from the frame: variance from a median along rows, which a hit does not lift."""
    bad = ((frame.flags & NOT_USABLE) != 0) | ~np.isfinite(frame.data) | ~(frame.variance > 0) | lost[:, None]
    data = np.where(bad, 0.0, frame.data).astype(np.float32)
    floor = np.where(bad, 1.0, frame.variance).astype(np.float32)
    shot = 1.0 / float(frame.meta.get("NCOMBINE") or 1)
    variance = floor + np.float32(shot) * np.maximum(median_filter(data, (1, 5), mode="nearest"), 0.0)
    return _Image(data, bad, floor, shot, variance, np.zeros_like(data), np.zeros(data.shape, bool))


def _expected(flux: FloatArray) -> NDArray[np.float64]:
    """Flux (n, m) expected from the samples around: the neighbours' spectrum, and what is smooth beside it."""
    level = np.maximum(uniform_filter1d(flux, 201, axis=1), 1e-3 * max(float(flux.mean()), 1e-3))
    common = level * median_filter(flux / level, (11, 1), mode="nearest")
    return np.asarray(np.maximum(common + savgol_filter(flux - common, 9, 2, axis=1), 0.0), np.float64)


def _learn(
    image: _Image,
    solved: tuple[DesignMatrix, NDArray[np.float64]],
    fibres: _Fibres,
    halo: tuple[Halo, BoolArray],
    params: FibreExtractionParams,
    *,
    dead: BoolArray,
) -> None:
    """Take scattered light, hits and variance from a solution."""
    (a, flux), (measured, dark) = solved, halo
    light = project(a, flux)
    expected = _expected(flux.reshape(-1, len(fibres.row)).T)
    smooth = project(a, np.ascontiguousarray(expected.T).ravel())
    ground = measured.amplitude * halo_light(mirrored(smooth, dead), params.halo, measured.power)
    half = len(ground) // len(dead)
    for k in np.flatnonzero(~dead):
        part = slice(k * half, (k + 1) * half)
        use = dark[part] & ~image.bad[part] & ~image.hits[part]
        rest, noise = (image.data - ground - light)[part], image.floor[part] + np.float32(image.shot) * ground[part]
        ground[part] += ground_along(rest, use, noise, params.halo.degree)
    image.ground = ground.astype(np.float32)
    model = light + image.ground
    image.variance = image.floor + np.float32(image.shot) * np.maximum(smooth + image.ground, 0.0)
    sigma = np.sqrt(image.variance + (params.trust * np.maximum(model, 0.0)) ** 2)
    away = np.where(image.bad, 0.0, (image.data - model) / sigma).astype(np.float32)
    image.hits = grow_in_residual(away > params.clip, away, params.grow) | (away < -params.low_clip)


def _step(
    image: _Image,
    solved: tuple[DesignMatrix, NDArray[np.float64]],
    weighed: tuple[Factor, NDArray[np.float32]],
    fibres: _Fibres,
    move: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """One step of the moves of all amplifiers, the fluxes left free: values and errors (n_amplifier, 4)."""
    (a, flux), (factor, ivar) = solved, weighed
    n = len(fibres.row)
    terms = fibres.terms(a.shape)
    expected = _expected(flux.reshape(-1, n).T)
    slopes = fibres.matrix(move, a.shape, "shift"), fibres.matrix(move, a.shape, "width")
    rest = ivar * (image.data - image.ground - project(a, flux))
    weights = [np.ascontiguousarray((expected * terms[k]).T, np.float64).ravel() for k in range(_TERMS)]
    owner = np.tile(fibres.amplifier, a.shape[1])
    score, blind = [], []
    for k, weight in enumerate(weights):
        slope = slopes[k // 3]
        score.append(weight * adjoint(slope, rest))
        pushed = ivar * project(slope, weight)
        blind.append((pushed, solve(factor, adjoint(a, pushed))))
    step, error = np.zeros_like(move), np.full_like(move, np.nan)
    matrix = np.zeros((len(move), _TERMS, _TERMS))
    for k, (pushed, taken) in enumerate(blind):
        left = pushed - ivar * project(a, taken)
        for j in range(k + 1):
            each = weights[j] * adjoint(slopes[j // 3], left)
            for amp in np.unique(owner):
                matrix[amp, j, k] = matrix[amp, k, j] = each[owner == amp].sum()
    for amp in np.unique(owner):
        right = np.array([one[owner == amp].sum() for one in score])
        inverse = np.linalg.pinv(matrix[amp], rcond=1e-9, hermitian=True)
        step[amp], error[amp] = np.clip(inverse @ right, -1.0, 1.0), np.sqrt(np.maximum(np.diag(inverse), 0.0))
    return step, error


def _checks(
    a: DesignMatrix,
    image: _Image,
    fitted: tuple[FloatArray, FloatArray, FloatArray],
    variance: FloatArray,
    where: tuple[_Fibres, FloatArray, FibreExtractionParams],
) -> tuple[FloatArray, FloatArray]:
    """Reduced chi-square of the pixels under each sample, and the aperture's sum."""
    (light, deviation, ivar), (fibres, move, params) = fitted, where
    leverage = project(_squared(a), np.nan_to_num(variance)) * ivar
    freedom = adjoint(a, np.where(ivar > 0, np.maximum(1.0 - leverage, 0.0), 0.0).astype(np.float32))
    chi2 = adjoint(a, (deviation**2).astype(np.float32)) / np.where(freedom > 0, freedom, np.nan)
    reach = 0.5 * (params.box + 1.0) + 0.02
    u = np.arange(-round(reach / 0.02), round(reach / 0.02) + 1) * 0.02
    overlap = np.clip(0.5 * (params.box + 1.0) - np.abs(u), 0.0, 1.0)[:, None]
    terms = fibres.terms(a.shape)[:3]
    centre = fibres.centre + np.einsum("knm,nk->nm", terms, move[fibres.amplifier, :3])
    aperture = fibre_matrix(centre, (u, overlap, np.ones((1, *centre.shape), np.float32)), a.shape, slope=False)
    box = adjoint(aperture, np.where(ivar > 0, image.data - image.ground, light).astype(np.float32))
    return chi2, box


def _squared(a: DesignMatrix) -> DesignMatrix:
    """Footprints squared."""
    return a._replace(weight=a.weight**2)


def _flags(a: DesignMatrix, image: _Image, frame: Frame, share: FloatArray, params: FibreExtractionParams) -> IntArray:
    """Flags (n_unknown,) by the share of its weight that a sample lost, and to what."""
    squared = _squared(a)
    whole = np.maximum(squared.weight.sum(axis=(1, 2)), 1e-12)
    hit = adjoint(squared, image.hits.astype(np.float32)) / whole
    full = adjoint(squared, ((frame.flags & Flag.SATURATED) != 0).astype(np.float32)) / whole
    bad = 1.0 - share - hit
    flags = np.where(hit > params.hit_share, int(Flag.COSMIC_RAY), 0)
    flags |= np.where(bad > params.bad_share, int(Flag.BAD_PIXEL), 0)
    flags |= np.where(full > params.hit_share, int(Flag.SATURATED), 0)
    return np.asarray(flags | np.where(share < 1.0 - 2.0 * params.bad_share, int(Flag.NOT_MEASURED), 0), np.int32)


def _spread(
    values: FloatArray, fibres: _Fibres, traces: Sequence[TraceSet | None], missing: float
) -> tuple[FloatArray | None, ...]:
    """Put values of the unknowns into arrays (n, m), one an amplifier."""
    grid = values.reshape(-1, len(fibres.row)).T
    out: list[FloatArray | None] = []
    for k, one in enumerate(traces):
        if one is None:
            out.append(None)
            continue
        full = np.full(one.centre.shape, missing, grid.dtype)
        own = fibres.amplifier == k
        full[fibres.row[own]] = grid[own]
        out.append(full)
    return tuple(out)
