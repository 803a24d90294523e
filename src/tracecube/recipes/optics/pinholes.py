"""Places of lenslets on the sky from a grid of pinholes whose distances are known.

The pinholes stand on a square grid in a plane that is true to the sky; each lights a few lenslets. Their
centroids over the lattice of lenslets give the map from lattice to sky: a turn, which is the grid's own
and is taken out, a symmetric stretch (plate scale and anamorphism), and a weak polynomial distortion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from pydantic import Field
from scipy.spatial import cKDTree

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.optics import PointPattern
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.kernels.polynomials import monomials

__all__ = ["PinholeParams", "SkyMap", "lattice_plane", "map_sky"]

_NEAR = 2.6  # lenslets: a pinhole's image is 2.5 wide at half height
_FEWEST = 12  # pinholes: a third-order map has ten terms an axis


class PinholeParams(Params):
    """How the grid of pinholes is measured; defaults of the observatory's recipe."""

    grid_pitch: float = Field(0.1677, gt=0, description="distance of pinholes on the sky, arcsec")
    threshold: float = Field(
        3.0,
        gt=0,
        description="a pinhole outshines the typical lenslet so many times",
        alias="ifs.distortion_map.threshold",
    )
    fitting_order: int = Field(
        3, ge=1, le=5, description="degree of the map to the sky", alias="ifs.distortion_map.fitting_order"
    )
    max_distortion: float = Field(
        4.0,
        gt=0,
        description="pinholes farther than this from the regular grid are left out, lenslets",
        alias="ifs.distortion_map.max_distortion",
    )


@dataclass(frozen=True)
class SkyMap:
    """The map from lattice to sky.

    Parameters
    ----------
    x, y : array (n,), arcsec
        Of every lenslet, from the middle of the lattice.
    pitch : float, arcsec
        Geometric mean distance of neighbouring lenslets.
    anamorphism : float
        Scale along x over scale along y.
    turn : float, degree
        Of the grid against the lattice.
    residual : float, arcsec
        Rms of the pinholes about the map, both axes together.
    pattern : PointPattern
        The pinholes.
    """

    x: FloatArray
    y: FloatArray
    pitch: float
    anamorphism: float
    turn: float
    residual: float
    pattern: PointPattern


class _Light(NamedTuple):
    """Light (n,) of the lenslets with its variance, which of them count, and their places (n, 2) in the lattice."""

    flux: FloatArray
    variance: FloatArray
    good: BoolArray
    plane: FloatArray


class _Spots(NamedTuple):
    """Images of the pinholes, in lenslets: centres (k, 2), relative errors (k,) as weights, errors (k,) by noise."""

    centre: FloatArray
    relative: FloatArray
    error: FloatArray


def lattice_plane(q: IntArray, r: IntArray) -> FloatArray:
    """Places (n, 2) of lattice nodes with neighbours at distance 1, the first axis along x.

    Examples
    --------
    >>> lattice_plane(np.array([1, 0]), np.array([0, 2])).round(3).tolist()
    [[1.0, 0.0], [1.0, 1.732]]
    """
    return np.stack([q + 0.5 * r, r * np.sqrt(0.75)], axis=1)


def map_sky(
    flux: FloatArray, variance: FloatArray, plane: FloatArray, *, nominal_pitch: float, params: PinholeParams
) -> tuple[SkyMap, tuple[QualityNumber, ...]]:
    """Measure the map from lattice to sky.

    Parameters
    ----------
    flux, variance : array (n,)
        Light of every lenslet in the frame of pinholes, lenslet flat divided out; NaN where not measured.
    plane : array (n, 2)
        From `lattice_plane`.
    nominal_pitch : float, arcsec
        Of lenslets; good to a few per cent.
    params : PinholeParams

    Raises
    ------
    NoConvergence
        Too few pinholes are seen, or they stand on no square grid.
    """
    good = np.isfinite(flux) & np.isfinite(variance) & (variance > 0)
    light = _Light(np.where(good, flux, 0.0), np.where(good, variance, 1.0), good, plane)
    spots, relative, noise = _centroids(light, params.threshold)
    if len(spots) < _FEWEST:
        raise NoConvergence(
            f"{len(spots)} pinholes seen, {_FEWEST} are needed", hint="is the distortion lamp on? lower the threshold"
        )
    step = params.grid_pitch / nominal_pitch
    node, on_grid = _grid_index(spots, step, params.max_distortion)
    if on_grid.sum() < _FEWEST:
        raise NoConvergence("pinholes stand on no square grid", hint="check grid_pitch; look at the frame")
    centre = plane.mean(axis=0)
    scale = float(np.abs(plane - centre).max())
    terms = monomials((spots - centre) / scale, params.fitting_order)
    keep = on_grid.copy()
    for _ in range(5):
        weight = keep / relative
        found = np.linalg.lstsq(terms * weight[:, None], node * params.grid_pitch * weight[:, None], rcond=None)[0]
        left = terms @ found - node * params.grid_pitch
        miss = np.linalg.norm(left, axis=1)
        keep = on_grid & (miss < 4.0 * max(float(np.median(miss[keep])), 1e-9))
    here = monomials((plane - centre) / scale, params.fitting_order) @ found
    turn, stretch = _polar(found, scale)
    sky = (here - found[0]) @ turn
    residual = float(np.sqrt(np.mean(miss[keep] ** 2)))
    pitch = float(np.sqrt(np.linalg.det(stretch)))
    mapped = SkyMap(
        sky[:, 0],
        sky[:, 1],
        pitch,
        float(stretch[0, 0] / stretch[1, 1]),
        float(np.degrees(np.arctan2(turn[1, 0], turn[0, 0]))),
        residual,
        _pattern((spots - centre) * pitch, (node * params.grid_pitch - found[0]) @ turn, noise * pitch, keep),
    )
    freedom = max(int(keep.sum()) - terms.shape[1], 1)
    chi = ((left @ turn / (noise * mapped.pitch)[:, None])[keep] ** 2).sum(axis=0) / freedom
    return mapped, (
        QualityNumber("DISTMAP NPOINTS OBS", float(len(spots)), ""),
        QualityNumber("DISTMAP NREMOVED", float(len(spots) - keep.sum()), ""),
        QualityNumber("DISTMAP PIXSCALE", mapped.pitch * 1e3, "mas"),
        QualityNumber("DISTMAP ANAMORPHISM", mapped.anamorphism, ""),
        QualityNumber("DISTMAP POLFIT CHIX", float(chi[0]), ""),
        QualityNumber("DISTMAP POLFIT CHIY", float(chi[1]), ""),
        QualityNumber("DISTMAP RESIDUAL", residual * 1e3, "mas", high=1.0),
    )


