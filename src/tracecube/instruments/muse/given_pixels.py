"""Pixel tables of ESO's pipeline among the raw files, as exposures over their flat: what follows is our own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from pydantic import Field

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import BoolArray, FloatArray, IntArray, Meta, Scalar
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.headers import number
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import recipe
from tracecube.core.slice_light import SliceIllumination
from tracecube.core.slices import SliceExposure, SliceTraces, SliceWavelengths
from tracecube.instruments.muse.ccd import trimmed_outputs
from tracecube.instruments.muse.eso_planes import flags_of
from tracecube.instruments.muse.exposure_steps import LAMP_CARD, LEVEL_CARD, Preprocessed
from tracecube.instruments.muse.geometry import channel_of, geometry_of
from tracecube.instruments.muse.modes import without_notch
from tracecube.instruments.muse.same_exposure import MAKER
from tracecube.recipes.slices.segments import cut_segments

__all__ = ["GivenPixelParams", "given_pixels", "scatter_over_error"]

_COLUMNS = ("data", "dq", "stat", "origin")
_OFFSET = "ESO DRS MUSE PIXTABLE EXP0 IFU{channel:02d} SLICE{slice:02d} XOFFSET"
_LAMP = "ESO DRS MUSE FLAT FLUX LAMP"
_DONE = ("FLUXCAL", "SKYSUB", "RVCORR", "DAR CORRECT")
_BLOCK = 64  # rows that tell together by how much errors are wrong: slices move across columns by less than a pixel
_FEWEST = 20  # columns
_OWN = re.compile(r"ESO (PRO|DRS MUSE (PIXTABLE|FLAT)) .*|EXTENSIONS|EXTNAME")
"""Cards of the table that are not of the exposure."""


class GivenPixelParams(Params):
    """Numbers of what is cut from a pixel table."""

    pieces: int = Field(default=8, ge=1, description="Parts of a slice whose spectra the sky is found from")


@recipe(version="3")
def given_pixels(
    *,
    raw: RawFrame,
    traces: SliceTraces,
    wavelengths: SliceWavelengths,
    geometry: RawFrame,
    twilight: SliceIllumination | None = None,
    params: GivenPixelParams,
) -> Preprocessed:
    """Take a PIXTABLE_OBJECT, _SKY or _STD of one channel: counts over a flat of mean 1 become light relative to it.

    Each row tells its pixel on the detector; where that lies in the slice and what wavelength it sees is told by traces
    and wavelengths of the day, as with exposures of our own: sky lines move them afterwards, slice by slice. The flat
    in electrons is the table's FLAT FLUX LAMP; the level of the twilight is that of a twilight of the night, by which
    the response was made too, else the table's FLAT FLUX SKY over the lamp's. Errors of ESO's recipe become what
    neighbours in a slice scatter by (ERROR SCALE).

    Raises
    ------
    BadData
        No such table, or one that is in flux, without sky, or corrected for refraction or motion already.
    MissingInput
        The first columns of slices, or the flux of the lamp, are not told.
    """
    meta = _meta(raw)
    outputs = [chip for chip, _ in trimmed_outputs(raw.meta, raw.name).values()]
    shape = max(chip.y1 for chip in outputs), max(chip.x1 for chip in outputs)
    columns, gain = _columns(raw), _gain(raw, traces)
    y, x = _pixels(raw, columns["origin"], channel_of(meta, raw.name), shape)
    level = _level(raw, twilight)
    scale = np.float32(shape[0] * shape[1] / (_lamp(raw) * (level or 1.0)))
    data, variance = np.zeros(shape, np.float32), np.full(shape, np.inf, np.float32)
    flags = np.full(shape, int(Flag.NOT_ILLUMINATED), np.int32)
    data[y, x], variance[y, x] = columns["data"] * scale, columns["stat"] * scale**2
    flags[y, x] = flags_of(columns["dq"].astype(np.int64))
    theirs = str(meta[MAKER]).startswith("muse")
    wrong = scatter_over_error(data, variance, flags == 0) if theirs else np.ones(shape[0])
    variance *= wrong[:, None].astype(np.float32) ** 2
    lamp = round(_lamp(raw) / (shape[0] * shape[1]), 4)
    meta = {**meta, LEVEL_CARD: round(level or 1.0, 7), LAMP_CARD: lamp}
    frame = without_notch(Frame(data, variance, flags, meta), traces, wavelengths)
    exposure = SliceExposure(
        data=frame.data, variance=frame.variance, flags=frame.flags, aperture=traces.aperture,
        shift=np.zeros(gain.size), gain=gain, gain_error=np.full(gain.size, np.nan), dq=traces.dq | wavelengths.dq,
        meta=frame.meta,
    )  # fmt: skip
    places = geometry_of(geometry, channel_of(meta, raw.name), meta)
    segments = cut_segments(exposure, traces, wavelengths, places, pieces=params.pieces)
    numbers = (
        QualityNumber("PIXELS TAKEN", float(y.size), low=1e6),
        QualityNumber("ERROR SCALE", float(np.median(wrong)), low=0.9, high=1.1),
        QualityNumber("GAIN RMS", float(np.nanstd(gain)), high=0.05),
        QualityNumber("LIGHT MEDIAN", float(np.nanmedian(segments.white))),
    )
    return Preprocessed(preprocessed=exposure, segments=segments, quality=numbers, caveats=_said(raw, level, wrong))


def scatter_over_error(data: FloatArray, variance: FloatArray, good: BoolArray) -> FloatArray:
    """Return by how much pixels of each row (y,) scatter more than their errors say: 1 where too few tell.

    Each pixel is held against the mean of its neighbours in the slice, which takes smooth light away, and against its
    column in a block of rows, which takes objects away; the scatter is that of the middle of all, so that hits do not
    count.

    Parameters
    ----------
    data, variance : array (y, x)
    good : bool array (y, x)
    """
    rows = data.shape[0]
    edges = np.linspace(0, rows, max(rows // _BLOCK, 1) + 1).astype(int)
    found = np.ones(edges.size - 1)
    for k, (first, last) in enumerate(pairwise(edges)):
        light, noise, known = data[first:last], variance[first:last], good[first:last]
        all_three = known[:, 1:-1] & known[:, :-2] & known[:, 2:]
        told = np.count_nonzero(all_three, axis=0) > 0.5 * (last - first)
        if np.count_nonzero(told) < _FEWEST:
            continue
        error = np.sqrt(noise[:, 1:-1] + 0.25 * (noise[:, :-2] + noise[:, 2:]))[:, told]
        bend = (light[:, 1:-1] - 0.5 * (light[:, :-2] + light[:, 2:]))[:, told]
        pull = np.where(all_three[:, told], bend / error, np.nan)
        pull = np.abs(pull - np.nanmedian(pull, axis=0))
        lost = 1.0 - 0.5 * np.pi / (last - first)  # what the median of a column takes of the variance
        found[k] = 1.4826 * float(np.nanmedian(pull)) / np.sqrt(lost)
    return np.interp(np.arange(rows), 0.5 * (edges[1:] + edges[:-1]), found)


def _said(raw: RawFrame, level: float | None, wrong: FloatArray) -> tuple[str, ...]:
    what = "take the place of a raw exposure: slices are taken to lie where they did in the flat"
    scatter = float(np.median(wrong))
    if scatter != 1.0:
        what += f", and errors become what neighbours scatter by, {scatter:.2f} times as large as they were"
    said: tuple[str, ...] = (f"pixels of the observatory's pipeline ({raw.name}) {what}",)
    if level is None:
        said += ("no twilight: channels are as bright as their lamps until the sky lines tell",)
    return said


def _level(raw: RawFrame, twilight: SliceIllumination | None) -> float | None:
    """Return the light of the twilight over that of the lamp; None where nothing tells."""
    if twilight is not None:
        return float(np.nanmedian(twilight.level))
    sky = number(raw.meta, "ESO DRS MUSE FLAT FLUX SKY")
    return None if sky is None else sky / _lamp(raw)


def _meta(raw: RawFrame) -> Meta:
    """Return the header of the exposure, and which detector it is of.

    Raises
    ------
    BadData
        Its pixels are not as they were on the detector.
    """
    done = [name for name in _DONE if raw.meta.get(f"ESO DRS MUSE PIXTABLE {name}") not in {None, False}]
    if done:
        raise BadData(
            f"{raw.name}: its pixels were changed already ({', '.join(done)})",
            hint="give the tables that muse_scibasic made",
        )
    detector: Scalar = raw.meta.get("DETECTOR") or raw.meta.get("UNITNAME")
    maker = str(raw.meta.get("ESO PRO REC1 PIPE ID") or "unknown")
    return {**{key: one for key, one in raw.meta.items() if not _OWN.fullmatch(key)}, "DETECTOR": detector,
            MAKER: maker}  # fmt: skip


def _columns(raw: RawFrame) -> Mapping[str, FloatArray]:
    """Return the columns, which are images of one column or a table.

    Raises
    ------
    BadData
        They are absent.
    """
    if set(_COLUMNS) <= set(raw.images):
        return {name: np.asarray(raw.images[name]).ravel() for name in _COLUMNS}
    if any(set(_COLUMNS) <= set(one) for one in raw.tables.values()):
        return raw.table(*_COLUMNS)
    raise BadData(f"{raw.name}: no columns {', '.join(_COLUMNS)}", hint="is it a pixel table of one channel?")


def _pixels(raw: RawFrame, origin: FloatArray, channel: int, shape: tuple[int, int]) -> tuple[IntArray, IntArray]:
    """Return rows and columns on the trimmed detector, from 0, of the rows of a table.

    Raises
    ------
    BadData
        It is empty, of several channels, of another, or of a larger detector.
    MissingInput
        The first column of a slice is not told.
    """
    bits = origin.astype(np.int64)
    slices, first = bits & 63, np.zeros(64, np.int64)
    if not bits.size or ((bits >> 6 & 31) != channel).any():
        raise BadData(f"{raw.name}: pixels of other channels than {channel}", hint="give a table for each channel")
    for one in np.unique(slices):
        key = _OFFSET.format(channel=channel, slice=int(one))
        offset = number(raw.meta, key)
        if offset is None:
            raise MissingInput(f"{raw.name}: no {key}", hint="run muse_scibasic again")
        first[one] = int(offset)
    y, x = (bits >> 11 & 8191) - 1, (bits >> 24 & 127) + first[slices] - 1
    if y.min() < 0 or x.min() < 0 or y.max() >= shape[0] or x.max() >= shape[1]:
        raise BadData(f"{raw.name}: pixels beyond a detector of {shape[1]} x {shape[0]}", hint="make the table again")
    return y, x


def _lamp(raw: RawFrame) -> float:
    """Return the flux of the lamp in the flat, electrons of all pixels.

    Raises
    ------
    MissingInput
        It is not told.
    """
    found = number(raw.meta, _LAMP)
    if found is None or found <= 0.0:
        raise MissingInput(f"{raw.name}: no {_LAMP}", hint="run muse_scibasic again, with its MASTER_FLAT")
    return found


def _gain(raw: RawFrame, traces: SliceTraces) -> FloatArray:
    """Return the brightness of slices in the illumination flat by which the table was divided; 1 where not told."""
    found = [number(raw.meta, f"ESO DRS MUSE PIXTABLE ILLUM{int(one)}") for one in traces.aperture]
    return np.array([1.0 if one is None else one for one in found])
