"""Wavelengths of all fibres of a detector from arc lamps: one smooth surface, and what each fibre adds to it.

Lines (or groups of lines that blend) are fitted in every fibre; along dispersion the wavelength is a Chebyshev series
whose coefficients vary smoothly along the slit, each fibre's own being drawn to that field by its own error (empirical
Bayes, `tracecube.kernels.polynomials.shrink_to_field`). A fibre without light gets the field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from pydantic import Field
from scipy.ndimage import gaussian_filter1d

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.kernels.line_shapes import LineFits, fit_lines
from tracecube.kernels.polynomials import Shrunk, shrink_to_field

__all__ = ["ArcLamp", "FibreWavelengthParams", "FibreWavelengths", "LineGroup", "solve_wavelengths"]

_BLUR = 2.0  # px: width of the blur in which lines are first looked for
_NEAR = 8.0  # px: how far the first guess may be off once the pattern is recognised
_CLIP = 5.0
_SCALES = np.linspace(0.97, 1.03, 25)
_OFFSETS = np.arange(-80.0, 80.5, 1.0)  # Angstrom
_PASSES = ((3, 3), (4, 4), (7, 8), (7, 8))  # degrees along dispersion and along the slit, at most
_WIDTH_PRIOR = 0.02  # px: how well the surface of widths tells that of a line
_SHAPE_PRIOR = 0.02  # how far the shape of a line may differ from the others'
_SHARP = 0.05  # px: lines placed better than this tell the shape
_ENOUGH = 20  # lines that tell the widths
_STRONG = 8.0  # signal-to-noise of a line that is worth fitting in a fibre


class FibreWavelengthParams(Params):
    """How wavelengths are fitted."""

    along: int = Field(4, ge=2, le=7, description="degree along dispersion")
    slit: int = Field(4, ge=1, le=8, description="degree along the slit")
    width: float = Field(1.2, gt=0.5, lt=3.0, description="expected width (sigma) of a line, px")
    least: int = Field(6, ge=3, description="line groups that a solution needs")


@dataclass(frozen=True)
class LineGroup:
    """Lines of one lamp that blend; the first is the one whose place counts.

    Parameters
    ----------
    lamp : str
    waves : tuple of float, Angstrom
    """

    lamp: str
    waves: tuple[float, ...]


@dataclass(frozen=True)
class ArcLamp:
    """Spectra of one lamp: flux and variance (n, m), electron; variance inf or NaN where nothing was measured."""

    flux: FloatArray
    variance: FloatArray

    @property
    def ivar(self) -> FloatArray:
        """Inverse variance, 0 where nothing was measured."""
        good = np.isfinite(self.flux) & np.isfinite(self.variance) & (self.variance > 0)
        return np.where(good, 1.0 / np.where(good, self.variance, 1.0), 0.0)


@dataclass(frozen=True)
class FibreWavelengths:
    """Wavelengths of a detector's fibres.

    Parameters
    ----------
    wave, error : array (n, m), Angstrom
    lsf_sigma : array (n, m), px
    measured : bool array (n,)
        Fibres with lines of their own; the others follow the field.
    line_row, line_wave, line_pixel, line_residual, line_error, line_used
        Every line that was fitted; residual and error in Angstrom.
    quality : tuple of QualityNumber
    caveats : tuple of str
    """

    wave: FloatArray
    error: FloatArray
    lsf_sigma: FloatArray
    measured: BoolArray
    line_row: IntArray
    line_wave: FloatArray
    line_pixel: FloatArray
    line_residual: FloatArray
    line_error: FloatArray
    line_used: IntArray
    quality: tuple[QualityNumber, ...]
    caveats: tuple[str, ...]


@dataclass(frozen=True)
class _Lines:
    """Fits of all groups (n, groups): place, its error and the width, px."""

    place: FloatArray
    error: FloatArray
    width: FloatArray
    width_error: FloatArray
    shape: tuple[float, float]
    ratio: tuple[FloatArray | None, ...]


@dataclass(frozen=True)
class _Known:
    """What earlier passes tell of the lines: width (n, groups), px, shape, and strengths within each group."""

    width: FloatArray
    shape: tuple[float, float]
    ratio: tuple[FloatArray | None, ...]


def solve_wavelengths(
    arcs: Mapping[str, ArcLamp],
    slit: FloatArray,
    live: BoolArray,
    groups: Sequence[LineGroup],
    span: tuple[float, float],
    params: FibreWavelengthParams,
) -> FibreWavelengths:
    """Solve for the wavelengths of all fibres of a detector.

    Parameters
    ----------
    arcs : mapping of str to ArcLamp
        By lamp; a lamp that is missing costs its lines, and a caveat.
    slit : array (n,)
        Place of the fibres along the slit, -1 to 1.
    live : bool array (n,)
    groups : sequence of LineGroup
    span : (float, float), Angstrom
        Wavelengths of the first and last pixel, roughly.
    params : FibreWavelengthParams

    Raises
    ------
    NoConvergence
        Too few lines were recognised.
    """
    here = [group for group in groups if group.lamp in arcs]
    missing = sorted({group.lamp for group in groups} - set(arcs))
    caveats = tuple(f"no {lamp} lamp: wavelengths rest on the lines of the others" for lamp in missing)
    m = next(iter(arcs.values())).flux.shape[1]
    u = 2.0 * np.arange(m) / (m - 1) - 1.0
    first = _recognise(arcs, live, here, span, u)
    coefficients = np.repeat(first[None], slit.size, axis=0)
    start = _nearest_peaks(arcs, live, here, chebyshev.chebval(u, first), params.width)
    known = _Known(np.full((slit.size, len(here)), params.width), (0.0, 0.0), (None,) * len(here))
    lines, solved, used = None, None, np.zeros((slit.size, len(here)), bool)
    for number, (along, across) in enumerate(_PASSES):
        wave = chebyshev.chebval(u, coefficients.T)
        lines = _measure(arcs, live, here, wave, start, known, first=number == 0)
        degree = (min(along, params.along), min(across, params.slit))
        solved, used = _surface(lines, here, slit, degree, m, params.least)
        coefficients = solved.coefficients
        start = _places(chebyshev.chebval(u, coefficients.T), here)
        known = _known(lines, used, slit, u, start, here, with_ratio=number > 0)
    assert lines is not None and solved is not None  # noqa: S101, PT018 - there is a pass
    return _result(lines, solved, used, here, slit, live, m, caveats)


def _recognise(
    arcs: Mapping[str, ArcLamp], live: BoolArray, groups: Sequence[LineGroup], span: tuple[float, float], u: FloatArray
) -> FloatArray:
    """Return the linear wavelength law (Chebyshev coefficients) under which most lines have light.

    Spectra of fibres far from one another are bent against each other, those of a few are not.
    """
    rows = np.flatnonzero(live)
    rows = rows[len(rows) // 2 - 4 : len(rows) // 2 + 5]
    if rows.size == 0:
        raise NoConvergence("wavelengths: no fibre has light", hint="look at the arcs and at the traces")
    light = {}
    for lamp, arc in arcs.items():
        mean = np.nanmedian(np.where(arc.ivar[rows] > 0, arc.flux[rows], np.nan), axis=0)
        noise = 1.4826 * np.nanmedian(np.abs(mean - np.nanmedian(mean))) + 1e-9
        signal = np.clip(np.nan_to_num(mean - np.nanmedian(mean)) / noise, 0.0, None)
        light[lamp] = gaussian_filter1d(np.log1p(signal), _BLUR)
    middle, half = 0.5 * (span[0] + span[1]), 0.5 * (span[1] - span[0])
    score = np.zeros((_OFFSETS.size, _SCALES.size))
    for group in groups:
        at = (group.waves[0] - middle - _OFFSETS[:, None]) / (half * _SCALES)
        score += np.interp(at, u, light[group.lamp], left=0.0, right=0.0)
    i, j = np.unravel_index(int(np.argmax(score)), score.shape)
    return np.array([middle + _OFFSETS[i], half * _SCALES[j]])


def _nearest_peaks(
    arcs: Mapping[str, ArcLamp], live: BoolArray, groups: Sequence[LineGroup], wave: FloatArray, width: float
) -> FloatArray:
    """Return where each group's main line is brightest near its guess (n, groups), px; NaN in dark fibres."""
    m = wave.size
    found = np.full((live.size, len(groups)), np.nan)
    blurred = {lamp: gaussian_filter1d(np.nan_to_num(arc.flux), width, axis=1) for lamp, arc in arcs.items()}
    for g, group in enumerate(groups):
        guess = float(np.interp(group.waves[0], wave, np.arange(m)))
        low, high = max(int(guess - _NEAR), 0), min(int(guess + _NEAR) + 2, m)
        if high - low > 3:  # noqa: PLR2004 - a peak has neighbours
            found[:, g] = low + np.argmax(blurred[group.lamp][:, low:high], axis=1)
    return np.where(live[:, None], found, np.nan)