def _pattern(seen: FloatArray, true: FloatArray, error: FloatArray, used: BoolArray) -> PointPattern:
    """Pinholes where they are seen and where the grid has them (n, 2), arcsec."""
    return PointPattern(seen[:, 0], seen[:, 1], error, true[:, 0], true[:, 1], np.asarray(used, dtype=np.int32))


def _centroids(light: _Light, threshold: float) -> _Spots:
    """Centres of the pinholes' images by a Gaussian fit."""
    flux, _, good, plane = light
    tree = cKDTree(plane)
    level = threshold * max(float(np.median(flux[good])), 0.02 * float(np.percentile(flux[good], 99.7)))
    around = tree.query(plane, k=7)[1]
    peaks = np.flatnonzero(good & (flux > level) & (flux >= flux[around].max(axis=1)))
    width = 1.0
    for _ in range(2):
        fits = [_gaussian(light, tree.query_ball_point(plane[p], _NEAR), plane[p], width) for p in peaks]
        whole = [one for one in fits if one is not None]
        if not whole:
            return _Spots(np.zeros((0, 2)), np.zeros(0), np.zeros(0))
        width = float(np.median([one[3] for one in whole]))
    found = np.array(whole)
    bright = found[:, 2] > 0.1 * np.median(found[:, 2])
    relative = np.sqrt(np.median(found[bright, 2]) / found[bright, 2])
    return _Spots(found[bright, :2], relative, found[bright, 4])


def _gaussian(
    light: _Light, members: list[int], start: FloatArray, width: float
) -> tuple[float, float, float, float, float] | None:
    """Fit centre, amplitude, width and ground to the lenslets around a peak, None where that fails.

    The last number is the error of the centre by the noise, the mean of both axes.
    """
    flux, variance, good, plane = light
    use = np.array([m for m in members if good[m]])
    if use.size < 8:  # noqa: PLR2004 - five numbers are fitted
        return None
    centre, sigma = np.array(start), width
    for _ in range(12):
        d = plane[use] - centre
        shape = np.exp(-0.5 * (d**2).sum(axis=1) / sigma**2)
        columns = np.stack(
            [shape, shape * d[:, 0] / sigma**2, shape * d[:, 1] / sigma**2, shape * (d**2).sum(axis=1) / sigma**3,
             np.ones(use.size)], axis=1,
        )  # fmt: skip
        c = np.linalg.lstsq(columns, flux[use], rcond=None)[0]
        if c[0] <= 0:
            return None
        centre = centre + np.clip(c[1:3] / c[0], -0.5, 0.5)
        sigma = float(np.clip(sigma + np.clip(c[3] / c[0], -0.2, 0.2), 0.4, 3.0))
    if np.linalg.norm(centre - start) > 1.0:
        return None
    share = np.linalg.pinv(columns)[1:3] / c[0]  # of each lenslet's light in the place of the centre
    error = float(np.sqrt((share**2 @ variance[use]).mean()))
    return float(centre[0]), float(centre[1]), float(c[0]), sigma, error


def _grid_index(spots: FloatArray, step: float, tolerance: float) -> tuple[FloatArray, BoolArray]:
    """Indices (k, 2) of pinholes on their square grid, by an affine fit grown from the middle."""
    first = int(np.argmin(np.linalg.norm(spots - spots.mean(axis=0), axis=1)))
    distance = np.linalg.norm(spots - spots[first], axis=1)
    affine = np.vstack([-spots[first] / step, np.eye(2) / step])
    rows = np.concatenate([np.ones((len(spots), 1)), spots], axis=1)
    reach = 1.6 * step
    while True:
        node = np.rint(rows @ affine)
        off = np.linalg.norm(rows @ affine - node, axis=1) * step
        on = (off < min(tolerance, 0.3 * step)) & (distance < reach)
        if on.sum() >= 4:  # noqa: PLR2004 - three determine an affine map
            affine = np.linalg.lstsq(rows[on], node[on], rcond=None)[0]
        if reach > distance.max() * 1.5:
            return node, on
        reach *= 1.4


def _polar(found: FloatArray, scale: float) -> tuple[FloatArray, FloatArray]:
    """Split the linear part of a map into a turn and a symmetric stretch: map = turn @ stretch."""
    linear = found[1:3].T / scale  # rows: grid axes; columns: lattice axes
    left, power, right = np.linalg.svd(linear)
    return np.asarray(left @ right), np.asarray(right.T @ np.diag(power) @ right)
