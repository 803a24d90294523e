"""Arc lines in the spectra of fibres: recognised by their pattern, fitted as pixel-integrated line shapes."""

from __future__ import annotations

from collections.abc import Mapping
from math import factorial, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import FloatArray
from tracecube.core.flags import NOT_USABLE

__all__ = ["ORDERS", "FibreArc", "FibreLine", "LineFits", "LineShape", "find_lines", "fit_lines", "fit_tails"]

HALF_WINDOW = 7
"""Pixels on either side of a line that its fit sees."""

ORDERS = (3, 4, 5, 6)
"""Orders of the Hermite functions by which a line-spread function differs from a Gaussian."""

_BLOCK = 16  # fibres whose median spectrum is searched for the pattern
_SMOOTH = 2.0  # px: lines are widened by this before the pattern is laid over them
_ROUNDS = 6
_LEAST_PIXELS = 10
_DETECTED = 3.0  # sigma of the flux
_AT_REST = 0.05  # px: last step of a fit that has come to rest


class FibreArc(NamedTuple):
    """Spectra of one lamp: ``flux``, ``variance`` (n, m) in electron, ``flags`` (n, m); NaN in dead rows."""

    flux: FloatArray
    variance: FloatArray
    flags: NDArray[np.integer]

    @property
    def ivar(self) -> FloatArray:
        """Inverse variance (n, m), 0 where a sample does not count."""
        good = np.isfinite(self.flux) & (self.variance > 0) & ((self.flags & NOT_USABLE) == 0)
        return np.asarray(np.where(good, 1.0 / np.where(good, self.variance, 1.0), 0.0))


class FibreLine(NamedTuple):
    """A line of a lamp, with the blended companions (wavelengths, Angstrom) that are fitted with it."""

    wave: float
    lamp: str
    companions: tuple[float, ...] = ()


class LineFits(NamedTuple):
    """Centre, width, flux of the lines (n, k), their errors, and the reduced chi-square; NaN where not fitted.

    Centres and widths are px, fluxes electron; ``flux`` (n, k, 1 + c) holds the companions' after the line's own.
    """

    x: FloatArray
    x_error: FloatArray
    sigma: FloatArray
    sigma_error: FloatArray
    flux: FloatArray
    chi2: FloatArray


class LineShape(NamedTuple):
    """What the fit of a line takes as given.

    Parameters
    ----------
    sigma : array (n, k), px
        Widths: the standard deviation of the line-spread function.
    tails : array (k, 4)
        Amplitudes of the normalised Hermite functions of `ORDERS`; they move neither centroid nor width.
    offsets : array (n, k, c), px
        Distances of the companions from their line; NaN where it has fewer.
    """

    sigma: FloatArray
    tails: FloatArray
    offsets: FloatArray


def find_lines(
    arcs: Mapping[str, FibreArc], lines: tuple[FibreLine, ...], wave: tuple[float, float], step: float
) -> FloatArray:
    """Return the places (n, k) of the lines in every row, px, by laying the pattern of all lines over the spectra.

    Parameters
    ----------
    arcs : mapping of lamp to FibreArc (n, m)
    lines : tuple of FibreLine
    wave : (float, float), Angstrom
        Wavelengths near the first and last column.
    step : float
        Share by which the dispersion may differ from that.

    Raises
    ------
    NoConvergence
        No block of fibres shows the pattern.
    """
    n, m = next(iter(arcs.values())).flux.shape
    blocks = [np.arange(low, min(low + _BLOCK, n)) for low in range(0, n, _BLOCK)]
    middle, found, score = [], [], []
    for rows in blocks:
        spectra = {lamp: _compressed(arc, rows) for lamp, arc in arcs.items()}
        if any(spectrum is None for spectrum in spectra.values()):
            continue
        place, value = _lay_pattern(spectra, lines, wave, step, m)
        middle.append(rows.mean())
        found.append(place)
        score.append(value)
    if not found:
        raise NoConvergence("arc lines: no fibre gave light in every lamp", hint="look at the arc frames")
    best = np.array(score) > 0.6 * max(score)
    degree = min(3, int(best.sum()) - 1)
    u, rows = np.array(middle)[best] / n, np.arange(n) / n
    places = np.array(found)[best]
    keep = np.ones(len(u), bool)
    for _ in range(3):
        model = np.polynomial.polynomial.polyfit(u[keep], places[keep], degree)
        off = np.abs(places - np.polynomial.polynomial.polyval(u, model).T).max(axis=1)
        keep = off < max(2.0, 3.0 * float(np.median(off)))
    return np.asarray(np.polynomial.polynomial.polyval(rows, model).T)


