"""The twilight over the field by wavelength in the layout of ESO's MUSE pipeline: TWILIGHT_CUBE, DATACUBE_SKYFLAT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from tracecube.core.fields import BoolArray, FloatArray, IntArray, Meta
from tracecube.core.foreign import Cards, CardValue, ForeignFile, JobForm, Plane
from tracecube.core.frame import RawFrame
from tracecube.core.params import Params
from tracecube.core.slice_colour import SliceColours
from tracecube.core.slice_light import SliceIllumination
from tracecube.instruments.muse.ccd import trimmed_outputs
from tracecube.instruments.muse.eso_forms import head
from tracecube.instruments.muse.eso_planes import three_planes
from tracecube.instruments.muse.exposure_steps import LAMP_CARD
from tracecube.instruments.muse.geometry import channel_of, geometry_of, spaxel
from tracecube.instruments.muse.headers import needed
from tracecube.recipes.slices.colours import fit_colours
from tracecube.recipes.slices.segments import place_of

__all__ = ["FLUX_LAMP", "FLUX_SKY", "TWILIGHT_FORMS"]

FLUX_LAMP = "ESO DRS MUSE FLAT FLUX LAMP"
FLUX_SKY = "ESO DRS MUSE FLAT FLUX SKY{channel}"
"""Light of lamp and sky on all pixels of a channel, electron; by the latter channels are put together."""

_WIDTH = 75.2  # px that the axis of a slice's light is long in the mean


@dataclass(frozen=True)
class _Field:
    """Where samples (n,) along slices fall on a grid of spaxels, and the places of its first one (spaxels)."""

    at: IntArray
    shape: tuple[int, int]
    first: tuple[float, float]
    side: tuple[float, float]

    def mean(self, value: FloatArray) -> FloatArray:
        """Return means (y, x) of samples (n,); NaN where there are none."""
        size = self.shape[0] * self.shape[1]
        count = np.bincount(self.at, minlength=size)
        total = np.bincount(self.at, value, size)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan).reshape(self.shape)

    def places(self) -> tuple[FloatArray, FloatArray]:
        """Return places (y, x) of spaxels, arcsec."""
        y, x = np.indices(self.shape).astype(np.float64)
        return (x + self.first[0]) * self.side[0], (y + self.first[1]) * self.side[1]

    def cards(self, wave: FloatArray | None = None) -> Cards:
        """Return the axes: spaxels of the field, and wavelength."""
        cards: dict[str, CardValue] = {}
        for axis in (1, 2):
            cards |= {f"CRPIX{axis}": 1.0, f"CRVAL{axis}": self.first[axis - 1], f"CTYPE{axis}": "PIXEL"}
            cards |= {f"CUNIT{axis}": "pixel", f"CD{axis}_{axis}": 1.0, f"CD{axis}_{3 - axis}": 0.0}
        if wave is not None:
            cards |= {"CTYPE3": "AWAV", "CUNIT3": "Angstrom", "CRPIX3": 1.0, "CRVAL3": float(wave[0])}
            cards |= {"CD3_3": float(wave[1] - wave[0]), "CD1_3": 0.0, "CD2_3": 0.0, "CD3_1": 0.0, "CD3_2": 0.0}
        return cards


def _field(twilights: Sequence[SliceIllumination], table: RawFrame, inside: BoolArray) -> _Field:
    """Put all samples along all slices on a grid."""
    side = spaxel(twilights[0].meta)
    xs, ys = [], []
    for one in twilights:
        places = geometry_of(table, channel_of(one.meta, "twilight"), one.meta)
        across = np.asarray(one.across[0], np.float64)[inside]
        for row in range(len(one.aperture)):
            x, y = place_of(places, row, across, np.full(across.size, _WIDTH))
            xs.append(x / side[0])
            ys.append(y / side[1])
    x, y = np.concatenate(xs), np.concatenate(ys)
    first = float(x.min()), float(y.min())
    i, j = np.rint(x - first[0]).astype(int), np.rint(y - first[1]).astype(int)
    shape = int(j.max()) + 1, int(i.max()) + 1
    return _Field(j * shape[1] + i, shape, first, side)


def _inside(one: SliceIllumination) -> BoolArray:
    return np.asarray(np.abs(np.asarray(one.across[0], np.float64)) < 0.5 * _WIDTH)


def _filled(image: FloatArray) -> FloatArray:
    """Return an image whose empty spaxels have the value of the nearest others."""
    near = distance_transform_edt(~np.isfinite(image), return_distances=False, return_indices=True)
    return np.asarray(image[tuple(near)])


def _twilight_cube(params: Params, **given: Any) -> ForeignFile:  # noqa: ARG001 - of the recipe
    """Lay out what exposures are divided by: at each wavelength 1 on average over the field.

    Channels are put together by the light of the sky that their cards tell; the cube has what is left of it within
    them: along slices as measured, and by wavelength as far as that is significant.
    """
    twilights, colours, table = _sorted(given["twilights"]), _sorted(given["colours"]), given["geometry"]
    inside = _inside(twilights[0])
    field = _field(twilights, table, inside)
    values = [
        np.where(one.dq[row] == 0, one.ratio[row, inside] / _level(one), np.nan)
        for one in twilights
        for row in range(len(one.aperture))
    ]
    value = np.concatenate(values)
    known = np.isfinite(value)
    grey = _filled(_Field(field.at[known], field.shape, field.first, field.side).mean(value[known]))
    places = [geometry_of(table, channel_of(one.meta, "twilight"), one.meta) for one in colours]
    changing, wave = fit_colours(colours, places), np.asarray(colours[0].wave, np.float64)
    x, y = field.places()
    cube = grey * changing.at(x[None], y[None], wave[:, None, None])
    cube /= cube.mean(axis=(1, 2), keepdims=True)
    [data, _] = three_planes(cube, None, cube, "count")
    plane = Plane("DATA", data.values, "count", "", {**_alone(data.cards), **field.cards(wave)})
    cards = head("TWILIGHT_CUBE", "muse_twilight", twilights[0].meta, **_fluxes(twilights))
    return ForeignFile((plane,), (), _plain(twilights[0].meta), cards, primary="")


def _skyflat(params: Params, **given: Any) -> ForeignFile:  # noqa: ARG001 - of the recipe
    """Lay out the light of the twilight over the flat, whose mean is 1, as measured: electrons of a pixel."""
    twilights, colours = _sorted(given["twilights"]), _sorted(given["colours"])
    inside = _inside(twilights[0])
    field = _field(twilights, given["geometry"], inside)
    wave = np.asarray(colours[0].wave, np.float64)
    data, noise = np.full((2, wave.size, *field.shape), np.nan)
    for k in range(wave.size):
        value, spread = _measured(twilights, colours, k, inside)
        known = np.isfinite(value) & np.isfinite(spread)
        some = _Field(field.at[known], field.shape, field.first, field.side)
        count = np.bincount(some.at, minlength=field.shape[0] * field.shape[1]).reshape(field.shape)
        data[k], noise[k] = some.mean(value[known]), some.mean(spread[known] ** 2) / np.maximum(count, 1)
    planes = [
        Plane(one.name, one.values, one.unit, "", {**one.cards, **field.cards(wave)})
        for one in three_planes(data, None, noise, "count")
    ]
    planes.append(Plane("white", np.mean(data, axis=0).astype(np.float32), "count", "", field.cards()))
    cards = head("DATACUBE_SKYFLAT", "muse_twilight", twilights[0].meta, **_fluxes(twilights))
    return ForeignFile(tuple(planes), (), _plain(twilights[0].meta), cards, primary="")


def _measured(
    twilights: Sequence[SliceIllumination], colours: Sequence[SliceColours], k: int, inside: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Return light of all samples (n,) in one range of wavelengths, and its error, electron."""
    value, spread = [], []
    for one, by_wave in zip(twilights, colours, strict=True):
        mean = float(needed(one.meta, "twilight", LAMP_CARD)) * float(by_wave.spectrum[k])
        own = one.ratio / _level(one) * mean
        value.append(np.where(one.dq[:, None] == 0, own * by_wave.light[:, k], np.nan)[:, inside])
        spread.append((own * by_wave.error[:, k])[:, inside])
    return np.concatenate(value).ravel(), np.concatenate(spread).ravel()


