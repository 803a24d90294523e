"""Slices in a flat: their edges in cuts across, made smooth curves along dispersion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre
from pydantic import Field

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import Frame
from tracecube.core.params import Params
from tracecube.core.slices import SliceTraces
from tracecube.kernels.combine import typical
from tracecube.kernels.slice_edges import Edges, find_slices, fit_edges

__all__ = ["TraceParams", "Tracing", "trace_slices"]

_MARGIN = 6  # px beside a slice that its cut holds
_BLUR = 0.8  # px, first guess
_FOLLOW = 1.5  # px by which an edge may move from one cut to the next beside its trend
_DARK = 20.0  # times the error of the typical cut: cuts that tell as little lie in the dark


class TraceParams(Params):
    """Numbers of tracing slices."""

    rows: int = Field(default=32, ge=4, alias="nsum", description="Pixels along dispersion that make one cut")
    order: int = Field(default=5, ge=1, alias="order", description="Highest order of the curves of the edges")
    share: float = Field(
        default=0.5, gt=0, lt=1, alias="edgefrac", description="Share of the light at which a slice is first found"
    )
    narrowest: float = Field(default=62.0, gt=0, description="Narrowest slice, px")
    widest: float = Field(default=92.0, gt=0, description="Widest slice, px")
    clip: float = Field(default=5.0, gt=0, description="Errors off its curve beyond which a cut is left out")


@dataclass(frozen=True)
class Tracing:
    """Traces with what is known of how good they are.

    Parameters
    ----------
    traces : SliceTraces
    scatter : array (n,), px
        Of the centres in single cuts about their curve.
    slope : array (n,), px / px
        Largest slope of each slice.
    caveats : tuple of str
    """

    traces: SliceTraces
    scatter: FloatArray
    slope: FloatArray
    caveats: tuple[str, ...]


def trace_slices(frame: Frame, *, count: int, params: TraceParams) -> Tracing:
    """Trace all slices of a detector in an evenly lit frame, dispersion along y.

    Parameters
    ----------
    frame : Frame
        Continuum lamp, electron.
    count : int
        Slices that there are.
    params : TraceParams

    Raises
    ------
    NoConvergence
        Another number of slices is found.
    """
    cuts = _Cuts.of(frame, params.rows)
    middle = len(cuts.y) // 2
    near = cuts.light[max(middle - 2, 0) : middle + 3]
    band = typical(near, np.isfinite(near))
    found = find_slices(np.asarray(band, np.float64), width=(params.narrowest, params.widest), share=params.share)
    if len(found) != count:
        raise NoConvergence(
            f"{len(found)} slices of {params.narrowest:g} to {params.widest:g} px are found, there are {count}",
            hint="is it a flat, and of this detector? Look at the picture of the frame",
        )
    edges = _follow(cuts, np.array(found, np.float64), middle)
    return _smooth(edges, cuts, frame, params)


@dataclass(frozen=True)
class _Cuts:
    """Means over bands of rows: place (n,), light, variance and mask (n, x)."""

    y: FloatArray
    light: FloatArray
    variance: FloatArray
    good: BoolArray

    @classmethod
    def of(cls, frame: Frame, rows: int) -> _Cuts:
        start = np.arange(0, frame.data.shape[0], rows)
        good = frame.flags & NOT_USABLE == 0
        light = np.where(good, frame.data, 0.0)
        n = np.add.reduceat(good, start, axis=0, dtype=np.float64)
        total = np.add.reduceat(light, start, axis=0, dtype=np.float64)
        noise = np.add.reduceat(np.where(good, frame.variance, 0.0), start, axis=0, dtype=np.float64)
        stop = np.append(start[1:], frame.data.shape[0])
        known = n > 0.75 * (stop - start)[:, None]
        some = np.maximum(n, 1.0)
        return cls(0.5 * (start + stop - 1), np.where(known, total / some, np.nan), noise / some**2, known)


def _follow(cuts: _Cuts, found: FloatArray, middle: int) -> list[Edges]:
    """Fit all slices in every cut, from the middle outwards: each cut begins where the last ones lead to."""
    n = len(cuts.y)
    fits: list[Edges | None] = [None] * n
    for direction in (1, -1):
        guess, trend = found.copy(), np.zeros(len(found))
        rows = range(middle, n) if direction == 1 else range(middle - 1, -1, -1)
        for row in rows:
            fit = _fit_cut(cuts, row, guess + trend[:, None])
            fits[row] = fit
            moved = np.stack([fit.left, fit.right], axis=1) - guess
            shift = np.median(np.where(np.isfinite(moved), moved, trend[:, None]), axis=1)
            new = np.clip(shift, trend - _FOLLOW, trend + _FOLLOW)
            both = np.stack([fit.left, fit.right], axis=1)
            guess = np.where(np.isfinite(both), both, guess + new[:, None])
            trend = 0.5 * (trend + new)
    return [fit for fit in fits if fit is not None]


def _fit_cut(cuts: _Cuts, row: int, guess: FloatArray) -> Edges:
    """Fit all slices of one cut."""
    start = np.floor(guess[:, 0]).astype(int) - _MARGIN
    length = int(np.ceil((guess[:, 1] - guess[:, 0]).max())) + 2 * _MARGIN
    index = start[:, None] + np.arange(length)
    inside = (index >= 0) & (index < cuts.light.shape[1])
    index = np.clip(index, 0, cuts.light.shape[1] - 1)
    fit = fit_edges(
        np.nan_to_num(cuts.light[row][index]),
        cuts.variance[row][index],
        cuts.good[row][index] & inside,
        guess[:, 0] - start,
        guess[:, 1] - start,
        blur=_BLUR,
    )
    return fit._replace(left=fit.left + start, right=fit.right + start)


def _smooth(edges: list[Edges], cuts: _Cuts, frame: Frame, params: TraceParams) -> Tracing:
    """Draw curves through the edges of each slice: its middle, and its width, which changes less."""
    left, right, blur, middle_error, width_error = (
        np.array([getattr(fit, name) for fit in edges]).T
        for name in ("left", "right", "blur", "centre_error", "width_error")
    )
    rows = np.arange(frame.data.shape[0], dtype=np.float64)
    scale = 2.0 / (len(rows) - 1)
    u, at = cuts.y * scale - 1.0, rows * scale - 1.0
    shape = (len(left), len(rows))
    centre, width, spread = (np.empty(shape) for _ in range(3))
    beyond = np.zeros(shape, np.int32)
    scatter, dq = np.full(shape[0], np.nan), np.zeros(shape[0], np.int32)
    caveats = []
    for i in range(shape[0]):
        middle = _curve(u, 0.5 * (left[i] + right[i]), middle_error[i], at, params.order, params.clip)
        across = _curve(u, right[i] - left[i], width_error[i], at, 2, params.clip)
        centre[i], width[i], spread[i], scatter[i] = middle.value, across.value, middle.error, middle.scatter
        outside = (rows < middle.reach[0] - params.rows) | (rows > middle.reach[1] + params.rows)
        beyond[i, outside] = int(Flag.EXTRAPOLATED)  # no light: a filter cuts there
        if middle.kept < 0.5 * len(u):
            dq[i] = int(Flag.NOT_MEASURED)
            caveats.append(f"slice {i + 1}: traced in {middle.kept} of {len(u)} cuts only")
    traces = SliceTraces(
        aperture=np.arange(1, shape[0] + 1, dtype=np.int32),
        start=np.zeros(shape[0], np.int32),
        dq=dq,
        edge=np.nanmedian(blur, axis=1),
        centre=centre,
        left=centre - 0.5 * width,
        right=centre + 0.5 * width,
        error=spread,
        sample_dq=dq[:, None] | beyond,
        axis=0,
        meta=frame.meta,
    )
    slope = np.abs(np.diff(centre, axis=1)).max(axis=1)
    return Tracing(traces, scatter, slope, tuple(caveats))


@dataclass(frozen=True)
class _Curve:
    """A polynomial through cuts: value and error at every row, scatter about it, how many are kept, and their rows."""

    value: FloatArray
    error: FloatArray
    scatter: float
    kept: int
    reach: tuple[float, float]


def _curve(u: FloatArray, value: FloatArray, error: FloatArray, at: FloatArray, order: int, clip: float) -> _Curve:
    """Fit a polynomial of as few terms as the cuts ask for (Schwarz 1978, Ann. Statist. 6, 461)."""
    kept = np.isfinite(value) & np.isfinite(error) & (error > 0)
    if kept.sum() < order + 2:
        nothing = np.full(at.size, np.nan)
        return _Curve(nothing, nothing, float("nan"), int(kept.sum()), (0.0, float(at.size)))
    for _ in range(4):
        fits = [_fit(u[kept], value[kept], error[kept], k) for k in range(order + 1)]
        excess = max(fits[-1][2] / (kept.sum() - order - 1), 1.0)  # unlike pixels scatter cuts more than noise does
        cost = [fit[2] / excess + np.log(kept.sum()) * (k + 1) for k, fit in enumerate(fits)]
        best = int(np.argmin(cost))
        coefficients, covariance, chi2 = fits[best]
        left = (value - legendre.legval(u, coefficients)) / error
        limit = clip * max(1.0, 1.4826 * float(np.median(np.abs(left[kept]))))
        now = np.isfinite(value) & (error > 0) & (np.abs(np.nan_to_num(left, nan=np.inf)) < limit)
        if (now == kept).all() or now.sum() < order + 2:
            break
        kept = now
    design = legendre.legvander(at, best)
    excess = max(chi2 / (int(kept.sum()) - best - 1), 1.0)
    spread = np.sqrt(np.einsum("ni,ij,nj->n", design, covariance, design, optimize=True) * excess)
    scatter = float(np.std((value - legendre.legval(u, coefficients))[kept]))
    told = u[kept & (error < _DARK * np.median(error[kept]))]
    reach = np.interp(told[[0, -1]], at, np.arange(at.size))
    return _Curve(design @ coefficients, spread, scatter, int(kept.sum()), (float(reach[0]), float(reach[1])))


def _fit(u: FloatArray, value: FloatArray, error: FloatArray, order: int) -> tuple[FloatArray, FloatArray, float]:
    """Return coefficients, their covariance and chi-square, errors scaled up to a chi-square of 1 a sample."""
    design = legendre.legvander(u, order) / error[:, None]
    covariance = np.linalg.inv(design.T @ design)
    coefficients = covariance @ design.T @ (value / error)
    return coefficients, covariance, float(np.sum((value / error - design @ coefficients) ** 2))
