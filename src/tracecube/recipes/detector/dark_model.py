"""Dark current as a smooth surface: what is left of hot pixels, hits and noise, the glow of a diode with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre

from tracecube.core.errors import BadData
from tracecube.core.fields import BoolArray, FloatArray

__all__ = ["DarkModel", "model_dark"]

_BLOCK = 64  # px
_LEAST = 0.5  # of the pixels of a block that must be good
_CLIP = 4.0


@dataclass(frozen=True)
class DarkModel:
    """Surface and its variance (y, x), and chi-square a degree of freedom of the blocks."""

    data: FloatArray
    variance: FloatArray
    chi2: float


def model_dark(data: FloatArray, variance: FloatArray, good: BoolArray, *, order: int) -> DarkModel:
    """Fit a surface to the medians of blocks: a product of Legendre polynomials of x and y.

    Parameters
    ----------
    data, variance : array (y, x)
    good : bool array (y, x)
    order : int
        Largest degree along each axis; the surface has (order + 1)^2 terms.

    Raises
    ------
    BadData
        Fewer good blocks than terms.
    """
    y, x, value, noise = _blocks(data, variance, good)
    if value.size < (order + 1) ** 2:
        raise BadData(
            f"{value.size} blocks of {_BLOCK} px are good: the dark's surface needs {(order + 1) ** 2}",
            hint="are most pixels flagged, in the dark or in its bias? A lower order needs fewer blocks",
        )
    high, wide = data.shape
    u, v = 2.0 * y / (high - 1) - 1.0, 2.0 * x / (wide - 1) - 1.0
    design = _terms(u, v, order)
    kept = np.ones(value.size, bool)
    for _ in range(5):
        root = kept / np.sqrt(noise)
        normal = (design * root[:, None] ** 2).T @ design
        covariance = np.linalg.inv(normal + 1e-12 * np.trace(normal) * np.eye(len(normal)))
        fit = covariance @ (design.T @ (root**2 * value))
        pull = np.abs(value - design @ fit) / np.sqrt(noise)
        kept = pull < _CLIP * max(1.4826 * float(np.median(pull[kept])), 1.0)
    chi2 = float(np.sum(pull[kept] ** 2)) / max(int(kept.sum()) - design.shape[1], 1)
    along, across = (legendre.legvander(np.linspace(-1, 1, size), order) for size in (high, wide))
    surface = along @ fit.reshape(order + 1, order + 1) @ across.T
    coarse = _terms(*np.meshgrid(np.linspace(-1, 1, 33), np.linspace(-1, 1, 33), indexing="ij"), order)
    spread = np.einsum("...i,ij,...j->...", coarse, covariance * max(chi2, 1.0), coarse)
    rows, columns = np.rint(np.linspace(0, 32, high)).astype(int), np.rint(np.linspace(0, 32, wide)).astype(int)
    return DarkModel(surface.astype(np.float32), spread[np.ix_(rows, columns)].astype(np.float32), chi2)


def _blocks(
    data: FloatArray, variance: FloatArray, good: BoolArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return place (y, x), median and its variance of the blocks of enough good pixels."""
    rows = []
    for y0 in range(0, data.shape[0] - _BLOCK + 1, _BLOCK):
        for x0 in range(0, data.shape[1] - _BLOCK + 1, _BLOCK):
            own = slice(y0, y0 + _BLOCK), slice(x0, x0 + _BLOCK)
            kept = good[own]
            if kept.mean() < _LEAST:
                continue
            # the median of n samples has pi / 2 times the variance of their mean
            noise = 0.5 * np.pi * float(np.median(variance[own][kept])) / kept.sum()
            rows.append((y0 + 0.5 * (_BLOCK - 1), x0 + 0.5 * (_BLOCK - 1), float(np.median(data[own][kept])), noise))
    y, x, value, noise = np.array(rows, np.float64).reshape(-1, 4).T
    return y, x, value, noise


def _terms(u: FloatArray, v: FloatArray, order: int) -> FloatArray:
    """Return all products of Legendre polynomials of two coordinates (..., (order + 1)^2)."""
    return np.asarray(legendre.legvander2d(u, v, [order, order]))
