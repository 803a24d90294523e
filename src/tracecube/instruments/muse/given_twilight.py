"""A TWILIGHT_CUBE of ESO's pipeline among the raw files: light of the sky along our slices, and by wavelength."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import FloatArray, Meta
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.headers import number
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.slice_colour import FieldColours
from tracecube.core.slice_light import SliceIllumination
from tracecube.core.slices import SliceTraces
from tracecube.instruments.muse.eso_twilight import FLUX_SKY
from tracecube.instruments.muse.exposure_steps import LAMP_CARD
from tracecube.instruments.muse.geometry import channel_of, geometry_of, spaxel
from tracecube.instruments.muse.given_steps import GivenParams
from tracecube.instruments.muse.headers import needed
from tracecube.recipes.slices.segments import place_of

__all__ = ["given_field_colours", "given_twilight"]

_REACH = 46  # px from the centre of a slice, as in `evenness`
_INSIDE = 34.0  # px from the centre of a slice that count for its mean
_ORDER = 3  # Legendre polynomials in wavelength
_UNIT = 30.0  # arcsec
_POWERS = tuple((i, j) for i in range(3) for j in range(3))  # those of the recipe: xorder, yorder


@dataclass(frozen=True, kw_only=True)
class GivenTwilight(Outputs):
    """How evenly the sky lights the slices of a channel."""

    twilight: SliceIllumination


@dataclass(frozen=True, kw_only=True)
class GivenColours(Outputs):
    """How the light over the field changes with wavelength."""

    field_colours: FieldColours


@dataclass(frozen=True)
class _Cube:
    """Light (w, y, x) of the field; place of its first spaxel, and wavelengths (w,)."""

    light: FloatArray
    first: tuple[float, float]
    wave: FloatArray

    @classmethod
    def of(cls, raw: RawFrame) -> _Cube:
        """Look at a file.

        Raises
        ------
        BadData
            No cube, or axes that are not spaxels of the field and wavelengths.
        """
        light = raw.images.get("DATA")
        kinds = [str(raw.meta.get(f"CTYPE{axis}") or "").strip() for axis in (1, 2, 3)]
        if light is None or light.ndim != 3 or kinds != ["PIXEL", "PIXEL", "AWAV"]:  # noqa: PLR2004 - a cube
            raise BadData(f"{raw.name}: axes {kinds} of DATA", hint="is it a TWILIGHT_CUBE of ESO's pipeline?")
        x, y, wave = (
            needed(raw.meta, raw.name, f"CRVAL{axis}")
            + (1.0 - needed(raw.meta, raw.name, f"CRPIX{axis}")) * needed(raw.meta, raw.name, f"CD{axis}_{axis}")
            for axis in (1, 2, 3)
        )
        steps = wave + needed(raw.meta, raw.name, "CD3_3") * np.arange(light.shape[0])
        return cls(np.asarray(light, np.float64), (x, y), steps)

    def at(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return light (w, n) at places (spaxels); beyond the edges that of the nearest."""
        i = np.clip(np.rint(x - self.first[0]).astype(int), 0, self.light.shape[2] - 1)
        j = np.clip(np.rint(y - self.first[1]).astype(int), 0, self.light.shape[1] - 1)
        return np.asarray(self.light[:, j, i])


