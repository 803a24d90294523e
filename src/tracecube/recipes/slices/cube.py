"""A cube from the pixels of slices: samples at their places, solved for voxels in slabs of wavelength."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from tracecube.core.fields import BoolArray, FloatArray, Meta, Scalar
from tracecube.core.flags import Flag
from tracecube.core.quality import QualityNumber
from tracecube.core.spectra import Cube, Image
from tracecube.kernels.correlated_sums import noise_factor
from tracecube.kernels.weighted_voxels import Weighting
from tracecube.recipes.slices.resampling import Part, Sieve, correlation, fill, margin, shared

__all__ = [
    "Grid",
    "Samples",
    "Source",
    "binned_noise",
    "build_cube",
    "flat_cards",
    "planes_at_once",
    "slow_variance",
    "spectral_factor",
    "white_image",
]

F4 = NDArray[np.float32]

_SLAB = 128  # planes that are solved together
_HELD = 6e6  # samples that are held at a time: a tenth of a GB, but for whole fields, where that were few planes
_FEWEST = 160  # planes, for those beside them are asked for twice
_SPECTRAL = re.compile(r"(CTYPE|CUNIT|CRVAL|CRPIX)3|CD(3_[123]|[12]_3)")
_ROWS = 15  # six widths of a line, and no more than the rows that are read beside a slab on both sides


@dataclass(frozen=True)
class Grid:
    """A regular grid of voxels.

    Parameters
    ----------
    wave0, step : float, Angstrom
        Of the first plane, and between planes.
    x0, y0 : float, arcsec
        Middle of the first voxel from the tangent point, to the west and to the north.
    side : float, arcsec
    shape : (int, int, int)
        Planes, rows, columns.
    """

    wave0: float
    step: float
    x0: float
    y0: float
    side: float
    shape: tuple[int, int, int]

    def cards(self, ra: float, dec: float) -> Meta:
        """Return the axes as header cards, north up, east to the left."""
        scale = self.side / 3600.0
        return {
            "CTYPE1": "RA---TAN",
            "CTYPE2": "DEC--TAN",
            "CUNIT1": "deg",
            "CUNIT2": "deg",
            "CRVAL1": ra,
            "CRVAL2": dec,
            "CRPIX1": 1.0 - self.x0 / self.side,
            "CRPIX2": 1.0 - self.y0 / self.side,
            "CD1_1": -scale,
            "CD1_2": 0.0,
            "CD2_1": 0.0,
            "CD2_2": scale,
            "CTYPE3": "AWAV",
            "CUNIT3": "Angstrom",
            "CRVAL3": self.wave0,
            "CRPIX3": 1.0,
            "CD3_3": self.step,
            "CD1_3": 0.0,
            "CD2_3": 0.0,
            "CD3_1": 0.0,
            "CD3_2": 0.0,
        }


@dataclass(frozen=True)
class Samples:
    """Pixels of one detector: place in voxels (k, 3; z, y, x), value, weight (0 if bad), and variance times weight.

    Weights are inverse variances that change slowly along dispersion: see `tracecube.kernels.voxels`.
    """

    place: F4
    value: F4
    weight: F4
    excess: F4


Source = Callable[[float, float], Sequence[Samples]]
"""``(low, high) -> samples``: those between two planes, one set a detector."""


def slow_variance(variance: FloatArray, good: BoolArray) -> FloatArray:
    """Return a variance (y, x) that does not follow lines: the geometric mean over some rows, of good pixels."""
    known = good & (variance > 0) & np.isfinite(variance)
    logs = np.log(np.where(known, variance, 1.0))
    share = uniform_filter1d(known.astype(np.float32), _ROWS, axis=0, mode="nearest")
    mean = uniform_filter1d(logs.astype(np.float32), _ROWS, axis=0, mode="nearest") / np.maximum(share, 0.5 / _ROWS)
    return np.asarray(np.where(known, np.exp(mean), variance))


def planes_at_once(grid: Grid, samples: float) -> int:
    """Return how many planes to ask samples for at a time, if there are so many in all."""
    parts = max(int(np.ceil(samples / _HELD)), 1)
    return min(max(-(-grid.shape[0] // parts), _FEWEST), grid.shape[0])


def build_cube(  # noqa: PLR0913 - samples, where they go, and how
    source: Source,
    grid: Grid,
    meta: Meta,
    *,
    planes: int | None = None,
    weighting: Weighting | None = None,
    sieve: Sieve | None = None,
) -> tuple[Cube, float]:
    """Solve for the voxels, or take weighted means of samples.

    Parameters
    ----------
    source : callable
        Gives the samples of a range of planes; it is asked for one range after the other.
    grid : Grid
    meta : Meta
        With the axes.
    planes : int, optional
        In a range; all at once if not given.
    weighting : Weighting, optional
        How samples count in means; solved for if not given.
    sieve : Sieve, optional
        Holds back samples that stand out of those around.

    Returns
    -------
    cube : Cube
        Noise uncorrelated between voxels; of means it is not, and the cube tells the correlation by offset.
    share : float
        Of the voxels within the field that were measured.
    """
    nz, beside = grid.shape[0], margin(weighting)
    data = np.full(grid.shape, np.nan, np.float32)
    variance = np.full(grid.shape, np.nan, np.float32)
    sums = []
    for first in range(0, nz, planes or nz):
        last = min(first + (planes or nz), nz)
        samples = source(first - beside - 2, last + beside + 1)
        for start in range(first, last, _SLAB):
            own = slice(start, min(start + _SLAB, last))
            part, shape = _slab(samples, own, beside, grid.shape)
            part = part if sieve is None else sieve.through(part, shape, beside)
            made = fill(part, shape, weighting)
            data[own], variance[own] = (one[beside : beside + own.stop - start] for one in made)
            sums += [] if weighting is None else [shared(part, shape, weighting)]
        del samples
    flags = np.zeros(grid.shape, np.int32)
    np.copyto(flags, np.int32(Flag.NOT_MEASURED), where=np.isnan(data))
    seen = (flags == 0).any(axis=0)
    offset, value = correlation(sums)
    cube = Cube(data=data, variance=variance, flags=flags, covariance_offset=offset, covariance_value=value, meta=meta)
    return cube, float((flags[:, seen] == 0).mean())


def _slab(
    samples: Sequence[Samples], own: slice, beside: int, shape: tuple[int, int, int]
) -> tuple[Part, tuple[int, int, int]]:
    """Return the good samples of some planes and of those beside them, and the shape of that slab."""
    low, high = own.start - beside, own.stop + beside
    parts = []
    for one in samples:
        near = np.flatnonzero((one.place[:, 0] > low - 2) & (one.place[:, 0] < high + 1) & (one.weight > 0))
        place = one.place[near]
        place[:, 0] -= low
        parts.append((place, one.value[near], one.weight[near], one.excess[near]))
    return Part(*(np.concatenate(column) for column in zip(*parts, strict=True))), (high - low, *shape[1:])


def spectral_factor(cube: Cube) -> float:
    """Return by how much the variance of a sum over planes is larger than the sum of their variances."""
    along = ~np.asarray(cube.covariance_offset)[:, 1:].any(axis=1)
    return 1.0 + 2.0 * float(np.sum(np.asarray(cube.covariance_value)[along]))


def binned_noise(cube: Cube) -> tuple[QualityNumber, ...]:
    """Return by what the noise of sums over 3 x 3 and 5 x 5 spaxels exceeds that of the sums of their variances."""
    told = cube.covariance_offset, cube.covariance_value
    return tuple(QualityNumber(f"NOISE {n}X{n}", noise_factor(*told, (1, n, n))) for n in (3, 5))


def white_image(cube: Cube, wave: FloatArray, band: tuple[float, float]) -> Image:
    """Return the mean of the planes within a band, of the voxels that were measured."""
    planes = np.flatnonzero((wave >= band[0]) & (wave <= band[1]))
    total = np.zeros(cube.data.shape[1:])
    noise, count = np.zeros_like(total), np.zeros_like(total)
    for plane in planes:
        known = cube.flags[plane] == 0
        total[known] += cube.data[plane][known]
        noise[known] += cube.variance[plane][known]
        count += known
    some = np.maximum(count, 1)
    noise *= spectral_factor(cube)
    measured = count > 0.5 * planes.size
    return Image(
        data=np.where(measured, total / some, np.nan).astype(np.float32),
        variance=np.where(measured, noise / some**2, np.nan).astype(np.float32),
        flags=np.where(measured, 0, int(Flag.NOT_MEASURED)).astype(np.int32),
        meta=flat_cards(cube.meta),
    )


def flat_cards(meta: Meta) -> dict[str, Scalar]:
    """Return header cards without the spectral axis."""
    return {key: value for key, value in meta.items() if not _SPECTRAL.fullmatch(key)}
