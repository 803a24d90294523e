"""Conservative rebinning of spectra: pixel sums to bins of a common grid, with covariance.

Inside each pixel the light is the parabola whose integrals over the pixel and its two neighbours
are the measured ones (Colella & Woodward 1984, J. Comput. Phys. 54, 174, without limiter), so a bin
is a linear combination of pixels, total light is kept, and nothing is interpolated twice.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["rebin"]

F8 = NDArray[np.float64]

# A bin of which less than this share is covered by measured pixels is not measured.
LEAST_COVER = 0.7


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
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
        for b in range(k):
            left, right = min(edges[i, b], edges[i, b + 1]), max(edges[i, b], edges[i, b + 1])
            low, high = max(0, int(np.floor(left - 0.5))), min(m - 1, int(np.floor(right + 0.5)) + 2)
            weight[low : high + 1] = 0.0
            covered = 0.0
            for j in range(max(0, int(np.floor(left + 0.5))), min(m - 1, int(np.floor(right + 0.5))) + 1):
                u0, u1 = max(left - j, -0.5), min(right - j, 0.5)
                if u1 <= u0 or not np.isfinite(flux[i, j]):
                    continue
                covered += u1 - u0
                weight[j] += u1 - u0
                if 0 < j < m - 1 and np.isfinite(flux[i, j - 1]) and np.isfinite(flux[i, j + 1]):
                    slope = 0.25 * (u1 * u1 - u0 * u0)
                    bend = (u1**3 - u0**3) / 6.0 - (u1 - u0) / 24.0
                    weight[j - 1] += bend - slope
                    weight[j] -= 2.0 * bend
                    weight[j + 1] += bend + slope
            width = right - left
            cover[i, b] = covered / width if width > 0 else 0.0
            ok = cover[i, b] >= LEAST_COVER
            if ok:
                total, var = 0.0, 0.0
                for j in range(low, high + 1):
                    if weight[j] != 0.0:
                        weight[j] /= cover[i, b]
                        total += weight[j] * flux[i, j]
                        var += weight[j] * weight[j] * variance[i, j]
                out[i, b], out_var[i, b] = total, var
                if last_ok:
                    for j in range(max(low, last_low), min(high, last_high) + 1):
                        if weight[j] != 0.0 and last[j] != 0.0:
                            out_cov[i, b - 1] += weight[j] * last[j] * variance[i, j]
            if last_high >= last_low:
                last[last_low : last_high + 1] = 0.0
            last[low : high + 1] = weight[low : high + 1]
            weight[low : high + 1] = 0.0
            last_low, last_high, last_ok = low, high, ok
    return out, out_var, out_cov, cover