def _measure(
    arcs: Mapping[str, ArcLamp],
    live: BoolArray,
    groups: Sequence[LineGroup],
    wave: FloatArray,
    start: FloatArray,
    known: _Known,
    *,
    first: bool,
) -> _Lines:
    """Fit every group in every live fibre.

    In the first pass width is free, and the groups' shape is that of single lines: none yet.
    """
    fits: list[LineFits] = []
    shapes, ratios = [], []
    for g, group in enumerate(groups):
        arc = arcs[group.lamp]
        column = np.clip(np.nan_to_num(start[:, g], nan=1.0).astype(int), 1, wave.shape[1] - 2)
        row = np.arange(live.size)
        dispersion = 0.5 * (wave[row, column + 1] - wave[row, column - 1])
        offsets = (np.array(group.waves) - group.waves[0]) / dispersion[:, None]
        begin = np.where(live, start[:, g], np.nan)
        fit = fit_lines(
            arc.flux,
            arc.ivar,
            begin,
            np.nan_to_num(known.width[:, g], nan=1.2),
            offsets,
            width_prior=0.0 if first else _WIDTH_PRIOR,
            shape=known.shape,
            shape_prior=_SHAPE_PRIOR,
            ratio=known.ratio[g],
        )
        shapes.append(fit.shape if len(group.waves) == 1 else np.full((live.size, 2), np.nan))
        ratios.append(known.ratio[g] if known.ratio[g] is not None else _ratio(fit))
        strong = fit.strength[:, 0] > _STRONG * fit.strength_error[:, 0]
        near = np.abs(fit.place - begin) < 0.5 * _NEAR
        fits.append(LineFits(*(_blank(part, strong & near) for part in fit)))
    per_line = zip(*((f.place, f.place_error, f.width, f.width_error) for f in fits), strict=True)
    place, error, width, width_error = (np.stack(parts, axis=1) for parts in per_line)
    strong = np.isfinite(place) & (error < _SHARP)
    off = np.where(strong[:, :, None], np.stack(shapes, axis=1), np.nan)
    skew, kappa = np.nanmedian(off, axis=(0, 1)) if np.isfinite(off).any() else (0.0, 0.0)
    shape = (known.shape[0] + float(skew), known.shape[1] + float(kappa))
    return _Lines(place, error, width, width_error, shape, tuple(ratios))


