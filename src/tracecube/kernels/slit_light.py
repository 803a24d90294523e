"""Light of a slit of fibres on a CCD, column by column: dispersion runs along the first axis of every array here.

A fibre's footprint on a column is its effective profile, read where the fibre stands. The profile is tabulated once,
by the place of the fibre within a pixel (its phase): all pixels of a footprint then lie side by side in the table,
and one footprint is a few sums of short vectors. Between phases the table is linear, as the profile between its nodes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled

__all__ = [
    "LANES",
    "PHASES",
    "Footprints",
    "SlitLight",
    "adjoint_column",
    "fill_column",
    "footprints",
    "phase_table",
    "project_column",
]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

PHASES = 50
"""Places of a fibre within a pixel at which profiles are tabulated: every 0.02 px, the step of their nodes."""

LANES = 8
"""Footprints are zero-padded to a multiple of this many pixels, which a processor handles at once."""


class SlitLight(NamedTuple):
    """Where the fibres' light lies on the CCD.

    Parameters
    ----------
    centre : float64 array (m, n), px
        Row of each fibre on each of ``m`` columns, rising along the second axis.
    mix : float32 array (m, n, s)
        Weights of the shapes that a profile is mixed of.
    owner : int64 array (n,)
        Which table a fibre's profile is read from.
    table : float32 array (t, PHASES + 1, s, k)
        Of `phase_table`.
    half : int, px
        Footprints begin so many pixels below the one that holds the centre.
    """

    centre: F8
    mix: F4
    owner: I8
    table: F4
    half: int


class Footprints(NamedTuple):
    """What a unit of light writes on each column.

    Parameters
    ----------
    first : int64 array (m, n)
        Row at which a footprint begins; it may hang over an edge of the CCD.
    weight : float32 array (m, n, k)
    """

    first: I8
    weight: F4


def phase_table(u: F8, shapes: F8, half: int) -> F4:
    """Tabulate effective profiles by phase.

    Parameters
    ----------
    u : array (k,), px
        Rising distances from the centre.
    shapes : array (k, s)
        What a pixel at that distance receives; 0 beyond.
    half : int, px
        Pixels on either side of the centre's own that are tabulated.

    Returns
    -------
    float32 array (PHASES + 1, s, width)
        ``width`` is 2 half + 1 rounded up to a multiple of `LANES`; the rest is 0.

    Examples
    --------
    >>> u = np.linspace(-2.0, 2.0, 201)
    >>> table = phase_table(u, np.maximum(1.0 - np.abs(u), 0.0)[:, None], 2)
    >>> table.shape, [round(float(v), 2) for v in table[35, 0, :5]]
    ((51, 1, 8), [0.0, 0.0, 0.8, 0.2, 0.0])
    """
    width = -(-(2 * half + 1) // LANES) * LANES
    phase = np.arange(PHASES + 1) / PHASES - 0.5
    at = np.round(np.arange(2 * half + 1) - half - phase[:, None], 9)
    table = np.zeros((PHASES + 1, shapes.shape[1], width), np.float32)
    for s in range(shapes.shape[1]):
        table[:, s, : 2 * half + 1] = np.interp(at, np.round(u, 9), shapes[:, s], left=0.0, right=0.0)
    return table


_FAST = {"reassoc", "contract", "nsz"}
"""Sums may be taken in any order, many at once. Arrays are named one a line: as a tuple they would be counted anew."""


@compiled(fastmath=_FAST)
def fill_column(light: SlitLight, column: int, rows: int, first: I8, weight: F4) -> None:
    """Fill the footprints (n, k) of a column, and the row (n,) where each begins.

    A footprint that hangs over an edge of the CCD goes on there; one that lies wholly off it is 0.
    """
    n, width = weight.shape
    for j in range(n):
        centre = light.centre[column, j]
        pixel = np.floor(centre + 0.5)
        at = int(pixel) - light.half
        on = np.float32(-width < at < rows)
        first[j] = at if on else 0
        w = weight[j]
        t = (centre - pixel + 0.5) * PHASES
        i = min(int(t), PHASES - 1)
        f = np.float32(t - i)
        table = light.table[light.owner[j]]
        for s in range(light.mix.shape[2]):
            high = on * light.mix[column, j, s] * f
            low = on * light.mix[column, j, s] - high
            here = table[i, s]
            next_ = table[i + 1, s]
            if s == 0:
                for k in range(width):
                    w[k] = low * here[k] + high * next_[k]
            else:
                for k in range(width):
                    w[k] += low * here[k] + high * next_[k]


@compiled()
def _fill(light: SlitLight, rows: int, feet: Footprints) -> None:
    for column in range(len(light.centre)):
        fill_column(light, column, rows, feet.first[column], feet.weight[column])


def footprints(light: SlitLight, rows: int, old: Footprints | None = None) -> Footprints:
    """Return the footprints on a CCD of so many rows; those of another move give their room up to them."""
    if old is None:
        shape = light.centre.shape
        old = Footprints(np.empty(shape, np.int64), np.empty((*shape, light.table.shape[3]), np.float32))
    _fill(light, rows, old)
    return old


@compiled(fastmath=_FAST)
def project_column(first: I8, weight: F4, flux: F4, padded: F4) -> None:
    """Write A f of one column into ``padded`` (rows + 2 k,), which begins k rows below the CCD."""
    n, width = weight.shape
    padded[:] = 0.0
    for j in range(n):
        under = padded[first[j] + width : first[j] + 2 * width]
        w = weight[j]
        value = flux[j]
        for k in range(width):
            under[k] += value * w[k]


@compiled(fastmath=_FAST)
def adjoint_column(first: I8, weight: F4, padded: F4, total: F8) -> None:
    """Write the sums (n,) of a padded column under each footprint."""
    n, width = weight.shape
    for j in range(n):
        under = padded[first[j] + width : first[j] + 2 * width]
        w = weight[j]
        value = np.float32(0.0)
        for k in range(width):
            value += under[k] * w[k]
        total[j] = value