def _compressed(arc: FibreArc, rows: NDArray[np.integer]) -> FloatArray | None:
    """Median spectrum of rows in units of its noise, its strong lines held down; None without light."""
    spectra = np.where(arc.ivar[rows] > 0, arc.flux[rows], np.nan)
    lit = np.isfinite(spectra).mean(axis=1) > 0.5  # noqa: PLR2004 - half of its samples
    if not lit.any():
        return None
    spectra = spectra[lit]
    seen = np.isfinite(spectra).any(axis=0)
    level = np.zeros(spectra.shape[1])
    level[seen] = np.nanmedian(spectra[:, seen], axis=0)
    level = level - np.median(level)
    noise = 1.4826 * float(np.median(np.abs(level))) + 1e-12
    held = np.log1p(np.maximum(level / (5.0 * noise), 0.0))
    return np.asarray(ndimage.gaussian_filter1d(held, _SMOOTH))


def _lay_pattern(
    spectra: Mapping[str, FloatArray | None],
    lines: tuple[FibreLine, ...],
    wave: tuple[float, float],
    step: float,
    m: int,
) -> tuple[FloatArray, float]:
    """Best places of the lines over shift, scale and curvature of the dispersion, and the score."""
    u = np.array([(line.wave - wave[0]) / (wave[1] - wave[0]) for line in lines]) * 2.0 - 1.0
    half = 0.5 * (m - 1)
    low_shift, low_scale, low_curve = np.arange(-90.0, 91.0, 2.0), np.linspace(-step, step, 17) * half, (-12.0, 12.0)
    centre, width = np.zeros(3), np.array([90.0, step * half, 12.0])
    grids = [low_shift, low_scale, np.linspace(*low_curve, 13)]
    value = 0.0
    for _ in range(4):
        a, b, c = (axis.ravel() for axis in np.meshgrid(*grids, indexing="ij"))
        score = np.zeros(a.size)
        for line, at in zip(lines, u, strict=True):
            x = half + half * at + a + b * at + c * (at**2 - 0.5)
            score += np.interp(x, np.arange(m), np.asarray(spectra[line.lamp]), left=0.0, right=0.0)
        k = int(np.argmax(score))
        centre, value = np.array([a[k], b[k], c[k]]), float(score[k])
        width = np.array([g[1] - g[0] for g in grids])
        grids = [middle + np.linspace(-1.0, 1.0, 9) * w for middle, w in zip(centre, width, strict=True)]
    return half + half * u + centre[0] + centre[1] * u + centre[2] * (u**2 - 0.5), value


def fit_lines(
    arcs: Mapping[str, FibreArc],
    lines: tuple[FibreLine, ...],
    place: FloatArray,
    shape: LineShape,
    *,
    with_width: bool,
) -> LineFits:
    """Fit every line in every row by Gauss-Newton: centre, flux, background, and its width if asked.

    Parameters
    ----------
    arcs : mapping of lamp to FibreArc (n, m)
    lines : tuple of FibreLine
    place : array (n, k), px
        Where to start.
    shape : LineShape
        Its widths are where to start ``with_width``; the fluxes of the companions are free.
    """
    n, k = place.shape
    out = [np.full((n, k), np.nan) for _ in range(4)]
    flux, chi2 = np.full((n, k, 1 + shape.offsets.shape[2]), np.nan), np.full((n, k), np.nan)
    for j, line in enumerate(lines):
        if line.lamp in arcs:
            extra = shape.offsets[:, j, : len(line.companions)]
            window = _window(arcs[line.lamp], place[:, j], extra)
            found = _fit_one(window, place[:, j], shape.sigma[:, j], shape.tails[j], with_width=with_width)
            for target, values in zip(out, found[:4], strict=True):
                target[:, j] = values
            flux[:, j, : 1 + extra.shape[1]], chi2[:, j] = found[4], found[5]
    return LineFits(*out, flux, chi2)


