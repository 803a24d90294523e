"""Cubes from hexagonal spaxels: one linear, flux-conserving resampling to square ones.

A square spaxel takes from each hexagon the share of the hexagon's area that it covers. Atmospheric
refraction is undone in the same step, by moving the hexagons at each wavelength.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from tracecube.core.fields import FloatArray, Scalar
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.params import Params
from tracecube.core.spectra import Cube, Spectra

__all__ = ["CubeParams", "build_cube"]

# Points a side of a square spaxel that sample the overlap with hexagons: areas good to 3 %.
FINE = 6
# Shifts are rounded to this before hexagons are cut, arcsec: a 13th of a lenslet.
ROUNDING = 0.05
# A spaxel of which less than this share lies on measured hexagons is not measured.
LEAST_COVER = 0.5
# Neighbours whose correlation is stated, in (wave, y, x).
OFFSETS = ((1, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (0, 0, 2), (0, 2, 0))


class CubeParams(Params):
    """The square grid."""

    spaxel: float = Field(0.5, gt=0.05, description="side of a spaxel, arcsec")


@dataclass(frozen=True)
class _Grid:
    """Square grid: x to the west (east left), y to the north; centres (n,), arcsec."""

    x: FloatArray
    y: FloatArray
    step: float


def build_cube(
    spectra: Spectra,
    shift: tuple[FloatArray, FloatArray],
    params: CubeParams,
    *,
    pitch: float,
    pointing: tuple[float, float] | None,
) -> Cube:
    """Resample the spectra of an exposure to a cube.

    Parameters
    ----------
    spectra : Spectra
        One wavelength grid for all apertures.
    shift : (array (n_wave,), array (n_wave,)), arcsec
        Where refraction has moved the light, east and north.
    params : CubeParams
    pitch : float, arcsec
        Distance between neighbouring hexagons.
    pointing : (float, float) or None, degree
        Right ascension and declination of x = y = 0.
    """
    grid = _grid(spectra, params.spaxel)
    size = (spectra.wave.size, grid.y.size, grid.x.size)
    data, variance = np.full(size, np.nan, np.float32), np.full(size, np.nan, np.float32)
    flags = np.full(size, int(Flag.NOT_ILLUMINATED), np.int32)
    steps = np.round(np.stack(shift, axis=1) / ROUNDING).astype(int)
    sample = None
    for step in np.unique(steps, axis=0):
        planes = np.nonzero((steps == step).all(axis=1))[0]
        overlap = _overlap(spectra.x - step[0] * ROUNDING, spectra.y - step[1] * ROUNDING, grid, pitch)
        for k in planes:
            data[k], variance[k], flags[k] = _plane(spectra, overlap, int(k), size[1:])
        sample = overlap
    correlation = _correlations(spectra, sample, size[1:])
    return Cube(
        data=data,
        variance=variance,
        flags=flags,
        covariance_offset=np.array(OFFSETS),
        covariance_value=correlation,
        meta={**spectra.meta, **_axes(spectra, grid, pointing)},
    )


def _grid(spectra: Spectra, step: float) -> _Grid:
    """A grid that holds all apertures, with the field centre on the centre of a spaxel."""
    x_half, y_half = (int(np.ceil(np.nanmax(np.abs(v)) / step)) + 1 for v in (spectra.x, spectra.y))
    return _Grid(-step * np.arange(-x_half, x_half + 1), step * np.arange(-y_half, y_half + 1), step)


def _overlap(x: FloatArray, y: FloatArray, grid: _Grid, pitch: float) -> csr_array:
    """Share of each hexagon's area in each square: (square, hexagon). Hexagons are Voronoi cells."""
    sub = ((np.arange(FINE) + 0.5) / FINE - 0.5) * grid.step
    px = (grid.x[:, None] + sub).ravel()
    py = (grid.y[:, None] + sub).ravel()
    points = np.stack(np.meshgrid(px, py), axis=-1).reshape(-1, 2)
    placed = np.isfinite(x) & np.isfinite(y)
    tree = cKDTree(np.stack([np.where(placed, x, 1e9), np.where(placed, y, 1e9)], axis=1))
    distance, owner = tree.query(points, distance_upper_bound=pitch / np.sqrt(3.0))
    inside = np.isfinite(distance)
    row = np.arange(py.size)[:, None] // FINE * grid.x.size + np.arange(px.size)[None, :] // FINE
    area = (grid.step / FINE) ** 2 / (0.5 * np.sqrt(3.0) * pitch**2)
    shape = (grid.x.size * grid.y.size, x.size)
    return csr_array((np.full(int(inside.sum()), area), (row.ravel()[inside], owner[inside])), shape=shape)


