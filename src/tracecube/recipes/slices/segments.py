"""Spectra of short pieces of slices, row by row of the detector."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.slices import SliceExposure, SliceGeometry, SliceSegments, SliceTraces, SliceWavelengths
from tracecube.kernels.compiled import compiled
from tracecube.recipes.optics.slice_map import columns_of
from tracecube.recipes.slices.shape_along import BLOCK, FEWEST, levels, shapes

__all__ = ["cut_segments", "place_of"]

F4 = NDArray[np.float32]
I4 = NDArray[np.int32]

_INSIDE = 2.0  # px from the edges of a slice that are left out
_CLIP = 4.0  # errors off what a piece's row and an object's shape let expect, beyond which a pixel is hit
_ROUGH = 0.2  # of the shape: an object's image moves over the rows of a block
_CLEAR = (5600.0, 7500.0)  # Angstrom, about the band that tells how bright a piece is
_WHOLE = 0.6  # of the band that a piece must have to be compared with others


def place_of(geometry: SliceGeometry, row: int, across: FloatArray, width: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return place in the field (arcsec, west and north) of pixels of a slice.

    Parameters
    ----------
    geometry : SliceGeometry
    row : int
    across : array, px
        Distance from the centre of the slice.
    width : array, px
        Between its edges there.
    """
    t = -across / width * geometry.width[row]
    angle = np.radians(geometry.angle[row])
    return geometry.x[row] + t * np.cos(angle), geometry.y[row] + t * np.sin(angle)


def cut_segments(
    exposure: SliceExposure, traces: SliceTraces, solution: SliceWavelengths, geometry: SliceGeometry, *, pieces: int
) -> SliceSegments:
    """Return mean spectra of ``pieces`` parts of every slice.

    Parameters
    ----------
    exposure : SliceExposure
        Dispersion along y.
    traces : SliceTraces
    solution : SliceWavelengths
    geometry : SliceGeometry
    pieces : int
        Parts of a slice, so short that a line's tilt does not widen it.
    """
    rows = exposure.data.shape[0]
    count = len(traces.aperture) * pieces
    flux, variance = np.full((count, rows), np.nan, np.float32), np.full((count, rows), np.nan, np.float32)
    wave = np.full((count, rows), np.nan)
    x_sky, y_sky = np.full(count, np.nan), np.full(count, np.nan)
    spread = np.zeros(count)
    y = np.arange(rows, dtype=np.float64)
    good = (exposure.flags & NOT_USABLE == 0) & np.isfinite(exposure.variance)  # no lamp, no light over the lamp
    for row in range(len(traces.aperture)):
        if traces.dq[row] or solution.dq[row] or exposure.dq[row]:
            continue
        x0, x1 = columns_of(traces, row, exposure.data.shape[1], beyond=2.0)
        across = np.arange(x0, x1)[None, :] - (traces.centre[row] + exposure.shift[row])[:, None]
        half = 0.5 * (traces.right[row] - traces.left[row])
        part = np.floor((across / (half[:, None] - _INSIDE) + 1.0) * 0.5 * pieces).astype(np.int32)
        part[(part < 0) | (part >= pieces) | ~good[:, x0:x1]] = -1
        mean, noise, place = _row_means(
            exposure.data[:, x0:x1], exposure.variance[:, x0:x1], part, across.astype(np.float32), pieces
        )
        at = slice(row * pieces, (row + 1) * pieces)
        flux[at], variance[at] = mean, noise
        wave[at] = [solution.wave(row, y, one) for one in place.astype(np.float64)]
        ends = np.linspace(-1.0, 1.0, pieces + 1) * (float(np.mean(half)) - _INSIDE)
        at_ends = solution.wave(row, np.array(0.5 * (rows - 1)), ends)
        spread[at] = np.diff(at_ends) ** 2 / 12.0
        for piece in range(pieces):
            seen = np.isfinite(place[piece])
            middle = float(np.mean(place[piece][seen])) if seen.any() else float("nan")
            sky = place_of(geometry, row, np.array([middle]), np.array([2.0 * float(np.mean(half))]))
            x_sky[row * pieces + piece], y_sky[row * pieces + piece] = sky[0][0], sky[1][0]
    flags = np.where(np.isfinite(flux), 0, int(Flag.NOT_MEASURED)).astype(np.int32)
    white, error = _white(flux, variance, wave)
    return SliceSegments(
        flux=flux,
        variance=variance,
        wave=wave,
        flags=flags,
        aperture=np.repeat(traces.aperture, pieces),
        piece=np.tile(np.arange(pieces, dtype=np.int32), len(traces.aperture)),
        x=x_sky,
        y=y_sky,
        spread=spread,
        white=white,
        white_error=error,
        meta=exposure.meta,
    )


def _white(flux: F4, variance: F4, wave: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the median over a wide band: lines of the sky, and hits, count little.

    A piece that lost much of the band, to a dead read-out, sees other colours than the others: it has none.
    """
    inside: BoolArray = np.isfinite(flux) & (wave > _CLEAR[0]) & (wave < _CLEAR[1])
    count = inside.sum(axis=1)
    known = count > max(100.0, _WHOLE * float(count.max(initial=0)))
    white, error = np.full(len(flux), np.nan), np.full(len(flux), np.nan)
    for row in np.flatnonzero(known):
        white[row] = np.median(flux[row, inside[row]])
        noise = float(np.median(variance[row, inside[row]]))
        error[row] = np.sqrt(0.5 * np.pi * noise / inside[row].sum())
    return white, error


def _row_means(data: F4, variance: F4, part: I4, across: F4, pieces: int) -> tuple[F4, F4, F4]:
    """Return clipped mean, its variance and mean place of the pixels of each piece in each row (pieces, y).

    Pixels are hit that stand out of an object's shape along the slice. That shape is not clipped, nor is its place
    empty where a pixel is hit: else more of an object would count in rows of more noise, and its light would seem to
    have lines of the sky. Columns that are not as light can be do not count.
    """
    level = levels(data, part, pieces)
    shape, spoilt = shapes(data, variance, part, level)
    found: tuple[F4, F4, F4] = _about_shapes(data, variance, part, across, level, shape, spoilt)
    return found


@compiled()
def _about_shapes(  # noqa: PLR0913, PLR0917 - pixels, and what is known of them
    data: F4, variance: F4, part: I4, across: F4, level: F4, shape: F4, spoilt: BoolArray
) -> tuple[F4, F4, F4]:
    """Return mean, variance and place (pieces, y) of the pixels that are neither spoilt nor off the shape."""
    rows, columns = data.shape
    pieces = len(level)
    mean = np.full((pieces, rows), np.nan, np.float32)
    noise, place = mean.copy(), mean.copy()
    for y in range(rows):
        for piece in range(pieces):
            n, expected, used, total, weight, at = 0, 0.0, 0, 0.0, 0.0, 0.0
            for x in range(columns):
                above = shape[y // BLOCK, x]
                if part[y, x] != piece or np.isnan(above) or np.isnan(level[piece, y]):
                    continue
                n += 1
                expected += above
                left = data[y, x] - above
                if spoilt[y // BLOCK, x]:
                    continue
                if abs(left - level[piece, y]) < _CLIP * np.sqrt(variance[y, x]) + _ROUGH * abs(above):
                    total += left
                    weight += variance[y, x]
                    at += across[y, x]
                    used += 1
            if n >= FEWEST and 2 * used > n:
                mean[piece, y] = total / used + expected / n
                noise[piece, y], place[piece, y] = weight / used**2, at / used
    return mean, noise, place