def fit_tails(
    arcs: Mapping[str, FibreArc],
    lines: tuple[FibreLine, ...],
    fits: LineFits,
    shape: LineShape,
    terms: FloatArray,
) -> FloatArray:
    """Fit what the lines have in common beyond a Gaussian; each row's centres, widths and fluxes are eliminated.

    Parameters
    ----------
    fits : LineFits
    shape : LineShape
    terms : array (k, q)
        Functions of place along the spectrum that the amplitudes of the Hermite functions follow.

    Returns
    -------
    tails : array (k, 4)
    """
    q, count = terms.shape[1], len(ORDERS)
    matrix, rhs = np.zeros((q * count, q * count)), np.zeros(q * count)
    for j, line in enumerate(lines):
        good = np.isfinite(fits.x[:, j])
        if line.lamp not in arcs or not good.any():
            continue
        extra = shape.offsets[:, j, : len(line.companions)]
        place, sigma = np.where(good, fits.x[:, j], 0.0), np.where(good, fits.sigma[:, j], 1.0)
        window = _window(arcs[line.lamp], place, extra)
        amplitudes = np.nan_to_num(fits.flux[:, j, : 1 + extra.shape[1]])
        own = _design(window, place, sigma, amplitudes, shape.tails[j], with_width=True)
        tail = _tail_design(window, place, sigma, amplitudes)
        common = (terms[j][:, None] * tail[:, :, None, :]).reshape(*tail.shape[:2], -1)
        ivar = np.where(good[:, None], window.ivar, 0.0)
        model = _design(window, place, sigma, amplitudes, np.zeros(count), with_width=True)
        data = window.flux - (model[:, :, _fluxes(extra.shape[1])] * amplitudes[:, None, :]).sum(axis=2)
        _eliminate(own, common, data, ivar, matrix, rhs)
    solution = np.linalg.lstsq(matrix, rhs, rcond=1e-12)[0].reshape(q, count)
    return np.asarray(terms @ solution)


def _eliminate(
    own: FloatArray, common: FloatArray, data: FloatArray, ivar: FloatArray, matrix: FloatArray, rhs: FloatArray
) -> None:
    """Add to the common normal equations those of all rows, each row's own unknowns eliminated."""
    weighted = own * ivar[:, :, None]
    normal = weighted.transpose(0, 2, 1) @ own
    scale = np.sqrt(np.maximum(np.einsum("njj->nj", normal), 1e-30))
    normal = normal / (scale[:, :, None] * scale[:, None, :])
    normal[:, range(own.shape[2]), range(own.shape[2])] = 1.0 + 1e-10
    cross = (weighted.transpose(0, 2, 1) @ common) / scale[:, :, None]
    right = (weighted.transpose(0, 2, 1) @ data[:, :, None]) / scale[:, :, None]
    taken = np.linalg.solve(normal, np.concatenate([cross, right], axis=2))
    heavy = (common * ivar[:, :, None]).transpose(0, 2, 1)
    matrix += (heavy @ common - cross.transpose(0, 2, 1) @ taken[:, :, :-1]).sum(axis=0)
    rhs += (heavy @ data[:, :, None] - cross.transpose(0, 2, 1) @ taken[:, :, -1:])[:, :, 0].sum(axis=0)


class _Window(NamedTuple):
    """Columns, flux and inverse variance (n, w) about a line, and the distances (n, c) of its companions."""

    columns: FloatArray
    flux: FloatArray
    ivar: FloatArray
    extra: FloatArray


def _window(arc: FibreArc, place: FloatArray, extra: FloatArray) -> _Window:
    """Cut columns about each place, wide enough for the companions; outside the detector nothing weighs."""
    m = arc.flux.shape[1]
    first = np.floor(np.nan_to_num(place) + 0.5).astype(int)[:, None]
    low = int(np.floor(min(0.0, float(extra.min(initial=0.0)))))
    high = int(np.ceil(max(0.0, float(extra.max(initial=0.0)))))
    columns = first + np.arange(low - HALF_WINDOW, HALF_WINDOW + 1 + high)
    at = np.clip(columns, 0, m - 1)
    ivar = np.where(columns == at, np.take_along_axis(arc.ivar, at, axis=1), 0.0)
    flux = np.where(ivar > 0, np.take_along_axis(np.asarray(arc.flux, float), at, axis=1), 0.0)
    return _Window(columns.astype(float), flux, ivar, extra)


def _fluxes(c: int) -> list[int]:
    """Columns of the fluxes of a line and its ``c`` companions in the design of a fit."""
    return [0, *range(4, 4 + c)]


def _hermite(t: FloatArray, order: int) -> FloatArray:
    """Return the normalised probabilists' Hermite polynomial."""
    return np.asarray(special.eval_hermitenorm(order, t) / sqrt(factorial(order)))


