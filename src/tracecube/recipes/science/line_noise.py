"""Noise of the line filter as the data show it: a check of the errors, and a factor where these are too small.

The significance of noise has unit width by the variance of the spectra. Where it is wider (a pattern that the read-out
left, a star's structure, a row of fibres that share an error), variances are raised by what is measured in the
neighbourhood: row by row where one fibre stands out, then by wavelength and by place on the sky over all fibres. They
are never lowered. Lines do not count: a row's width is that of its lower half, and what is highest is left out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import erf

from tracecube.recipes.science.fibre_field import FibreField
from tracecube.recipes.science.line_filter import Continuum, Filtered
from tracecube.recipes.science.line_map import LineMap

__all__ = ["MapNoise", "RowNoise", "apply_row_noise", "half_width", "map_noise", "row_noise"]

F8 = NDArray[np.float64]
Mask = NDArray[np.bool_]

_PERCENT = (0.15865525, 0.84134475)
_WINDOW = 260.0  # Angstrom: neighbourhood of a row's own noise
_BAND = 200.0  # Angstrom: neighbourhood of all fibres' noise
_PLACES = 2.25  # arcsec: width (sigma) of the neighbourhood on the sky
_BEYOND = 3.5  # sigma: a row's noise stands out
_BRIGHT = 8.0  # sigma: a line in one row
_LIMIT = 3.0  # squares count to this many sigma
_WIDEST = 30.0
_LINE = 5.5  # sigma: no noise
_NEAR = (12.0, 3.0)  # Angstrom, arcsec: reach of a line


class RowNoise(NamedTuple):
    """Factors on the errors of rows.

    Parameters
    ----------
    factor : array (n, g)
        On the raster of the filter; 1 where a row's noise is within chance of that expected.
    share : float
        Of rows that have a factor.
    """

    factor: F8
    share: float


class MapNoise(NamedTuple):
    """Width of the significance of a map.

    Parameters
    ----------
    width : array (g, y, x)
        By wavelength times by place, as measured.
    factor : array (g, y, x)
        What errors are multiplied by: ``width``, but never below 1.
    """

    width: NDArray[np.float32]
    factor: NDArray[np.float32]


def half_width(values: NDArray[np.floating[Any]]) -> float:
    """Half the width of the middle 68 %, with the offset of the middle added in square."""
    if values.size == 0:
        return float("nan")
    low, middle, high = np.quantile(values, [_PERCENT[0], 0.5, _PERCENT[1]])
    return float(np.hypot(0.5 * (high - low), middle))


def row_noise(filtered: Filtered, step: float) -> RowNoise:
    """Measure the noise of each row, over all wavelengths and in windows.

    Noise of a window of few correlation lengths scatters: a row is given a factor where it is beyond `_BEYOND` of its
    own scatter, and then what is measured. Nothing is measured within two nodes of a row's one bright line, which
    bends the continuum there.

    Parameters
    ----------
    step : float, Angstrom
        Distance of the continuum's nodes.
    """
    wave, width = filtered.wave, float(np.mean(filtered.width))
    seen = filtered.power > 0
    u = np.where(seen, filtered.score / np.sqrt(np.where(seen, filtered.power, 1.0)), np.nan)
    top = np.argmax(np.where(seen, u, -np.inf), axis=1)
    bright = np.take_along_axis(u, top[:, None], axis=1) > _BRIGHT
    u[bright & (np.abs(wave - wave[top][:, None]) < 2.0 * step)] = np.nan
    factor = _standing_out(u, float(wave[-1] - wave[0]), width)[:, None] * np.ones_like(u)
    centres = np.arange(wave[0] + 0.5 * _WINDOW, wave[-1] - 0.4 * _WINDOW, 0.5 * _WINDOW)
    if centres.size > 1:
        near = [np.abs(wave - centre) <= 0.5 * _WINDOW for centre in centres]
        windows = np.stack([_standing_out(u[:, one], _WINDOW, width) for one in near], axis=1)
        place = np.clip((wave - centres[0]) / (centres[1] - centres[0]), 0.0, centres.size - 1.0)
        low = np.minimum(place.astype(int), centres.size - 2)
        part = place - low
        factor = np.maximum(factor, (1.0 - part) * windows[:, low] + part * windows[:, low + 1])
    return RowNoise(np.asarray(factor), float(np.mean((factor > 1.0).any(axis=1))))


def _standing_out(u: F8, length: float, width: float) -> F8:
    """Width of each row's values where it stands out, else 1: (n,)."""
    # The variance of a Gaussian filter's noise has as many independent parts as its length over sqrt(2 pi) widths.
    parts = length / (np.sqrt(2.0 * np.pi) * width)
    error = 2.1 / np.sqrt(2.0 * parts)  # 2.1: scatter of that half width over that of the standard deviation
    known = np.isfinite(u).mean(axis=1) > 0.5  # noqa: PLR2004
    out = np.ones(len(u))
    if known.any():
        # The lower half alone: lines widen the upper one.
        low, middle = _quantiles(u[known], (_PERCENT[0], 0.5))
        measured = middle - low
        out[known] = np.where(measured > 1.0 + _BEYOND * error, measured, 1.0)
    return out


