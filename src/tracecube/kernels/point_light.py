"""Light of many points seen through one point-spread function: radial tables, and sums over points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled
from tracecube.kernels.psf import Shape, lenslet_fractions, rounded

__all__ = ["STEP", "point_columns", "point_sums", "radial_table"]

F8 = NDArray[np.float64]
STEP = 0.01  # arcsec, of the table: linear interpolation errs by 1e-4 of the peak where a core has a sigma of 0.4
REACH = 25.0  # arcsec: beyond it a point gives nothing


def radial_table(shape: Shape, growth: F8, nodes: tuple[F8, F8, F8], area: float) -> F8:
    """Share of a point's light in a lenslet, by distance, array (m, t).

    The hexagon is averaged over its directions; its departure from that is of sixth order in pitch over width.

    Parameters
    ----------
    shape : Shape
        Its ellipticity is left out: distances are `tracecube.kernels.psf.rounded`.
    growth : array (m,)
    nodes, area
        As in `tracecube.kernels.psf.lenslet_fractions`.
    """
    radius = np.arange(0.0, REACH, STEP)
    circle = shape._replace(e1=0.0, e2=0.0)
    none = np.zeros(growth.size)
    angle = np.arctan2(nodes[1][1], nodes[0][1])
    along = [angle, angle + np.pi / 6.0]
    rows = [
        lenslet_fractions(radius * np.cos(a), radius * np.sin(a), (none, none), growth, circle, nodes, area=area)
        for a in along
    ]
    return np.asarray(0.5 * (rows[0] + rows[1]))


def point_columns(x: F8, y: F8, points: tuple[F8, F8], shape: Shape, table: F8) -> F8:
    """Light of each point of unit flux in each lenslet, array (n, q).

    Parameters
    ----------
    x, y : array (n,), arcsec
    points : pair of arrays (q,), arcsec
    table : array (t,)
        From `radial_table`.
    """
    seen, lit = rounded(x, y, shape), rounded(*points, shape)
    return np.asarray(_columns(*seen, *lit, table))


def point_sums(x: F8, y: F8, points: tuple[F8, F8], flux: F8, *, shift: tuple[F8, F8], shape: Shape, table: F8) -> F8:
    """Light of sums of points in each lenslet, array (m, a, n).

    Parameters
    ----------
    x, y : array (n,), arcsec
    points : pair of arrays (q,), arcsec
    flux : array (a, q)
        Of each point in each sum.
    shift : pair of arrays (m,), arcsec
        Of all points.
    table : array (m, t)
        From `radial_table`.
    """
    seen, lit, moved = rounded(x, y, shape), rounded(*points, shape), rounded(*shift, shape)
    return np.asarray(_sums(seen, lit, np.ascontiguousarray(flux), moved, table))


@compiled()
def _at(distance2: float, table: F8) -> float:
    """Read a table by distance squared."""
    place = np.sqrt(distance2) / STEP
    whole = int(place)
    if whole >= table.size - 1:
        return 0.0
    part = place - whole
    return float(table[whole] * (1.0 - part) + table[whole + 1] * part)


@compiled()
def _columns(x: F8, y: F8, px: F8, py: F8, table: F8) -> F8:
    out = np.empty((x.size, px.size))
    for n in range(x.size):
        for q in range(px.size):
            out[n, q] = _at((x[n] - px[q]) ** 2 + (y[n] - py[q]) ** 2, table)
    return out


@compiled()
def _sums(seen: tuple[F8, F8], lit: tuple[F8, F8], flux: F8, moved: tuple[F8, F8], table: F8) -> F8:
    x, y = seen
    out = np.zeros((table.shape[0], flux.shape[0], x.size))
    for m in range(table.shape[0]):
        px, py = lit[0] + moved[0][m], lit[1] + moved[1][m]
        for n in range(x.size):
            for q in range(px.size):
                share = _at((x[n] - px[q]) ** 2 + (y[n] - py[q]) ** 2, table[m])
                for a in range(flux.shape[0]):
                    out[m, a, n] += share * flux[a, q]
    return out
