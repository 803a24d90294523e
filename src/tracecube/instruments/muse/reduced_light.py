"""Pixels of a PIXTABLE_REDUCED as samples of a cube: in flux and on the sky already, hits found slice by slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.frame import RawFrame
from tracecube.core.headers import number
from tracecube.instruments.muse.given_pixels import scatter_over_error
from tracecube.instruments.muse.object_light import Placement
from tracecube.recipes.slices.cube import Grid, Samples, Source, slow_variance
from tracecube.recipes.slices.hits import find_hits

__all__ = ["ReducedLight", "places_of"]

_COLUMNS = ("xpos", "ypos", "lambda", "data", "dq", "stat", "origin")
_UNIT = "10**(-20)*erg/s/cm**2/Angstrom"
_RADIAN = 180.0 * 3600.0 / np.pi  # arcsec
_OFFSET = "ESO DRS MUSE PIXTABLE EXP0 IFU{channel:02d} SLICE{slice:02d} XOFFSET"
_PROJECTED = "projected (intermediate)"
_LEAST = 10  # pixels of a slice


def places_of(longitude: FloatArray, latitude: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return places west and north (arcsec) of the tangent point, of native coordinates (rad).

    The inverse of `tracecube.instruments.muse.eso_reduced.native_places` (Calabretta & Greisen 2002, A&A 395, 1077,
    equation 54).

    Parameters
    ----------
    longitude : array
    latitude : array
        Less a quarter turn.
    """
    radius = _RADIAN * np.tan(-latitude)
    return -radius * np.sin(longitude), -radius * np.cos(longitude)


@dataclass(frozen=True)
class _Rows:
    """Rows (k,) of the table that count, of one channel, in order of wavelength.

    Parameters
    ----------
    row : int32 array
    wave : float32 array, Angstrom
    level : float32 array
        Variance that does not follow lines.
    excess : float32 array
        Variance over it.
    """

    row: IntArray
    wave: FloatArray
    level: FloatArray
    excess: FloatArray


