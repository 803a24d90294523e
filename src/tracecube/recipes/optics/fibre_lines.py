"""Arc lines in the spectra of fibres: recognised by their pattern, fitted as pixel-integrated line shapes."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import FloatArray
from tracecube.core.flags import NOT_USABLE

__all__ = [
    "ORDERS",
    "FibreArc",
    "FibreLine",
    "LineFits",
    "LineShape",
    "LineWindow",
    "find_lines",
    "fit_lines",
    "hermite",
    "line_design",
    "line_edges",
    "line_window",
]

HALF_WINDOW = 7
"""Pixels on either side of a line that its fit sees."""
ORDERS = (3, 4, 5, 6)
"""Orders of the Hermite functions by which a line-spread function differs from a Gaussian."""

_BLOCK = 16  # fibres whose median spectrum is searched for the pattern
_SMOOTH = 2.0  # px: lines are widened by this before the pattern is laid over them
_ROUNDS = 5
_LEAST_PIXELS = 10
_CLOSE = 1.6  # widths between lines that look like one
_DETECTED = 3.0  # sigma of the flux
_MOST, _SETTLED = 0.9, 1e-4  # of the rows; px: steps so small need no more rounds
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

    Centres and widths are px, fluxes electron.
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
    offsets : array (k, c), px
        Distances of the companions from their line.
    ratios : array (k, c)
        Their fluxes in units of the line's: a property of the lamp, the same in all rows; 0 where it has fewer.
    """

    sigma: FloatArray
    tails: FloatArray
    offsets: FloatArray
    ratios: FloatArray

    def close(self) -> NDArray[np.bool_]:
        """Lines (k,) too close to a companion to tell the shape of a line: they take that of the others."""
        near = np.where(self.offsets != 0.0, np.abs(self.offsets), np.inf).min(axis=1, initial=np.inf)
        return np.asarray(near < _CLOSE * np.median(self.sigma, axis=0))


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
    middle, found, score = [], [], []
    for low in range(0, n, _BLOCK):
        rows = np.arange(low, min(low + _BLOCK, n))
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
    centre, value = np.zeros(3), 0.0
    grids = [np.arange(-90.0, 91.0, 2.0), np.linspace(-step, step, 17) * half, np.linspace(-12.0, 12.0, 13)]
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
        Its widths are where to start ``with_width``; the fluxes of the companions follow the line's.
    """
    n, k = place.shape
    out = [np.full((n, k), np.nan) for _ in range(6)]
    for j, line in enumerate(lines):
        if line.lamp in arcs:
            window = line_window(arcs[line.lamp], place[:, j])
            found = _fit_one(window, place[:, j], shape, j, with_width=with_width)
            for target, values in zip(out, found, strict=True):
                target[:, j] = values
    return LineFits(*out)


class LineWindow(NamedTuple):
    """Columns, flux and inverse variance (n, w) about a line."""

    columns: FloatArray
    flux: FloatArray
    ivar: FloatArray


def line_window(arc: FibreArc, place: FloatArray) -> LineWindow:
    """Cut columns about each place; outside the detector nothing weighs."""
    m = arc.flux.shape[1]
    first = np.floor(np.nan_to_num(place) + 0.5).astype(int)[:, None]
    columns = first + np.arange(-HALF_WINDOW, HALF_WINDOW + 1)
    at = np.clip(columns, 0, m - 1)
    flux, variance = (np.take_along_axis(plane, at, axis=1) for plane in (arc.flux, arc.variance))
    cut = FibreArc(flux, variance, np.take_along_axis(arc.flags, at, axis=1))
    ivar = np.where(columns == at, cut.ivar, 0.0)
    return LineWindow(columns.astype(float), np.where(ivar > 0, np.asarray(cut.flux, float), 0.0), ivar)


def hermite(t: FloatArray) -> list[FloatArray]:
    """Return the probabilists' Hermite polynomials up to the last of `ORDERS`, divided by sqrt(n!)."""
    found = [np.ones_like(t), t]
    for n in range(1, ORDERS[-1]):
        found.append((t * found[n] - sqrt(n) * found[n - 1]) / sqrt(n + 1))
    return found


def line_edges(
    window: LineWindow, x: FloatArray, sigma: FloatArray, tails: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Line-spread function at the pixels' edges (n, w + 1): edge in widths, density, and integral up to there."""
    first = window.columns[:, :1] - 0.5
    t = (first + np.arange(window.columns.shape[1] + 1) - x[:, None]) / sigma[:, None]
    gauss = np.exp(-0.5 * t**2) / sqrt(2.0 * np.pi)
    density: FloatArray = gauss
    total: FloatArray = special.ndtr(t)
    if np.any(tails):
        he = hermite(t)
        density = gauss * (1.0 + sum(h * he[order] for order, h in zip(ORDERS, tails, strict=True)))
        # the integral of He_n times the Gaussian is -He_(n-1) times it
        below = sum(h / sqrt(order) * he[order - 1] for order, h in zip(ORDERS, tails, strict=True))
        total = total - below * gauss
    return t, density, total


_Given = tuple[FloatArray, FloatArray, FloatArray]


def line_design(window: LineWindow, x: FloatArray, sigma: FloatArray, flux: FloatArray, given: _Given) -> FloatArray:
    """Columns (n, w, 5): the line with its companions, shift, level, slope, width.

    ``given`` holds the tails, and the distances and ratios of the companions.
    """
    tails, offsets, ratios = given
    a = np.zeros((*window.flux.shape, 5))
    for offset, ratio in zip([0.0, *offsets], [1.0, *ratios], strict=True):
        if ratio:
            t, density, total = line_edges(window, x + offset, sigma, tails)
            factor = ratio * (flux / sigma)[:, None]
            a[:, :, 0] += ratio * np.diff(total, axis=1)
            a[:, :, 1] -= factor * np.diff(density, axis=1)
            a[:, :, 4] -= factor * np.diff(t * density, axis=1)
    a[:, :, 2] = 1.0
    a[:, :, 3] = (window.columns - window.columns.mean(axis=1, keepdims=True)) / HALF_WINDOW
    return a


def _fit_one(
    window: LineWindow, place: FloatArray, shape: LineShape, j: int, *, with_width: bool
) -> tuple[FloatArray, ...]:
    """Fit line ``j`` in all rows at once; its companions move and widen with it."""
    x, width = place.copy(), shape.sigma[:, j].copy()
    flux: FloatArray = np.zeros(len(place))
    given = (shape.tails[j], shape.offsets[j], shape.ratios[j])
    for turn in range(_ROUNDS):  # the first finds fluxes alone: without them, nothing tells of places
        a = line_design(window, x, width, flux, given)[:, :, : 5 if with_width else 4]
        value, variance, chi2 = _least_squares(a, window.flux, window.ivar)
        flux = value[:, 0]
        x = x + np.clip(value[:, 1], -1.0, 1.0)
        if with_width:
            width = np.clip(width + np.clip(value[:, 4], -0.2, 0.2), 0.6, 3.0)
        if turn and np.quantile(np.abs(value[:, 1]), _MOST) < _SETTLED:
            break
    good = (
        ((window.ivar > 0).sum(axis=1) >= _LEAST_PIXELS)
        & (flux > _DETECTED * np.sqrt(variance[:, 0]))
        & (np.abs(x - place) < HALF_WINDOW)
        & (np.abs(value[:, 1]) < _AT_REST)
    )
    width_error = np.sqrt(variance[:, 4]) if with_width else np.zeros(len(x))
    found = (x, np.sqrt(variance[:, 1]), width, width_error, flux, chi2)
    return tuple(np.where(good, values, np.nan) for values in found)


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
