"""A cube from samples at any place: normal equations of an interpolation, and their inverse square root.

Samples d = G c + n, G the interpolation of the cube c at the samples' places by cubic convolution (Keys 1981, IEEE
Trans. ASSP 29, 1153, eq. 15), n of inverse variance W. With F = G^T W G = D^1/2 A D^1/2, D its diagonal, the voxels

    c~ = r^-1 p(A) D^-1/2 G^T W d,    r = p(A) D^-1/2 F 1,    p(A) -> A^-1/2

are uncorrelated with variance 1 / r^2 (Bolton and Schlegel 2010, PASP 122, 248, for spectra): they have the resolution
of the samples, an even field keeps its value, and nothing is smoothed. p is a polynomial, so that the square
root costs a few interpolations; where A has no inverse (patterns that fall between the samples) it stays finite.

Weights that follow the light of a line make its flux too large (0.6 per cent at 16 times the noise between, 1.9 at 60):
W is to change slowly. Then the variance is that of W times the mean of what samples vary by more, W g^2 their weights.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled

__all__ = ["Voxels", "inverse_root", "solve_voxels"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

_TAPS = 4
_TOLD = 0.1  # of the root of the weights in a voxel, its own: where neighbours take nearly all, nothing is measured
_BORDER = 3  # voxels around the grid that samples beyond its edge reach into; they are held at zero
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


@compiled(fastmath=True, inline="always")
def _weights(f: np.float32) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Return the four weights at fraction ``f`` between the second and third grid point."""
    one, half, steep, bend = np.float32(1.0), np.float32(0.5), np.float32(1.5), np.float32(2.5)
    g = one - f
    return -half * f * g * g, one + f * f * (steep * f - bend), one + g * g * (steep * g - bend), -half * g * f * f


@compiled(fastmath=True, inline="always")
def _corner(place: F4, i: int, shape: tuple[int, int, int]) -> tuple[int, int, int, bool]:
    """Return the first of the voxels (z, y, x) that a sample reaches, border included, and whether all are there."""
    z = int(np.floor(place[i, 0])) - 1 + _BORDER
    y = int(np.floor(place[i, 1])) - 1 + _BORDER
    x = int(np.floor(place[i, 2])) - 1 + _BORDER
    there = min(z, y, x) >= 0 and z + _TAPS <= shape[0] and y + _TAPS <= shape[1] and x + _TAPS <= shape[2]
    return z, y, x, there


@compiled(fastmath=True)
def _scatter(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    place: F4, a: F4, b: F4, weight: F4, out: F4, diagonal: F4, cover: F4
) -> None:
    """Add G^T a and G^T b (z, y, 2 x), the diagonals of G^T W G and of G^T G (z, y, x), all with their border.

    Places (k, 3) in voxels (z, y, x).
    """
    for i in range(a.size):
        z, y, x, there = _corner(place, i, diagonal.shape)
        if not (there and weight[i] > 0.0):
            continue
        wz = _weights(place[i, 0] - np.floor(place[i, 0]))
        wy = _weights(place[i, 1] - np.floor(place[i, 1]))
        wx = _weights(place[i, 2] - np.floor(place[i, 2]))
        for p in range(_TAPS):
            for q in range(_TAPS):
                g = wz[p] * wy[q]
                for s in range(_TAPS):
                    h = g * wx[s]
                    out[z + p, y + q, 2 * (x + s)] += h * a[i]
                    out[z + p, y + q, 2 * (x + s) + 1] += h * b[i]
                    diagonal[z + p, y + q, x + s] += h * h * weight[i]
                    cover[z + p, y + q, x + s] += h * h


@compiled(fastmath=True)
def _diagonal(place: F4, weight: F4, out: F4) -> None:
    """Add the diagonal of G^T W G (z, y, x), with its border."""
    for i in range(weight.size):
        z, y, x, there = _corner(place, i, out.shape)
        if not (there and weight[i] > 0.0):
            continue
        wz = _weights(place[i, 0] - np.floor(place[i, 0]))
        wy = _weights(place[i, 1] - np.floor(place[i, 1]))
        wx = _weights(place[i, 2] - np.floor(place[i, 2]))
        for p in range(_TAPS):
            for q in range(_TAPS):
                g = wz[p] * wy[q]
                for s in range(_TAPS):
                    h = g * wx[s]
                    out[z + p, y + q, x + s] += h * h * weight[i]


