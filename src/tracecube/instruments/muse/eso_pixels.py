"""Pixel tables of ESO's pipeline: every pixel of a detector that sees a slice, with its place and wavelength."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.flags import NOT_USABLE
from tracecube.core.foreign import CardValue, ForeignTable, Plane
from tracecube.core.frame import Frame
from tracecube.core.slice_light import SliceSky
from tracecube.core.slices import SliceExposure, SliceGeometry, SliceTraces, SliceWavelengths
from tracecube.instruments.muse.eso_planes import euro3d_of
from tracecube.recipes.optics.slice_map import columns_of
from tracecube.recipes.slices.segments import place_of
from tracecube.recipes.slices.sky_light import shifted

__all__ = ["SAMPLING", "PixelRows", "dispersion", "limits", "pixel_planes", "pixel_rows", "spectrum_of_flat"]

SAMPLING = 1.25
"""Angstrom: the step of ESO's spectra, and what it takes a pixel to be wide in wavelength."""

_UNITS = {
    "xpos": "pix",
    "ypos": "pix",
    "lambda": "Angstrom",
    "data": "count",
    "dq": "",
    "stat": "count**2",
    "origin": "",
}
_NAMES = {"wave": "lambda"}


@dataclass(frozen=True)
class PixelRows:
    """Rows of a pixel table.

    Parameters
    ----------
    xpos, ypos : float32 array (n,), spaxel
        Place in the field.
    wave : float32 array (n,), Angstrom
    data : float32 array (n,), electron over the flat, whose mean is 1
    dq : int32 array (n,)
        Euro3D bits.
    stat : float32 array (n,)
        Variance.
    origin : int32 array (n,)
        From the lowest bit: slice (6 bits), channel (5), row of the detector from 1 (13), column from 1 less the first
        column of the slice (7).
    offset : mapping of int to int
        Slice -> first column, from 1, less one.
    """

    xpos: FloatArray
    ypos: FloatArray
    wave: FloatArray
    data: FloatArray
    dq: IntArray
    stat: FloatArray
    origin: IntArray
    offset: Mapping[int, int]


def pixel_rows(  # noqa: PLR0913 - what a pixel's place and wavelength follow from
    exposure: SliceExposure,
    traces: SliceTraces,
    solution: SliceWavelengths,
    geometry: SliceGeometry,
    *,
    sky: SliceSky | None,
    channel: int,
    side: tuple[float, float],
    scale: float,
    band: tuple[float, float],
) -> PixelRows:
    """Return a row for every pixel of an exposure that sees a slice.

    Parameters
    ----------
    exposure : SliceExposure
        Light relative to the lamp.
    traces : SliceTraces
    solution : SliceWavelengths
        Of the day.
    geometry : SliceGeometry
    sky : SliceSky or None
        Of this exposure and detector; it tells how the wavelengths moved since the day.
    channel : int
    side : (float, float), arcsec
        Of a spaxel along and across slices.
    scale : float
        What the light is multiplied by: mean of the flat over the detector.
    band : (float, float), Angstrom
        Pixels beyond are left out.
    """
    rows = np.arange(exposure.data.shape[0], dtype=np.float64)
    parts, offset = [], {}
    for row in np.flatnonzero((traces.dq | solution.dq) == 0):
        x0, x1 = columns_of(traces, int(row), exposure.data.shape[1], beyond=1.0)
        across = np.arange(x0, x1)[None, :] - (traces.centre[row] + exposure.shift[row])[:, None]
        width = np.broadcast_to((traces.right[row] - traces.left[row])[:, None], across.shape)
        wave = solution.wave(int(row), rows[:, None], across)
        if sky is not None and sky.dq[row] == 0:
            wave = shifted(sky, int(row), wave)
        noise = exposure.variance[:, x0:x1]
        inside = (np.abs(across) <= 0.5 * width) & (wave >= band[0]) & (wave <= band[1]) & np.isfinite(noise)
        y, x = np.nonzero(inside)
        sky_x, sky_y = place_of(geometry, int(row), across[inside], width[inside])
        number = int(traces.aperture[row])
        offset[number] = x0
        parts.append(
            (
                (sky_x / side[0]).astype(np.float32),
                (sky_y / side[1]).astype(np.float32),
                wave[inside].astype(np.float32),
                (exposure.data[:, x0:x1][inside] * scale).astype(np.float32),
                euro3d_of(exposure.flags[:, x0:x1][inside] & NOT_USABLE),
                (noise[inside] * scale**2).astype(np.float32),
                (number | channel << 6 | (y + 1) << 11 | (x + 1) << 24).astype(np.int32),
            )
        )
    xpos, ypos, waves, data, dq, stat, origin = (np.concatenate(column) for column in zip(*parts, strict=True))
    return PixelRows(xpos, ypos, waves, data, dq, stat, origin, offset)


