"""Pixel tables of ESO's pipeline among the raw files, put back on the pixels of the detector."""

from __future__ import annotations

import numpy as np

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.flags import Flag
from tracecube.core.frame import RawFrame
from tracecube.core.headers import number
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import recipe
from tracecube.core.slices import SliceExposure, SliceTraces, SliceWavelengths
from tracecube.instruments.muse.ccd import trimmed_outputs
from tracecube.instruments.muse.eso_planes import flags_of
from tracecube.instruments.muse.exposure_steps import LEVEL_CARD, Preprocessed, PreprocessParams
from tracecube.instruments.muse.geometry import channel_of, geometry_of
from tracecube.instruments.muse.headers import needed
from tracecube.recipes.slices.segments import cut_segments

__all__ = ["given_pixels"]

_COLUMN_NAMES = ("data", "dq", "stat", "origin")


@recipe(version="1")
def given_pixels(
    *,
    raw: RawFrame,
    traces: SliceTraces,
    wavelengths: SliceWavelengths,
    geometry: RawFrame,
    params: PreprocessParams,
) -> Preprocessed:
    """Take a pixel table of one channel: its counts over a flat of mean 1 become light relative to the lamp.

    Wavelengths are those of the day: what the table has of the night follows from the sky, slice by slice. Places are
    those of the day's traces, as the table has them.

    Raises
    ------
    BadData
        Columns are absent, or the pixels of another detector.
    MissingInput
        The light of the flat is not told.
    """
    chips = [chip for chip, _ in trimmed_outputs(raw.meta, raw.name).values()]
    data, variance, flags = _on_detector(raw, (max(one.y1 for one in chips), max(one.x1 for one in chips)))
    lamp = needed(raw.meta, raw.name, "ESO DRS MUSE FLAT FLUX LAMP")
    sky = number(raw.meta, "ESO DRS MUSE FLAT FLUX SKY")
    level = 1.0 if sky is None else sky / lamp
    scale = np.float32(lamp * level / data.size)
    count = len(traces.aperture)
    meta = {**raw.meta, "DETECTOR": raw.meta.get("DETECTOR") or raw.meta.get("UNITNAME"), LEVEL_CARD: round(level, 7)}
    exposure = SliceExposure(
        data=data / scale,
        variance=variance / scale**2,
        flags=flags,
        aperture=traces.aperture,
        shift=np.zeros(count),
        gain=np.array([number(raw.meta, f"ESO DRS MUSE PIXTABLE ILLUM{one}") or 1.0 for one in traces.aperture]),
        gain_error=np.zeros(count),
        dq=traces.dq | wavelengths.dq,
        meta=meta,
    )
    places = geometry_of(geometry, channel_of(meta, raw.name), meta)
    segments = cut_segments(exposure, traces, wavelengths, places, pieces=params.pieces)
    seen = flags & int(Flag.NOT_ILLUMINATED) == 0
    numbers = (
        QualityNumber("PIXELS TAKEN", float(np.count_nonzero(seen)), low=1e6),
        QualityNumber("LIGHT MEDIAN", float(np.nanmedian(segments.white))),
    )
    caveats = [f"pixels of the observatory's pipeline ({raw.name}) take the place of a raw exposure"]
    if sky is None:
        caveats.append("no twilight: light along the slices is taken to be that of the lamp")
    return Preprocessed(preprocessed=exposure, segments=segments, quality=numbers, caveats=tuple(caveats))


def _on_detector(raw: RawFrame, shape: tuple[int, int]) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return counts, their variance and flags on the detector (y, x)."""
    if not set(_COLUMN_NAMES) <= set(raw.images):
        raise BadData(f"{raw.name}: no columns {', '.join(_COLUMN_NAMES)}", hint="is it a pixel table of one channel?")
    value, bits, noise, origin = (np.asarray(raw.images[name]).reshape(-1) for name in _COLUMN_NAMES)
    channel = channel_of({**raw.meta, "DETECTOR": raw.meta.get("DETECTOR") or raw.meta.get("UNITNAME")}, raw.name)
    origin = origin.astype(np.int64)
    if not origin.size or (origin >> 6 & 31 != channel).any():
        raise BadData(f"{raw.name}: pixels of other channels than {channel}", hint="one table a channel, without merge")
    first = np.zeros(64, np.int64)
    for one in np.unique(origin & 63):
        first[one] = _first_column(raw, channel, int(one))
    y, x = (origin >> 11 & 8191) - 1, first[origin & 63] + (origin >> 24 & 127) - 1
    if y.min() < 0 or x.min() < 0 or y.max() >= shape[0] or x.max() >= shape[1]:
        raise BadData(f"{raw.name}: pixels beyond a detector of {shape[1]} x {shape[0]}", hint="make the table again")
    data, variance = np.zeros(shape, np.float32), np.full(shape, np.inf, np.float32)
    flags = np.full(shape, int(Flag.NOT_ILLUMINATED), np.int32)
    data[y, x], variance[y, x], flags[y, x] = value, noise, flags_of(bits.astype(np.int64))
    return data, variance, flags


def _first_column(raw: RawFrame, channel: int, aperture: int) -> int:
    """Return by how much the columns of a slice are more than what the origin of its pixels has.

    Raises
    ------
    MissingInput
        The header does not tell.
    """
    card = f"ESO DRS MUSE PIXTABLE EXP0 IFU{channel:02d} SLICE{aperture:02d} XOFFSET"
    found = number(raw.meta, card)
    if found is None:
        raise MissingInput(f"{raw.name}: no {card}", hint="make the table again with muse_scibasic")
    return int(found)
