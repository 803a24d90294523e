"""Where the slices lie in the field, from a mask of pinholes that is stepped across them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from tracecube.core.errors import MissingInput
from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.slice_field import ChannelGeometry, FieldGeometry, MaskLight
from tracecube.core.slices import SliceTraces, SliceWavelengths
from tracecube.instruments.muse.arc_lines import line_list
from tracecube.instruments.muse.ccd import Channel
from tracecube.instruments.muse.exposure import open_channels, reader
from tracecube.instruments.muse.geometry import SKY_SLICES, channel_of, nominal_places
from tracecube.instruments.muse.headers import needed, number, start_mjd
from tracecube.recipes.optics.mask_light import lines_along
from tracecube.recipes.optics.slice_geometry import GeometryParams, Pitch, place_channel, place_slices

__all__ = ["channel_geometry", "field_geometry", "mask_light"]

_HOLES = (2.9450, 0.6135)  # mm between pinholes in the focal plane, along slices and across them
_SPAXEL = 0.2  # arcsec; the mask is that of the wide field, and the table in its spaxels
_SLICE = 75.2  # spaxels, nominal length of a slice
_BAND = (4900.0, 9250.0)  # Angstrom, that all slices see
_APART = 14.0  # Angstrom, beyond which the ground of a line is free of its neighbour
_LINES = 24  # brightest lines that are used
_ROWS = 3  # whose mean is the light that is expected
_STAGES = ("ESO INS POS2", "ESO INS POS3", "ESO INS POS4")
"""Stages that can move the mask."""


class MaskParams(Params):
    """Numbers of the light through the mask."""

    lines: int = _LINES


@dataclass(frozen=True, kw_only=True)
class MaskOut(Outputs):
    """Light along the slices of one step."""

    mask_light: MaskLight


@recipe(version="2")
def mask_light(  # noqa: PLR0913 - what a frame is seen through
    *,
    raw: RawFrame,
    bias: Frame,
    flat: Frame,
    traces: SliceTraces,
    wavelengths: SliceWavelengths,
    line_catalog: RawFrame,
    params: MaskParams,
) -> MaskOut:
    """Put the light of bright arc lines along every slice of a channel together, in one step of the mask."""
    channel = open_channels([raw])[0][0]
    found = lines_along(_of_mask(channel, bias), flat, traces, wavelengths, _bright_lines(line_catalog, params.lines))
    light = MaskLight(
        light=found.light,
        variance=found.variance,
        place=found.place,
        aperture=traces.aperture,
        width=np.nanmean(traces.right - traces.left, axis=1),
        line=found.line,
        line_flux=found.flux,
        line_error=found.error,
        step=_stage(raw),
        mjd=start_mjd(raw.meta, raw.name),
        scale=needed(raw.meta, raw.name, "ESO TEL FOCU SCALE"),
        meta=channel.meta,
    )
    numbers = (
        QualityNumber("NUM LINES", float(found.line.size), low=5.0),
        QualityNumber("LINE SIGNAL", float(np.median(found.flux / found.error))),
    )
    return MaskOut(mask_light=light, quality=numbers)


def _of_mask(channel: Channel, bias: Frame) -> Frame:
    """Return a frame (electron) whose variance is that of the light expected from the rows beside.

    The image of a pinhole is as sharp as a pixel across the columns: neighbours there would tell too little in its
    middle. Along the columns the light of a line is summed, and the mean of three rows keeps the sum.
    """
    band = reader(channel, bias)(0, channel.shape[0])
    light = np.maximum(uniform_filter1d(band.data, _ROWS, axis=0, mode="nearest"), 0.0)
    return Frame(band.data, band.floor + light, band.flags, channel.meta)


def _bright_lines(catalogue: RawFrame, most: int) -> FloatArray:
    """Return the brightest lines that stand alone where all lamps shine together (Angstrom)."""
    lists = line_list(catalogue)
    wave, strength = (np.concatenate([getattr(one, name) for one in lists]) for name in ("wave", "strength"))
    near = np.abs(wave[:, None] - wave[None, :]) < _APART
    np.fill_diagonal(near, False)
    beside = np.where(near, strength[None, :], 0.0).max(axis=1)
    alone = (wave > _BAND[0]) & (wave < _BAND[1]) & (beside < 0.1 * strength)
    order = np.flatnonzero(alone)[np.argsort(-strength[alone], kind="stable")][:most]
    return np.asarray(np.sort(wave[order]))


def _stage(raw: RawFrame) -> float:
    """Return the place of the mask: the sum over stages, of which one moves; NaN where the header tells none."""
    for card in ("POS", "POSENC"):
        told = [number(raw.meta, f"{stage} {card}") for stage in _STAGES]
        known = [value for value in told if value is not None]
        if known:
            return float(np.sum(known))
    return float("nan")


@dataclass(frozen=True, kw_only=True)
class ChannelOut(Outputs):
    """Slices of one channel on the grid of pinholes."""

    channel_geometry: ChannelGeometry


class ChannelParams(Params):
    """The fit has no numbers of its own."""


@recipe(version="2")
def channel_geometry(*, masks: Sequence[MaskLight], params: ChannelParams) -> ChannelOut:
    """Fit the grid of pinholes to all steps of one channel: place, direction and length of each slice."""
    del params
    first = masks[0]
    pitch = Pitch(*(hole * first.scale for hole in _HOLES))
    found, notes = place_channel(list(masks), pitch, _SLICE * _SPAXEL)
    lost = found.aperture[found.dq != 0]
    caveats = [f"slices {', '.join(map(str, lost))}: no pinhole seen"] if lost.size else []
    numbers = (
        QualityNumber("NUM STEPS", float(len(masks)), low=50.0),
        QualityNumber("MASK TRAVEL", float(np.ptp(found.step_place)), "arcsec", low=1.05 * pitch.y),
        QualityNumber("SPOT ALONG", float(np.nanmedian(found.spot_along)), "arcsec"),
        QualityNumber("SPOT ACROSS", float(np.nanmedian(found.spot_across)), "arcsec"),
        QualityNumber("GEO CHI2", float(np.nanmedian(found.chi2)), high=3.0),
        QualityNumber("GEO X ERROR", float(np.nanmedian(found.x_error)), "arcsec", high=0.004),
        QualityNumber("GEO Y ERROR", float(np.nanmedian(found.y_error)), "arcsec", high=0.004),
        QualityNumber("GEO ANGLE ERROR", float(np.nanmedian(found.angle_error)), "deg", high=0.01),
        QualityNumber("NUM LOST SLICES", float(lost.size), high=0.0),
    )
    return ChannelOut(channel_geometry=found, quality=numbers, caveats=(*notes, *caveats))


@dataclass(frozen=True, kw_only=True)
class FieldOut(Outputs):
    """Where the slices of all channels lie."""

    geometry: FieldGeometry


@recipe(version="2")
def field_geometry(*, channels: Sequence[ChannelGeometry], params: GeometryParams) -> FieldOut:
    """Place the slices of all channels in the field, each channel on the same grid of pinholes.

    The table has the rows of the channels that there are, in the observatory's columns, and errors beside them. Its
    centre is that of the nominal places of these slices.
    """
    parts = sorted(channels, key=lambda one: channel_of(one.meta, "geometry"))
    sub = np.concatenate([np.full(len(one.x), channel_of(one.meta, "geometry"), np.int32) for one in parts])
    ccd = np.concatenate([one.aperture for one in parts]).astype(np.int32)
    x, y = nominal_places(sub, ccd)
    sky = np.asarray(SKY_SLICES)[ccd - 1]
    stack: IntArray = sub.astype(np.int64) * 10 + (sky - 1) // 12
    found = place_slices(parts, {"x": x * _SPAXEL, "y": y * _SPAXEL}, stack, smooth=params.smooth)
    units = {"x": _SPAXEL, "y": _SPAXEL, "angle": 1.0, "width": _SPAXEL}
    columns = {name: found.value[name] / unit for name, unit in units.items()}
    columns |= {f"{name}_error": found.error[name] / unit for name, unit in units.items()}
    columns |= {f"{name}_own": found.own[name] / unit for name, unit in units.items()}
    meta = {key: value for key, value in parts[0].meta.items() if key != "DETECTOR"}
    table = FieldGeometry(sub, ccd, sky.astype(np.int32), dq=found.dq, meta=meta, **columns)
    return FieldOut(geometry=table, quality=_numbers(table, x, y), caveats=_caveats(table))


def _numbers(table: FieldGeometry, x: FloatArray, y: FloatArray) -> tuple[QualityNumber, ...]:
    return (
        QualityNumber("NUM CHANNELS", float(np.unique(table.sub_field).size)),
        QualityNumber("GEO NOMINAL X RMS", float(np.nanstd(table.x_own - x)), "pix"),
        QualityNumber("GEO NOMINAL Y RMS", float(np.nanstd(table.y_own - y)), "pix"),
        QualityNumber("GEO ANGLE MEAN", float(np.nanmean(table.angle)), "deg", low=-0.5, high=0.5),
        QualityNumber("GEO ANGLE RMS", float(np.nanstd(table.angle)), "deg"),
        QualityNumber("GEO WIDTH MEAN", float(np.nanmean(table.width)), "pix", low=70.0, high=80.0),
        QualityNumber("NUM LOST SLICES", float(np.count_nonzero(table.dq)), high=0.0),
    )


def _caveats(table: FieldGeometry) -> tuple[str, ...]:
    nowhere, drawn = (_names(table, flag) for flag in (Flag.NOT_MEASURED, Flag.EXTRAPOLATED))
    if nowhere:
        raise MissingInput(
            f"slices (channel/slice) {nowhere}: nothing tells their place",
            hint="look at the channels' geometry; with `smooth`, four measured slices of a stack place the others",
        )
    return (f"slices (channel/slice) {drawn}: placed by their neighbours in the stack",) if drawn else ()


def _names(table: FieldGeometry, flag: Flag) -> str:
    """Return channel/slice of the slices with a flag."""
    rows = np.flatnonzero(table.dq & int(flag))
    return ", ".join(f"{table.sub_field[i]}/{table.slice_ccd[i]}" for i in rows)