@recipe(version="1")
def given_twilight(
    *,
    raw: RawFrame,
    flat: Frame,
    traces: SliceTraces,
    geometry: RawFrame,
    params: GivenParams,  # noqa: ARG001
) -> GivenTwilight:
    """Take a TWILIGHT_CUBE for one channel: what ESO's recipe divides by, on average over wavelengths.

    It is smooth over the field: light that fades at the ends of slices stays in. The level of the channel is the light
    of the sky that its card tells, over that of the lamp in our flat; errors are not told.

    Raises
    ------
    BadData
        No such cube.
    MissingInput
        The light of the sky in this channel is not told.
    """
    cube = _Cube.of(raw)
    meta: Meta = {**raw.meta, "DETECTOR": flat.meta.get("DETECTOR")}
    channel = channel_of(meta, raw.name)
    key = FLUX_SKY.format(channel=channel)
    sky, mean = number(raw.meta, key), float(np.mean(flat.data, dtype=np.float64))
    if sky is None or sky <= 0.0:
        raise MissingInput(f"{raw.name}: no {key}", hint="run muse_twilight again, with this channel")
    places, side = geometry_of(geometry, channel, meta), spaxel(meta)
    across = np.arange(-_REACH, _REACH + 1, dtype=np.float64)
    count = len(traces.aperture)
    shape, dq = np.ones((count, across.size)), traces.dq.astype(np.int32).copy()
    for row in np.flatnonzero(dq == 0):
        width = float(np.nanmean(traces.right[row] - traces.left[row]))
        x, y = place_of(places, int(row), np.clip(across, -0.5 * width, 0.5 * width), np.full(across.size, width))
        light = cube.at(x / side[0], y / side[1]).mean(axis=0)
        if not np.isfinite(light).all():
            dq[row] |= int(Flag.NOT_MEASURED)
            continue
        shape[row] = light
    level = sky / (mean * flat.data.size) * shape[:, np.abs(across) < _INSIDE].mean(axis=1)
    scale = sky / (mean * flat.data.size)
    found = SliceIllumination(
        ratio=shape * scale,
        error=np.full(shape.shape, np.nan),
        across=across[None],
        aperture=traces.aperture,
        level=level,
        measured=level,
        dq=dq,
        meta={**meta, LAMP_CARD: round(mean, 4)},
    )
    numbers = (QualityNumber("LIGHT LEVEL", float(np.nanmedian(level))),)
    said = (
        f"twilight of the observatory's pipeline ({raw.name}) takes the place of our own: ends of slices stay as dark"
    )
    return GivenTwilight(twilight=found, quality=numbers, caveats=(said,))


@recipe(version="1")
def given_field_colours(*, raw: Sequence[RawFrame], params: GivenParams) -> GivenColours:  # noqa: ARG001
    """Take a TWILIGHT_CUBE: how its light changes with wavelength beyond the mean, as polynomials; errors unknown.

    Raises
    ------
    BadData
        No such cube.
    """
    one = min(raw, key=lambda frame: frame.name)
    cube, side = _Cube.of(one), spaxel(one.meta)
    blue, red = float(cube.wave[0]), float(cube.wave[-1])
    y, x = np.indices(cube.light.shape[1:]).astype(float)
    west, north = (x + cube.first[0]) * side[0] / _UNIT, (y + cube.first[1]) * side[1] / _UNIT
    grey = cube.light.mean(axis=0)
    change = cube.light / grey - 1.0
    good = np.isfinite(change).all(axis=0)
    legendre = np.polynomial.legendre.legvander(2.0 * (cube.wave - blue) / (red - blue) - 1.0, _ORDER - 1)
    by_wave = np.linalg.lstsq(legendre, change[:, good], rcond=None)[0]
    design = np.stack([west[good] ** i * north[good] ** j for i, j in _POWERS], axis=1)
    coefficient = np.linalg.lstsq(design, by_wave.T, rcond=None)[0]
    unknown = np.full(coefficient.shape, np.nan)
    powers = np.array(_POWERS, np.int32)
    colours = FieldColours(
        west=powers[:, 0], north=powers[:, 1], coefficient=coefficient, error=unknown, significance=unknown[:, 0],
        used=np.ones(len(_POWERS), np.int32), blue=blue, red=red, unit=_UNIT, meta=one.meta,
    )  # fmt: skip
    told = np.einsum("nt,tq,wq->wn", design, coefficient, legendre)
    numbers = (
        QualityNumber("COLOUR RMS", float(np.std(change[:, good])), high=0.05),
        QualityNumber("COLOUR LEFT", float(np.std(change[:, good] - told)), high=0.003),
    )
    said = f"colours of the twilight are those of the observatory's pipeline ({one.name}): their errors are unknown"
    return GivenColours(field_colours=colours, quality=numbers, caveats=(said,))
