"""Data cube of a fibre bundle: one linear operator from fibre samples to a regular grid.

A fibre's light is spread over the grid with a kernel around the place it came from (refraction moves that place with
wavelength), and divided by the density of fibres there, all exposures together: a surface brightness. The density is
the sum over fibres of kernel times fibre area, so a flat sky is flat, and a star's sum over the cube is its flux
wherever fibres sample it evenly. Spectra are resampled in wavelength once, to the bins of the cube.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from tracecube.core.fibres import FibreSpectra
from tracecube.core.fields import Scalar
from tracecube.core.flags import Flag
from tracecube.core.params import Params
from tracecube.core.spectra import Cube
from tracecube.recipes.extract.rectify import Rectified, rectify
from tracecube.recipes.science.fibre_field import FibreField, Refraction, gather

__all__ = ["FibreCubeParams", "build_fibre_cube"]

F8 = NDArray[np.float64]

# The kernel ends at this many of its widths.
_REACH = 3.0
# Neighbours whose correlation is stated, in (wave, y, x).
_OFFSETS = ((1, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (0, 0, 2), (0, 2, 0), (0, 0, 3), (0, 3, 0))


class FibreCubeParams(Params):
    """The grid, and the kernel that spreads a fibre's light."""

    spaxel: float = Field(1.0, gt=0.1, description="side of a spaxel, arcsec")
    wave_step: float = Field(2.0, gt=0.1, description="step in wavelength, Angstrom")
    wave_range: tuple[float, float] = Field((3470.0, 5540.0), description="first and last wavelength, Angstrom")
    kernel: float = Field(0.75, gt=0.1, description="width (sigma) of the kernel, arcsec")
    fibre_radius: float = Field(0.75, gt=0.1, description="radius of a fibre, arcsec")
    least_cover: float = Field(0.3, gt=0.0, lt=1.0, description="density of fibres below which nothing is measured, "
                               "over the median density")  # fmt: skip


