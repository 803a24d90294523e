"""How well a profile's wings are told from the light of neighbouring traces.

In white light every trace has a flux of its own on every row. A bump of the wing, of the core's shape and at the
distance of the next trace, is then the neighbour's light just as well: no lamp frame tells them apart, an even one
no more than one of pinholes. What is left open is the covariance of the profile's coefficients, fluxes eliminated; how
much of a trace's light it puts into its neighbours follows with the weights by which the joint extraction takes them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["leak_errors"]

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
    share = np.stack([_shares(u, splines, one @ splines, spacing, reach) for one in coefficients], axis=1)
    whole = share.reshape(reach, -1) / coefficients.shape[0]  # mean over the spectrum
    # What the lamps hardly tell has a large error, not none.
    told = normal + 1e-12 * np.trace(normal) / len(normal) * np.eye(len(normal))
    return np.asarray(np.sqrt(np.maximum(np.einsum("rc,cr->r", whole, np.linalg.solve(told, whole.T)), 0.0)))


def _shares(u: F8, splines: F8, profile: F8, spacing: float, reach: int) -> F8:
    """Light (reach, n) that a unit of each spline, about the traces on either side, adds to a trace."""
    x = np.arange(-round(spacing * (_BESIDE + reach)), round(spacing * (_BESIDE + reach)) + 1)
    total = np.zeros((reach, len(splines)))
    for phase in np.arange(_PHASES) / _PHASES - 0.5:
        places = phase + spacing * np.arange(-_BESIDE, _BESIDE + 1)
        a = np.stack([np.interp(x - place, u, profile, left=0.0, right=0.0) for place in places], axis=1)
        taken = (a @ np.linalg.inv(a.T @ a))[:, _BESIDE]
        for number in range(reach):
            for side in (-1.0, 1.0):
                at = x - phase - side * (number + 1) * spacing
                values = np.stack([np.interp(at, u, one, left=0.0, right=0.0) for one in splines])
                total[number] += values @ taken / (2.0 * _PHASES)
    return total
