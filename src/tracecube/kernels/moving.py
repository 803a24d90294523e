"""A smooth field from samples on any lattice: at each place the parabola that fits the samples around it.

Moving least squares (Lancaster & Salkauskas 1981, Math. Comp. 37, 141) with Gaussian weights; exact for
fields of second degree, so that a speckle wider than two samples keeps its peak.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled

__all__ = ["cubic_weights", "parabola_weights"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

# Share of the diagonal added to the normal equations: five samples in a row do not make them singular.
_RIDGE = 1e-6


@compiled()
def parabola_weights(offset: F8, scale: float) -> F8:
    """Weights of samples that give the value at the origin of the parabola fitted to them.

    Parameters
    ----------
    offset : array (n, k, 2)
        Places of k samples from each of n targets; NaN where there is none.
    scale : float
        Standard deviation of the weight with distance.

    Returns
    -------
    array (n, k)
        A row sums to one; rows without six samples are zero.
    """
    n, k = offset.shape[0], offset.shape[1]
    found = np.zeros((n, k))
    columns = np.zeros((k, 6))
    weight = np.zeros(k)
    first = np.zeros(6)
    first[0] = 1.0
    for i in range(n):
        count = 0
        for j in range(k):
            x, y = offset[i, j, 0] / scale, offset[i, j, 1] / scale
            if np.isnan(x + y):
                weight[j] = 0.0
                columns[j] = 0.0
                continue
            count += 1
            weight[j] = np.exp(-0.5 * (x * x + y * y))
            columns[j, 0], columns[j, 1], columns[j, 2] = 1.0, x, y
            columns[j, 3], columns[j, 4], columns[j, 5] = x * x, x * y, y * y
        if count < 6:
            continue
        normal = np.zeros((6, 6))
        for j in range(k):
            for a in range(6):
                for b in range(6):
                    normal[a, b] += weight[j] * columns[j, a] * columns[j, b]
        for a in range(1, 6):
            normal[a, a] *= 1.0 + _RIDGE
            normal[a, a] += 1e-12
        solved = np.linalg.solve(normal, first)
        for j in range(k):
            value = 0.0
            for a in range(6):
                value += columns[j, a] * solved[a]
            found[i, j] = weight[j] * value
    return found


def cubic_weights(fraction: F8) -> F8:
    """Weights of the four grid points around a place by cubic convolution (Keys 1981, IEEE ASSP 29, 1153).

    Parameters
    ----------
    fraction : array (n,)
        Place between the second point (0) and the third (1).

    Returns
    -------
    array (n, 4)

    Examples
    --------
    >>> cubic_weights(np.array([0.0, 0.5])).tolist()
    [[0.0, 1.0, 0.0, 0.0], [-0.0625, 0.5625, 0.5625, -0.0625]]
    """
    t = np.asarray(fraction, float)
    return np.stack(
        [
            -0.5 * t + t**2 - 0.5 * t**3,
            1.0 - 2.5 * t**2 + 1.5 * t**3,
            0.5 * t + 2.0 * t**2 - 1.5 * t**3,
            -0.5 * t**2 + 0.5 * t**3,
        ],
        axis=1,
    )