def _ratio(fit: LineFits) -> FloatArray:
    """Return strengths over that of the first line, the same in all fibres: lamp and detector make them."""
    good = np.isfinite(fit.strength).all(axis=1) & (fit.strength[:, 0] > 0)
    if fit.strength.shape[1] == 1 or not good.any():
        return np.ones(fit.strength.shape[1])
    return np.maximum(fit.strength[good].sum(axis=0) / fit.strength[good, 0].sum(), 0.0)


def _known(
    lines: _Lines,
    used: BoolArray,
    slit: FloatArray,
    u: FloatArray,
    start: FloatArray,
    groups: Sequence[LineGroup],
    *,
    with_ratio: bool,
) -> _Known:
    """Return what this pass told: widths from single lines, shape, and strengths once the widths are known."""
    single = used & np.array([len(group.waves) == 1 for group in groups])
    wide = _widths(lines, single if single.sum() > _ENOUGH else used, slit, u)
    column = np.clip(np.nan_to_num(start).astype(int), 0, u.size - 1)
    width = wide[np.arange(slit.size)[:, None], column]
    ratio = tuple(r if with_ratio and r is not None and r.size > 1 else None for r in lines.ratio)
    return _Known(width, lines.shape, ratio)


def _blank(values: FloatArray, keep: BoolArray) -> FloatArray:
    return np.where(keep if values.ndim == 1 else keep[:, None], values, np.nan)


def _places(wave: FloatArray, groups: Sequence[LineGroup]) -> FloatArray:
    """Return where the main lines fall (n, groups), px; NaN beyond the ends."""
    pixels = np.arange(wave.shape[1], dtype=float)
    targets = [group.waves[0] for group in groups]
    return np.array([np.interp(targets, row, pixels, left=np.nan, right=np.nan) for row in wave])


