"""Hexagonal lattices seen through a distortion, and which node each point is.

Axial indices (q, r): node = origin + q a + r b, where a and b are 60 degrees apart. The indices are
found from all points together: a polynomial from the plane to index space, grown from where the
points stand best on a lattice, is fitted to the rounded indices again and again while it reaches
farther out. A missing or a spurious point moves such a fit by next to nothing, where a walk from
neighbour to neighbour would carry its error along.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from tracecube.kernels.polynomials import Field, fit_field

__all__ = ["NEIGHBOURS", "hexagon_basis", "index_lattice", "invert_field"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
B1 = NDArray[np.bool_]

NEIGHBOURS: I8 = np.array([(1, 0), (0, 1), (-1, 1), (-1, 0), (0, -1), (1, -1)], dtype=np.int64)
"""Index steps to the six neighbours of a node, in the order of their angles."""

# A point belongs to a node when it lies within this share of the pitch: half of the distance at
# which rounding would choose the neighbour (0.5 pitch).
_NODE_RADIUS = 0.25
# The fit may be used this far beyond the points it rests on, in units of their extent.
_GROWTH = 1.3
# Points a coefficient that a fit needs before its degree is raised.
_POINTS_PER_TERM = 4
_SEEDS = 7


def hexagon_basis(points: F8, *, pitch: float, angle: float) -> F8:
    """Find the two lattice vectors that most pairs of neighbouring points agree on.

    Parameters
    ----------
    points : array (n, 2)
    pitch : float
        Approximate distance of neighbours (good to about 20 per cent).
    angle : float, degree
        Approximate angle of the first vector from the first axis towards the second (good to 25 degrees).

    Returns
    -------
    basis : array (2, 2)
        ``basis[0]`` is the step of q, ``basis[1]`` that of r, 60 degrees farther on.
    """
    pairs = cKDTree(points).query_pairs(1.5 * pitch, output_type="ndarray")
    steps = points[pairs[:, 1]] - points[pairs[:, 0]]
    z = steps[:, 0] + 1j * steps[:, 1]
    best = (-1.0, pitch, 0.0)
    for length in pitch * np.linspace(0.8, 1.2, 17):
        near = z[np.abs(np.abs(z) - length) < 0.1 * length]
        # Sixfold phase: all six neighbour directions of one lattice add up in step.
        turn = np.exp(6j * np.angle(near)).sum() if near.size else 0j
        if abs(turn) > best[0]:
            best = (float(abs(turn)), float(length), float(np.angle(turn)) / 6.0)
    _, length, phase = best
    phase += np.round((np.radians(angle) - phase) / (np.pi / 3.0)) * np.pi / 3.0
    basis = length * np.array([[np.cos(phase), np.sin(phase)], [np.cos(phase + np.pi / 3), np.sin(phase + np.pi / 3)]])
    for _ in range(5):
        index = np.rint(steps @ np.linalg.inv(basis))
        close = np.linalg.norm(steps - index @ basis, axis=1) < _NODE_RADIUS * length
        close &= np.isin(np.abs(index).max(axis=1), 1.0)
        basis = np.linalg.lstsq(index[close], steps[close], rcond=None)[0]
    return basis


def index_lattice(points: F8, basis: F8, *, weight: F8, degree: int = 4) -> tuple[I8, B1, Field]:
    """Give every point its indices by a global fit.

    Parameters
    ----------
    points : array (n, 2)
    basis : array (2, 2)
        From `hexagon_basis`.
    weight : array (n,)
        Trust in each position; decides between two points on one node.
    degree : int
        Highest degree of the distortion.

    Returns
    -------
    index : int array (n, 2)
    on_node : bool array (n,)
        False for points that stand on no node, or are second on theirs.
    field : Field
        Index space as a function of place.
    """
    found = [_grow(points, basis, weight, degree, seed) for seed in _seeds(points, basis)]
    return max(found, key=lambda one: int(one[1].sum()))


def invert_field(field: Field, values: F8, start: F8) -> F8:
    """Return the points (n, 2) at which a field of two values takes ``values`` (n, 2), by Newton's method.

    ``start`` (n, 2) are first guesses; six steps reach rounding error for a mild distortion.
    """
    points = np.array(start, float)
    for _ in range(6):
        points += np.linalg.solve(field.jacobian(points), (values - field(points))[:, :, None])[:, :, 0]
    return points


def _seeds(points: F8, basis: F8) -> I8:
    """Points whose six neighbours all stand where the basis says, spread over the plane."""
    tree = cKDTree(points)
    expected = points[:, None, :] + NEIGHBOURS @ basis
    pitch = float(np.linalg.norm(basis[0]))
    misfit = np.minimum(tree.query(expected)[0], pitch)
    cost = np.sort(misfit, axis=1)[:, :5].sum(axis=1)  # one neighbour may be missing
    good = np.flatnonzero(cost <= np.quantile(cost, 0.5))
    chosen = [int(good[np.argmin(np.linalg.norm(points[good] - np.median(points, axis=0), axis=1))])]
    while len(chosen) < min(_SEEDS, good.size):
        away = np.linalg.norm(points[good, None] - points[chosen], axis=2).min(axis=1)
        chosen.append(int(good[np.argmax(away)]))
    return np.array(chosen, dtype=np.int64)


def _grow(points: F8, basis: F8, weight: F8, degree: int, seed: int) -> tuple[I8, B1, Field]:
    """Fit index space around one seed, then farther and farther out."""
    pitch = float(np.linalg.norm(basis[0]))
    distance = np.linalg.norm(points - points[seed], axis=1)
    inverse = np.linalg.inv(basis)
    field = Field(points[seed], 1.0, 1, np.vstack([np.zeros(2), inverse]))
    reach, settled = 1.6 * pitch, 0
    while settled < 4:
        near = distance < reach
        index, on_node = _assign(points, field, basis, weight, near)
        if on_node.sum() >= 3:
            allowed = int(_allowed_degree(int(on_node.sum()), degree))
            field = fit_field(points, index.astype(float), degree=allowed, weight=on_node.astype(np.float64))
        settled = settled + 1 if near.all() else 0
        reach *= _GROWTH
    index, on_node = _assign(points, field, basis, weight, np.ones(len(points), bool))
    return index, on_node, field


def _allowed_degree(count: int, degree: int) -> int:
    """Largest degree up to ``degree`` whose coefficients ``count`` points determine well."""
    allowed = 1
    while allowed < degree and count >= _POINTS_PER_TERM * (allowed + 2) * (allowed + 3) // 2:
        allowed += 1
    return allowed


def _assign(points: F8, field: Field, basis: F8, weight: F8, near: B1) -> tuple[I8, B1]:
    """Round the fitted indices; of points close to one node the most trusted one keeps it."""
    exact = field(points)
    index = np.rint(exact).astype(np.int64)
    misfit = np.linalg.norm((exact - index) @ basis, axis=1)
    pitch = float(np.linalg.norm(basis[0]))
    on_node = near & (misfit < _NODE_RADIUS * pitch)
    if on_node.sum() > 20:
        # Six standard deviations, once there are enough points to know one; never below 2 per cent
        # of the pitch, so that a perfect lattice does not refuse its own rounding.
        spread = 1.4826 * float(np.median(misfit[on_node])) / 1.1774  # Rayleigh: median = 1.1774 sigma
        on_node &= misfit < max(6.0 * spread, 0.02 * pitch)
    order = np.lexsort((misfit, -weight))
    order = order[on_node[order]]
    _, first = np.unique(index[order], axis=0, return_index=True)
    unique = np.zeros(len(points), dtype=bool)
    unique[order[first]] = True
    return index, unique
