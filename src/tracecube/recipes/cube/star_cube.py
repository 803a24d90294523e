"""Cubes of the surroundings of a star: one linear resampling of a lenslet lattice to square pixels.

The image is band-limited by the telescope, the lenslets sample it finely enough, and every pixel is a
fixed linear combination of the lenslets around it, the same in all channels. Surface brightness is
kept; where a lenslet is bad, the pixels around it are made of the others or, if too little is left,
not at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from tracecube.core.errors import BadData
from tracecube.core.fields import BoolArray, Meta, Scalar
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.params import Params
from tracecube.core.spectra import Cube, Spectra
from tracecube.kernels.bandlimited import interpolation_weights
from tracecube.kernels.psf import hexagon_area, lattice_pitch
from tracecube.recipes.cube.blended import blended_correlations

__all__ = [
    "Operator",
    "StarCubeParams",
    "StarFrame",
    "build_star_cube",
    "good_weights",
    "grid_correlations",
    "grid_of",
    "operator_at",
    "operator_over",
    "resampled",
    "usable_samples",
    "without_axes",
]

F8 = NDArray[np.float64]

_DETECTOR_AXES = re.compile(r"(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA)\d$|(CD|PC|PV)\d_\d+$")
# Neighbours whose correlation is stated, in (wave, y, x).
OFFSETS = ((1, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (0, 1, -1), (0, 0, 2), (0, 2, 0), (0, 0, 3), (0, 3, 0))


class StarCubeParams(Params):
    """The square grid."""

    pixel: float = Field(7.46e-3, gt=1e-3, description="side of a pixel, arcsec")
    size: int = Field(291, ge=11, description="pixels a side; the field centre is on the middle pixel")
    neighbours: int = Field(19, ge=7, le=100, description="lenslets that a pixel is made of")
    diameter: float = Field(8.0, gt=0.0, description="diameter of the telescope, m: sets the finest detail")
    least_share: float = Field(
        0.6, gt=0.0, le=1.0, description="share of the weight on good lenslets below which a pixel is not measured"
    )


@dataclass(frozen=True)
class StarFrame:
    """Where a DIT points.

    Parameters
    ----------
    x, y : float, arcsec
        Star in the lenslet plane.
    angle : float, degree
        Position angle (N through E) of +y.
    right_ascension, declination : float, degree
        Of the star.
    """

    x: float
    y: float
    angle: float
    right_ascension: float
    declination: float


@dataclass(frozen=True)
class Operator:
    """Pixels from lenslets.

    Parameters
    ----------
    rows : int array (m,)
        Pixels inside the field.
    near : int array (m, k)
        Lenslets that each is made of.
    weight : array (m, k)
    offset : array (m, k, 2), arcsec
    unit : float, arcsec
    """

    rows: NDArray[np.int64]
    near: NDArray[np.int64]
    weight: F8
    offset: F8
    unit: float


def build_star_cube(spectra: Spectra, params: StarCubeParams, *, frame: StarFrame | None) -> Cube:
    """Resample the spectra of a DIT to a cube.

    Parameters
    ----------
    spectra : Spectra
        On one wavelength grid, linear.
    params : StarCubeParams
    frame : StarFrame or None
        None gives linear offsets from the field centre.

    Raises
    ------
    BadData
        Spectra without common linear grid.
    """
    wave = np.asarray(spectra.wave, float)
    if wave.ndim != 1 or wave.size < 2 or np.ptp(np.diff(wave)) > 1e-6 * wave[0]:  # noqa: PLR2004
        raise BadData("spectra without common linear wavelength grid", hint="rebin them to one grid first")
    size = (wave.size, params.size, params.size)
    operator, share = operator_at(grid_of(params), spectra, params)
    data, variance = np.full(size, np.nan, np.float32), np.full(size, np.nan, np.float32)
    flags = np.full(size, int(Flag.NOT_ILLUMINATED), np.int32)
    usable = usable_samples(spectra)
    for k in range(wave.size):
        plane = resampled(spectra, k, usable[:, k], operator, params.least_share)
        data[k].flat[operator.rows] = plane[0] * share
        variance[k].flat[operator.rows] = plane[1] * share**2
        flags[k].flat[operator.rows] = plane[2]
    known = {**grid_correlations(spectra, operator, params, usable)}
    size_xy, matrix = (params.size, params.size), _matrix(spectra, operator, params)
    for key, value in blended_correlations(spectra, matrix, size_xy, params.pixel, usable).items():
        known[key] = known.get(key, 0.0) + value
    offsets, correlation = np.array(list(known)), np.array(list(known.values()))
    return Cube(
        data=data,
        variance=variance,
        flags=flags,
        covariance_offset=offsets,
        covariance_value=correlation,
        meta={**without_axes(spectra.meta), **_axes(spectra, params, frame)},
    )


def grid_of(params: StarCubeParams) -> F8:
    """Offsets (size * size, 2) of the pixels from the middle one along x and y, arcsec."""
    axis = params.pixel * (np.arange(params.size) - params.size // 2)
    return np.asarray(np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2), np.float64)


def operator_at(targets: F8, spectra: Spectra, params: StarCubeParams) -> tuple[Operator, float]:
    """Weights of the lenslets around every pixel, and the area of a pixel over that of a lenslet.

    Parameters
    ----------
    targets : array (n_pixel, 2), arcsec
        Places of the pixels in the lenslet plane.
    spectra : Spectra
    params : StarCubeParams
    """
    x, y = (np.asarray(axis, float) for axis in (spectra.x, spectra.y))
    return operator_over(targets, (x, y), float(np.asarray(spectra.wave, float)[0]), params)


def operator_over(targets: F8, lenslets: tuple[F8, F8], wave: float, params: StarCubeParams) -> tuple[Operator, float]:
    """Do the same for lenslets at places x and y (n,), arcsec, NaN where not known, and a bluest channel, Angstrom."""
    placed = np.flatnonzero(np.isfinite(lenslets[0]) & np.isfinite(lenslets[1]))
    x, y = (axis[placed] for axis in lenslets)
    pitch = lattice_pitch(x, y)
    tree = cKDTree(np.column_stack([x, y]))
    distance, _ = tree.query(targets)
    # The corner of a hexagon lies pitch / sqrt(3) from its centre: beyond, there is no lenslet.
    rows = np.flatnonzero(distance < pitch / np.sqrt(3.0))
    _, near = tree.query(targets[rows], k=params.neighbours)
    offset = np.stack([x[near], y[near]], axis=-1) - targets[rows][:, None]
    unit = float(np.degrees(wave * 1e-10 / params.diameter) * 3600.0)
    weight = interpolation_weights(offset, unit)
    return Operator(rows, placed[near], weight, offset, unit), params.pixel**2 / hexagon_area(pitch)


def good_weights(operator: Operator, good: BoolArray, least: float) -> tuple[F8, BoolArray]:
    """Weights (m, k) without bad lenslets, and which pixels keep enough of them: those that had some are solved again.

    Parameters
    ----------
    operator : Operator
    good : bool array (n,)
        Lenslets.
    least : float
        Share of the weight that must be left.
    """
    bad = ~good[operator.near]
    touched = np.flatnonzero((bad & (np.abs(operator.weight) > 1e-3)).any(axis=1))  # noqa: PLR2004
    weight = np.where(bad, 0.0, operator.weight)
    whole = np.abs(operator.weight).sum(axis=1)
    ok = np.abs(weight).sum(axis=1) >= least * whole
    if touched.size:
        offset = np.where(bad[touched][..., None], np.nan, operator.offset[touched])
        weight[touched] = interpolation_weights(offset, operator.unit)
    return weight, ok


def usable_samples(spectra: Spectra) -> BoolArray:
    """Samples (n, n_wave) that a cube is made of."""
    usable = (spectra.flags & NOT_USABLE) == 0
    usable &= np.isfinite(spectra.flux) & np.isfinite(spectra.variance) & (((spectra.dq & NOT_USABLE) == 0)[:, None])
    return np.asarray(usable)


def resampled(
    spectra: Spectra, k: int, good: BoolArray, operator: Operator, least: float
) -> tuple[F8, F8, NDArray[np.int32]]:
    """Light, variance and flags (m,) of channel ``k`` in the operator's pixels, per lenslet's area; NaN where none."""
    weight, ok = good_weights(operator, good, least)
    near = operator.near
    light = np.einsum("mk,mk->m", weight, np.where(good, spectra.flux[:, k], 0.0)[near])
    noise = np.einsum("mk,mk->m", weight**2, np.where(good, spectra.variance[:, k], 0.0)[near])
    bits = np.bitwise_or.reduce(np.where(np.abs(weight) > 0.5, spectra.flags[:, k][near], 0), axis=1)  # noqa: PLR2004
    flags = np.where(ok, bits, int(Flag.NOT_MEASURED)).astype(np.int32)
    return np.where(ok, light, np.nan), np.where(ok, noise, np.nan), flags


def _matrix(spectra: Spectra, operator: Operator, params: StarCubeParams) -> csr_array:
    """The resampling as a sparse array (pixel, lenslet), all lenslets good."""
    rows = np.repeat(operator.rows, operator.near.shape[1])
    shape = (params.size**2, spectra.x.size)
    return csr_array((operator.weight.ravel(), (rows, operator.near.ravel())), shape=shape)


def grid_correlations(
    spectra: Spectra, operator: Operator, params: StarCubeParams, usable: BoolArray
) -> dict[tuple[int, int, int], float]:
    """Mean correlation coefficients at `OFFSETS`, equal noise in all lenslets and none in common."""
    values, size = np.zeros(len(OFFSETS)), (params.size, params.size)
    pairs = usable[:, :-1] & usable[:, 1:]
    spread = np.sqrt(np.where(pairs, spectra.variance[:, :-1] * spectra.variance[:, 1:], 1.0))
    values[0] = float(np.mean((spectra.covariance[:, :-1] / spread)[pairs])) if pairs.any() else 0.0
    matrix = _matrix(spectra, operator, params)
    norm = np.sqrt(matrix.power(2).sum(axis=1))
    index = np.arange(size[0] * size[1]).reshape(size)
    for i, (_, dy, dx) in enumerate(OFFSETS[1:], start=1):
        columns = slice(max(0, -dx), size[1] - max(0, dx))
        a = index[: size[0] - dy, columns].ravel()
        b = a + dy * size[1] + dx
        both = (norm[a] > 0) & (norm[b] > 0)
        product = matrix[a[both]].multiply(matrix[b[both]]).sum(axis=1)
        values[i] = float(np.mean(product / (norm[a] * norm[b])[both])) if both.any() else 0.0
    return dict(zip(OFFSETS, values.tolist(), strict=True))


def without_axes(meta: Meta) -> dict[str, Scalar]:
    """Header cards without those of the detector's own coordinates."""
    return {key: value for key, value in meta.items() if not _DETECTOR_AXES.match(key)}