def _surface(
    lines: _Lines, groups: Sequence[LineGroup], slit: FloatArray, degree: tuple[int, int], m: int, least: int
) -> tuple[Shrunk, BoolArray]:
    """Fit the surface to all lines, outliers left out."""
    target = np.array([group.waves[0] for group in groups])
    u = 2.0 * lines.place / (m - 1) - 1.0
    basis = chebyshev.chebvander(np.nan_to_num(u), degree[0])
    slope = 2000.0 / m  # Angstrom a pixel, for the weights alone
    used = np.isfinite(lines.place) & np.isfinite(lines.error) & (lines.error > 0)
    if np.count_nonzero(used.any(axis=0)) < least:
        raise NoConvergence(
            f"wavelengths: {np.count_nonzero(used.any(axis=0))} lines recognised where {least} are needed",
            hint="look at the arcs: is a lamp missing, saturated or another one?",
        )
    design = chebyshev.chebvander(slit, degree[1])
    free = np.zeros(degree[0] + 1, bool)
    for _ in range(3):
        weight = np.where(used, 1.0 / (slope * np.where(used, lines.error, 1.0)) ** 2, 0.0)
        matrix = np.einsum("ngk,ng,ngl->nkl", basis, weight, basis)
        rhs = np.einsum("ngk,ng->nk", basis, weight * target)
        solved = shrink_to_field(matrix, rhs, design, free=free)
        residual = target - np.einsum("ngk,nk->ng", basis, solved.coefficients)
        pull = residual * np.sqrt(weight)
        scatter = 1.4826 * float(np.median(np.abs(pull[used])))
        kept = used & (np.abs(pull) < _CLIP * max(scatter, 1.0))
        if np.array_equal(kept, used):
            break
        used = kept
    return solved, used


def _result(
    lines: _Lines,
    solved: Shrunk,
    used: BoolArray,
    groups: Sequence[LineGroup],
    slit: FloatArray,
    live: BoolArray,
    m: int,
    caveats: tuple[str, ...],
) -> FibreWavelengths:
    u = 2.0 * np.arange(m) / (m - 1) - 1.0
    basis = chebyshev.chebvander(u, solved.coefficients.shape[1] - 1)
    wave = solved.coefficients @ basis.T
    error = np.sqrt(np.maximum(np.einsum("mk,nkl,ml->nm", basis, solved.covariance, basis, optimize=True), 0.0))
    slope = np.gradient(wave, axis=1)
    row, group = np.nonzero(np.isfinite(lines.place))
    pixel = lines.place[row, group]
    column = np.clip(pixel.round().astype(int), 0, m - 1)
    at = wave[row, column] + slope[row, column] * (pixel - column)
    target = np.array([one.waves[0] for one in groups])[group]
    spread = lines.error[row, group] * slope[row, column]
    kept = used[row, group]
    width = _widths(lines, used, slit, u)
    rms = float(np.std((target - at)[kept]))
    quality = (
        QualityNumber("WAVE RMS", rms, "Angstrom"),
        QualityNumber("WAVE ERROR", float(np.median(error[live])), "Angstrom"),
        QualityNumber("WAVE LINES", float(np.count_nonzero(kept)), ""),
        QualityNumber("LSF SIGMA", float(np.median(width)), "pix"),
    )
    return FibreWavelengths(
        wave, error, width.astype(np.float32), live & used.any(axis=1), row, target, pixel, target - at, spread,
        kept.astype(np.int32), quality, caveats,
    )  # fmt: skip


def _widths(lines: _Lines, used: BoolArray, slit: FloatArray, u: FloatArray) -> FloatArray:
    """Return the width of the line-spread function (n, m), px: quadratic along dispersion and along the slit."""
    row, group = np.nonzero(used & np.isfinite(lines.width) & (lines.width_error > 0))
    at = 2.0 * lines.place[row, group] / (u.size - 1) - 1.0
    value, error = lines.width[row, group], np.maximum(lines.width_error[row, group], 0.005)
    design = _plane(at, slit[row])
    weight = 1.0 / error
    for _ in range(3):
        fit = np.linalg.lstsq(design * weight[:, None], value * weight, rcond=None)[0]
        pull = (value - design @ fit) / error
        weight = np.where(np.abs(pull) < _CLIP * max(1.0, 1.4826 * float(np.median(np.abs(pull)))), 1.0 / error, 0.0)
    full = _plane(np.tile(u, slit.size), np.repeat(slit, u.size)) @ fit
    return np.asarray(full.reshape(slit.size, u.size))


def _plane(u: FloatArray, slit: FloatArray) -> FloatArray:
    return np.stack([np.ones_like(u), u, slit, u**2, u * slit, slit**2], axis=1)