def _quantiles(values: F8, shares: tuple[float, ...]) -> list[F8]:
    """Quantiles of each row, NaN left out; as `numpy.nanquantile`, which takes the rows one by one."""
    ordered = np.sort(values, axis=1)  # NaN last
    last = np.isfinite(ordered).sum(axis=1) - 1
    found = []
    for share in shares:
        place = share * last
        low = np.floor(place).astype(int)[:, None]
        high = np.minimum(low + 1, last[:, None])
        below, above = (np.take_along_axis(ordered, at, axis=1)[:, 0] for at in (low, high))
        found.append(np.asarray(below + (place - low[:, 0]) * (above - below)))
    return found


def apply_row_noise(
    field: FibreField, continuum: Continuum, filtered: Filtered, noise: RowNoise
) -> tuple[FibreField, Continuum, Filtered]:
    """Raise the errors of rows by their factors, covariances with them."""
    pixels = np.stack([np.interp(w, filtered.wave, f) for w, f in zip(field.wave, noise.factor, strict=True)])
    beside = np.ones_like(pixels)
    beside[:-1] = pixels[:-1] * pixels[1:]
    nodes = continuum.first + continuum.step * np.arange(continuum.level.shape[1])
    levels = np.stack([np.interp(nodes, filtered.wave, f) for f in noise.factor])
    square = noise.factor**2
    next_row = np.ones_like(square)
    next_row[:-1] = noise.factor[:-1] * noise.factor[1:]
    return (
        replace(field, variance=field.variance * pixels**2, blend=field.blend * beside),
        replace(continuum, variance=continuum.variance * levels**2, shared=continuum.shared * levels**2),
        filtered._replace(
            score=filtered.score / square, power=filtered.power / square, shared=filtered.shared / next_row
        ),
    )


def map_noise(found: LineMap, blank: Mask, step: float) -> MapNoise:
    """Measure the width of the significance by wavelength and by place.

    Parameters
    ----------
    blank : bool array (g, y, x)
        Where it is that of noise.
    step : float, arcsec
        Of the raster.
    """
    blank = blank & ~_lines(found, step)
    by_wave = _by_wave(found, blank)
    scaled = np.minimum((found.sn / by_wave[:, None, None]) ** 2, _LIMIT**2)
    count = blank.sum(axis=0).astype(np.float64)
    square = np.where(blank, scaled, 0.0).sum(axis=0, dtype=np.float64)
    count, square = (gaussian_filter(v, _PLACES / step, mode="constant") for v in (count, square))
    # Places with less than a tenth of their neighbourhood blank know nothing of their own.
    known = count > 0.1 * len(found.wave)
    by_place = np.where(known, _unlimited(square / np.where(known, count, 1.0)), 1.0)
    width = np.asarray(by_wave[:, None, None] * by_place, np.float32)
    return MapNoise(width, np.maximum(width, np.float32(1.0)))


def _lines(found: LineMap, step: float) -> Mask:
    """Places and wavelengths of what is too high for noise of typical width, and about it."""
    typical = half_width(found.sn[found.used])
    reach = np.array([_NEAR[0] / abs(found.wave[1] - found.wave[0]), _NEAR[1] / step, _NEAR[1] / step])
    out = np.zeros(found.sn.shape, bool)
    for place in np.argwhere(found.used & (found.sn > _LINE * typical)):
        low, high = (np.maximum(place - np.round(reach), 0).astype(int), (place + np.round(reach) + 1).astype(int))
        out[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return out


def _by_wave(found: LineMap, blank: Mask) -> F8:
    """Width of the significance of all places at each wavelength, (g,)."""
    span = float(found.wave[-1] - found.wave[0])
    edges = np.linspace(found.wave[0], found.wave[-1] + 1e-6, max(round(span / _BAND), 1) + 1)
    middle, width = 0.5 * (edges[1:] + edges[:-1]), np.full(len(edges) - 1, np.nan)
    for k in range(len(middle)):
        inside = (found.wave >= edges[k]) & (found.wave < edges[k + 1])
        width[k] = half_width(found.sn[inside][blank[inside]])
    known = np.isfinite(width)
    if not known.any():
        return np.ones(found.wave.size)
    return np.asarray(np.interp(found.wave, middle[known], width[known]))


def _unlimited(square: F8) -> F8:
    """Width of a Gaussian whose squares, limited at `_LIMIT`**2, have this mean."""
    width = np.linspace(0.05, _WIDEST, 3000)
    a = _LIMIT / width
    inside = erf(a / np.sqrt(2.0)) - a * np.sqrt(2.0 / np.pi) * np.exp(-0.5 * a**2)
    mean = width**2 * inside + _LIMIT**2 * (1.0 - erf(a / np.sqrt(2.0)))
    return np.asarray(np.interp(square, mean, width))