def pixel_planes(rows: PixelRows) -> tuple[Plane, ...]:
    """Return one image of one column for each column of the table."""
    names = [one.name for one in fields(PixelRows) if one.name != "offset"]
    return tuple(
        Plane(_NAMES.get(name, name), getattr(rows, name)[:, None], _UNITS.get(_NAMES.get(name, name), ""))
        for name in names
    )


def limits(rows: PixelRows, channel: int) -> Mapping[str, CardValue]:
    """Return the cards that describe the contents of a pixel table."""
    cards: dict[str, CardValue] = {"ESO DRS MUSE PIXTABLE TYPE": ("GEOFULL", "with the full geometry")}
    ranges = {"X": rows.xpos, "Y": rows.ypos, "LAMBDA": rows.wave}
    for name, values in ranges.items():
        cards[f"ESO DRS MUSE PIXTABLE LIMITS {name} LOW"] = float(values.min())
        cards[f"ESO DRS MUSE PIXTABLE LIMITS {name} HIGH"] = float(values.max())
    numbers = {"IFU": (channel, channel), "SLICE": (min(rows.offset), max(rows.offset))}
    for name, (low, high) in numbers.items():
        cards[f"ESO DRS MUSE PIXTABLE LIMITS {name} LOW"] = low
        cards[f"ESO DRS MUSE PIXTABLE LIMITS {name} HIGH"] = high
    for number, first in rows.offset.items():
        cards[f"ESO DRS MUSE PIXTABLE EXP0 IFU{channel:02d} SLICE{number:02d} XOFFSET"] = first
    return cards


def spectrum_of_flat(flat: Frame, traces: SliceTraces, solution: SliceWavelengths, scale: float) -> ForeignTable:
    """Return the mean light of the lamp in a pixel against wavelength, over ``scale``: what gives the lamp back."""
    edges = np.arange(4650.0, 9400.0, SAMPLING)
    total, count = np.zeros(edges.size + 1), np.zeros(edges.size + 1)
    rows = np.arange(flat.data.shape[0], dtype=np.float64)
    for row in np.flatnonzero((traces.dq | solution.dq) == 0):
        x0, x1 = columns_of(traces, int(row), flat.data.shape[1])
        across = np.arange(x0, x1)[None, :] - traces.centre[row][:, None]
        half = 0.5 * (traces.right[row] - traces.left[row])[:, None]
        good = (np.abs(across) < half - 2.0) & (flat.flags[:, x0:x1] & NOT_USABLE == 0)
        at = np.searchsorted(edges, solution.wave(int(row), rows[:, None], across)[good])
        total += np.bincount(at, flat.data[:, x0:x1][good].astype(np.float64), edges.size + 1)
        count += np.bincount(at, minlength=edges.size + 1)
    known = count[1:-1] > 0
    wave, mean = 0.5 * (edges[1:] + edges[:-1])[known], (total[1:-1][known] / count[1:-1][known]) / scale
    return ForeignTable("PIXTABLE_FLAT_FIELD", (Plane("lambda", wave, "Angstrom"), Plane("data", mean)))


def dispersion(traces: SliceTraces, solution: SliceWavelengths, wave: FloatArray) -> FloatArray:
    """Return the typical width of a pixel (Angstrom) at wavelengths (n,)."""
    rows = np.arange(0.0, traces.centre.shape[1], 8.0)
    found = []
    for row in np.flatnonzero((traces.dq | solution.dq) == 0):
        at = solution.wave(int(row), rows, np.zeros(rows.size))
        found.append(np.interp(wave, at, np.gradient(at, rows)))
    return np.asarray(np.median(found, axis=0))