def build_fibre_cube(
    spectra: Sequence[FibreSpectra], refraction: Refraction, params: FibreCubeParams, *, ifuslot: int,
    centre: tuple[float, float] | None = None,
) -> Cube:  # fmt: skip
    """Build the cube of one bundle.

    Parameters
    ----------
    spectra : sequence of FibreSpectra
        Of all exposures, with ra and dec.
    refraction : Refraction
    params : FibreCubeParams
    ifuslot : int
    centre : (float, float), degree, optional
        Place of the middle of the middle spaxel; by default the middle of the fibres.

    Returns
    -------
    Cube
        Surface brightness in the unit of ``spectra`` per arcsec2; north is up and east to the left. Where no stars
        told the places, all of it carries a flag.
    """
    field = gather(spectra, ifuslot, centre=centre)
    wave = np.arange(params.wave_range[0], params.wave_range[1] + 1e-6, params.wave_step)
    bins = rectify(field.flux, field.variance, field.wave, wave, good=field.good, blend=field.blend)
    x, y = _axes(field.east, params.spaxel)[::-1], _axes(field.north, params.spaxel)
    size = (wave.size, y.size, x.size)
    data, variance = np.full((wave.size, y.size * x.size), np.nan), np.full((wave.size, y.size * x.size), np.nan)
    shared = np.zeros((wave.size, y.size * x.size))
    flags = np.full(data.shape, int(Flag.NOT_ILLUMINATED), np.int32)
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    steps = field.steps(refraction, wave)
    pairs: list[tuple[float, list[float]]] = []
    for shift, planes in steps:
        kernel = _kernel(points, np.stack([field.east, field.north], axis=1) - shift, params)
        made = _planes(kernel, bins, planes, params)
        data[planes], variance[planes], shared[planes], flags[planes] = made
        pairs.append((float(planes.size), _beside(kernel, bins, planes[planes.size // 2], size[1:])))
    flags |= 0 if field.placed else int(Flag.ASTROMETRY)
    correlation = np.average([c for _, c in pairs], axis=0, weights=[w for w, _ in pairs])
    along = _along(variance, shared)
    return Cube(
        data=data.reshape(size).astype(np.float32),
        variance=variance.reshape(size).astype(np.float32),
        flags=flags.reshape(size),
        covariance_offset=np.array(_OFFSETS),
        covariance_value=np.concatenate([[along], correlation]),
        meta={**spectra[0].meta, **_world(field, (x, y, wave), params), **_correlation(spectra)},
    )


def _correlation(spectra: Sequence[FibreSpectra]) -> Mapping[str, Scalar]:
    """Card CORRWAVE: correlation of any two planes, of what is unknown of grounds and throughputs of the fibres."""
    told = [np.asarray(one.correlation)[one.dq == 0] for one in spectra if one.correlation is not None]
    return {"CORRWAVE": float(np.mean(np.concatenate(told)))} if told and np.concatenate(told).size else {}


def _axes(values: F8, step: float) -> F8:
    """Centres of spaxels that hold all fibres, rising, with the tangent point on the middle one."""
    half = int(np.ceil(np.max(np.abs(values)) / step)) + 1
    return np.asarray(step * np.arange(-half, half + 1), np.float64)


def _kernel(points: F8, fibres: F8, params: FibreCubeParams) -> csr_array:
    """Weight of each fibre at each spaxel, (p, n), 1/arcsec2: a Gaussian whose sum over spaxels is one."""
    pairs = cKDTree(points).sparse_distance_matrix(
        cKDTree(fibres), _REACH * params.kernel + params.spaxel, output_type="ndarray"
    )
    values = np.exp(-0.5 * (pairs["v"] / params.kernel) ** 2)
    kernel = csr_array((values, (pairs["i"], pairs["j"])), shape=(len(points), len(fibres)))
    total = kernel.sum(axis=0) * params.spaxel**2
    return csr_array(kernel.multiply(1.0 / np.where(total > 0, total, 1.0)[None, :]))


def _planes(
    kernel: csr_array, bins: Rectified, planes: NDArray[np.int64], params: FibreCubeParams
) -> tuple[F8, F8, F8, NDArray[np.int32]]:
    """Surface brightness, variance, covariance with the next plane and flags of some planes, (k, p)."""
    good = bins.good[:, planes].astype(np.float64)
    area = np.pi * params.fibre_radius**2
    density, whole = area * (kernel @ good), area * kernel.sum(axis=1)
    middle = float(np.median(whole[whole > 0])) if np.any(whole > 0) else 1.0
    measured = density > params.least_cover * middle
    scale = 1.0 / np.where(measured, density, np.inf)
    light = (kernel @ bins.flux[:, planes]) * scale
    spread = kernel.power(2) @ bins.variance[:, planes]
    spread += 2.0 * (csr_array(kernel[:, :-1].multiply(kernel[:, 1:])) @ bins.blend[:-1, planes])
    along = (kernel.power(2) @ bins.covariance[:, planes]) * scale**2
    lit = (whole > params.least_cover * middle)[:, None]
    flags = np.where(measured, 0, np.where(lit, int(Flag.NOT_MEASURED), int(Flag.NOT_ILLUMINATED)))
    nan = np.where(measured, 1.0, np.nan)
    return (light * nan).T, (spread * scale**2 * nan).T, along.T, flags.T.astype(np.int32)


def _along(variance: F8, shared: F8) -> float:
    """Mean correlation coefficient of a sample with the next one along the spectrum."""
    both = (variance[:-1] > 0) & (variance[1:] > 0)
    return float(np.mean(shared[:-1][both] / np.sqrt(variance[:-1] * variance[1:])[both])) if both.any() else 0.0


def _beside(kernel: csr_array, bins: Rectified, plane: np.int64, size: tuple[int, ...]) -> list[float]:
    """Mean correlation coefficients on the sky in one plane, for all offsets but the first."""
    variance = bins.variance[:, plane]
    weighted = csr_array(kernel.multiply(np.sqrt(variance)[None, :]))
    norm = np.sqrt(weighted.power(2).sum(axis=1))
    index = np.arange(size[0] * size[1]).reshape(size)
    values = []
    for _, dy, dx in _OFFSETS[1:]:
        a, b = index[: size[0] - dy, : size[1] - dx].ravel(), index[dy:, dx:].ravel()
        product, both = weighted[a].multiply(weighted[b]).sum(axis=1), norm[a] * norm[b]
        enough = both > 0.1 * np.max(norm) ** 2
        values.append(float(np.mean(product[enough] / both[enough])) if enough.any() else 0.0)
    return values


def _world(field: FibreField, axes: tuple[F8, F8, F8], params: FibreCubeParams) -> Mapping[str, Scalar]:
    """World coordinates: tangent plane, north up and east left, wavelength."""
    x, y, wave = axes
    return {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CTYPE3": field.medium,
        "CUNIT1": "deg", "CUNIT2": "deg", "CUNIT3": "Angstrom",
        "CRVAL1": field.centre[0], "CRVAL2": field.centre[1], "CRVAL3": float(wave[0]),
        "CRPIX1": float(np.argmin(np.abs(x))) + 1.0, "CRPIX2": float(np.argmin(np.abs(y))) + 1.0, "CRPIX3": 1.0,
        "CDELT1": -params.spaxel / 3600.0, "CDELT2": params.spaxel / 3600.0, "CDELT3": params.wave_step,
        "RADESYS": "ICRS", "BUNIT": f"{field.unit}/arcsec2",
    }  # fmt: skip
