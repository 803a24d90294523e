"""Cross-dispersion profiles that change along the trace, fitted with the fluxes projected out.

On a detector row ``d = A f + g + n``: f the light of every trace there, g the ground, and the columns
of A the profile ``P_t(x) = sum_v h_v(t) sum_k c_vk B_k(x - x_t)``, B_k B-splines
and h_v(t) the share of node v in trace t (where along its spectrum the row cuts it). P is the *effective*
profile, what a pixel at that distance receives, its own width included: waves as short as a pixel, which
no pixel sees, are then no freedom of the fit (Anderson & King 2000, PASP 112, 1360). For the profile's
coefficients c the fluxes are nuisance: each row gives the normal equations of c after f and g were
eliminated (variable projection; Golub & Pereyra 1973, SIAM J. Numer. Anal. 10, 413; step of Kaufman
1975). So a profile's wing is never confused with its neighbour's flux: where the two cannot be told
apart the equations say so.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled
from tracecube.kernels.forward import DesignMatrix

__all__ = ["BASIS_STEP", "RowTraces", "ShapeEquations", "mixed_matrix", "shape_equations"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]


BASIS_STEP = 0.02
"""Distance of the places at which splines are tabulated, px: linear between them errs by 2e-4 of a spline's peak."""


class RowTraces(NamedTuple):
    """Traces by detector row: those of row ``s`` are ``first[s] : first[s + 1]``, by place.

    ``place`` (n,) is the centre across, ``node`` (n,) the place along the spectrum in nodes of the profile.
    """

    first: I8
    place: F8
    node: F8


class ShapeEquations(NamedTuple):
    """Normal equations ``matrix`` (n, n), ``rhs`` (n,) of a step in the coefficients; chi-square and its count."""

    matrix: F8
    rhs: F8
    chi2: float
    samples: int


def mixed_matrix(  # noqa: PLR0913 - traces, and the shapes that they are mixed of
    along: F8,
    across: F8,
    mix: F4,
    u: F8,
    shapes: F8,
    *,
    shape: tuple[int, int],
    half_width: int,
    shift_across: bool = False,
) -> DesignMatrix:
    """Build A of traces on detector columns whose effective profiles are mixed of a few shapes.

    Parameters
    ----------
    along, across : array (n,), px
        Detector column (a whole number) and centre of each unknown.
    mix : array (n_shape, n)
        Weights of the shapes.
    u : array (k,), px
        Distances, evenly spaced and rising.
    shapes : array (k, n_shape)
        Effective profiles: what a pixel that far away receives; 0 beyond.
    shape : (int, int)
        Image (across, along).
    half_width : int
        Pixels on either side of the centre that a footprint covers.
    shift_across : bool
        Give dA / d(across), per pixel, instead of A.

    Examples
    --------
    >>> u = np.linspace(-4.0, 4.0, 801)
    >>> core = np.exp(-0.5 * u**2)[:, None]
    >>> one = np.array([20.3])
    >>> a = mixed_matrix(np.zeros(1), one, np.ones((1, 1), np.float32), u, core, shape=(41, 1), half_width=3)
    >>> a.origin[0, 0], round(float(a.weight[0, 2, 0]), 4) == round(float(np.exp(-0.5 * 1.3**2)), 4)
    (np.int32(17), True)
    """
    table = -np.gradient(shapes, u, axis=0) if shift_across else shapes
    origin = np.empty((across.size, 2), np.int32)
    origin[:, 0] = np.floor(across + 0.5) - half_width
    origin[:, 1] = np.floor(along + 0.5)
    weight = np.zeros((across.size, 2 * half_width + 1, 1), np.float32)
    _fill_mixed(
        across, np.ascontiguousarray(mix, np.float64), np.ascontiguousarray(table), float(u[0]), float(u[1] - u[0]),
        origin, shape, weight,
    )  # fmt: skip
    return DesignMatrix(origin, weight, shape)


@compiled()
def _fill_mixed(  # noqa: PLR0917 - the arrays of one loop
    across: F8, mix: F8, table: F8, low: float, step: float, origin: I4, shape: tuple[int, int], weight: F4
) -> None:
    """Read the mixed profile at every pixel of every stamp."""
    n, width, _ = weight.shape
    for j in range(n):
        if origin[j, 1] < 0 or origin[j, 1] >= shape[1]:
            continue
        for k in range(max(0, -origin[j, 0]), min(width, shape[0] - origin[j, 0])):
            t = (origin[j, 0] + k - across[j] - low) / step
            i = int(np.floor(t))
            if 0 <= i < table.shape[0] - 1:
                f = t - i
                total = 0.0
                for s in range(mix.shape[0]):
                    total += mix[s, j] * ((1.0 - f) * table[i, s] + f * table[i + 1, s])
                weight[j, k, 0] = total


