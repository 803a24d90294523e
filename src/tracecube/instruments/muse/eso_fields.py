"""Cubes and images of fields, offsets and sources in the layout of ESO's MUSE pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from tracecube.core.alignment import Offsets, SourceList
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import FloatArray, Scalar
from tracecube.core.foreign import CardValue, ForeignFile, GatheredForm, Plane
from tracecube.core.spectra import Cube, Image
from tracecube.instruments.muse.eso_forms import axes_of, form, head, table_file
from tracecube.instruments.muse.eso_planes import three_planes
from tracecube.instruments.muse.headers import SAME_EXPOSURE, start_mjd

__all__ = ["FIELD_FORMS"]


def _cube(category: str, recipe: str, product: Cube, image: Image) -> ForeignFile:
    """Lay out a cube: DATA and STAT, NaN where nothing was measured, then its image in white light.

    Raises
    ------
    BadData
        The image is on another grid.
    """
    if image.data.shape != product.data.shape[1:]:
        raise BadData(
            f"{category}: a cube of {product.data.shape} and its image of {image.data.shape}",
            hint="make both again in one run",
        )
    unit = str(product.meta.get("BUNIT") or "")
    planes = _with_axes(_measured(product, unit), axes_of(product.meta))
    white = zip(_with_axes(_measured(image, unit), axes_of(image.meta)), ("white", "white_STAT"), strict=True)
    planes += tuple(replace(plane, name=name) for plane, name in white)
    return ForeignFile(planes, (), product.meta, head(category, recipe, product.meta), primary="")


def _with_axes(planes: Iterable[Plane], axes: Mapping[str, Scalar]) -> tuple[Plane, ...]:
    return tuple(replace(plane, cards={**plane.cards, **axes}) for plane in planes)


def _measured(product: Cube | Image, unit: str) -> tuple[Plane, ...]:
    """Return data and variance, NaN where flags say that a value is not to be used."""
    bad = product.flags != 0
    return three_planes(np.where(bad, np.nan, product.data), None, np.where(bad, np.nan, product.variance), unit)


def _image_fov(category: str, recipe: str, product: Image) -> ForeignFile:
    """Lay out the image of a field in white light."""
    unit = str(product.meta.get("BUNIT") or "")
    planes = _with_axes(three_planes(product.data, product.flags, product.variance, unit), axes_of(product.meta))
    cards = head(category, recipe, product.meta, **{"ESO DRS MUSE FILTER NAME": "white"})
    return ForeignFile(planes, (), product.meta, cards, primary="")


def _map(category: str, recipe: str, product: Image) -> ForeignFile:
    """Lay out an image that has values alone, NaN where nothing was seen."""
    [data, _] = _with_axes(_measured(product, str(product.meta.get("BUNIT") or "")), axes_of(product.meta))
    alone = {key: value for key, value in data.cards.items() if key != "ERRDATA"}
    return ForeignFile(
        (replace(data, cards=alone),), (), product.meta, head(category, recipe, product.meta), primary=""
    )


def _sky_mask(category: str, recipe: str, product: Image) -> ForeignFile:
    """Lay out where the field is sky: 1 there, 0 elsewhere, in the primary unit."""
    seen = ((product.data > 0) & (product.flags == 0)).astype(np.uint8)
    plane = Plane("", seen, "", "", axes_of(product.meta))
    return ForeignFile((plane,), (), product.meta, head(category, recipe, product.meta))


def _offset_list(category: str, recipe: str, product: Offsets) -> ForeignFile:
    """Lay out the offsets of the exposures of a field, and their flux scales."""
    columns = (
        Plane("DATE_OBS", np.asarray(product.date)),
        Plane("MJD_OBS", np.asarray(product.mjd, np.float64), "d"),
        Plane("RA_OFFSET", np.asarray(product.ra, np.float64), "deg"),
        Plane("DEC_OFFSET", np.asarray(product.dec, np.float64), "deg"),
        Plane("FLUX_SCALE", np.asarray(product.flux_scale, np.float64)),
    )
    return table_file(category, columns, product.meta, head(category, recipe, product.meta))


def _source_lists(
    key: Mapping[str, Scalar], *, lists: Iterable[SourceList], offsets: Iterable[Offsets]
) -> Iterator[tuple[Mapping[str, Scalar], ForeignFile]]:
    """Lay out the sources of each exposure of each field, a file each, which has the exposure's time.

    There is none of an exposure in which none was found: the recipe refuses an empty list.

    Raises
    ------
    MissingInput
        The offsets of a field are not there, which tell the times of its exposures.
    """
    aligned = list(offsets)
    for one in lists:
        time = start_mjd(one.meta, "SOURCE_LIST")
        field = next((some for some in aligned if abs(float(some.mjd[0]) - time) < SAME_EXPOSURE), None)
        if field is None:
            raise MissingInput(f"no OFFSETS of the field of MJD {time:.6f}", hint="align its exposures again")
        found = set(np.asarray(one.exposure).tolist())
        for number in sorted(found & set(range(1, len(field.mjd) + 1))):
            date, mjd = field.date[number - 1], field.mjd[number - 1]
            yield {**key, "exposure": str(date)}, _sources_of(one, number, str(date), float(mjd))


_SOURCE_COLUMNS = {
    "Id": ("number", ""), "X": ("x", "pix"), "Y": ("y", "pix"), "Flux": ("flux", ""), "Sharpness": ("sharpness", ""),
    "Roundness": ("roundness", ""), "RA": ("ra", "deg"), "DEC": ("dec", "deg"), "RA_CORR": ("ra_corrected", "deg"),
    "DEC_CORR": ("dec_corrected", "deg"),
}  # fmt: skip
"""ESO's column -> ours, and unit."""


def _sources_of(found: SourceList, number: int, date: str, mjd: float) -> ForeignFile:
    own = np.asarray(found.exposure) == number
    columns = []
    for name, (ours, unit) in _SOURCE_COLUMNS.items():
        values: FloatArray = np.asarray(getattr(found, ours))[own]
        columns.append(Plane(name, values.astype(np.int32 if name == "Id" else np.float64), unit))
    start: dict[str, CardValue] = {"DATE-OBS": date, "MJD-OBS": mjd}
    cards = head("SOURCE_LIST", "muse_exp_align", found.meta, **start)
    return table_file("", tuple(columns), found.meta, cards)


def _list_name(key: Mapping[str, Scalar]) -> str:
    return f"{key['exposure']}_SOURCE_LIST.fits".replace(":", "-")


FIELD_FORMS = (
    form(_cube, Cube, "CUBE", "DATACUBE_FINAL", "muse_scipost", {"image": (("IMAGE_FOV", "IMAGE"), Image)}),
    form(_image_fov, Image, "IMAGE_FOV", "IMAGE_FOV", "muse_scipost"),
    form(_image_fov, Image, "IMAGE", "IMAGE_FOV", "muse_exp_combine"),
    form(_offset_list, Offsets, "OFFSETS", "OFFSET_LIST", "muse_exp_align"),
    form(_map, Image, "PREVIEW_FOV", "PREVIEW_FOV", "muse_exp_align"),
    form(_map, Image, "EXPOSURE_MAP", "EXPOSURE_MAP", "muse_exp_align"),
    form(_sky_mask, Image, "SKY_MASK", "SKY_MASK", "muse_scipost"),
    GatheredForm(
        "SOURCE_LIST",
        {"lists": ("SOURCE_LIST", SourceList), "offsets": ("OFFSETS", Offsets)},
        _source_lists,
        ("night",),
        _list_name,
        split=True,
    ),
)
"""One a kind of file."""