def _plane(
    spectra: Spectra, overlap: csr_array, k: int, size: tuple[int, ...]
) -> tuple[FloatArray, FloatArray, NDArray[np.int32]]:
    """One wavelength: light and variance of every square, made up for missing hexagons."""
    good = np.isfinite(spectra.flux[:, k]) & ((spectra.flags[:, k] & NOT_USABLE) == 0)
    weight = np.where(good, 1.0, 0.0)
    whole, measured = overlap @ np.ones(weight.size), overlap @ weight
    share = np.where(whole > 0, measured / np.where(whole > 0, whole, 1.0), 0.0)
    ok = (share >= LEAST_COVER) & (whole > LEAST_COVER * whole.max())
    scale = np.where(ok, 1.0 / np.where(ok, share, 1.0), np.nan)
    light = overlap @ np.where(good, spectra.flux[:, k], 0.0) * scale
    squared = overlap.power(2) @ np.where(good, spectra.variance[:, k], 0.0) * scale**2
    flags = np.where(whole > 0, np.where(ok, 0, int(Flag.NOT_MEASURED)), int(Flag.NOT_ILLUMINATED))
    return light.reshape(size), squared.reshape(size), flags.reshape(size).astype(np.int32)


def _correlations(spectra: Spectra, overlap: csr_array | None, size: tuple[int, ...]) -> FloatArray:
    """Mean correlation coefficients for `OFFSETS`, with equal noise in all hexagons."""
    values = np.zeros(len(OFFSETS))
    usable = np.isfinite(spectra.variance) & (spectra.variance > 0)
    pairs = usable[:, :-1] & usable[:, 1:]
    spread = np.sqrt(spectra.variance[:, :-1] * spectra.variance[:, 1:])
    values[0] = (
        float(np.mean((spectra.covariance[:, :-1] / np.where(pairs, spread, 1.0))[pairs])) if pairs.any() else 0.0
    )
    if overlap is None:
        return values
    index = np.arange(size[0] * size[1]).reshape(size)
    norm = np.sqrt(overlap.power(2).sum(axis=1))
    for i, (_, dy, dx) in enumerate(OFFSETS[1:], start=1):
        a, b = index[: size[0] - dy, : size[1] - dx].ravel(), index[dy:, dx:].ravel()
        product = overlap[a].multiply(overlap[b]).sum(axis=1)
        both = (norm[a] > 0) & (norm[b] > 0)
        values[i] = float(np.mean(product[both] / (norm[a] * norm[b])[both])) if both.any() else 0.0
    return values


def _axes(spectra: Spectra, grid: _Grid, pointing: tuple[float, float] | None) -> dict[str, Scalar]:
    """World coordinates: tangent plane where the pointing is known, offsets in arcsec otherwise."""
    step = float(spectra.wave[1] - spectra.wave[0])
    centre = (float(np.argmin(np.abs(grid.x))) + 1.0, float(np.argmin(np.abs(grid.y))) + 1.0)
    if pointing is None:
        sky: dict[str, Scalar] = {
            "CTYPE1": "LINEAR",
            "CTYPE2": "LINEAR",
            "CUNIT1": "arcsec",
            "CUNIT2": "arcsec",
            "CRVAL1": 0.0,
            "CRVAL2": 0.0,
            "CDELT1": -grid.step,
            "CDELT2": grid.step,
        }
    else:
        sky = {
            "CTYPE1": "RA---TAN",
            "CTYPE2": "DEC--TAN",
            "CUNIT1": "deg",
            "CUNIT2": "deg",
            "CRVAL1": pointing[0],
            "CRVAL2": pointing[1],
            "CDELT1": -grid.step / 3600.0,
            "CDELT2": grid.step / 3600.0,
        }
    return {
        **sky,
        "CRPIX1": centre[0],
        "CRPIX2": centre[1],
        "CTYPE3": spectra.medium,
        "CUNIT3": "Angstrom",
        "CRVAL3": float(spectra.wave[0]),
        "CRPIX3": 1.0,
        "CDELT3": step,
        "BUNIT": "electron/Angstrom",
    }
