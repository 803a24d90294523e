"""How well a profile's wings are told from the light of neighbouring traces.

In white light every trace has a flux of its own on every row. A bump of the wing, of the core's shape and at the
distance of the next trace, is then the neighbour's light just as well: no lamp frame tells them apart, an even one
no more than one of pinholes. What is left open is the covariance of the profile's coefficients, fluxes eliminated; how
much of a trace's light it puts into its neighbours follows with the weights by which the joint extraction takes them.

In an evenly lit field what one trace loses another finds, and where the traces beside show other wavelengths the flux
of one wavelength against another's is wrong by as much.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.shapes import RowTraces

__all__ = ["leak_errors", "level_covariance"]

F8 = NDArray[np.float64]

_PHASES = 10  # places of a trace within a pixel
_BESIDE = 6  # traces on either side that are extracted together


def leak_errors(
    u: F8, splines: F8, coefficients: F8, normal: F8, *, spacing: float, reach: int = 3
) -> NDArray[np.float64]:
    """Error of the share of a trace's light that is found in the first, second ... trace beside it, array (reach,).

    Parameters
    ----------
    u : array (k,), px
    splines : array (n, k)
        Values at ``u``.
    coefficients : array (n_node, n)
        The profile.
    normal : array (n_node * n, n_node * n)
        Inverse covariance of the coefficients.
    spacing : float, px
        Distance of traces.
    """
    signed = np.stack([_shares(u, splines, one @ splines, spacing, reach) for one in coefficients], axis=1)
    sides = 0.5 * (signed[reach + 1 :] + signed[reach - 1 :: -1])
    whole = sides.reshape(reach, -1) / coefficients.shape[0]  # mean over the spectrum
    return np.asarray(np.sqrt(np.maximum(np.diag(_carried(normal, whole)), 0.0)))


def level_covariance(
    u: F8, splines: F8, coefficients: F8, normal: F8, traces: RowTraces, *, spacing: float, reach: int = 3
) -> NDArray[np.float64]:
    """Covariance (n_node, n_node) of the flux of even light at the nodes of the spectrum, relative to their mean.

    Parameters
    ----------
    u, splines, coefficients, normal, spacing
        As of `leak_errors`.
    traces : RowTraces
        They tell which part of its spectrum a trace shows where its neighbour shows another.
    """
    nodes, n = coefficients.shape
    beside = _company(traces, nodes, spacing, reach)
    signed = np.stack([_shares(u, splines, one @ splines, spacing, reach) for one in coefficients])  # own node first
    found = -np.einsum("krj,krs->kjs", beside, signed).reshape(nodes, nodes * n)
    return _carried(normal, found - found.mean(axis=0))


def _company(traces: RowTraces, nodes: int, spacing: float, reach: int) -> F8:
    """Share (n_node, 2 reach + 1, n_node) of each node, third, among traces so far beside those at a node, first."""
    row = np.repeat(np.arange(traces.first.size - 1), np.diff(traces.first))
    hats = np.maximum(1.0 - np.abs(traces.node[:, None] - np.arange(nodes)), 0.0)
    total = np.zeros((nodes, 2 * reach + 1, nodes))
    for step in range(-reach, reach + 1):
        here = np.arange(max(0, -step), row.size - max(0, step))
        there = here + step
        gap = traces.place[there] - traces.place[here] - step * spacing
        on = (row[there] == row[here]) & (np.abs(gap) < 0.5 * spacing)
        total[:, step + reach] = hats[here[on]].T @ hats[there[on]]
    return np.asarray(total / hats.sum(axis=0)[:, None, None])


def _carried(normal: F8, rows: F8) -> F8:
    """Covariance of linear sums (k, n) of coefficients; what the lamps hardly tell has a large error, not none."""
    told = normal + 1e-12 * np.trace(normal) / len(normal) * np.eye(len(normal))
    return np.asarray(rows @ np.linalg.solve(told, rows.T))


def _shares(u: F8, splines: F8, profile: F8, spacing: float, reach: int) -> F8:
    """Light (2 reach + 1, n) that a unit of each spline, about the trace so many to the right, adds to a trace."""
    x = np.arange(-round(spacing * (_BESIDE + reach)), round(spacing * (_BESIDE + reach)) + 1)
    total = np.zeros((2 * reach + 1, len(splines)))
    for phase in np.arange(_PHASES) / _PHASES - 0.5:
        places = phase + spacing * np.arange(-_BESIDE, _BESIDE + 1)
        a = np.stack([np.interp(x - place, u, profile, left=0.0, right=0.0) for place in places], axis=1)
        taken = (a @ np.linalg.inv(a.T @ a))[:, _BESIDE]
        for step in range(-reach, reach + 1):
            at = x - phase - step * spacing
            values = np.stack([np.interp(at, u, one, left=0.0, right=0.0) for one in splines])
            total[step + reach] += values @ taken / _PHASES
    return total
