"""What the lines of all fibres have in common: their shape beyond a Gaussian, and the ratios of blended lines.

The shape hardly changes along a spectrum. Changes are believed as far as they stand out of their own errors: with all
freedom, wings and companions of the last line trade places, and it wanders by hundredths of an Angstrom.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from tracecube.core.fields import FloatArray
from tracecube.kernels.polynomials import CERTAIN, believed_precision
from tracecube.recipes.optics.fibre_lines import (
    ORDERS,
    FibreArc,
    FibreLine,
    LineFits,
    LineShape,
    LineWindow,
    hermite,
    line_design,
    line_edges,
    line_window,
)

__all__ = ["fit_common"]

_TURNS = 25  # in which it is found how far changes are believed
_WIDER = 0.05  # px: by which widths half a spectrum away may differ from what the widths of other lines tell
_BESIDE = 0.02  # of half a spectrum: lines are taken to be no closer than this


def fit_common(
    arcs: Mapping[str, FibreArc], lines: tuple[FibreLine, ...], fits: LineFits, shape: LineShape, at: FloatArray
) -> tuple[LineShape, FloatArray]:
    """Fit what all rows have in common: the shape beyond a Gaussian, and the ratios of blended lines.

    Each row's centres, widths and fluxes are eliminated from the equations.

    Parameters
    ----------
    fits : LineFits
        With widths.
    shape : LineShape
    at : array (k,)
        Places of the lines along the spectrum, -1 to 1. The amplitudes of the Hermite functions are a parabola of it,
        whose slope and bend are drawn from N(0, their own variance) (automatic relevance determination; MacKay 1992,
        Neural Comput. 4, 415).

    Returns
    -------
    LineShape
        ``shape`` with new tails and ratios, and new widths of the lines that look like one with a companion.
    array (k, k), px**2
        Covariance of the lines' places in all rows alike, from the errors of what is common.
    """
    terms, close = legendre.legvander(at, 2), shape.close()
    blends = [(j, i) for j, line in enumerate(lines) for i in range(len(line.companions))]
    unknown = _Unknown(terms.size // len(terms) * len(ORDERS), blends, np.flatnonzero(close).tolist())
    matrix, rhs = np.zeros((unknown.size, unknown.size)), np.zeros(unknown.size)
    moved = np.zeros((len(lines), unknown.size))
    for j, line in enumerate(lines):
        good = np.isfinite(fits.x[:, j])
        if line.lamp not in arcs or not good.any():
            continue
        fit = fits.x[good, j], (shape.sigma if close[j] else fits.sigma)[good, j], fits.flux[good, j]
        window = LineWindow(*(values[good] for values in line_window(arcs[line.lamp], fits.x[:, j])))
        own, common = _designs(window, fit, shape, (j, terms[j]), unknown)
        moved[j] = _eliminate(own, common, window, matrix, rhs)
    tails = np.linalg.lstsq(terms, shape.tails, rcond=None)[0]
    before = np.concatenate([tails.ravel(), [shape.ratios[j, i] for j, i in blends], np.zeros(len(unknown.widths))])
    away = np.abs(at[close, None] - at[~close]).min(axis=1, initial=2.0)
    held = np.zeros(unknown.size)
    held[unknown.size - len(away) :] = 1.0 / (_WIDER * np.maximum(away, _BESIDE)) ** 2
    doubted = (np.arange(unknown.size) >= len(ORDERS)) & (np.arange(unknown.size) < unknown.tails)
    value, covariance = _believed(matrix, rhs + matrix @ before, held, doubted)
    ratios, sigma = shape.ratios.copy(), shape.sigma.copy()
    for (j, i), ratio in zip(blends, value[unknown.tails :], strict=False):
        ratios[j, i] = max(ratio, 0.0)
    sigma[:, close] += value[unknown.size - len(away) :]
    tails = terms @ value[: unknown.tails].reshape(tails.shape)
    return LineShape(sigma, tails, shape.offsets, ratios), moved @ covariance @ moved.T


class _Unknown(NamedTuple):
    """What is common, in order: so many amplitudes of tails, ratios (line, companion), widths of close lines."""

    tails: int
    blends: list[tuple[int, int]]
    widths: list[int]

    @property
    def size(self) -> int:
        return self.tails + len(self.blends) + len(self.widths)


def _designs(
    window: LineWindow,
    fit: tuple[FloatArray, FloatArray, FloatArray],
    shape: LineShape,
    line: tuple[int, FloatArray],
    unknown: _Unknown,
) -> tuple[FloatArray, FloatArray]:
    """Columns (n, w, .) of one line: of each row's own unknowns, and of the common ones.

    ``fit`` holds centre, width and flux of the rows, ``line`` its number and terms. A line too close to its companions
    says nothing of the shape, and has one change of width for all rows.
    """
    (place, sigma, flux), (j, terms) = fit, line
    own = line_design(window, place, sigma, flux, (shape.tails[j], shape.offsets[j], shape.ratios[j]))
    common = np.zeros((*window.flux.shape, unknown.size))
    alone = (shape.tails[j], np.zeros(1), np.zeros(1))
    for column, (owner, i) in enumerate(unknown.blends):
        if owner == j:
            moved = line_design(window, place + shape.offsets[j, i], sigma, flux, alone)
            common[:, :, unknown.tails + column] = flux[:, None] * moved[:, :, 0]
    if j in unknown.widths:
        common[:, :, unknown.tails + len(unknown.blends) + unknown.widths.index(j)] = own[:, :, 4]
        return own[:, :, :4], common
    tail = _tail_design(window, place, sigma, flux, (shape.offsets[j], shape.ratios[j]))
    common[:, :, : unknown.tails] = (terms[:, None] * tail[:, :, None, :]).reshape(*tail.shape[:2], -1)
    return own, common


def _eliminate(
    own: FloatArray, common: FloatArray, window: LineWindow, matrix: FloatArray, rhs: FloatArray
) -> FloatArray:
    """Add to the common normal equations those of all rows, each row's own unknowns eliminated.

    Returns by how much the place of the line moves, in the mean of the rows, with each common unknown (size,).
    """
    weighted = own * window.ivar[:, :, None]
    normal = weighted.transpose(0, 2, 1) @ own
    scale = np.sqrt(np.maximum(np.einsum("njj->nj", normal), 1e-30))
    normal = normal / (scale[:, :, None] * scale[:, None, :])
    normal[:, range(own.shape[2]), range(own.shape[2])] = 1.0 + 1e-10
    cross = (weighted.transpose(0, 2, 1) @ common) / scale[:, :, None]
    right = (weighted.transpose(0, 2, 1) @ window.flux[:, :, None]) / scale[:, :, None]
    inverse = np.linalg.inv(normal)
    taken = inverse @ np.concatenate([cross, right], axis=2)
    heavy = (common * window.ivar[:, :, None]).transpose(0, 2, 1)
    matrix += (heavy @ common - cross.transpose(0, 2, 1) @ taken[:, :, :-1]).sum(axis=0)
    rhs += (heavy @ window.flux[:, :, None] - cross.transpose(0, 2, 1) @ taken[:, :, -1:])[:, :, 0].sum(axis=0)
    weight = scale[:, 1] ** 2 / inverse[:, 1, 1]
    return np.asarray(-(weight / scale[:, 1]) @ taken[:, 1, :-1] / weight.sum())


def _believed(
    matrix: FloatArray, rhs: FloatArray, held: FloatArray, doubted: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """Solve for the common unknowns, the doubted ones only as far as they stand out of their errors; covariance.

    ``held`` is the precision with which those that are not doubted are known to be 0 beforehand.
    """
    precision = held
    covariance = np.linalg.pinv(matrix + np.diag(precision), rcond=1e-12, hermitian=True)
    value = covariance @ rhs
    most = CERTAIN / np.maximum(np.diag(covariance), 1e-300)
    for _ in range(_TURNS):
        precision = np.where(doubted, believed_precision(value, np.diag(covariance), precision, most), held)
        covariance = np.linalg.pinv(matrix + np.diag(precision), rcond=1e-12, hermitian=True)
        value = covariance @ rhs
    return np.asarray(value), np.asarray(covariance)


def _tail_design(
    window: LineWindow, x: FloatArray, sigma: FloatArray, flux: FloatArray, blend: tuple[FloatArray, FloatArray]
) -> FloatArray:
    """Hermite functions of `ORDERS` (n, w, 4) on pixels, for a line with its companions."""
    out = np.zeros((*window.flux.shape, len(ORDERS)))
    for offset, ratio in zip([0.0, *blend[0]], [1.0, *blend[1]], strict=True):
        if ratio:
            t, gauss, _ = line_edges(window, x + offset, sigma, np.zeros(len(ORDERS)))
            he = hermite(t)
            for j, order in enumerate(ORDERS):
                out[:, :, j] -= (ratio * flux)[:, None] * np.diff(he[order - 1] * gauss, axis=1) / sqrt(order)
    return out
