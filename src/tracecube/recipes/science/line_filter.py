"""Matched filter along the spectra of fibres, with the continuum marginalised.

The continuum of a fibre is linear between nodes far wider than a line. It is a free curve with few nodes, which takes
what a sky subtraction leaves and what wings of sources add, and levels about it with a Gaussian prior whose width is
measured on the fibre itself: none for blank fibres, which so lose nothing, and a wide one for stars. Its covariance is
part of the noise of the filter, so a line is neither eaten nor its significance overstated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.recipes.science.fibre_field import FibreField

__all__ = ["Continuum", "Filtered", "filter_lines", "fit_continuum", "line_shape"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

_REACH = 3.5  # of the filter, in widths of the line
_STIFFEST = 1e7  # weight of a prior without width, over that of the data
# Nodes of the free curve: one in so many of the continuum's. At the usual 60 Angstrom a curve of nodes each 300
# Angstrom costs a line 2 % of its variance.
_COARSE = 5


@dataclass(frozen=True)
class Continuum:
    """Continuum of each row: straight lines between nodes.

    Parameters
    ----------
    first, step : float, Angstrom
        Place of the first node, and distance of nodes.
    level : array (n, k)
    variance : array (n, k)
    shared : array (n, k)
        Covariance with the next node.
    """

    first: float
    step: float
    level: F8
    variance: F8
    shared: F8

    def at(self, wave: F8) -> tuple[F8, F8]:
        """Level and its variance at ``wave`` (n, ...)."""
        node, part = _between(wave, self.first, self.step, self.level.shape[1])
        row = np.arange(len(wave)).reshape(-1, *(1,) * (wave.ndim - 1))
        level = (1.0 - part) * self.level[row, node] + part * self.level[row, node + 1]
        variance = (1.0 - part) ** 2 * self.variance[row, node] + part**2 * self.variance[row, node + 1]
        return np.asarray(level), np.asarray(variance + 2.0 * part * (1.0 - part) * self.shared[row, node])

    def of(self, rows: I8) -> Continuum:
        """Of some rows."""
        return Continuum(self.first, self.step, self.level[rows], self.variance[rows], self.shared[rows])


def fit_continuum(field: FibreField, step: float) -> Continuum:
    """Fit the continuum of each row, with a prior from the row itself."""
    first = float(field.wave.min())
    count = int(np.ceil((float(field.wave.max()) - first) / step)) + 1
    node, part = _between(field.wave, first, step, max(count, 2))
    n, count = len(field.wave), max(count, 2)
    ivar = 1.0 / field.variance

    def summed(left: F8, right: F8) -> F8:
        place = (np.arange(n)[:, None] * count + node).ravel()
        total = np.bincount(place, left.ravel(), n * count) + np.bincount(place + 1, right.ravel(), n * count)
        return np.asarray(total.reshape(n, count), np.float64)

    diagonal = summed(ivar * (1.0 - part) ** 2, ivar * part**2)
    beside = summed(ivar * part * (1.0 - part), np.zeros_like(ivar))[:, :-1]
    light = summed(ivar * field.flux * (1.0 - part), ivar * field.flux * part)
    normal = np.zeros((n, count, count))
    k = np.arange(count)
    normal[:, k, k] = diagonal
    normal[:, k[:-1], k[1:]] = normal[:, k[1:], k[:-1]] = beside
    scale = diagonal.max(axis=1)
    scale = np.where(scale > 0, scale, 1.0)
    known = diagonal > 0.02 * np.median(diagonal, axis=1)[:, None]
    normal[:, k, k] += 1e-6 * scale[:, None]
    curve = _curve(count)
    stiffness = _stiffness(normal, light, scale, known, curve)
    # A prior on what levels are off the free curve: the curve itself costs nothing.
    off = np.eye(count) - curve @ np.linalg.pinv(curve)
    tied = np.linalg.inv(normal + (stiffness * scale)[:, None, None] * off)
    shared = np.concatenate([tied[:, k[:-1], k[1:]], np.zeros((n, 1))], axis=1)
    levels: F8 = np.asarray(np.einsum("nij,nj->ni", tied, light), np.float64)
    return Continuum(first, step, levels, np.asarray(tied[:, k, k], np.float64), shared.astype(np.float64))


def _curve(count: int) -> F8:
    """Levels of a free curve of few nodes, (count, few): straight lines between one node in `_COARSE`."""
    few = max(round((count - 1) / _COARSE), 1) + 1
    node, part = _between(np.arange(count, dtype=np.float64), 0.0, (count - 1) / (few - 1), few)
    out = np.zeros((count, few))
    out[np.arange(count), node] = 1.0 - part
    out[np.arange(count), node + 1] += part
    return out


def _stiffness(normal: F8, light: F8, scale: F8, known: NDArray[np.bool_], curve: F8) -> F8:
    """Inverse of the excess variance of free levels about a free curve, over that of the data: (n,)."""
    count = len(curve)
    k = np.arange(count)
    free = np.linalg.inv(normal)
    level, noise = np.einsum("nij,nj->ni", free, light), free[:, k, k]
    trust = np.where(known, 1.0 / noise, 0.0)
    fitted = np.einsum("ki,nk,kj->nij", curve, trust, curve)
    fitted += 1e-12 * np.trace(fitted, axis1=1, axis2=2)[:, None, None] * np.eye(curve.shape[1])
    rest = np.eye(count) - curve @ (np.linalg.pinv(fitted, hermitian=True) @ (curve.T * trust[:, None, :]))
    level = np.einsum("nij,nj->ni", rest, level)
    variance = np.einsum("nij,njk,nik->ni", rest, free, rest)
    weight = np.where(known, scale[:, None] ** -2 / noise**2, 0.0)
    total = np.maximum(weight.sum(axis=1), 1e-300)
    excess = np.sum(weight * (level**2 - variance), axis=1) / total
    # Twice its own error is taken off: a prior that noise makes would make noise look smaller than it is.
    excess -= 2.0 * np.sqrt(2.0 * np.sum((weight * variance) ** 2, axis=1)) / total
    return np.asarray(np.minimum(1.0 / np.maximum(excess * scale, _STIFFEST**-1), _STIFFEST), np.float64)


def _between(wave: F8, first: float, step: float, count: int) -> tuple[I8, F8]:
    """Number of the node below, and share of the next one."""
    place = (wave - first) / step
    node = np.clip(np.floor(place).astype(int), 0, count - 2)
    return node, np.clip(place - node, 0.0, 1.0)


class Filtered(NamedTuple):
    """What the filter makes of each row at each wavelength of the raster.

    Parameters
    ----------
    wave : array (g,), Angstrom
    score : array (n, g)
        Sum of line shape times light over variance.
    power : array (n, g)
        Variance of ``score``; ``score / power`` is the flux of a line in the fibre.
    shared : array (n, g)
        Covariance of ``score`` with that of the next row.
    continuum : array (n, g)
    width : array (g,), Angstrom
        Mean width of the filter.
    """

    wave: F8
    score: F8
    power: F8
    shared: F8
    continuum: F8
    width: F8


def line_shape(wave: F8, pixel: F8, lsf: F8, centre: F8 | float, sigma: float) -> F8:
    """Mean over pixels of a line of unit flux, 1/Angstrom: a Gaussian, wider by the variance of a pixel."""
    width2 = lsf**2 + sigma**2 + pixel**2 / 12.0
    return np.asarray(np.exp(-0.5 * (wave - centre) ** 2 / width2) / np.sqrt(2.0 * np.pi * width2))


def filter_lines(field: FibreField, continuum: Continuum, raster: F8, sigma: float) -> Filtered:
    """Filter every row for lines of intrinsic width ``sigma`` (Angstrom)."""
    n, m = field.wave.shape
    ivar, pixel = 1.0 / field.variance, np.gradient(field.wave, axis=1)
    rest = field.flux - continuum.at(field.wave)[0]
    beside = field.blend[:-1] * ivar[:-1] * ivar[1:]
    with_blend = bool(np.any(beside))
    index = np.arange(m, dtype=np.float64)
    place = np.stack([np.interp(raster, row, index) for row in field.wave])
    nearest = np.clip(np.rint(place).astype(int), 0, m - 1)
    lsf, px = (np.take_along_axis(v, nearest, axis=1) for v in (field.lsf_sigma, pixel))
    half = int(np.ceil(_REACH * np.sqrt(np.max(lsf) ** 2 + sigma**2) / np.min(px)))
    score, power, sums = (np.zeros((n, raster.size)) for _ in range(3))
    shared = np.zeros((n, raster.size))
    for offset in range(-half, half + 1):
        at = nearest + offset
        inside = (at >= 0) & (at < m)
        at = np.clip(at, 0, m - 1)
        shape = line_shape(np.take_along_axis(field.wave, at, axis=1), px, lsf, raster, sigma) * inside
        weighted = shape * np.take_along_axis(ivar, at, axis=1)
        score += weighted * np.take_along_axis(rest, at, axis=1)
        power += weighted * shape
        sums += weighted
        if with_blend:
            other = line_shape(np.take_along_axis(field.wave[1:], at[:-1], axis=1), px[1:], lsf[1:], raster, sigma)
            shared[:-1] += shape[:-1] * other * np.take_along_axis(beside, at[:-1], axis=1)
    level, doubt = continuum.at(np.broadcast_to(raster, score.shape))
    power = np.maximum(power - sums**2 * doubt, 0.0)
    width = np.sqrt(np.mean(lsf**2 + px**2 / 12.0, axis=0) + sigma**2)
    return Filtered(raster, score, power, shared, level, width)