@compiled(fastmath=True)
def _apply(place: F4, weight: F4, shape: tuple[int, int, int], v: F4, out: F4) -> None:
    """Add G^T W G v for two fields (z, y, 2 x), border included and flat: eight neighbours in memory at a time."""
    row, plane = np.uint64(2 * shape[2]), np.uint64(2 * shape[2] * shape[1])
    u1, u2, u3, u4 = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
    u5, u6, u7 = np.uint64(5), np.uint64(6), np.uint64(7)
    for i in range(weight.size):
        z, y, x, there = _corner(place, i, shape)
        if not (there and weight[i] > 0.0):
            continue
        wz = _weights(place[i, 0] - np.floor(place[i, 0]))
        wy = _weights(place[i, 1] - np.floor(place[i, 1]))
        w0, w1, w2, w3 = _weights(place[i, 2] - np.floor(place[i, 2]))
        first = np.uint64((z * shape[1] + y) * 2 * shape[2] + 2 * x)
        s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = np.float32(0.0)
        for p in range(_TAPS):
            for q in range(_TAPS):
                g, at = wz[p] * wy[q], first + np.uint64(p) * plane + np.uint64(q) * row
                s0, s1, s2, s3 = s0 + g * v[at], s1 + g * v[at + u1], s2 + g * v[at + u2], s3 + g * v[at + u3]
                s4, s5, s6, s7 = s4 + g * v[at + u4], s5 + g * v[at + u5], s6 + g * v[at + u6], s7 + g * v[at + u7]
        a = weight[i] * (w0 * s0 + w1 * s2 + w2 * s4 + w3 * s6)
        b = weight[i] * (w0 * s1 + w1 * s3 + w2 * s5 + w3 * s7)
        s0, s2, s4, s6 = w0 * a, w1 * a, w2 * a, w3 * a
        s1, s3, s5, s7 = w0 * b, w1 * b, w2 * b, w3 * b
        for p in range(_TAPS):
            for q in range(_TAPS):
                g, at = wz[p] * wy[q], first + np.uint64(p) * plane + np.uint64(q) * row
                out[at] += g * s0
                out[at + u1] += g * s1
                out[at + u2] += g * s2
                out[at + u3] += g * s3
                out[at + u4] += g * s4
                out[at + u5] += g * s5
                out[at + u6] += g * s6
                out[at + u7] += g * s7


def solve_voxels(  # noqa: PLR0913 - samples, and how they are solved
    place: F4,
    data: F4,
    weight: F4,
    shape: tuple[int, int, int],
    *,
    root: F8,
    least: float = 0.1,
    excess: F4 | None = None,
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
    excess : array (k,), optional
        Variance of samples times their weight; 1 if not given.
    """
    nz, ny, nx = (length + 2 * _BORDER for length in shape)
    both = np.zeros((nz, ny, 2 * nx), np.float32)
    diagonal, cover = np.zeros((nz, ny, nx), np.float32), np.zeros((nz, ny, nx), np.float32)
    _scatter(place, data * weight, weight, weight, both, diagonal, cover)
    known = np.zeros((nz, ny, nx), bool)
    inner = (slice(_BORDER, -_BORDER),) * 3
    known[inner] = cover[inner] > least
    scale = np.divide(1.0, np.sqrt(diagonal), out=np.zeros_like(diagonal), where=known)
    both *= np.repeat(scale, 2, axis=2)
    solution = _clenshaw(both, root, place, weight, scale)
    value, r = solution[:, :, ::2][inner], solution[:, :, 1::2][inner]
    good = known[inner] & (r * scale[inner] > _TOLD)
    nothing = np.full(shape, np.nan, np.float32)
    found = np.divide(value, r, out=nothing.copy(), where=good)
    variance = np.divide(1.0, r * r, out=nothing, where=good)
    if excess is not None:
        noisy = np.zeros((nz, ny, nx), np.float32)
        _diagonal(place, weight * excess, noisy)
        np.multiply(variance, noisy[inner] / np.where(good, diagonal[inner], 1.0), out=variance, where=good)
    return Voxels(found, variance, cover[inner])


def _clenshaw(b: F4, root: F8, place: F4, weight: F4, scale: F4) -> F4:
    """Return p(A) b by Clenshaw's recurrence, t = 2 x / largest - 1; ``b`` is used up."""
    later, latest = np.zeros_like(b), np.float32(root[-1]) * b
    scaled, applied = np.empty_like(b), np.empty_like(b)
    for order in range(len(root) - 2, -1, -1):
        _scaled(latest, scale, scaled)
        applied[:] = 0.0
        _apply(place, weight, scale.shape, scaled.reshape(-1), applied.reshape(-1))
        _recur(b, latest, later, applied, scale, np.float32(root[order]), np.float32(2.0 if order else 1.0))
        later, latest = latest, later
    return latest


@compiled()
def _scaled(v: F4, scale: F4, out: F4) -> None:
    """Multiply two fields (z, y, 2 x) by one (z, y, x)."""
    nz, ny, nx = scale.shape
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                out[z, y, 2 * x] = v[z, y, 2 * x] * scale[z, y, x]
                out[z, y, 2 * x + 1] = v[z, y, 2 * x + 1] * scale[z, y, x]


@compiled()
def _recur(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    b: F4, latest: F4, later: F4, applied: F4, scale: F4, c: float, double: float
) -> None:
    """Put the next of the recurrence, c b + double (2 / largest scale applied - latest) - later, into ``later``."""
    nz, ny, nx = scale.shape
    factor = np.float32(2.0 / _LARGEST)
    for z in range(nz):
        for y in range(ny):
            for x in range(2 * nx):
                step = applied[z, y, x] * scale[z, y, x // 2] * factor - latest[z, y, x]
                later[z, y, x] = c * b[z, y, x] + double * step - later[z, y, x]
