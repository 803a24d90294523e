"""A cube from samples at any place: normal equations of an interpolation, and their inverse square root.

Samples d = G c + n, G the interpolation of the cube c at the samples' places by cubic convolution (Keys 1981, IEEE
Trans. ASSP 29, 1153, eq. 15), n of inverse variance W. With F = G^T W G = D^1/2 A D^1/2, D its diagonal, the voxels

    c~ = r^-1 p(A) D^-1/2 G^T W d,    r = p(A) D^-1/2 F 1,    p(A) -> A^-1/2

are uncorrelated with variance 1 / r^2 (Bolton and Schlegel 2010, PASP 122, 248, for spectra): they have the resolution
of the samples, an even field keeps its value, and nothing is smoothed. p is a polynomial, so that the square
root costs a few interpolations; where A has no inverse (patterns that fall between the samples) it stays finite.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

__all__ = ["Voxels", "inverse_root", "solve_voxels"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

_TAPS = 4
_LARGEST = 4.4  # eigenvalue of A: samples half-way between voxels on all axes have 1.56 ** 3


class Voxels(NamedTuple):
    """Solution on a grid (z, y, x).

    Parameters
    ----------
    data : array
        NaN where no sample tells.
    variance : array
        Uncorrelated between voxels.
    cover : array
        Samples in the voxel: the diagonal of G^T G.
    """

    data: F4
    variance: F4
    cover: F4


def inverse_root(degree: int, *, smallest: float) -> F8:
    """Return Chebyshev coefficients on [0, 4.4] of a polynomial like x^-1/2, finite below ``smallest``.

    Interpolates 1 / sqrt(x + s exp(-x / s)), s the smallest eigenvalue of interest.
    """
    half = 0.5 * _LARGEST

    def root(t: NDArray[np.float64]) -> Any:
        x = half * (t + 1.0)
        return 1.0 / np.sqrt(x + smallest * np.exp(-x / smallest))

    return np.asarray(chebyshev.chebinterpolate(root, degree), np.float64)


@numba.njit(cache=True, nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _weights(f: float, out: F4) -> None:
    """Fill the four weights at fraction ``f`` between the second and third grid point."""
    g = 1.0 - f
    out[0] = -0.5 * f * g * g
    out[1] = 1.0 + f * f * (1.5 * f - 2.5)
    out[2] = 1.0 + g * g * (1.5 * g - 2.5)
    out[3] = -0.5 * g * f * f


@numba.njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def _scatter(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    place: F4, a: F4, b: F4, weight: F4, out: F4, diagonal: F4, cover: F4
) -> None:
    """Add G^T a and G^T b (z, y, x, 2), the diagonals of G^T W G and of G^T G; places (k, 3) in voxels (z, y, x)."""
    nz, ny, nx, _ = out.shape
    wz, wy, wx = np.empty(_TAPS, np.float32), np.empty(_TAPS, np.float32), np.empty(_TAPS, np.float32)
    for i in range(a.size):
        if not weight[i] > 0.0:
            continue
        iz, iy, ix = int(np.floor(place[i, 0])), int(np.floor(place[i, 1])), int(np.floor(place[i, 2]))
        _weights(place[i, 0] - iz, wz)
        _weights(place[i, 1] - iy, wy)
        _weights(place[i, 2] - ix, wx)
        for p in range(_TAPS):
            z = iz - 1 + p
            if z < 0 or z >= nz:
                continue
            for q in range(_TAPS):
                y = iy - 1 + q
                if y < 0 or y >= ny:
                    continue
                g = wz[p] * wy[q]
                for s in range(_TAPS):
                    x = ix - 1 + s
                    if x < 0 or x >= nx:
                        continue
                    h = g * wx[s]
                    out[z, y, x, 0] += h * a[i]
                    out[z, y, x, 1] += h * b[i]
                    diagonal[z, y, x] += h * h * weight[i]
                    cover[z, y, x] += h * h


@numba.njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def _apply(place: F4, weight: F4, v: F4, out: F4) -> None:
    """Add G^T W G v for two fields (z, y, x, 2)."""
    nz, ny, nx, _ = v.shape
    wz, wy, wx = np.empty(_TAPS, np.float32), np.empty(_TAPS, np.float32), np.empty(_TAPS, np.float32)
    for i in range(weight.size):
        w = weight[i]
        if not w > 0.0:
            continue
        iz, iy, ix = int(np.floor(place[i, 0])), int(np.floor(place[i, 1])), int(np.floor(place[i, 2]))
        _weights(place[i, 0] - iz, wz)
        _weights(place[i, 1] - iy, wy)
        _weights(place[i, 2] - ix, wx)
        a, b = np.float32(0.0), np.float32(0.0)
        for p in range(_TAPS):
            z = iz - 1 + p
            if z < 0 or z >= nz:
                continue
            for q in range(_TAPS):
                y = iy - 1 + q
                if y < 0 or y >= ny:
                    continue
                g = wz[p] * wy[q]
                for s in range(_TAPS):
                    x = ix - 1 + s
                    if 0 <= x < nx:
                        a += g * wx[s] * v[z, y, x, 0]
                        b += g * wx[s] * v[z, y, x, 1]
        a *= w
        b *= w
        for p in range(_TAPS):
            z = iz - 1 + p
            if z < 0 or z >= nz:
                continue
            for q in range(_TAPS):
                y = iy - 1 + q
                if y < 0 or y >= ny:
                    continue
                g = wz[p] * wy[q]
                for s in range(_TAPS):
                    x = ix - 1 + s
                    if 0 <= x < nx:
                        out[z, y, x, 0] += g * wx[s] * a
                        out[z, y, x, 1] += g * wx[s] * b


def solve_voxels(
    place: F4, data: F4, weight: F4, shape: tuple[int, int, int], *, root: F8, least: float = 0.1
) -> Voxels:
    """Solve for the voxels of a grid.

    Parameters
    ----------
    place : array (k, 3), voxels
        Place of the samples along the axes of the grid (z, y, x).
    data : array (k,)
    weight : array (k,)
        Inverse variance; 0 for a sample that does not count.
    shape : (int, int, int)
    root : array
        From `inverse_root`.
    least : float
        Cover below which a voxel is not measured: samples, however noisy they are.
    """
    both = np.zeros((*shape, 2), np.float32)
    diagonal, cover = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    _scatter(place, data * weight, weight, weight, both, diagonal, cover)
    known = cover > least
    scale = np.where(known, 1.0 / np.sqrt(np.where(known, diagonal, 1.0)), 0.0).astype(np.float32)[..., None]
    solution = _clenshaw(both * scale, root, place, weight, scale)
    r = solution[..., 1]
    good = known & (r * scale[..., 0] > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(good, solution[..., 0] / r, np.nan)
        variance = np.where(good, 1.0 / r**2, np.nan)
    return Voxels(value.astype(np.float32), variance.astype(np.float32), cover)


def _clenshaw(b: F4, root: F8, place: F4, weight: F4, scale: F4) -> F4:
    """Return p(A) b by Clenshaw's recurrence, t = 2 x / largest - 1."""

    def step(v: F4) -> F4:
        out = np.zeros_like(v)
        _apply(place, weight, v * scale, out)
        return np.asarray(out * scale * np.float32(2.0 / _LARGEST) - v, np.float32)

    later, latest = np.zeros_like(b), np.float32(root[-1]) * b
    for c in root[-2:0:-1]:
        later, latest = latest, np.float32(c) * b + 2.0 * step(latest) - later
    return np.asarray(np.float32(root[0]) * b + step(latest) - later, np.float32)
