"""Conservative rebinning of spectra: pixel sums to bins of a common grid, with covariance.

Inside each pixel the light is the parabola whose integrals over the pixel and its two neighbours
are the measured ones (Colella & Woodward 1984, J. Comput. Phys. 54, 174, without limiter), so a bin
is a linear combination of pixels, total light is kept, and nothing is interpolated twice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled

__all__ = ["rebin"]

F8 = NDArray[np.float64]

# A bin of which less than this share is covered by measured pixels is not measured.
LEAST_COVER = 0.7


@compiled()
def rebin(flux: F8, variance: F8, edges: F8) -> tuple[F8, F8, F8, F8]:
    """Rebin spectra from pixels to bins.

    Parameters
    ----------
    flux, variance : array (n, m)
        Light in each pixel; NaN where not measured.
    edges : array (n, k + 1)
        Edges of the bins in pixels of each spectrum (pixel j spans j - 0.5 ... j + 0.5), monotonic.

    Returns
    -------
    flux, variance : array (n, k)
        Light in each bin; NaN where too little of it was measured.
    covariance : array (n, k)
        With the next bin; 0 in the last column.
    cover : array (n, k)
        Share of the bin that lies on measured pixels.
    """
    n, m = flux.shape
    k = edges.shape[1] - 1
    out, out_var = np.full((n, k), np.nan), np.full((n, k), np.nan)
    out_cov, cover = np.zeros((n, k)), np.zeros((n, k))
    weight, last = np.zeros(m), np.zeros(m)
    for i in range(n):
        last_low, last_high, last_ok = 0, -1, False
        last[:] = 0.0
        for b in range(k):
            left, right = min(edges[i, b], edges[i, b + 1]), max(edges[i, b], edges[i, b + 1])
            low, high = max(0, int(np.floor(left - 0.5))), min(m - 1, int(np.floor(right + 0.5)) + 2)
            cover[i, b] = _bin_weights(weight, flux[i], left, right)
            ok = cover[i, b] >= LEAST_COVER
            if ok:
                weight[low : high + 1] /= cover[i, b]
                out[i, b], out_var[i, b], shared = _bin_sums(weight, last, flux[i], variance[i], (low, high))
                if last_ok:
                    out_cov[i, b - 1] = shared
            if last_high >= last_low:
                last[last_low : last_high + 1] = 0.0
            last[low : high + 1] = weight[low : high + 1]
            weight[low : high + 1] = 0.0
            last_low, last_high, last_ok = low, high, ok
    return out, out_var, out_cov, cover


@compiled()
def _bin_weights(weight: F8, flux: F8, left: float, right: float) -> float:
    """Add to ``weight`` (m,) what each pixel gives to the bin from ``left`` to ``right``; return the bin's cover.

    A measured pixel beside one that is not is flat.
    """
    m, covered = flux.size, 0.0
    for j in range(max(0, int(np.floor(left + 0.5))), min(m - 1, int(np.floor(right + 0.5))) + 1):
        u0, u1 = max(left - j, -0.5), min(right - j, 0.5)
        if u1 <= u0 or not np.isfinite(flux[j]):
            continue
        covered += u1 - u0
        weight[j] += u1 - u0
        if 0 < j < m - 1 and np.isfinite(flux[j - 1]) and np.isfinite(flux[j + 1]):
            slope = 0.25 * (u1 * u1 - u0 * u0)
            bend = (u1**3 - u0**3) / 6.0 - (u1 - u0) / 24.0
            weight[j - 1] += bend - slope
            weight[j] -= 2.0 * bend
            weight[j + 1] += bend + slope
    return covered / (right - left) if right > left else 0.0


@compiled()
def _bin_sums(weight: F8, last: F8, flux: F8, variance: F8, reach: tuple[int, int]) -> tuple[float, float, float]:
    """Return light and variance of a bin, and its covariance with the bin whose weights are ``last``."""
    total, var, shared = 0.0, 0.0, 0.0
    for j in range(reach[0], reach[1] + 1):
        if weight[j] != 0.0:  # a pixel that is not measured has no weight, and NaN
            total += weight[j] * flux[j]
            var += weight[j] * weight[j] * variance[j]
            shared += weight[j] * last[j] * variance[j]
    return total, var, shared
