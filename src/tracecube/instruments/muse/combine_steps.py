"""The exposures of a field in one cube, and its images through filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from tracecube.core.alignment import Offsets
from tracecube.core.fields import FloatArray, IntArray, Scalar
from tracecube.core.frame import RawFrame
from tracecube.core.labelled import FilterImage
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.spectra import Cube, CubeOnDisk, Image
from tracecube.instruments.muse.field_image import filter_curves, fov_image, through_filters
from tracecube.instruments.muse.headers import exposure_time, needed
from tracecube.instruments.muse.same_exposure import each_once
from tracecube.recipes.cube.combine import combine_cubes
from tracecube.recipes.slices.cube import binned_noise

__all__ = ["combine_exposures"]


class CombineParams(Params):
    """Numbers of the combination."""

    weight: str = Field(
        default="exptime",
        pattern="^(exptime|fwhm|header|none)$",
        description="What exposures count by: time, time over the square of the seeing, a header card, or alike",
    )
    clip: float = Field(default=6.0, gt=0, alias="crsigma", description="Errors beyond which a voxel is left out")
    filters: str = Field(default="white", alias="filter", description="Filters of the images, with commas between")


@dataclass(frozen=True, kw_only=True)
class CombineOut(Outputs):
    """Cube of a field, its image in white light, and through filters."""

    datacube_final: Cube
    image_fov: Image
    filter_images: tuple[FilterImage, ...]


@recipe(version="4")
def combine_exposures(
    *, cubes: Sequence[CubeOnDisk], offsets: Offsets, filter_list: RawFrame | None, params: CombineParams
) -> CombineOut:
    """Combine the cubes of exposures on one grid: mean with the weights of exposures, outliers between them left out.

    Each cube was made on this grid from its pixels; nothing is resampled. Planes are read slab by slab: memory does not
    grow with the number of exposures.
    """
    curves = filter_curves(filter_list, params.filters)
    order, twice = each_once(cubes)
    opened = [cubes[i] for i in order]
    weights = [_weight(one, params.weight) for one in opened]
    found = combine_cubes(opened, weights, clip=params.clip)
    meta: dict[str, Scalar] = {
        **opened[0].meta,
        "EXPTIME": sum(exposure_time(one.meta, "cube") for one in opened),
        "NEXP": len(opened),
        "ESO PRO CATG": "DATACUBE_FINAL",
    }
    meta.pop("FLUXSCAL", None)
    meta.pop("SKYLEVEL", None)
    cube = Cube(found.data, found.variance, found.flags, *_alike(opened), meta)
    wave = needed(meta, "cube", "CRVAL3") + needed(meta, "cube", "CD3_3") * np.arange(cube.data.shape[0])
    images, caveats = through_filters(cube, wave, curves)
    measured = found.exposures[found.exposures > 0]
    lost = int(np.count_nonzero(np.asarray(offsets.dq)))
    if lost:
        caveats.append(f"{lost} of {len(opened)} exposures lie where their headers say: no offset could be measured")
    numbers = (
        QualityNumber("NUM EXPOSURES", float(len(opened))),
        QualityNumber("EXPOSURES MEDIAN", float(np.median(measured)) if measured.size else 0.0),
        QualityNumber("REJECTED", found.rejected, high=0.01),
        QualityNumber("VOXEL NOISE", float(np.nanmedian(np.sqrt(found.variance[::97])))),
        *binned_noise(cube),
    )
    return CombineOut(
        datacube_final=cube,
        image_fov=fov_image(cube, wave),
        filter_images=images,
        quality=numbers,
        caveats=(*twice, *caveats),
    )


def _alike(cubes: Sequence[CubeOnDisk]) -> tuple[IntArray, FloatArray]:
    """Return offsets and mean correlation of voxels of a mean of cubes; where one tells none, its noise has none."""
    told = [one for one in cubes if len(one.covariance_offset)]
    if not told:
        return np.zeros((0, 3), np.int32), np.zeros(0)
    offset = max((one.covariance_offset for one in told), key=len)
    total = np.zeros(len(offset))
    for one in told:
        own = {tuple(at): value for at, value in zip(one.covariance_offset.tolist(), one.covariance_value, strict=True)}
        total += [own.get(tuple(at), 0.0) for at in offset.tolist()]
    return offset, total / len(cubes)


def _weight(one: CubeOnDisk, by: str) -> float:
    """Return the weight of an exposure.

    Raises
    ------
    MissingInput
        A card that it needs is absent: EXPTIME, ESO DRS MUSE WEIGHT, or one of the seeing.
    """
    if by == "none":
        return 1.0
    if by == "header":
        return needed(one.meta, "cube", "ESO DRS MUSE WEIGHT")
    seconds = exposure_time(one.meta, "cube")
    if by == "exptime":
        return seconds
    ends = [needed(one.meta, "cube", f"ESO TEL AMBI FWHM {end}") for end in ("START", "END")]
    return seconds / (0.5 * sum(ends)) ** 2