class ReducedLight:
    """The pixels of an exposure, of all channels in a table.

    Parameters
    ----------
    raw : RawFrame
        PIXTABLE_REDUCED.
    limit : float
        Errors beyond which a pixel is hit.
    theirs : bool
        Errors are to become what neighbours scatter by.

    Attributes
    ----------
    channels : int
    hits, pixels : int
        Pixels that were hit, and that count.
    wrong : float
        By how much errors were too small.

    Raises
    ------
    BadData
        No such table, or not one of pixels in flux and in native coordinates.
    """

    def __init__(self, raw: RawFrame, *, limit: float, theirs: bool) -> None:
        _check(raw)
        self._columns = {name: np.asarray(raw.images[name]).ravel() for name in _COLUMNS}
        channel = self._columns["origin"].astype(np.int32) >> 6 & 31
        found = [
            _channel(raw, self._columns, int(one), np.flatnonzero(channel == one), limit=limit, theirs=theirs)
            for one in np.unique(channel)
        ]
        self._rows = [rows for rows, _, _ in found]
        self.channels = len(found)
        self.pixels = sum(one.row.size for one in self._rows)
        self.hits = sum(hits for _, hits, _ in found)
        self.wrong = float(np.median([wrong for _, _, wrong in found]))

    def source(self, grid: Grid, placed: Placement, *, scale: float = 1.0) -> Source:
        """Return what gives the pixels of all channels between two planes, with their places in the grid."""

        def between(low: float, high: float) -> list[Samples]:
            ends = grid.wave0 + grid.step * np.array([max(low, -4.0), min(high, grid.shape[0] + 3.0)])
            return [self._samples(one, ends, grid, placed, scale) for one in self._rows]

        return between

    def reach(self) -> tuple[FloatArray, FloatArray]:
        """Return places west and north (arcsec) of one of a hundred pixels."""
        some = np.concatenate([one.row[::100] for one in self._rows])
        return self._places(some)

    def _places(self, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        return places_of(*(self._columns[name][rows].astype(np.float64) for name in ("xpos", "ypos")))

    def _samples(self, one: _Rows, ends: FloatArray, grid: Grid, placed: Placement, scale: float) -> Samples:
        own = slice(*np.searchsorted(one.wave, ends))
        x, y = placed(*self._places(one.row[own]))
        plane = (one.wave[own].astype(np.float64) - grid.wave0) / grid.step
        place = np.stack([plane, (y - grid.y0) / grid.side, (x - grid.x0) / grid.side], axis=1).astype(np.float32)
        value = self._columns["data"][one.row[own]] * np.float32(scale)
        weight = (1.0 / (one.level[own] * np.float32(scale**2))).astype(np.float32)
        return Samples(place, value.astype(np.float32), weight, one.excess[own])


def _check(raw: RawFrame) -> None:
    """See that a table is what it is to be."""
    if not set(_COLUMNS) <= set(raw.images):
        raise BadData(
            f"{raw.name}: no images {', '.join(_COLUMNS)}", hint="is it a PIXTABLE_REDUCED, written as images?"
        )
    kind = str(raw.meta.get("ESO DRS MUSE PIXTABLE WCS") or "nothing").strip()
    if kind != _PROJECTED:
        raise BadData(
            f"{raw.name}: its places are {kind}, not {_PROJECTED}",
            hint="muse_scipost --save=individual writes the table that is needed",
        )
    if raw.meta.get("ESO DRS MUSE PIXTABLE FLUXCAL") is not True:
        raise BadData(f"{raw.name}: its pixels are not in flux", hint="run muse_scipost with STD_RESPONSE")


def _channel(  # noqa: PLR0913 - a table, and which of its rows
    raw: RawFrame, columns: Mapping[str, FloatArray], channel: int, rows: IntArray, *, limit: float, theirs: bool
) -> tuple[_Rows, int, float]:
    """Return the rows of a channel that count, how many were hit, and by how much errors were too small."""
    bits = columns["origin"][rows].astype(np.int32)
    number_of = bits & 63
    y, x = (bits >> 11 & 8191) - 1, (bits >> 24 & 127) + _first_columns(raw, channel, number_of)[number_of] - 1
    if y.min() < 0 or x.min() < 0:
        raise BadData(f"{raw.name}: pixels beyond the detector", hint="make the table again")
    shape = int(y.max()) + 1, int(x.max()) + 2
    data, variance = np.zeros(shape, np.float32), np.full(shape, np.inf, np.float32)
    slices = np.zeros(shape, np.int8)
    stat = columns["stat"][rows]
    fine = (columns["dq"][rows] == 0) & np.isfinite(columns["data"][rows]) & np.isfinite(stat) & (stat > 0)
    y, x, number_of, rows = y[fine], x[fine], number_of[fine], rows[fine]
    data[y, x], variance[y, x], slices[y, x] = columns["data"][rows], stat[fine], number_of
    wrong = scatter_over_error(data, variance, slices > 0) if theirs else np.ones(shape[0])
    variance *= wrong[:, None].astype(np.float32) ** 2
    level, hit = np.ones(shape, np.float32), np.zeros(shape, bool)
    for one in np.unique(number_of):
        own = x[number_of == one]
        if own.size < _LEAST:
            continue
        at = slice(None), slice(int(own.min()), int(own.max()) + 1)
        good: BoolArray = slices[at] == one
        struck = find_hits(data[at], variance[at], good, limit=limit) & good
        hit[at] |= struck
        level[at] = np.where(good, slow_variance(variance[at], good & ~struck), level[at])
    kept = ~hit[y, x]
    order = np.argsort(columns["lambda"][rows[kept]], kind="stable")
    y, x, rows = y[kept][order], x[kept][order], rows[kept][order]
    found = _Rows(
        rows.astype(np.int32),
        np.asarray(columns["lambda"][rows], np.float32),
        level[y, x],
        variance[y, x] / level[y, x],
    )
    return found, int(np.count_nonzero(~kept)), float(np.median(wrong))


def _first_columns(raw: RawFrame, channel: int, slices: IntArray) -> IntArray:
    """Return the first column, less one, of each number of a slice (64,).

    Raises
    ------
    MissingInput
        It is not told.
    """
    first = np.zeros(64, np.int32)
    for one in np.unique(slices):
        key = _OFFSET.format(channel=channel, slice=int(one))
        offset = number(raw.meta, key)
        if offset is None:
            raise MissingInput(f"{raw.name}: no {key}", hint="run muse_scipost again")
        first[one] = int(offset)
    return first
