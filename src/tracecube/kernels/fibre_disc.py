"""Light of a point source in round fibres: a Moffat profile integrated over the fibre's face."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["DiscShare", "alpha_of", "disc_light", "disc_nodes", "disc_share"]

F8 = NDArray[np.float64]


class DiscShare(NamedTuple):
    """Share of the light that a fibre collects, with its slopes; arrays of the shape of the distances.

    Parameters
    ----------
    share : array
    by_x, by_y : array, 1/arcsec
        Slope with the place of the source.
    by_log_width : array
        Slope with the logarithm of the profile's width.
    by_beta : array
        Slope with the exponent at constant full width at half maximum.
    """

    share: F8
    by_x: F8
    by_y: F8
    by_log_width: F8
    by_beta: F8


def alpha_of(fwhm: F8, beta: float) -> F8:
    """Scale radius of a Moffat profile of a full width at half maximum."""
    return np.asarray(np.asarray(fwhm) / (2.0 * np.sqrt(2.0 ** (1.0 / beta) - 1.0)))


@cache
def disc_nodes(radius: float, rings: int = 4, spokes: int = 8) -> tuple[F8, F8, F8]:
    """Nodes over a disc: Gauss-Legendre in the squared radius, evenly in angle, turned from ring to ring.

    Stroud 1971, Approximate Calculation of Multiple Integrals, section 2.6 (products over the disc): exact to
    polynomials of degree ``min(4 rings - 2, spokes - 1)``.

    Returns
    -------
    x, y, weight : array (rings * spokes,)
        Weights sum to one.
    """
    point, weight = np.polynomial.legendre.leggauss(rings)
    rho = radius * np.sqrt(0.5 * (point + 1.0))
    angle = 2.0 * np.pi / spokes * (np.arange(spokes)[None, :] + 0.5 * (np.arange(rings) % 2)[:, None])
    x, y = rho[:, None] * np.cos(angle), rho[:, None] * np.sin(angle)
    return x.ravel(), y.ravel(), np.repeat(0.5 * weight / spokes, spokes)


def disc_share(dx: F8, dy: F8, fwhm: F8, beta: float, radius: float) -> DiscShare:
    """Share of a source's light in fibres, and its slopes.

    Parameters
    ----------
    dx, dy : array (...), arcsec
        Source less fibre.
    fwhm : array, broadcastable, arcsec
    beta : float
        Exponent of the Moffat profile, above one.
    radius : float, arcsec
        Of the fibre.
    """
    alpha = alpha_of(fwhm, beta)
    root = 2.0 ** (1.0 / beta)
    # d ln(alpha) / d beta at constant width
    stretch = 0.5 * root * np.log(2.0) / (beta**2 * (root - 1.0))
    area = np.pi * radius**2
    total, by_x, by_y, by_log, by_beta = (np.zeros(np.broadcast(dx, alpha).shape) for _ in range(5))
    inverse = 1.0 / alpha**2
    for x, y, weight in zip(*disc_nodes(radius), strict=True):
        ex, ey = dx - x, dy - y
        scaled = (ex * ex + ey * ey) * inverse
        log = np.log1p(scaled)
        density = weight * area * (beta - 1.0) / np.pi * inverse * np.exp(-beta * log)
        slope = density * (-2.0 * beta) * inverse / (1.0 + scaled)
        widen = density * (2.0 * beta * scaled / (1.0 + scaled) - 2.0)
        total += density
        by_x += slope * ex
        by_y += slope * ey
        by_log += widen
        by_beta += density * (1.0 / (beta - 1.0) - log) + widen * stretch
    return DiscShare(total, by_x, by_y, by_log, by_beta)


def disc_light(dx: F8, dy: F8, fwhm: F8, beta: float, radius: float) -> F8:
    """Share of a source's light in fibres alone, as `disc_share` has it with its slopes; the same arguments."""
    alpha = alpha_of(fwhm, beta)
    total = np.zeros(np.broadcast(dx, alpha).shape)
    inverse = 1.0 / alpha**2
    for x, y, weight in zip(*disc_nodes(radius), strict=True):
        total += weight * np.exp(-beta * np.log1p(((dx - x) ** 2 + (dy - y) ** 2) * inverse))
    return np.asarray(radius**2 * (beta - 1.0) * inverse * total)
