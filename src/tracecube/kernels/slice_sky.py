"""What one piece of a slice tells of its slice, under a sky that is known: normal equations without its continuum.

Light of a piece is g s(wave + shift + stretch z; e, k, f) plus a continuum of straight lines between even nodes in
z. Derivatives of s are at hand (`tracecube.kernels.sky_spline`); the nodes' system is tridiagonal, and is eliminated.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled

__all__ = ["TERMS", "add_piece", "clip_piece", "smooth_nodes"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
Mask = NDArray[np.bool_]

TERMS = 8
"""Brightness, shift, stretch, two of width, two of skewness, flatness."""

_RIDGE = 1e-9  # of the mean strength of a node: one without samples is drawn to zero


@compiled()
def _node(z: float, low: float, high: float, count: int) -> tuple[int, float]:
    """Return the node below a place, and the share of the node above."""
    at = min(max((z - low) / (high - low), 0.0), 1.0 - 1e-9) * (count - 1)
    return int(at), at - int(at)


@compiled()
def _eliminate(diagonal: F8, beside: F8, right: F8) -> None:
    """Solve a symmetric tridiagonal system for many right-hand sides (n, m), in place."""
    n, m = right.shape
    for i in range(1, n):
        factor = beside[i - 1] / diagonal[i - 1]
        diagonal[i] -= factor * beside[i - 1]
        for k in range(m):
            right[i, k] -= factor * right[i - 1, k]
    for i in range(n - 1, -1, -1):
        for k in range(m):
            if i < n - 1:
                right[i, k] -= beside[i] * right[i + 1, k]
            right[i, k] /= diagonal[i]


@compiled()
def _hold(diagonal: F8, beside: F8, tight: float, alike: float) -> None:
    """Add the inverse covariance of nodes of inverse variance ``tight``, each correlated with the next (in place)."""
    strength = tight / (1.0 - alike**2)
    diagonal += strength * (1.0 + alike**2)
    diagonal[0] -= strength * alike**2
    diagonal[-1] -= strength * alike**2
    beside -= strength * alike


@compiled()
def smooth_nodes(left: F8, weight: F4, z: F8, kept: Mask, span: tuple[float, float], nodes: int) -> F8:
    """Return a smooth curve through samples as its values at even nodes (nodes,); arguments as for `clip_piece`."""
    any_kept = False
    for i in range(left.size):
        any_kept |= kept[i] and weight[i] > 0.0
    diagonal, beside, right = np.zeros(nodes), np.zeros(nodes - 1), np.zeros((nodes, 1))
    for i in range(left.size):
        w = weight[i]
        if not w > 0.0 or (any_kept and not kept[i]):
            continue
        j, q = _node(z[i], span[0], span[1], nodes)
        p = 1.0 - q
        diagonal[j] += w * p * p
        diagonal[j + 1] += w * q * q
        beside[j] += w * p * q
        right[j, 0] += w * p * left[i]
        right[j + 1, 0] += w * q * left[i]
    diagonal += _RIDGE * diagonal.sum() / nodes
    _eliminate(diagonal, beside, right)
    return right[:, 0].copy()


@compiled()
def clip_piece(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    left: F8, weight: F4, z: F8, kept: Mask, span: tuple[float, float], nodes: int, clip: float
) -> float:
    """Leave out the samples far off a smooth curve (``kept``, in place), and return the typical square of a pull.

    That is the square of 1.4826 times the median of all pulls, those left out with the others: what the reduced
    chi-square of Gaussian noise is. Where it is below 1, samples are left out by the errors as they are told.

    Parameters
    ----------
    left : array (k,)
        Samples less what the sky explains.
    weight : array (k,)
        Inverse variance; 0 for what was not measured.
    z : array (k,)
    kept : bool array (k,)
        Samples that the curve follows; all, if there are none.
    span : (float, float)
        First and last node in z.
    nodes : int
    clip : float
    """
    nodes_of = smooth_nodes(left, weight, z, kept, span, nodes)
    pull, n = np.empty(left.size), 0
    for i in range(left.size):
        if weight[i] > 0.0:
            j, q = _node(z[i], span[0], span[1], nodes)
            smooth = (1.0 - q) * nodes_of[j] + q * nodes_of[j + 1]
            pull[n] = abs(left[i] - smooth) * np.sqrt(weight[i])
            n += 1
    spread = 1.4826 * np.median(pull[:n])
    limit = clip * max(spread, 1.0)
    n = 0
    for i in range(left.size):
        if weight[i] > 0.0:
            kept[i] = pull[n] < limit
            n += 1
    return float(spread**2)


@compiled()
def add_piece(  # noqa: PLR0913, PLR0917 - the arrays of one loop
    s: F8,
    left: F8,
    weight: F4,
    z: F8,
    kept: Mask,
    gain: float,
    share: float,
    tight: float,
    alike: float,
    span: tuple[float, float],
    nodes: int,
    matrix: F8,
    rhs: F8,
) -> None:
    """Add what a piece tells of the slice's parameters to their normal equations (8, 8) and (8,).

    Parameters
    ----------
    s : array (5, k)
        What the slice sees at brightness 1, and its derivatives with wavelength.
    left, weight, z, kept : array (k,)
        As in `clip_piece`.
    gain : float
        Brightness of the slice.
    share : float
        By which all weights are multiplied.
    tight, alike : float
        Inverse variance of the continuum's nodes about zero, and correlation of a node with the next.
    span : (float, float)
    nodes : int
    matrix, rhs : array
        In place.
    """
    term, inner = np.empty(TERMS + 1), np.zeros((TERMS + 1, TERMS + 1))
    diagonal, beside = np.zeros(nodes), np.zeros(nodes - 1)
    cross = np.zeros((nodes, TERMS + 1))
    for i in range(left.size):
        if not weight[i] > 0.0 or not kept[i]:
            continue
        w = share * weight[i]
        term[0], term[1], term[2] = s[0, i], gain * s[1, i], gain * s[1, i] * z[i]
        term[3], term[5], term[7] = 0.5 * gain * s[2, i], -gain * s[3, i] / 6.0, gain * s[4, i] / 24.0
        term[4], term[6], term[TERMS] = term[3] * z[i], term[5] * z[i], left[i]
        j, q = _node(z[i], span[0], span[1], nodes)
        p = 1.0 - q
        diagonal[j] += w * p * p
        diagonal[j + 1] += w * q * q
        beside[j] += w * p * q
        for a in range(TERMS + 1):
            own = w * term[a]
            cross[j, a] += p * own
            cross[j + 1, a] += q * own
            for b in range(a + 1):
                inner[a, b] += own * term[b]
    diagonal += _RIDGE * diagonal.sum() / nodes
    _hold(diagonal, beside, tight, alike)
    solved = cross.copy()
    _eliminate(diagonal, beside, solved)
    inner -= cross.T @ solved
    rhs += inner[TERMS, :TERMS]
    for a in range(TERMS):
        for b in range(TERMS):
            matrix[a, b] += inner[max(a, b), min(a, b)]
