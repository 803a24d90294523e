"""Emission lines in the spectra of known stars, where the map of lines is not searched.

A spectrum is filtered with the line's shape, its continuum taken out: straight lines between nodes, each as free as
the data make it. What a continuum's own structure may look like a line counts as noise, as in the map
(`tracecube.recipes.science.fibre_lines`): a line stands out of a bright star by its equivalent width. The place is the
star's, and no part of the search, so the height of a maximum holds one degree of chance, that of its wavelength.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tracecube.core.fields import BoolArray

__all__ = ["StarLight", "StarLine", "StarLineParams", "false_lines", "star_lines"]

F8 = NDArray[np.float64]

_REACH = 4.0  # standard deviations of the line that the filter sees
_LEAST = 0.8  # of the filter's samples that must have been measured
_OWN = float(np.sqrt(3.0))  # a line lifts the continuum by at most this times its flux over the distance of the nodes


class StarLight(NamedTuple):
    """Spectrum of a source on an even grid: arrays (w,).

    Parameters
    ----------
    number : int
        Of the source in its table.
    wave, lsf_sigma : array (w,), Angstrom
    flux, variance, covariance : array (w,)
        The last with the next sample.
    good : bool array (w,)
    """

    number: int
    wave: F8
    flux: F8
    variance: F8
    covariance: F8
    lsf_sigma: F8
    good: BoolArray


class StarLineParams(NamedTuple):
    """How lines are searched for: those of `FibreLinesParams` that hold for one spectrum.

    Parameters
    ----------
    sigma : float, Angstrom
        Intrinsic width of the lines the filter is made for.
    threshold : float
        Least signal-to-noise.
    step : float, Angstrom
        Distance of the continuum's nodes.
    structure : float, Angstrom
        Equivalent width that the structure of a continuum may have.
    apart : float, Angstrom
        Maxima nearer than this are one line.
    wave_range : (float, float), Angstrom
    """

    sigma: float
    threshold: float
    step: float
    structure: float
    apart: float
    wave_range: tuple[float, float]


class StarLine(NamedTuple):
    """A line in a star's spectrum; ``number`` is the star's. Angstrom, and the unit of flux times Angstrom."""

    number: int
    wave: float
    wave_err: float
    flux: float
    flux_err: float
    sn: float
    continuum: float


def star_lines(light: Sequence[StarLight], params: StarLineParams) -> list[StarLine]:
    """Find emission lines in the spectra of stars, highest first in each."""
    return [line for one in light if one.good.any() for line in _lines(one, params)]


def false_lines(light: Sequence[StarLight], params: StarLineParams) -> float:
    """Return how many lines noise makes in all these spectra, at most (Rice 1945, Bell Syst. Tech. J. 24, 46).

    Structure of a continuum, which counts as noise, makes them fewer.
    """
    total = 0.0
    for one in light:
        inside = one.good & (one.wave > params.wave_range[0]) & (one.wave < params.wave_range[1])
        if not inside.any():
            continue
        width = np.sqrt(2.0) * np.hypot(one.lsf_sigma[inside], params.sigma)
        step = float(np.median(np.diff(one.wave)))
        total += float(np.sum(step / (2.0 * np.pi * width))) * np.exp(-0.5 * (params.threshold**2 + 1.0))
    return total


def _lines(one: StarLight, params: StarLineParams) -> list[StarLine]:
    flux, error, level, known = _filtered(one, params)
    spread = params.structure * np.maximum(level - _OWN / params.step * np.maximum(flux, 0.0), 0.0)
    noise = np.hypot(error, spread)
    height = np.where(known, flux / noise, 0.0)
    found: list[StarLine] = []
    for k in np.argsort(-height):
        if height[k] ** 2 < params.threshold**2 + 1.0 or height[k] <= 0:
            break
        if not 0 < k < height.size - 1 or height[k] < max(height[k - 1], height[k + 1]):
            continue
        if any(abs(one.wave[k] - line.wave) < params.apart for line in found):
            continue
        bend = 2.0 * height[k] - height[k - 1] - height[k + 1]
        off = 0.5 * (height[k + 1] - height[k - 1]) / bend if bend > 0 else 0.0
        top = 1.0 + 0.25 * off * (height[k + 1] - height[k - 1]) / height[k]  # of the parabola through three samples
        width = float(np.hypot(one.lsf_sigma[k], params.sigma))
        found.append(
            StarLine(
                one.number,
                float(one.wave[k] + off * (one.wave[k + 1] - one.wave[k])),
                # of the maximum of a Gaussian correlation function that is sqrt(2) wider than the line
                float(np.sqrt(2.0) * width * noise[k] / flux[k]),
                float(top * flux[k]),
                float(noise[k]),
                float(np.sqrt((top * height[k]) ** 2 - 1.0)),
                float(level[k]),
            )
        )
    return found


def _filtered(one: StarLight, params: StarLineParams) -> tuple[F8, F8, F8, BoolArray]:
    """Flux of a line at each wavelength, its error, the continuum there, and where all this is known (w,)."""
    wave = one.wave
    variance = np.where(one.good, one.variance, np.inf)
    weight = np.where(one.good, 1.0 / np.where(one.good, one.variance, 1.0), 0.0)
    data = np.where(one.good, one.flux, 0.0)
    nodes = np.linspace(wave[0], wave[-1], max(round((wave[-1] - wave[0]) / params.step), 2) + 1)
    basis = np.maximum(1.0 - np.abs(wave[:, None] - nodes) / (nodes[1] - nodes[0]), 0.0)
    inverse = np.linalg.pinv((basis * weight[:, None]).T @ basis, hermitian=True)
    image = _images(one, params)
    heavy = image.multiply(weight[None, :]).tocsr()
    shared = heavy @ basis
    # what the data cannot tell from a continuum is taken off the filter
    filters = heavy.toarray() - (shared @ inverse) @ (basis * weight[:, None]).T
    power = np.asarray((image.multiply(filters)).sum(axis=1)).ravel()
    seen = np.asarray(image @ one.good.astype(float)).ravel() / np.asarray(image.sum(axis=1)).ravel()
    inside = (wave > params.wave_range[0]) & (wave < params.wave_range[1])
    known: BoolArray = np.asarray((power > 0) & (seen > _LEAST) & inside)
    filters = filters / np.where(known, power, np.inf)[:, None]
    flux = filters @ data
    square = filters**2 @ np.where(one.good, variance, 0.0)
    beside = np.where(one.good[:-1] & one.good[1:], np.nan_to_num(one.covariance[:-1]), 0.0)
    square += 2.0 * (filters[:, :-1] * filters[:, 1:]) @ beside
    level = basis @ (inverse @ (basis.T @ (weight * data)))
    return flux, np.sqrt(np.where(known, np.maximum(square, 0.0), np.inf)), level, known


def _images(one: StarLight, params: StarLineParams) -> csr_array:
    """Image of a line of unit flux at each wavelength (w, w), an Angstrom."""
    step = float(np.median(np.diff(one.wave)))
    sigma = np.hypot(np.where(np.isfinite(one.lsf_sigma), one.lsf_sigma, 0.0), params.sigma)
    reach = int(np.ceil(_REACH * float(sigma.max()) / step))
    rows = np.arange(one.wave.size)[:, None] + np.zeros(2 * reach + 1, int)
    columns = rows + np.arange(-reach, reach + 1)
    inside = (columns >= 0) & (columns < one.wave.size)
    z = (one.wave[np.clip(columns, 0, one.wave.size - 1)] - one.wave[:, None]) / sigma[:, None]
    value = np.exp(-0.5 * z**2) / (np.sqrt(2.0 * np.pi) * sigma[:, None])
    return csr_array((value[inside], (rows[inside], columns[inside])), shape=(one.wave.size, one.wave.size))
