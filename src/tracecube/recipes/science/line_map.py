"""Significance of a line at every place and wavelength, and how many false ones to expect.

The significance of noise is a Gaussian random field of unit variance that is smooth over the filter. The expected
number of its maxima above a high level u is that of its Euler characteristic (Adler 1981, The Geometry of Random
Fields; Worsley 1994, Adv. Appl. Prob. 26, 13): volume in units of the correlation length times
(u**2 - 1) exp(-u**2 / 2) / (2 pi)**2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from tracecube.kernels.fibre_psf import FibreShare
from tracecube.recipes.science.fibre_field import FibreField, Refraction
from tracecube.recipes.science.line_filter import Filtered

__all__ = ["LineMap", "euler_density", "map_lines", "share_matrix"]

F8 = NDArray[np.float64]
F4 = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class LineMap:
    """Maps of one bundle, arrays (wave, north, east).

    Parameters
    ----------
    east, north : array (n_x,), (n_y,), arcsec
    wave : array (g,), Angstrom
    sn : float32 array
        Flux of a line over its error; unit variance where there is none.
    error : float32 array, erg/s/cm2
    continuum : float32 array, erg/s/cm2/Angstrom
        Of a point source.
    used : bool array
        Searched.
    resels : float
        Volume searched, in units of the correlation length of the map.
    """

    east: F8
    north: F8
    wave: F8
    sn: F4
    error: F4
    continuum: F4
    used: Mask
    resels: float

    def expected(self, level: float) -> float:
        """Expected number of maxima of noise above ``level``."""
        return self.resels * euler_density(level)


def euler_density(u: float) -> float:
    """Expected maxima above ``u`` in a unit of volume of a smooth Gaussian field in three dimensions."""
    return float((u * u - 1.0) * np.exp(-0.5 * u * u) / (2.0 * np.pi) ** 2)


def share_matrix(points: F8, fibres: F8, exp: NDArray[np.int64], shares: Sequence[FibreShare]) -> csr_array:
    """Share of the light of a source at each point (p, 2) that each fibre (n, 2) collects: (p, n)."""
    reach = max(share.reach for share in shares)
    pairs = cKDTree(points).sparse_distance_matrix(cKDTree(fibres), reach, output_type="ndarray")
    values = np.empty(len(pairs))
    for number, share in enumerate(shares):
        mine = exp[pairs["j"]] == number
        values[mine] = share(pairs["v"][mine])
    return csr_array((values, (pairs["i"], pairs["j"])), shape=(len(points), len(fibres)))


def map_lines(
    field: FibreField,
    filtered: Filtered,
    shares: Sequence[FibreShare],
    refraction: Refraction,
    *,
    step: float,
    least_power: float,
) -> LineMap:
    """Filter across the fibres.

    Parameters
    ----------
    shares : sequence of FibreShare
        One an exposure.
    step : float, arcsec
        Of the raster.
    least_power : float
        Places where a line's weight is below this share of the typical one are not searched.
    """
    east, north = (_axis(v, step) for v in (field.east, field.north))
    points = np.stack(np.meshgrid(east, north), axis=-1).reshape(-1, 2)
    size = (filtered.wave.size, points.shape[0])
    score, power, noise, light = (np.zeros(size, np.float32) for _ in range(4))
    density = np.zeros(size, np.float32)
    rows = np.stack([field.east, field.north], axis=1)
    unit = float(np.max(filtered.power)) or 1.0
    for shift, planes in field.steps(refraction, filtered.wave):
        share = share_matrix(points, rows - shift, field.exp, shares)
        squared = share.power(2)
        blended = csr_array(share[:, :-1].multiply(share[:, 1:]))
        weight = filtered.power[:, planes]
        score[planes] = (share @ filtered.score[:, planes]).T / np.sqrt(unit)
        power[planes] = (squared @ weight).T / unit
        noise[planes] = power[planes] + 2.0 * (blended @ filtered.shared[:-1, planes]).T / unit
        light[planes] = (share @ (weight * filtered.continuum[:, planes])).T / unit
        correlation = _correlation_volume(share, filtered.power[:, planes[len(planes) // 2]], (north.size, east.size))
        density[planes] = correlation / step**2
    typical = np.median(np.where(power > 0, power, np.nan), axis=1, keepdims=True) if power.any() else np.ones((1, 1))
    used = power > least_power * np.nan_to_num(_typical(power, typical))
    root = np.sqrt(np.where(used, noise, np.inf))
    volume = step**2 * abs(filtered.wave[1] - filtered.wave[0])
    resels = float(np.sum(np.where(used, density, 0.0) / (np.sqrt(2.0) * filtered.width[:, None])) * volume)
    whole = (filtered.wave.size, north.size, east.size)
    per = np.where(used, power, np.inf)
    return LineMap(
        east,
        north,
        filtered.wave,
        np.asarray(score / root, np.float32).reshape(whole),
        np.asarray(np.where(used, np.sqrt(noise), np.nan) / per / np.sqrt(unit), np.float32).reshape(whole),
        np.asarray(light / per, np.float32).reshape(whole),
        used.reshape(whole),
        resels,
    )


def _axis(values: F8, step: float) -> F8:
    """Raster that holds all fibres and half a fibre more."""
    low, high = np.floor(values.min() / step), np.ceil(values.max() / step)
    return step * np.arange(low, high + 1)


def _typical(power: F4, fallback: F8) -> F8:
    """Weight of a line in the middle of the field, by wavelength: the 75th percentile over places."""
    top = np.quantile(power, 0.75, axis=1, keepdims=True)
    return np.where(top > 0, top, fallback)


def _correlation_volume(share: csr_array, weight: F8, size: tuple[int, int]) -> F8:
    """Root of the determinant of the gradient's covariance, per step**2, at each place (p,).

    The correlation with the places beside it is that of a Gaussian, so -2 log of it is a squared distance.
    """
    scaled = share.multiply(np.sqrt(weight)[None, :]).tocsr()
    norm = np.sqrt(scaled.power(2).sum(axis=1))
    index = np.arange(size[0] * size[1]).reshape(size)

    def squared(dy: int, dx: int) -> F8:
        first, second = index[: size[0] - dy, : size[1] - abs(dx)], index[dy:, abs(dx) :]
        if dx < 0:
            first, second = index[: size[0] - dy, -dx:], index[dy:, : size[1] + dx]
        product = scaled[first.ravel()].multiply(scaled[second.ravel()]).sum(axis=1)
        both = norm[first.ravel()] * norm[second.ravel()]
        rho = np.where(both > 0, product / np.where(both > 0, both, 1.0), 1.0)
        out = np.full(size, np.nan)
        out.ravel()[first.ravel()] = -2.0 * np.log(np.clip(rho, 1e-3, 1.0))
        return out

    xx, yy = squared(0, 1), squared(1, 0)
    xy = 0.25 * (squared(1, 1) - squared(1, -1))
    root = np.sqrt(np.maximum(xx * yy - xy**2, 0.0))
    return np.nan_to_num(root).ravel()
