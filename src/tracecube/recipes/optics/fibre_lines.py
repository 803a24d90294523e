"""Arc lines in the spectra of fibres: recognised by their pattern, fitted as pixel-integrated line shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import FloatArray
from tracecube.core.flags import NOT_USABLE

__all__ = ["FibreArc", "FibreLine", "LineFits", "find_lines", "fit_lines"]

HALF_WINDOW = 7
"""Pixels on either side of a line that its fit sees."""

_BLOCK = 16  # fibres whose median spectrum is searched for the pattern
_SMOOTH = 2.0  # px: lines are widened by this before the pattern is laid over them
_ROUNDS = 8
_LEAST_PIXELS = 10
_NEAR = 5.0  # px: two lines of a lamp closer than this many pixels plus a window are fitted together


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

    Centres and widths are px, fluxes electron; ``separation`` holds, a line, the distances (px) of companions.
    """

    x: FloatArray
    x_error: FloatArray
    sigma: FloatArray
    sigma_error: FloatArray
    flux: FloatArray
    chi2: FloatArray


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
    level = np.nan_to_num(np.nanmedian(spectra[lit], axis=0))
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
    sigma: FloatArray,
    offsets: Mapping[int, FloatArray],
    *,
    with_width: bool,
) -> LineFits:
    """Fit every line in every row by Gauss-Newton: centre, flux, background, and its width if asked.

    Parameters
    ----------
    place, sigma : array (n, k), px
        Where to start; the width stays without ``with_width``.
    offsets : mapping of line number to array (n, c), px
        Distances of the companions, whose fluxes are free.
    """
    n, k = place.shape
    out = [np.full((n, k), np.nan) for _ in range(6)]
    for j, line in enumerate(lines):
        arc = arcs.get(line.lamp)
        if arc is None:
            continue
        extra = offsets.get(j, np.zeros((n, 0)))
        fitted = _fit_one(arc, place[:, j], sigma[:, j], extra, with_width=with_width)
        for target, values in zip(out, fitted, strict=True):
            target[:, j] = values
    return LineFits(*out)


def _window(arc: FibreArc, place: FloatArray, reach: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Columns (n, w) about each place, flux there and inverse variance (0 outside the detector)."""
    n, m = arc.flux.shape
    first = np.floor(np.nan_to_num(place) + 0.5).astype(int)[:, None]
    columns = first + np.arange(-HALF_WINDOW, HALF_WINDOW + 1 + int(np.ceil(reach)))
    inside = (columns >= 0) & (columns < m)
    at = np.clip(columns, 0, m - 1)
    ivar = np.where(inside, np.take_along_axis(arc.ivar, at, axis=1), 0.0)
    flux = np.where(ivar > 0, np.take_along_axis(np.asarray(arc.flux, float), at, axis=1), 0.0)
    return columns.astype(float), flux, ivar


def _shape(t: FloatArray, sigma: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Gaussian integrated over pixels at distance ``t``, and its derivatives with centre and width."""
    low, high = (t - 0.5) / sigma, (t + 0.5) / sigma
    value = special.ndtr(high) - special.ndtr(low)
    norm = 1.0 / (np.sqrt(2.0 * np.pi) * sigma)
    p_low, p_high = np.exp(-0.5 * low**2), np.exp(-0.5 * high**2)
    return value, norm * (p_low - p_high), norm * (low * p_low - high * p_high)


def _fit_one(
    arc: FibreArc, place: FloatArray, sigma: FloatArray, extra: FloatArray, *, with_width: bool
) -> tuple[FloatArray, ...]:
    """Fit one line (and its companions, which move and widen with it) in all rows at once."""
    x, width = place.copy(), sigma.copy()
    columns, flux, ivar = _window(arc, place, float(np.nanmax(extra)) if extra.size else 0.0)
    c = extra.shape[1]
    size, own = 4 + c + with_width, [0, *range(4, 4 + c)]
    value = np.zeros((len(x), size))
    variance = np.full((len(x), size), np.nan)
    chi2 = np.full(len(x), np.nan)
    amplitudes = np.ones((len(x), 1 + c))
    for turn in range(_ROUNDS):
        a = np.zeros((*flux.shape, size))
        for i in range(c + 1):
            d = columns - x[:, None] - (extra[:, i - 1, None] if i else 0.0)
            shape, d_centre, d_width = _shape(d, width[:, None])
            a[:, :, own[i]] = shape
            a[:, :, 1] += amplitudes[:, i, None] * d_centre
            if with_width:
                a[:, :, -1] += amplitudes[:, i, None] * d_width
        a[:, :, 2] = 1.0
        a[:, :, 3] = (columns - columns.mean(axis=1, keepdims=True)) / HALF_WINDOW
        if not turn:
            a[:, :, 1] = 0.0
            if with_width:
                a[:, :, -1] = 0.0
        value, variance, chi2 = _least_squares(a, flux, ivar)
        amplitudes = value[:, own]
        if turn:
            x = x + np.clip(value[:, 1], -1.0, 1.0)
            if with_width:
                width = np.clip(width + np.clip(value[:, -1], -0.2, 0.2), 0.6, 3.0)
    strength = value[:, 0]
    good = (
        ((ivar > 0).sum(axis=1) >= _LEAST_PIXELS + c)
        & (strength > 3.0 * np.sqrt(variance[:, 0]))
        & (np.abs(x - place) < HALF_WINDOW)
        & (np.abs(value[:, 1]) < 0.05)  # noqa: PLR2004 - px, a fit at rest
    )
    width_error = np.sqrt(variance[:, -1]) if with_width else np.zeros(len(x))
    found = (x, np.sqrt(variance[:, 1]), width, width_error, strength, chi2)
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
