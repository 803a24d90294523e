"""Brightness of slices beyond what the lines of the sky tell: from the sky around them, or from the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.frame import RawFrame
from tracecube.core.headers import number
from tracecube.core.headers import text as as_written
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.slice_light import SliceFactors, SliceSky
from tracecube.core.slices import SliceSegments
from tracecube.instruments.muse.geometry import WIDE_SPAXEL, channel_of, spaxel
from tracecube.recipes.slices.autocalibration import EDGES, Autocalibrated, AutocalParams, autocalibrate

__all__ = ["is_whole", "slice_factors", "user_factors"]

_FULL = 0.5  # trust of the typical slice below which the field is said to hide its slices


@dataclass(frozen=True, kw_only=True)
class AutocalOut(Outputs):
    """Factors of slices."""

    factors: SliceFactors


@recipe(version="4")
def slice_factors(*, segments: Sequence[SliceSegments], sky: SliceSky, params: AutocalParams) -> AutocalOut:
    """Measure what each slice is to be multiplied with, by ranges of wavelength, from the sky around it.

    Objects are masked, and whatever changes slowly over the field stays. Where objects hide the sky the factor is 1 for
    want of better, as ``trust`` and a caveat say.
    """
    scale = spaxel(segments[0].meta)[0] / WIDE_SPAXEL
    own = params.model_copy(update={"along": params.along * scale, "across": params.across * scale})
    found = autocalibrate(segments, sky, own)
    channels = {str(one.meta.get("DETECTOR")): channel_of(one.meta, "exposure") for one in segments}
    typical = float(np.median(found.trust))
    caveats: tuple[str, ...] = ()
    if typical < _FULL:
        caveats = (f"objects hide most slices: factors are drawn to 1 (typical trust {typical:.2f})",)
    numbers = (
        QualityNumber("AUTOCAL RMS", float(np.std(found.value.mean(axis=1))), high=0.02),
        QualityNumber("AUTOCAL ERROR", float(np.median(found.error)), high=0.005),
        QualityNumber("AUTOCAL TRUST", typical),
        QualityNumber("AUTOCAL MASKED", found.masked),
    )
    return AutocalOut(factors=_noun(found, channels, segments[0]), quality=numbers, caveats=caveats)


def _noun(found: Autocalibrated, channels: dict[str, int], first: SliceSegments) -> SliceFactors:
    slices, ranges = found.value.shape
    factor = 1.0 / (1.0 + found.value)
    return SliceFactors(
        ifu=np.repeat([channels[name] for name in found.detector], ranges).astype(np.int32),
        slice_=np.repeat(found.aperture, ranges).astype(np.int32),
        quad=np.tile(np.arange(1, ranges + 1, dtype=np.int32), slices),
        points=found.points.ravel(),
        factor=factor.ravel(),
        error=(found.error * factor**2).ravel(),
        low=np.tile(EDGES[:-1], slices),
        high=np.tile(EDGES[1:], slices),
        trust=np.repeat(found.trust, ranges),
        meta={**first.meta, "ESO PRO CATG": "AUTOCAL_FACTORS"},
    )


def user_factors(frame: RawFrame) -> SliceFactors:
    """Return the factors of a user's table; without limits of the ranges, the observatory's.

    Raises
    ------
    BadData
        No such columns, one limit of the ranges without the other, or a range that does not exist.
    """
    table = frame.table("ifu", "sli", "quad", "corr")
    quad = np.asarray(table["quad"], np.int32)
    if ("lmin" in table) != ("lmax" in table):
        raise BadData(f"{frame.name}: one of the columns lmin and lmax without the other", hint="give both, or none")
    if quad.size and (quad.min() < 1 or ("lmin" not in table and quad.max() > EDGES.size - 1)):
        raise BadData(f"{frame.name}: quad beyond 1 to {EDGES.size - 1}", hint="give columns lmin and lmax (Angstrom)")
    factor = np.asarray(table["corr"], np.float64)
    ends = _ranges(frame, quad)
    return SliceFactors(
        ifu=np.asarray(table["ifu"], np.int32),
        slice_=np.asarray(table["sli"], np.int32),
        quad=quad,
        points=np.asarray(table.get("npts", np.zeros(quad.size)), np.int32),
        factor=factor,
        error=np.asarray(table.get("corr_err", np.full(quad.size, np.nan)), np.float64),
        low=np.asarray(table.get("lmin", ends[0]), np.float64),
        high=np.asarray(table.get("lmax", ends[1]), np.float64),
        trust=np.ones(quad.size),
    )


def _ranges(frame: RawFrame, quad: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return first and last wavelength (Angstrom) of ranges by their number: as the header has them, else as usual."""
    low, high = (
        np.array([number(frame.meta, f"ESO DRS MUSE LAMBDA{k} {end}") or np.nan for k in range(1, EDGES.size)])
        for end in ("MIN", "MAX")
    )
    if np.isfinite(high).any():
        low = np.nan_to_num(low)  # the first begins at 0
    else:
        low, high = EDGES[:-1], EDGES[1:]
    at = np.clip(quad, 1, EDGES.size - 1) - 1
    return low[at], high[at]


def is_whole(frame: RawFrame) -> bool:
    """Whether factors are all that slices are to be multiplied with, as those that ESO's recipe takes and makes.

    Others, by hand or by our own recipe, are for slices that lines of the sky have made as bright as each other.
    """
    return as_written(frame.meta, "ESO PRO REC1 ID").startswith("muse_")
