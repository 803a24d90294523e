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

import numba
import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.forward import PROFILE_STEP, Profile

__all__ = ["BASIS_STEP", "RowTraces", "ShapeEquations", "effective_profile", "shape_equations"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
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


def effective_profile(u: F8, values: F8) -> Profile:
    """Return the profile whose integral over a pixel at distance ``u`` is the effective profile there.

    Its cumulative integral is C(u) = E(u - 1/2) + E(u - 3/2) + ..., for C(u + 1/2) - C(u - 1/2) = E(u).

    Parameters
    ----------
    u : array (k,), px
        Rising.
    values : array (k,)
        Effective profile; 0 beyond.

    Examples
    --------
    >>> u = np.linspace(-4.0, 4.0, 81)
    >>> p = effective_profile(u, np.exp(-0.5 * u**2))
    >>> at = lambda x: p.cumulative[round((x - p.low) / p.step)]
    >>> round(at(0.8) - at(-0.2), 4) == round(np.exp(-0.5 * 0.3**2), 4)
    True
    """
    whole = round(1.0 / PROFILE_STEP)
    fine = np.arange(u[0], u[-1] + 1.0 + PROFILE_STEP, PROFILE_STEP)
    one = np.interp(fine, u, values, left=0.0, right=0.0)
    for start in range(whole):
        one[start::whole] = np.cumsum(one[start::whole])
    return Profile(float(u[0]) + 0.5, PROFILE_STEP, one)


def shape_equations(  # noqa: PLR0913 - one frame, one zone
    data: F4,
    ivar: F4,
    traces: RowTraces,
    basis: F8,
    coefficients: F8,
    *,
    zone: tuple[int, int, int, int],
    every: int,
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
    """
    size = coefficients.size
    matrix, rhs = np.zeros((size, size)), np.zeros(size)
    chi2, count = _sum_rows(
        np.ascontiguousarray(data), np.ascontiguousarray(ivar), traces.first, traces.place, traces.node,
        np.ascontiguousarray(basis), np.ascontiguousarray(coefficients), np.array(zone), every, matrix, rhs,
    )  # fmt: skip
    return ShapeEquations(matrix, rhs, chi2, count)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _splines(basis: F8, u: float, out: F8) -> None:
    """Values of all splines at ``u``, linear in the table."""
    t = u / BASIS_STEP + basis.shape[1] // 2
    i = min(max(int(t), 0), basis.shape[1] - 2)
    f = t - i
    for k in range(basis.shape[0]):
        out[k] = (1.0 - f) * basis[k, i] + f * basis[k, i + 1]


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _node_of(node: float, n_node: int) -> tuple[int, float]:
    """Return the lower node of a place along the spectrum, and the share of the next one."""
    v = min(max(node, 0.0), n_node - 1.0)
    low = min(int(v), n_node - 2)
    return low, v - low


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _row_matrix(place: F8, node: F8, basis: F8, coefficients: F8, zone: I8) -> tuple[F8, F8, I8]:
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
    a[:, n] = 1.0
    return a, values, edge


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
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


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sum_rows(  # noqa: PLR0917 - the arrays of one loop
    data: F4,
    ivar: F4,
    first: I8,
    place: F8,
    node: F8,
    basis: F8,
    coefficients: F8,
    zone: I8,
    every: int,
    matrix: F8,
    rhs: F8,
) -> tuple[float, int]:
    """Eliminate the fluxes row by row."""
    reach = (basis.shape[1] // 2) * BASIS_STEP
    c0, c1 = zone[0], zone[1]
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
        a, values, edge = _row_matrix(place[low:high], node[low:high], basis, coefficients, zone)
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
