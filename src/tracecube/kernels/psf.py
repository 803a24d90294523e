"""The chromatic point-spread function of a lenslet field.

A Gaussian core and a Moffat halo share centre, ellipticity and growth with wavelength; each lenslet
collects the density over its hexagon. The density integrates to one over the whole plane, so the
amplitude of a fit is the total flux of the source, aperture losses included.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Shape",
    "full_width",
    "hexagon_area",
    "hexagon_nodes",
    "lattice_angle",
    "lattice_pitch",
    "lenslet_fractions",
    "mixture_density",
    "rounded",
]

F8 = NDArray[np.float64]


class Shape(NamedTuple):
    """Shape of the point-spread function at the reference wavelength.

    Parameters
    ----------
    sigma : float, arcsec
        Width of the Gaussian core.
    alpha : float, arcsec
        Scale radius of the Moffat halo.
    beta : float
        Exponent of the halo, above one.
    core : float
        Share of the flux in the core.
    rho : float
        Widths go with wavelength to this power; -0.2 in Kolmogorov turbulence (Fried 1966).
    e1, e2 : float
        Half the logarithm of the axis ratio, times cosine and sine of twice the angle of the long
        axis from +x towards +y.
    """

    sigma: float
    alpha: float
    beta: float
    core: float
    rho: float
    e1: float
    e2: float


def lattice_pitch(x: F8, y: F8) -> float:
    """Distance between neighbours of a lattice: the median distance to the nearest point."""
    from scipy.spatial import cKDTree  # noqa: PLC0415 - slow to import, used once an exposure

    points = np.column_stack([x, y])
    distance, _ = cKDTree(points).query(points, k=2)
    return float(np.median(distance[:, 1]))


def lattice_angle(x: F8, y: F8) -> float:
    """Direction of one hexagonal lattice axis, radian from +x, in [-30, 30) degrees.

    Mean phase of the vectors to the six neighbours, taken six-fold.
    """
    from scipy.spatial import cKDTree  # noqa: PLC0415

    points = np.column_stack([x, y])
    _, near = cKDTree(points).query(points, k=2)
    step = points[near[:, 1]] - points
    return float(np.angle(np.sum(np.exp(6j * np.arctan2(step[:, 1], step[:, 0])))) / 6.0)


def hexagon_area(pitch: float) -> float:
    """Area of a hexagon whose opposite sides lie ``pitch`` apart."""
    return float(np.sqrt(3.0) / 2.0 * pitch**2)


def hexagon_nodes(pitch: float, angle: float) -> tuple[F8, F8, F8]:
    """Seven nodes of degree five over a hexagon.

    Stroud 1971, Approximate Calculation of Multiple Integrals, formula H2 5-1: the centre with weight
    258/1008, six points at sqrt(14)/5 of the way to the corners with weight 125/1008.

    Parameters
    ----------
    pitch : float
        Distance between opposite sides.
    angle : float, radian
        Direction of a lattice axis: the hexagons touch there, their corners lie 30 degrees off.

    Returns
    -------
    x, y, weight : array (7,)
        Weights sum to one.
    """
    corner = angle + np.pi / 6.0 + np.arange(6) * np.pi / 3.0
    radius = pitch / np.sqrt(3.0) * np.sqrt(14.0) / 5.0
    x = np.append(0.0, radius * np.cos(corner))
    y = np.append(0.0, radius * np.sin(corner))
    return x, y, np.append(258.0, np.full(6, 125.0)) / 1008.0


def mixture_density(radius2: F8, growth: F8, shape: Shape) -> F8:
    """Density (1/arcsec2) at an elliptical radius squared.

    Parameters
    ----------
    radius2 : array (...), arcsec**2
    growth : array, broadcastable
        Width over that at the reference wavelength.
    """
    scaled = radius2 / growth**2
    gauss = np.exp(-0.5 / shape.sigma**2 * scaled) * (shape.core / (2.0 * np.pi * shape.sigma**2))
    halo = np.exp(-shape.beta * np.log1p(scaled / shape.alpha**2))
    halo *= (1.0 - shape.core) * (shape.beta - 1.0) / (np.pi * shape.alpha**2)
    return np.asarray((gauss + halo) / growth**2)


def _rounding(e1: float, e2: float) -> tuple[float, float, float]:
    """Elements xx, xy, yy of the symmetric matrix of unit determinant that makes the ellipse round."""
    size = np.hypot(e1, e2)
    flat = np.sinh(size) / size if size > 0 else 1.0
    return float(np.cosh(size) - flat * e1), float(-flat * e2), float(np.cosh(size) + flat * e1)


def rounded(x: F8, y: F8, shape: Shape) -> tuple[F8, F8]:
    """Places in the frame in which the point-spread function is round, arcsec."""
    xx, xy, yy = _rounding(shape.e1, shape.e2)
    return xx * x + xy * y, xy * x + yy * y


def lenslet_fractions(
    x: F8,
    y: F8,
    centre: tuple[F8, F8],
    growth: F8,
    shape: Shape,
    nodes: tuple[F8, F8, F8],
    *,
    area: float,
) -> F8:
    """Share of a source's total flux that each lenslet collects.

    Parameters
    ----------
    x, y : array (n,), arcsec
        Centres of the lenslets.
    centre : pair of arrays (m,), arcsec
        Place of the source at each wavelength.
    growth : array (m,)
        Width at each wavelength over that at the reference.
    nodes : from `hexagon_nodes`
    area : float, arcsec**2
        Area of a lenslet.

    Returns
    -------
    array (m, n)
    """
    xx, xy, yy = _rounding(shape.e1, shape.e2)
    round_x, round_y = rounded(x, y, shape)
    at_x, at_y = rounded(*centre, shape)
    total = np.zeros((np.size(growth), np.size(x)))
    for node_x, node_y, weight in zip(*nodes, strict=True):
        dx = round_x[None, :] - (at_x - xx * node_x - xy * node_y)[:, None]
        dy = round_y[None, :] - (at_y - xy * node_x - yy * node_y)[:, None]
        total += weight * mixture_density(dx * dx + dy * dy, growth[:, None], shape)
    return total * area


def full_width(shape: Shape) -> float:
    """Full width at half maximum at the reference wavelength, arcsec: the geometric mean of the axes."""
    low, high = 0.0, 20.0 * max(shape.sigma, shape.alpha)
    one = np.array(1.0)
    half = 0.5 * mixture_density(np.array(0.0), one, shape)
    for _ in range(60):
        middle = 0.5 * (low + high)
        if mixture_density(np.array(middle**2), one, shape) > half:
            low = middle
        else:
            high = middle
    return 2.0 * high