def _design(
    window: _Window, x: FloatArray, sigma: FloatArray, fluxes: FloatArray, tails: FloatArray, *, with_width: bool
) -> FloatArray:
    """Columns (n, w, size): line, shift, level, slope, companions, and the width if asked."""
    c = window.extra.shape[1]
    a = np.zeros((*window.flux.shape, 4 + c + with_width))
    s = sigma[:, None]
    for i, own in enumerate(_fluxes(c)):
        t = window.columns - x[:, None] - (window.extra[:, i - 1, None] if i else 0.0)
        low, high = (t - 0.5) / s, (t + 0.5) / s
        p_low, p_high = (np.exp(-0.5 * z**2) / sqrt(2.0 * np.pi) for z in (low, high))
        value, f_low, f_high = special.ndtr(high) - special.ndtr(low), p_low.copy(), p_high.copy()
        for order, h in zip(ORDERS, tails, strict=True):
            if h:
                # the integral of He_n times the Gaussian is -He_(n-1) times it
                below = h / sqrt(order)
                value -= below * (_hermite(high, order - 1) * p_high - _hermite(low, order - 1) * p_low)
                f_low += h * _hermite(low, order) * p_low
                f_high += h * _hermite(high, order) * p_high
        a[:, :, own] = value
        a[:, :, 1] += fluxes[:, i, None] * (f_low - f_high) / s
        if with_width:
            a[:, :, -1] += fluxes[:, i, None] * (low * f_low - high * f_high) / s
    a[:, :, 2] = 1.0
    a[:, :, 3] = (window.columns - window.columns.mean(axis=1, keepdims=True)) / HALF_WINDOW
    return a


def _tail_design(window: _Window, x: FloatArray, sigma: FloatArray, fluxes: FloatArray) -> FloatArray:
    """Hermite functions of `ORDERS` (n, w, 4) on pixels, for a line with its companions."""
    out, s = np.zeros((*window.flux.shape, len(ORDERS))), sigma[:, None]
    for i in range(fluxes.shape[1]):
        t = window.columns - x[:, None] - (window.extra[:, i - 1, None] if i else 0.0)
        low, high = (t - 0.5) / s, (t + 0.5) / s
        p_low, p_high = (np.exp(-0.5 * z**2) / sqrt(2.0 * np.pi) for z in (low, high))
        for j, order in enumerate(ORDERS):
            step = _hermite(high, order - 1) * p_high - _hermite(low, order - 1) * p_low
            out[:, :, j] -= fluxes[:, i, None] * step / sqrt(order)
    return out


def _fit_one(
    window: _Window, place: FloatArray, sigma: FloatArray, tails: FloatArray, *, with_width: bool
) -> tuple[FloatArray, ...]:
    """Fit one line (and its companions, which move and widen with it) in all rows at once."""
    x, width, c = place.copy(), sigma.copy(), window.extra.shape[1]
    own = _fluxes(c)
    fluxes = np.zeros((len(x), 1 + c))
    for _ in range(_ROUNDS):
        a = _design(window, x, width, fluxes, tails, with_width=with_width)
        value, variance, chi2 = _least_squares(a, window.flux, window.ivar)
        fluxes = value[:, own]
        x = x + np.clip(value[:, 1], -1.0, 1.0)
        if with_width:
            width = np.clip(width + np.clip(value[:, -1], -0.2, 0.2), 0.6, 3.0)
    good = (
        ((window.ivar > 0).sum(axis=1) >= _LEAST_PIXELS + c)
        & (fluxes[:, 0] > _DETECTED * np.sqrt(variance[:, 0]))
        & (np.abs(x - place) < HALF_WINDOW)
        & (np.abs(value[:, 1]) < _AT_REST)
    )
    width_error = np.sqrt(variance[:, -1]) if with_width else np.zeros(len(x))
    found = (x, np.sqrt(variance[:, 1]), width, width_error)
    kept = [np.where(good, values, np.nan) for values in found]
    return *kept, np.where(good[:, None], fluxes, np.nan), np.where(good, chi2, np.nan)


def _least_squares(a: FloatArray, data: FloatArray, ivar: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Weighted least squares of every row: solution and variances (n, size), reduced chi-square (n,)."""
    weighted = a * ivar[:, :, None]
    normal = weighted.transpose(0, 2, 1) @ a
    diagonal = np.einsum("njj->nj", normal)
    empty = diagonal <= 1e-12 * diagonal.max(axis=1, keepdims=True)
    scale = np.sqrt(np.where(empty, 1.0, diagonal))
    scaled = normal / (scale[:, :, None] * scale[:, None, :])
    size = a.shape[2]
    scaled[:, range(size), range(size)] = 1.0 + 1e-10
    inverse = np.linalg.inv(scaled)
    rhs = (weighted.transpose(0, 2, 1) @ data[:, :, None])[:, :, 0] / scale
    value = (inverse @ rhs[:, :, None])[:, :, 0] / scale
    variance = np.maximum(np.einsum("njj->nj", inverse), 0.0) / scale**2
    left = data - (a @ value[:, :, None])[:, :, 0]
    freedom = np.maximum((ivar > 0).sum(axis=1) - size, 1)
    return np.where(empty, 0.0, value), variance, (ivar * left**2).sum(axis=1) / freedom
