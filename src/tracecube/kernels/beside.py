"""Covariance between rebinned spectra that lie beside each other on the detector.

Two spectra share noise where they lie on one detector column: a sample of one with the sample of the other
beside it. Bins are linear combinations of samples (`kernels.resample`), so the covariance of a bin with
the bins of the other spectrum is R C R'ᵀ, R and R' the rows of either rebinning.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled
from tracecube.kernels.resample import LEAST_COVER, _bin_weights

__all__ = ["bins_beside"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


@compiled()
def bins_beside(flux: F8, blend: F8, row: I8, sample: I8, edges: F8, reach: int) -> tuple[I8, I8, F8]:
    """Carry the covariance with the next spectrum across through the rebinning of both.

    Parameters
    ----------
    flux : array (n, m)
        NaN where not measured, as given to `tracecube.kernels.resample.rebin`.
    blend : array (n, m)
        Covariance of each sample with the one beside it.
    row, sample : int array (n, m)
        Which that one is; -1 where there is none.
    edges : array (n, k + 1)
        Of the bins, as given to `rebin`.
    reach : int
        Bins of the other spectrum on either side of the one beside.

    Returns
    -------
    beside, bin : int array (n, k)
        Spectrum beside each bin's middle, and its bin there; -1 where there is none.
    covariance : array (n, k, 2 reach + 1)
        With its bins ``bin - reach`` ... ``bin + reach``.
    """
    n, m = flux.shape
    k = edges.shape[1] - 1
    beside, place = np.full((n, k), -1, np.int64), np.full((n, k), -1, np.int64)
    covariance = np.zeros((n, k, 2 * reach + 1))
    own, other = np.zeros(m), np.zeros(m)
    for i in range(n):
        for b in range(k):
            left, right = min(edges[i, b], edges[i, b + 1]), max(edges[i, b], edges[i, b + 1])
            middle = int(np.floor(0.5 * (left + right) + 0.5))
            if middle < 0 or middle >= m or row[i, middle] < 0:
                continue
            p = row[i, middle]
            at = _bin_of(edges[p], sample[i, middle] + 0.5 * (left + right) - middle)
            if at < 0:
                continue
            beside[i, b], place[i, b] = p, at
            own[:] = 0.0
            cover = _bin_weights(own, flux[i], left, right)
            if cover < LEAST_COVER:
                continue
            for d in range(-reach, reach + 1):
                if at + d < 0 or at + d >= k:
                    continue
                low, high = min(edges[p, at + d], edges[p, at + d + 1]), max(edges[p, at + d], edges[p, at + d + 1])
                other[:] = 0.0
                covered = _bin_weights(other, flux[p], low, high)
                if covered < LEAST_COVER:
                    continue
                total = 0.0
                for s in range(max(0, middle - 4), min(m, middle + 5)):
                    if own[s] != 0.0 and row[i, s] == p and np.isfinite(blend[i, s]):
                        total += own[s] * other[sample[i, s]] * blend[i, s]
                covariance[i, b, d + reach] = total / (cover * covered)
    return beside, place, covariance


@compiled()
def _bin_of(edges: F8, place: float) -> int:
    """Return the bin that holds a place, -1 where none does; edges rise or fall."""
    for b in range(edges.size - 1):
        if min(edges[b], edges[b + 1]) <= place < max(edges[b], edges[b + 1]):
            return b
    return -1
