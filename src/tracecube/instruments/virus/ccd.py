"""A CCD of a unit: two amplifiers, oriented, freed of their bias level, stacked as they lie on the chip.

Orientation follows the header, never the date: blue left, red right, fibre 0 at the bottom. On the chip the
left CCD has LL below LU, the right one RU below RL; scattered light crosses the border between the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from tracecube.core.errors import BadData, TracecubeError
from tracecube.core.fields import FloatArray, IntArray, Meta, Scalar
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.instruments.virus.headers import amplifier, needed, number, text
from tracecube.kernels.combine import clipped_moments
from tracecube.kernels.drift import wiener_drift
from tracecube.kernels.waves import Panel, plane_waves, wave_image

__all__ = ["HALF", "HALVES", "Half", "read_ccd", "read_half"]

HALF = 1032
"""Rows and columns of an amplifier's oriented image."""

OVERSCAN = 32
"""Columns of an amplifier's image that were read without pixels behind them."""

HALVES = {"L": ("LL", "LU"), "R": ("RU", "RL")}
"""Amplifiers of a CCD, from the bottom of the chip."""

SATURATED = 65535.0  # adu: end of the 16-bit converter
_FULL = 0.01  # a read-out with more than this share of its overscan at the end of the converter is dead
_TOO_BRIGHT = 0.25  # share of its pixels that are full beyond which nothing can be made of a frame
_ROUNDED = 0.55  # adu: counts that change between two neighbours scatter by 0.5 at most
_BLEED = 2  # overscan columns that light may bleed into
_DRIFT = 25.0  # rows: what the bias level drifts over, until waves are taken off
_SMOOTH = 15.0  # px: light of dark rows is smoother, waves of more than 0.04 cycles a pixel are not
_ROUGH = 1.07  # scatter over that of the overscan up to which a row is dark
_MEDIAN_STEP = 0.954  # median of the difference of two Gaussian deviates, over their standard deviation
_OF_EXPOSURE = ("EXPTIME", "DARKTIME", "DITHER")
_TWICE = "leave out the one that is wrong; without REPEAT = T in its header the first by name counts"
_GUARD = 7  # px about a hit or a line that count as light
_DARK_ROWS = 160  # a wave of a tenth of the read noise is known to 0.01 of it from as many
_FLIP_ROWS = {"LU", "RL"}  # both axes of these are turned, unless AMPNAME says that the columns are not
_TURNED = {"LR", "UL"}  # AMPNAMEs whose columns run the other way


@dataclass(frozen=True)
class Half:
    """One amplifier of one exposure, oriented.

    Parameters
    ----------
    amp : str
    data : array (1032, 1032), electron, less the bias level
    flags : int32 array (1032, 1032)
    level : float, adu
        Bias level of this exposure, from the overscan.
    noise : float, electron
        Scatter of the overscan, less interference.
    row_error : float, electron
        Error of the level of a row, the same for all its pixels.
    wave : float, electron
        Root mean square of the interference that was taken off.
    meta : mapping
    """

    amp: str
    data: FloatArray
    flags: IntArray
    level: float
    noise: float
    row_error: float
    wave: float
    meta: Meta


def read_half(raw: RawFrame) -> Half:
    """Orient an amplifier, take its bias level off, and convert it to electrons.

    Raises
    ------
    BadData
        Another shape, no positive gain, a dead read-out (its overscan holds no noise but that of rounding, or is
        stuck at the end of the converter), or too much light.
    MissingInput
        No GAIN.
    """
    image = np.asarray(raw.data, np.float32)
    if image.shape != (HALF, HALF + OVERSCAN):
        raise BadData(
            f"{raw.name}: image of {image.shape} pixels (y, x), an amplifier has (1032, 1064)",
            hint="is it binned or windowed? Leave it out",
        )
    _alive(image, raw)
    gain, amp = needed(raw.meta, raw.name, "GAIN"), amplifier(raw.meta, raw.name)
    if gain <= 0.0:
        raise BadData(f"{raw.name}: GAIN is {gain:g} electron per adu", hint="repair GAIN from another exposure's")
    level, noise, _ = clipped_moments(image[:, HALF + _BLEED :].ravel())
    if noise <= _ROUNDED:
        raise BadData(
            f"{raw.name}: dead read-out of amplifier {amp}: its overscan scatters by {noise:.2f} adu, as rounding does",
            hint="the controller failed; the other amplifiers are good",
        )
    flags = np.where(image[:, :HALF] >= SATURATED, int(Flag.SATURATED), 0).astype(np.int32)
    across, along = (-1 if amp in _FLIP_ROWS else 1), (-1 if amp in _FLIP_ROWS else 1)
    along = -along if text(raw.meta, "AMPNAME") in _TURNED else along
    read = (image - np.float32(level)) * np.float32(gain)
    wave = _waves(read, noise * gain)
    read -= wave
    drift, row_error, scatter = _drift(read[:, HALF + _BLEED :], noise * gain)
    light = read[:, :HALF] - drift[:, None]
    return Half(
        amp=amp,
        data=np.ascontiguousarray(light[::across, ::along]),
        flags=np.ascontiguousarray(flags[::across, ::along]),
        level=float(level),
        noise=scatter,
        row_error=row_error,
        wave=float(wave.std()),
        meta=raw.meta,
    )