def _axes(spectra: Spectra, params: StarCubeParams, frame: StarFrame | None) -> dict[str, Scalar]:
    """World coordinates: tangent plane about the star, turned by the position angle of +y."""
    middle, step = params.size // 2 + 1.0, params.pixel
    axes: dict[str, Scalar] = {
        "CTYPE3": spectra.medium,
        "CUNIT3": "Angstrom",
        "CRVAL3": float(spectra.wave[0]),
        "CRPIX3": 1.0,
        "CDELT3": float(spectra.wave[1] - spectra.wave[0]),
        "BUNIT": "electron/Angstrom",
    }
    if frame is None:
        linear: dict[str, Scalar] = {"CTYPE": "LINEAR", "CUNIT": "arcsec", "CRVAL": 0.0, "CRPIX": middle, "CDELT": step}
        return {**axes, **{f"{key}{i}": value for key, value in linear.items() for i in (1, 2)}}
    cosine, sine = (float(f(np.radians(frame.angle))) for f in (np.cos, np.sin))
    scale = step / 3600.0
    del axes["CDELT3"]
    return {
        **axes,
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CUNIT1": "deg",
        "CUNIT2": "deg",
        "CRVAL1": frame.right_ascension,
        "CRVAL2": frame.declination,
        "CRPIX1": middle + frame.x / step,
        "CRPIX2": middle + frame.y / step,
        # East = -x cos + y sin, north = x sin + y cos: position angle = angle from +y, counter-clockwise, plus `angle`.
        "CD1_1": -scale * cosine,
        "CD1_2": scale * sine,
        "CD2_1": scale * sine,
        "CD2_2": scale * cosine,
        "CD3_3": float(spectra.wave[1] - spectra.wave[0]),
    }
