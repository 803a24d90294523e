"""The samples of a slit: light with its covariance, chi-square of the pixels beneath, and the sum over an aperture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled
from tracecube.kernels.slit_light import Footprints, adjoint_column, project_column
from tracecube.kernels.slit_solve import (
    Pixels,
    band_of,
    factorise_column,
    load_column,
    normal_column,
    padded_columns,
    substitute,
)

__all__ = ["Samples", "measure_samples"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
U1 = NDArray[np.uint8]
_FAST = {"reassoc", "contract", "nsz"}
_HIT, _FULL = 2, 2  # least mark of a hit; bit of a saturated pixel


class Samples(NamedTuple):
    """Samples of a slit, float32 arrays (m, n).

    Parameters
    ----------
    flux, variance, blend : array
        Light, its variance, and covariance with the next fibre up; NaN where it is not measured.
    chi2 : array
        Reduced, of the pixels under the footprint.
    box : array
        Sum over the aperture; bad pixels as the model has them.
    off, off_variance : array
        What the aperture holds beyond the model, and its variance.
    share, hit, full : array
        Shares of the squared footprint on good pixels, on hit ones, and on saturated ones.
    """

    flux: F4
    variance: F4
    blend: F4
    chi2: F4
    box: F4
    off: F4
    off_variance: F4
    share: F4
    hit: F4
    full: F4


def measure_samples(feet: Footprints, centre: F8, pixels: Pixels, marks: U1, state: U1, box: float) -> Samples:
    """Solve every column and measure its samples.

    Parameters
    ----------
    feet : Footprints
    centre : array (m, n), px
    pixels : Pixels
    marks, state : uint8 array (m, rows)
        Hits are marked 2 or 3 (`flood`); saturated pixels have bit 2.
    box : float, px
        Width of the aperture.
    """
    out = Samples(*(np.empty(centre.shape, np.float32) for _ in range(10)))
    _measure(feet, centre, pixels, (marks, state), box, out)
    return out


@compiled()
def _measure(feet: Footprints, centre: F8, pixels: Pixels, bits: tuple[U1, U1], box: float, out: Samples) -> None:
    """Fill the samples column by column."""
    m, rows = pixels.data.shape
    n, width = feet.weight.shape[1:]
    band = band_of(n)
    padded, work = padded_columns(2, rows, width), padded_columns(4, rows, width)
    squares, inverse, sums = np.zeros((n, width), np.float32), np.zeros((3, n)), np.zeros((3, n))
    for c in range(m):
        first, weight = feet.first[c], feet.weight[c]
        load_column(pixels, c, padded)
        normal_column(first, weight, padded[0], padded[1], band)
        out.share[c] = band.share
        factorise_column(band)
        substitute(band.matrix, band.rhs)
        _inverse_in_band(band.matrix, inverse)
        squares[:] = weight * weight
        _chi_square(first, (weight, squares), padded, (band.rhs, inverse[0], band.measured), work, sums)
        for j in range(n):
            good = band.measured[j]
            out.flux[c, j] = band.rhs[j] if good else np.nan
            out.variance[c, j] = inverse[0, j] if good else np.nan
            out.blend[c, j] = inverse[1, j]
            out.chi2[c, j] = sums[0, j] / sums[1, j] if sums[1, j] > 0.0 else np.nan
        _lost_shares(first, squares, bits[0][c], bits[1][c], (out.hit[c], out.full[c]))
        _aperture(centre[c], (first, weight), padded, (work[0], inverse, band.measured), box,
                  (out.box[c], out.off[c], out.off_variance[c]))  # fmt: skip


@compiled()
def _inverse_in_band(lower: F8, inverse: F8) -> None:
    """Elements of (L D Lᵀ)⁻¹ inside the band (Takahashi, Fagan & Chen 1973), from the last row upwards."""
    n = lower.shape[1]
    for j in range(n - 1, -1, -1):
        first = lower[1, j] if j + 1 < n else 0.0
        second = lower[2, j] if j + 2 < n else 0.0
        next_ = inverse[:, min(j + 1, n - 1)]
        after = inverse[0, min(j + 2, n - 1)]
        inverse[2, j] = -first * next_[1] - second * after if j + 2 < n else 0.0
        inverse[1, j] = (-first * next_[0] - second * next_[1]) if j + 1 < n else 0.0
        inverse[0, j] = 1.0 / lower[0, j] - first * inverse[1, j] - second * inverse[2, j]


@compiled(fastmath=_FAST)
def _chi_square(
    first: I8,
    footprints: tuple[F4, F4],
    padded: F4,
    solved: tuple[F8, F8, NDArray[np.bool_]],
    work: F4,
    sums: F8,
) -> None:
    """Sum squared deviations and degrees of freedom under each footprint into ``sums`` (2 of 3, n).

    ``work`` (4, rows + 2 k) holds light and deviations afterwards. A pixel's freedom is what the fit has not taken:
    one less its leverage, variances of neighbours counted and covariances not.
    """
    flux, variance, measured = solved
    weight, squares = footprints
    known = np.where(measured, variance, 0.0).astype(np.float32)
    project_column(first, weight, flux.astype(np.float32), work[0])
    project_column(first, squares, known, work[1])
    one, zero = np.float32(1.0), np.float32(0.0)
    for i in range(work.shape[1]):
        iv = padded[1, i]
        left = padded[0, i] - work[0, i]
        work[2, i] = iv * left * left
        work[3, i] = max(one - work[1, i] * iv, zero) if iv > zero else zero
    adjoint_column(first, weight, work[2], sums[0])
    adjoint_column(first, weight, work[3], sums[1])


@compiled()
def _lost_shares(first: I8, squares: F4, marks: U1, state: U1, out: tuple[F4, F4]) -> None:
    """Share of each squared footprint on hit and on saturated pixels."""
    n, width = squares.shape
    hit, full = out
    hit[:], full[:] = 0.0, 0.0
    low = 0
    for i in range(marks.size):
        if marks[i] < _HIT and not state[i] & _FULL:
            continue
        while low < n and first[low] + width <= i:
            low += 1
        j = low
        while j < n and first[j] <= i:
            share = squares[j, i - first[j]] / max(squares[j].sum(), np.float32(1e-12))
            if marks[i] >= _HIT:
                hit[j] += share
            if state[i] & _FULL:
                full[j] += share
            j += 1


@compiled()
def _aperture(
    centre: F8,
    footprints: tuple[I8, F4],
    padded: F4,
    solved: tuple[F4, F8, NDArray[np.bool_]],
    box: float,
    out: tuple[F4, F4, F4],
) -> None:
    """Sum a centred aperture with its fractions of pixels; what it holds beyond the model, and the variance of that.

    The residual is n - A C Aᵀ N⁻¹ n: its variance under an aperture b is bᵀ N b - (Aᵀ b)ᵀ C (Aᵀ b), in which the
    second neighbours, whose light an aperture does not reach, are left out.
    """
    first, weight = footprints
    light, inverse, measured = solved
    n, width = weight.shape
    reach, near = 0.5 * (box + 1.0), np.zeros(3)
    for j in range(n):
        total, off, noise = 0.0, 0.0, 0.0
        near[:] = 0.0
        low, high = int(np.ceil(centre[j] - reach)), int(np.floor(centre[j] + reach))
        for i in range(max(low, -width), min(high + 1, padded.shape[1] - width)):
            b, iv, at = min(reach - abs(i - centre[j]), 1.0), padded[1, i + width], i + width
            total += b * light[at]
            if iv > 0.0:
                left = b * (padded[0, at] - light[at])
                total += left
                off += left
                noise += b * b / iv
                for d in range(3):
                    k = j + d - 1
                    if 0 <= k < n and measured[k] and 0 <= i - first[k] < width:
                        near[d] += b * weight[k, i - first[k]]
        for d in range(3):
            for e in range(3):
                a, apart = j + min(d, e) - 1, abs(d - e)
                if a >= 0 and a + apart < n:
                    noise -= near[d] * near[e] * inverse[apart, a]
        out[0][j], out[1][j], out[2][j] = total, off, max(noise, 0.0)
