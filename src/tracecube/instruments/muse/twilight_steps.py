"""The twilight over the whole field: how evenly the sky lights all channels, and how that changes with wavelength."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray, Scalar
from tracecube.core.flags import Flag
from tracecube.core.frame import RawFrame
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.slice_colour import FieldColours, SliceColours
from tracecube.core.slice_light import SliceIllumination
from tracecube.core.spectra import Image
from tracecube.instruments.muse.exposure_steps import LAMP_CARD
from tracecube.instruments.muse.geometry import channel_of, geometry_of, spaxel
from tracecube.recipes.slices.colours import fit_colours
from tracecube.recipes.slices.segments import place_of

__all__ = ["twilight_image"]

_WIDTH = 75.2  # px that the axis of a slice's light is long in the mean


class ImageParams(Params):
    """Numbers of the image."""

    margin: float = Field(default=2.0, ge=0, description="Pixels from the edges of slices that do not count")


@dataclass(frozen=True, kw_only=True)
class TwilightImage(Outputs):
    """Light of the sky over the field relative to the lamp, 1 in the median, and how it changes with wavelength."""

    twilight_image: Image
    field_colours: FieldColours


@recipe(version="2")
def twilight_image(
    *,
    twilights: Sequence[SliceIllumination],
    colours: Sequence[SliceColours],
    geometry: RawFrame,
    vignetting: RawFrame | None,
    params: ImageParams,
) -> TwilightImage:
    """Put the light along all slices of all channels into the field; see how it changes with wavelength.

    Where the observatory's mask says that the field is vignetted, light is flagged; steps between channels and
    slices are what to look for.
    """
    parts = [_places(one, geometry, params.margin) for one in twilights]
    x, y, value, error = (np.concatenate(column) for column in zip(*parts, strict=True))
    side = spaxel(twilights[0].meta)
    i, j = np.rint(x / side[0]).astype(int), np.rint(y / side[1]).astype(int)
    corner, shape = (int(i.min()), int(j.min())), (int(np.ptp(j)) + 1, int(np.ptp(i)) + 1)
    flat = (j - corner[1]) * shape[1] + i - corner[0]
    count = np.bincount(flat, minlength=shape[0] * shape[1])
    some = np.maximum(count, 1)
    middle = float(np.median(value))
    light = (np.bincount(flat, value, count.size) / some / middle).reshape(shape)
    noise = (np.bincount(flat, error**2, count.size) / some**2 / middle**2).reshape(shape)
    known = (count > 0).reshape(shape)
    flags = np.where(known, 0, int(Flag.NOT_MEASURED)).astype(np.int32)
    dark, notes = _vignetted(vignetting, shape, corner)
    flags |= np.where(dark, int(Flag.LOW_THROUGHPUT), 0).astype(np.int32)
    sky = {key: card for key, card in twilights[0].meta.items() if key not in {"DETECTOR", "BUNIT", LAMP_CARD}}
    cards: dict[str, Scalar] = dict(sky)
    cards |= {"CRPIX1": 1.0 - corner[0], "CRPIX2": 1.0 - corner[1], "CTYPE1": "PIXEL", "CTYPE2": "PIXEL"}
    cards |= {"CRVAL1": 0.0, "CRVAL2": 0.0, "CD1_1": 1.0, "CD2_2": 1.0, "CD1_2": 0.0, "CD2_1": 0.0}
    data, variance = (np.where(known, one, np.nan).astype(np.float32) for one in (light, noise))
    image = Image(data, variance, flags, cards)
    clear = known & ~dark
    levels = np.array([float(np.median(one.level[one.dq == 0])) for one in twilights])
    places = [geometry_of(geometry, channel_of(one.meta, "twilight"), one.meta) for one in colours]
    changing = fit_colours(colours, places)
    numbers = (
        QualityNumber("COLOUR SIGNIFICANCE", float(np.max(changing.significance)), "sigma"),
        QualityNumber("COLOUR CHANGE", _change(changing), high=0.05),
        QualityNumber("NUM CHANNELS", float(len(twilights))),
        QualityNumber("CHANNEL RMS", float(np.std(levels / levels.mean())), high=0.1),
        QualityNumber("FIELD RMS", float(np.std(light[clear])), high=0.1),
        QualityNumber("VIGNETTED", float(dark.mean())),
    )
    return TwilightImage(
        twilight_image=image, field_colours=replace(changing, meta=sky), quality=numbers, caveats=notes
    )


def _change(colours: FieldColours) -> float:
    """Return by how much light at the rim of the field changes from blue to red at most, over that of the middle."""
    rim = 0.9 * colours.unit * np.array([-1.0, 0.0, 1.0])
    x, y = (part.ravel()[:, None] for part in np.meshgrid(rim, rim))
    light = colours.at(x, y, np.linspace(colours.blue, colours.red, 9))
    return float(np.max(np.ptp(light, axis=1)))


def _places(
    one: SliceIllumination, table: RawFrame, margin: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return place in the field (arcsec), light and its error of all samples along the slices of a channel."""
    places = geometry_of(table, channel_of(one.meta, "twilight"), one.meta)
    across = np.asarray(one.across[0], np.float64)
    inside = np.abs(across) < 0.5 * _WIDTH - margin
    rows = []
    for row in np.flatnonzero(one.dq == 0):
        x, y = place_of(places, int(row), across[inside], np.full(int(inside.sum()), _WIDTH))
        rows.append((x, y, one.ratio[row, inside], one.error[row, inside]))
    if not rows:
        raise BadData("no slice of a channel was lit by the twilight", hint="look at the sky flats")
    x, y, ratio, error = (np.concatenate(column) for column in zip(*rows, strict=True))
    return x, y, ratio, error


def _vignetted(
    mask: RawFrame | None, shape: tuple[int, int], corner: tuple[int, int]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return which pixels of the field (y, x) the observatory's mask has as vignetted: those that are not 0."""
    dark = np.zeros(shape, bool)
    if mask is None:
        return dark, ()
    image = next((one for one in mask.images.values() if one.ndim == 2), None)
    if image is None:
        raise BadData(f"{mask.name}: no image", hint="is it a VIGNETTING_MASK?")
    centre = image.shape[0] // 2, image.shape[1] // 2  # the mask covers the whole field, centre on centre
    y, x = np.arange(shape[0]) + corner[1] + centre[0], np.arange(shape[1]) + corner[0] + centre[1]
    rows, columns = (y >= 0) & (y < image.shape[0]), (x >= 0) & (x < image.shape[1])
    dark[np.ix_(rows, columns)] = image[np.ix_(y[rows], x[columns])] != 0
    return dark, ()