def _alive(image: FloatArray, raw: RawFrame) -> None:
    """Refuse a read-out that holds no light: of a controller that failed, or of an exposure much too long."""
    amp = amplifier(raw.meta, raw.name)
    covered = image[:, HALF + _BLEED :]
    full, all_full = (float(np.mean(part >= SATURATED)) for part in (covered, image))
    if covered.min() == covered.max() and covered.max() < SATURATED:
        raise BadData(
            f"{raw.name}: dead read-out of amplifier {amp}: its whole overscan reads {covered.max():.0f}",
            hint="the controller failed; the other amplifiers are good",
        )
    if full > _FULL:
        raise BadData(
            f"{raw.name}: dead read-out of amplifier {amp}: {100.0 * all_full:.0f} per cent of the pixels read 65535,"
            f" {100.0 * full:.0f} per cent of the overscan",
            hint="the controller failed; the other amplifiers are good",
        )
    if all_full > _TOO_BRIGHT:
        raise BadData(
            f"{raw.name}: amplifier {amp} is saturated: {100.0 * all_full:.0f} per cent of the pixels read 65535",
            hint="expose for less time, or leave the frame out; its overscan is sound",
        )


def _waves(read: FloatArray, noise: float) -> FloatArray:
    """Return the plane waves of a whole read-out (electron), from its overscan and the rows without light."""
    rows = np.arange(HALF)
    covered = np.clip(read[:, HALF + _BLEED :], -6.0 * noise, 6.0 * noise)
    covered = covered - gaussian_filter1d(covered.mean(axis=1), _DRIFT, mode="nearest")[:, None]
    steps = np.median(np.abs(np.diff(read[:, :HALF:2], axis=1)), axis=1)
    quiet = np.flatnonzero(steps < _ROUGH * _MEDIAN_STEP * noise)
    quiet = quiet[np.linspace(0, quiet.size - 1, min(quiet.size, _DARK_ROWS)).astype(int)] if quiet.size else quiet
    dark = np.clip(read[quiet, :HALF], -6.0 * noise, 6.0 * noise)
    dark = dark - gaussian_filter1d(dark, _SMOOTH, axis=1, truncate=3.0)
    panels = []
    for data, y, first in ((covered, rows, HALF + _BLEED), (dark, quiet, 0)):
        known = maximum_filter1d((np.abs(data) > 4.0 * noise).astype(np.uint8), _GUARD, axis=1) == 0
        panels.append(Panel(np.where(known, data, 0.0), known, y, first + np.arange(data.shape[1])))
    shape = (read.shape[0], read.shape[1])
    return wave_image(plane_waves(panels[0], panels[1], shape), shape)


def _drift(covered: FloatArray, noise: float) -> tuple[FloatArray, float, float]:
    """Return how the bias level drifts from row to row, its error, and the scatter of pixels (electron)."""
    clipped = np.clip(covered, -4.0 * noise, 4.0 * noise)
    rows = clipped.mean(axis=1)
    freedom = clipped.size - rows.size
    scatter = float(np.sqrt(np.sum((clipped - rows[:, None]) ** 2, dtype=np.float64) / freedom))
    drift, error = wiener_drift(rows, scatter / covered.shape[1] ** 0.5)
    return drift.astype(np.float32), error, scatter


def read_ccd(frames: Sequence[RawFrame], noise: Mapping[str, float] | None = None) -> tuple[Frame, tuple[str, ...]]:
    """Stack the amplifiers of one CCD and exposure as they lie on the chip.

    Parameters
    ----------
    frames : sequence of RawFrame
        One or two amplifiers. Of two frames of one amplifier the first by name counts, that of REPEAT last.
    noise : mapping of str to float, optional
        Read noise (electron) by amplifier; the overscan's own without it.

    Returns
    -------
    Frame
        (2064, 1032); data in electron less the bias level, variance that of the read noise alone; a half that
        is absent or dead is flagged, and NaN. Cards ``ROWERR`` with the amplifier's name hold the error of the level
        of a row (electron), the same for all its pixels.
    caveats : tuple of str
        One for each frame that is not used (dead, without a card that it needs, or there twice), and for cards that
        one amplifier lacks and the other has.

    Raises
    ------
    TracecubeError
        No amplifier is left: why the first is not used.
    """
    shape = (2 * HALF, HALF)
    data, variance = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    flags = np.full(shape, int(Flag.BAD_PIXEL), np.int32)
    refused: list[TracecubeError] = []
    meta: Meta = {}
    cards: dict[str, Scalar] = {}
    taken: dict[str, str] = {}
    notes: list[str] = []
    for raw in sorted(frames, key=lambda frame: (bool(frame.meta.get("REPEAT")), frame.name)):
        try:
            half = read_half(raw)
        except TracecubeError as error:
            refused.append(error)
            continue
        if half.amp in taken:
            refused.append(BadData(f"{raw.name}: {half.amp} of this exposure is {taken[half.amp]}", hint=_TWICE))
            continue
        taken[half.amp] = raw.name
        start = HALF * HALVES[half.amp[0]].index(half.amp)
        part = slice(start, start + HALF)
        data[part], flags[part] = half.data, half.flags
        variance[part] = (noise or {}).get(half.amp, half.noise) ** 2
        if meta:
            meta, said = _completed(meta, half.meta, (next(iter(taken.values())), raw.name))
            notes += said
        else:
            meta = half.meta
        cards[f"ROWERR {half.amp}"] = round(half.row_error, 5)
    if not meta:
        raise refused[0]
    return Frame(data, variance, flags, {**meta, **cards}), (*(str(error) for error in refused), *notes)


def _completed(meta: Meta, other: Meta, names: tuple[str, str]) -> tuple[Meta, list[str]]:
    """Fill in cards that hold for the whole exposure, and that the first amplifier lacks, from the other's; say so."""
    lost = [key for key in _OF_EXPOSURE if number(meta, key) is None and number(other, key) is not None]
    if not lost:
        return meta, []
    text = f"{names[0]}: no {', '.join(lost)}: taken from {names[1]}, of the same exposure (try: repair the header)"
    return {**meta, **{key: other[key] for key in lost}}, [text]
