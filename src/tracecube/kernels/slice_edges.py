"""Edges of slices in cuts across them: where an evenly lit slice fades into the gap on either side.

A cut through a slice is ``b + (c0 + c1 t + c2 t^2) [P((x - l) / s) - P((x - r) / s)]``, P the Gaussian's integral:
light of the slice, smooth along it, between a left and a right edge that optics and pixels blur by s.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

__all__ = ["Edges", "find_slices", "fit_edges"]

F8 = NDArray[np.float64]
B1 = NDArray[np.bool_]

_BEYOND = 3  # px outside an edge that are looked at: half of the narrowest gap and the next slice stays out
_ODD, _ODD_HALF, _ODD_FROM = 0.1, 5, 4.0  # share of the light; px on either side; px from an edge (which is no column)
_GAP = 6  # px, that of most slices to the next
_FAINT = 0.1  # of the bright slices' light: what is fainter is scattered
_SHAPE = 3  # terms of the light along the slice
_STEPS = 12
_DONE = 1e-5  # px


class Edges(NamedTuple):
    """Fitted cuts, one a row.

    Parameters
    ----------
    left, right, blur : array (n,), px
        NaN where a fit failed.
    error : array (n,), px
        One-sigma error of either edge.
    covariance : array (n,), px**2
        Of the two edges: one blur and one light for both make them err to opposite sides.
    level : array (n,)
        Light in the middle of the slice.
    chi2 : array (n,)
        Reduced chi-square.
    """

    left: F8
    right: F8
    blur: F8
    error: F8
    covariance: F8
    level: F8
    chi2: F8

    @property
    def centre_error(self) -> F8:
        """One-sigma error of the middle between the edges (n,), px."""
        return np.asarray(np.sqrt(np.maximum(0.5 * (self.error**2 + self.covariance), 0.0)))

    @property
    def width_error(self) -> F8:
        """One-sigma error of the distance of the edges (n,), px."""
        return np.asarray(np.sqrt(np.maximum(2.0 * (self.error**2 - self.covariance), 0.0)))


def find_slices(cut: F8, *, width: tuple[float, float], share: float = 0.5) -> list[tuple[float, float]]:
    """Return left and right edges (px) of the runs in a cut that are as wide as a slice.

    A pixel belongs to a run when it has more than ``share`` of the light around it: of the brightest pixel within
    a gap's width, or of the typical one within a slice's width if that is fainter, so that a faint slice between
    bright ones is found as well. Single dark pixels (columns) within a run do not part it.

    Parameters
    ----------
    cut : array (n,)
        Light across the slices, NaN where no pixel is good.
    width : (float, float), px
        Narrowest and widest slice.
    share : float
    """
    known = np.isfinite(cut)
    filled = np.interp(np.arange(cut.size), np.flatnonzero(known), cut[known])
    smooth = _running(filled, 3, 0.5)  # a dark or bright column is gone, an edge stays
    floor = float(np.percentile(smooth, 2.0))
    local = np.minimum(_running(smooth, int(width[0]) // 2, 0.7), _running(smooth, _GAP, 1.0))
    lit = smooth - floor > share * np.maximum(local - floor, _FAINT * float(np.percentile(smooth - floor, 90.0)))
    edge = np.flatnonzero(np.diff(np.concatenate([[False], lit, [False]]).astype(int)))
    runs = zip(edge[::2], edge[1::2], strict=True)
    return [(float(a) - 0.5, float(b) - 0.5) for a, b in runs if width[0] <= b - a <= width[1]]


def _running(values: F8, half: int, share: float) -> F8:
    """Return the quantile ``share`` of the values within ``half`` of each."""
    padded = np.pad(values, half, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    return np.asarray(np.quantile(windows, share, axis=1))


def fit_edges(cuts: F8, variance: F8, good: B1, left: F8, right: F8, *, blur: float) -> Edges:
    """Fit both edges of a slice in many cuts at once (Gauss-Newton).

    Parameters
    ----------
    cuts, variance : array (n, k)
        Light and its variance; each row is cut out of its own image.
    good : bool array (n, k)
    left, right : array (n,), px
        First guess, from the beginning of each row, to a pixel or two.
    blur : float, px
        First guess.
    """
    n, k = cuts.shape
    x = np.arange(k, dtype=np.float64)[None, :]
    good = good & ~_odd(cuts, variance, good, (x > left[:, None] + _ODD_FROM) & (x < right[:, None] - _ODD_FROM))
    good = good & ~_notches(cuts, variance)
    at = np.stack([left, right, np.full(n, blur)], axis=1)
    weight = np.where(good, 1.0 / np.maximum(variance, 1e-30), 0.0)
    safe = np.where(good, cuts, 0.0)
    step = np.full(n, np.inf)
    for _ in range(_STEPS):
        near = weight * ((x > at[:, :1] - _BEYOND) & (x < at[:, 1:2] + _BEYOND))
        design, model = _design(x, at, safe, near)
        normal = np.einsum("nki,nk,nkj->nij", design, near, design, optimize=True)
        rhs = np.einsum("nki,nk->ni", design, near * (safe - model), optimize=True)
        normal += 1e-12 * np.eye(normal.shape[1]) * np.einsum("nii->n", normal)[:, None, None] + 1e-30 * np.eye(
            normal.shape[1]
        )
        change = np.linalg.solve(normal, rhs[:, :, None])[:, :3, 0]
        change = np.clip(np.nan_to_num(change), [-1.0, -1.0, -0.2], [1.0, 1.0, 0.2])
        at = at + change
        at[:, 2] = np.clip(at[:, 2], 0.2, 3.0)
        step = np.abs(change[:, :2]).max(axis=1)
        if step.max() < _DONE:
            break
    inverse = np.linalg.inv(normal)[:, :2, :2]
    error = np.sqrt(np.maximum(0.5 * (inverse[:, 0, 0] + inverse[:, 1, 1]), 0.0))
    count = np.maximum((near > 0).sum(axis=1) - normal.shape[1], 1)
    chi2 = (near * (safe - model) ** 2).sum(axis=1) / count
    level = np.einsum("nk,nk->n", safe, near) / np.maximum(near.sum(axis=1), 1e-30)
    lost = (step > 0.05) | (np.abs(at[:, 0] - left) > 5.0) | (np.abs(at[:, 1] - right) > 5.0)  # noqa: PLR2004 - px
    found = np.where(lost[:, None], np.nan, at)
    return Edges(found[:, 0], found[:, 1], found[:, 2], error, inverse[:, 0, 1], level, chi2)


def _odd(cuts: F8, variance: F8, good: B1, inside: B1) -> B1:
    """Return the pixels within a slice that are no part of its smooth light: dead or hot columns not flagged."""
    padded = np.pad(np.where(good, cuts, np.nan), ((0, 0), (_ODD_HALF, _ODD_HALF)), constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _ODD_HALF + 1, axis=1)
    known = good.any(axis=1)
    around = np.full(cuts.shape, np.nan)
    ordered = np.sort(windows[known], axis=2)  # NaN last
    count = np.isfinite(ordered).sum(axis=2)
    around[known] = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0)[:, :, None], axis=2)[:, :, 0]
    with np.errstate(invalid="ignore"):
        return np.asarray(inside & (np.abs(cuts - around) > _ODD * np.abs(around) + 5.0 * np.sqrt(variance)))


def _notches(cuts: F8, variance: F8) -> B1:
    """Return dark pixels with light within two pixels on either side: no gap is as narrow."""
    padded = np.pad(cuts, ((0, 0), (2, 2)))
    before, after = np.maximum(padded[:, :-4], padded[:, 1:-3]), np.maximum(padded[:, 3:-1], padded[:, 4:])
    flank = np.minimum(before, after)
    return np.asarray((cuts < 0.5 * flank) & (flank > 10.0 * np.sqrt(variance)))


def _design(x: F8, at: F8, cuts: F8, weight: F8) -> tuple[F8, F8]:
    """Return derivatives (n, k, 3 + terms + 1) of the model at its best light, and the model (n, k)."""
    left, right, blur = (at[:, i : i + 1] for i in range(3))
    t = (2.0 * x - left - right) / (right - left)
    powers = np.stack([t**i for i in range(_SHAPE)], axis=2)
    u, v = (x - left) / blur, (x - right) / blur
    inside = ndtr(u) - ndtr(v)
    linear = np.concatenate([powers * inside[:, :, None], np.ones((*inside.shape, 1))], axis=2)
    normal = np.einsum("nki,nk,nkj->nij", linear, weight, linear, optimize=True)
    normal += 1e-12 * np.eye(_SHAPE + 1) * np.einsum("nii->n", normal)[:, None, None] + 1e-30 * np.eye(_SHAPE + 1)
    light = np.linalg.solve(normal, np.einsum("nki,nk->ni", linear, weight * cuts, optimize=True)[:, :, None])[:, :, 0]
    model = np.einsum("nki,ni->nk", linear, light, optimize=True)
    along = np.einsum("nki,ni->nk", powers, light[:, :_SHAPE], optimize=True)
    du, dv = (np.exp(-0.5 * w**2) / np.sqrt(2.0 * np.pi) / blur for w in (u, v))
    edges = np.stack([-along * du, along * dv, -along * (u * du - v * dv)], axis=2)
    return np.concatenate([edges, linear], axis=2), model