def shape_equations(  # noqa: PLR0913 - one frame, one zone
    data: F4,
    ivar: F4,
    traces: RowTraces,
    basis: F8,
    coefficients: F8,
    *,
    zone: tuple[int, int, int, int],
    every: int,
    ground: bool = True,
) -> ShapeEquations:
    """Sum the equations of all chosen rows of a zone.

    Parameters
    ----------
    data, ivar : array (across, along)
        ``ivar`` 0 where a pixel is bad.
    traces : RowTraces
        Rows are those of the second axis.
    basis : array (n_basis, 2 k + 1)
        The B-splines at distances -k to k times `BASIS_STEP` from the centre.
    coefficients : array (n_node, n_basis)
        Today's profile.
    zone : (int, int, int, int)
        Pixels across (from, to) and along (from, to).
    every : int
        Use every so many rows.
    ground : bool
        Give every row of the zone a constant of its own beneath the traces.
    """
    size = coefficients.size
    matrix, rhs = np.zeros((size, size)), np.zeros(size)
    chi2, count = _sum_rows(
        np.ascontiguousarray(data), np.ascontiguousarray(ivar), traces.first, traces.place, traces.node,
        np.ascontiguousarray(basis), np.ascontiguousarray(coefficients), np.array(zone),
        (every, 1.0 if ground else 0.0), matrix, rhs,
    )  # fmt: skip
    return ShapeEquations(matrix, rhs, chi2, count)


@compiled()
def _splines(basis: F8, u: float, out: F8) -> None:
    """Values of all splines at ``u``, linear in the table."""
    t = u / BASIS_STEP + basis.shape[1] // 2
    i = min(max(int(t), 0), basis.shape[1] - 2)
    f = t - i
    for k in range(basis.shape[0]):
        out[k] = (1.0 - f) * basis[k, i] + f * basis[k, i + 1]


@compiled()
def _node_of(node: float, n_node: int) -> tuple[int, float]:
    """Return the lower node of a place along the spectrum, and the share of the next one."""
    v = min(max(node, 0.0), n_node - 1.0)
    low = min(int(v), n_node - 2)
    return low, v - low


@compiled()
def _row_matrix(place: F8, node: F8, basis: F8, coefficients: F8, zone: I8, ground: float) -> tuple[F8, F8, I8]:
    """A of one row (pixel, trace, and the ground last), the splines under each trace, and where each stamp begins."""
    n, reach = place.size, (basis.shape[1] // 2) * BASIS_STEP
    a = np.zeros((zone[1] - zone[0], n + 1))
    values = np.zeros((n, 2 * int(np.ceil(reach)) + 1, basis.shape[0]))
    edge = np.zeros(n, np.int64)
    for i in range(n):
        low, share = _node_of(node[i], coefficients.shape[0])
        mean = (1.0 - share) * coefficients[low] + share * coefficients[low + 1]
        edge[i] = int(np.ceil(place[i] - reach))
        for c in range(max(zone[0], edge[i]), min(zone[1], int(np.floor(place[i] + reach)) + 1)):
            _splines(basis, c - place[i], values[i, c - edge[i]])
            a[c - zone[0], i] = np.dot(values[i, c - edge[i]], mean)
    a[:, n] = ground
    return a, values, edge


@compiled()
def _row_slopes(flux: F8, node: F8, values: F8, edge: I8, n_node: int, zone: I8) -> F8:
    """Derivative of the row's light (pixel, coefficient) with the profile's coefficients."""
    n, stamp, n_basis = values.shape
    j = np.zeros((zone[1] - zone[0], n_node * n_basis))
    for i in range(n):
        low, share = _node_of(node[i], n_node)
        for b in range(2):
            weight = flux[i] * (share if b == 1 else 1.0 - share)
            at = (low + b) * n_basis
            for c in range(max(zone[0], edge[i]), min(zone[1], edge[i] + stamp)):
                j[c - zone[0], at : at + n_basis] += weight * values[i, c - edge[i]]
    return j


@compiled()
def _sum_rows(  # noqa: PLR0917 - the arrays of one loop
    data: F4,
    ivar: F4,
    first: I8,
    place: F8,
    node: F8,
    basis: F8,
    coefficients: F8,
    zone: I8,
    rows: tuple[int, float],
    matrix: F8,
    rhs: F8,
) -> tuple[float, int]:
    """Eliminate the fluxes row by row."""
    reach = (basis.shape[1] // 2) * BASIS_STEP
    c0, c1 = zone[0], zone[1]
    every, ground = rows
    chi2, total = 0.0, 0
    for s in range(zone[2], zone[3], every):
        low, high = first[s], first[s + 1]
        while low < high and place[low] <= c0 - reach:
            low += 1
        while high > low and place[high - 1] >= c1 + reach:
            high -= 1
        n = high - low
        if n == 0:
            continue
        a, values, edge = _row_matrix(place[low:high], node[low:high], basis, coefficients, zone, ground)
        w = ivar[c0:c1, s].astype(np.float64)
        d = data[c0:c1, s].astype(np.float64)
        aw = a * w.reshape(-1, 1)
        normal = aw.T @ a
        normal += (1e-9 * np.trace(normal) / (n + 1) + 1e-30) * np.eye(n + 1)
        flux = np.linalg.solve(normal, aw.T @ d)
        j = _row_slopes(flux, node[low:high], values, edge, coefficients.shape[0], zone)
        left = d - a @ flux
        jw = j * w.reshape(-1, 1)
        cross = aw.T @ j
        matrix += jw.T @ j - cross.T @ np.linalg.solve(normal, cross)
        rhs += jw.T @ left
        chi2 += np.sum(w * left * left)
        total += int(np.sum(w > 0.0)) - n - 1
    return chi2, total
