"""A CCD of a unit: two amplifiers, oriented, freed of their bias level, stacked as they lie on the chip.

Orientation follows the header, never the date: blue left, red right, fibre 0 at the bottom. On the chip the
left CCD has LL below LU, the right one RU below RL; scattered light crosses the border between the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray, IntArray, Meta
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.instruments.virus.headers import amplifier, needed, text
from tracecube.kernels.combine import clipped_moments

__all__ = ["HALF", "HALVES", "Half", "read_ccd", "read_half"]

HALF = 1032
"""Rows and columns of an amplifier's oriented image."""

HALVES = {"L": ("LL", "LU"), "R": ("RU", "RL")}
"""Amplifiers of a CCD, from the bottom of the chip."""

SATURATED = 65535.0  # adu: end of the 16-bit converter
_FULL = 0.01  # a read-out with more than this share of its pixels at the end of the converter is dead
_BLEED = 2  # overscan columns that light may bleed into
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
        Scatter of the overscan.
    meta : mapping
    """

    amp: str
    data: FloatArray
    flags: IntArray
    level: float
    noise: float
    meta: Meta


def read_half(raw: RawFrame) -> Half:
    """Orient an amplifier, take its bias level off, and convert it to electrons.

    Raises
    ------
    BadData
        Another shape, or a dead read-out: constant, or stuck at the end of the converter.
    MissingInput
        No GAIN.
    """
    image = np.asarray(raw.data, np.float32)
    rows, columns = image.shape
    overscan = int(32 * columns / 1064)
    if rows != HALF or columns - overscan != HALF:
        raise BadData(
            f"{raw.name}: image of {image.shape} pixels (y, x), an amplifier has (1032, 1064)",
            hint="is it binned or windowed? Leave it out",
        )
    full = float(np.mean(image >= SATURATED))
    if full > _FULL or image.min() == image.max():
        raise BadData(
            f"{raw.name}: dead read-out of amplifier {amplifier(raw.meta, raw.name)}:"
            f" {100.0 * full:.0f} per cent of the pixels read 65535",
            hint="the controller failed; the other amplifiers are good",
        )
    gain, amp = needed(raw.meta, raw.name, "GAIN"), amplifier(raw.meta, raw.name)
    level, noise, _ = clipped_moments(image[:, HALF + _BLEED :].ravel())
    counts = image[:, :HALF]
    flags = np.where(counts >= SATURATED, int(Flag.SATURATED), 0).astype(np.int32)
    across, along = (-1 if amp in _FLIP_ROWS else 1), (-1 if amp in _FLIP_ROWS else 1)
    along = -along if text(raw.meta, "AMPNAME") in _TURNED else along
    turned = np.ascontiguousarray(((counts - level) * gain)[::across, ::along])
    return Half(
        amp, turned, np.ascontiguousarray(flags[::across, ::along]), float(level), float(noise * gain), raw.meta
    )


def read_ccd(frames: Sequence[RawFrame], noise: Mapping[str, float] | None = None) -> tuple[Frame, tuple[str, ...]]:
    """Stack the amplifiers of one CCD and exposure as they lie on the chip.

    Parameters
    ----------
    frames : sequence of RawFrame
        One or two amplifiers.
    noise : mapping of str to float, optional
        Read noise (electron) by amplifier; the overscan's own without it.

    Returns
    -------
    Frame
        (2064, 1032); data in electron less the bias level, variance that of the read noise alone; a half that
        is absent or dead is flagged, and NaN.
    caveats : tuple of str
        One for each dead read-out.

    Raises
    ------
    BadData
        No amplifier is left.
    """
    shape = (2 * HALF, HALF)
    data, variance = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    flags = np.full(shape, int(Flag.BAD_PIXEL), np.int32)
    refused: list[BadData] = []
    meta: Meta = {}
    for raw in sorted(frames, key=lambda frame: frame.name):
        try:
            half = read_half(raw)
        except BadData as error:
            refused.append(error)
            continue
        start = HALF * HALVES[half.amp[0]].index(half.amp)
        part = slice(start, start + HALF)
        data[part], flags[part] = half.data, half.flags
        variance[part] = (noise or {}).get(half.amp, half.noise) ** 2
        meta = meta or half.meta
    if not meta:
        raise refused[0]
    return Frame(data, variance, flags, meta), tuple(str(error) for error in refused)