def _sorted(found: Sequence[Any]) -> list[Any]:
    return sorted(found, key=lambda one: channel_of(one.meta, "twilight"))


def _level(one: SliceIllumination) -> float:
    return float(np.nanmedian(np.asarray(one.level)[np.asarray(one.dq) == 0]))


def _alone(cards: Cards) -> Cards:
    return {key: card for key, card in cards.items() if key not in {"ERRDATA", "QUALDATA"}}


def _plain(meta: Meta) -> Meta:
    return {key: card for key, card in meta.items() if key not in {"DETECTOR", "BUNIT"}}


def _fluxes(twilights: Sequence[SliceIllumination]) -> dict[str, CardValue]:
    """Return the light of lamp and sky on all pixels of each channel."""
    cards: dict[str, CardValue] = {}
    for one in twilights:
        outputs = [chip for chip, _ in trimmed_outputs(one.meta, "twilight").values()]
        size = max(chip.y1 for chip in outputs) * max(chip.x1 for chip in outputs)
        lamp = float(needed(one.meta, "twilight", LAMP_CARD)) * size
        cards.setdefault(FLUX_LAMP, lamp)
        cards[FLUX_SKY.format(channel=channel_of(one.meta, "twilight"))] = lamp * _level(one)
    return cards


TWILIGHT_FORMS = (
    JobForm("TWILIGHT_CUBE", "TWILIGHT_IMAGE", ("twilight_image",), _twilight_cube),
    JobForm("DATACUBE_SKYFLAT", "TWILIGHT_IMAGE", ("twilight_image",), _skyflat),
)
"""One a kind of file, of a night that has a twilight."""
