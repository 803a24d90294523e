"""What is known of single pixels and outputs beforehand: the observatory's bad pixels, gain and linearity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray, IntArray, Meta, Scalar
from tracecube.core.frame import RawFrame
from tracecube.core.outputs import OutputLinearity
from tracecube.instruments.muse.ccd import Quadrant
from tracecube.instruments.muse.eso_planes import flags_of

__all__ = ["linear", "linearity_cards", "listed_flags", "rescaled"]

_TERMS = 4  # most terms of the polynomial of an output


def listed_flags(table: RawFrame, detector: str, parts: Sequence[Quadrant], shape: tuple[int, ...]) -> IntArray:
    """Return the flags (y, x) of pixels that a BADPIX_TABLE lists for a channel.

    Parameters
    ----------
    table : RawFrame
        One table a channel: columns xpos, ypos (pixels of the raw image, from 1), status (Euro3D bits; 0 is good).
    detector : str
    parts : sequence of Quadrant
        Where the outputs of the raw image lie.
    shape : (int, int)
        Of the trimmed image.

    Raises
    ------
    BadData
        The channel's table lacks a column.
    """
    flags = np.zeros(shape, np.int32)
    columns = table.tables.get(detector)
    if columns is None:
        return flags
    if not {"xpos", "ypos", "status"} <= set(columns):
        raise BadData(f"{table.name}: no columns xpos, ypos, status", hint="is it a BADPIX_TABLE?")
    x, y, status = (np.asarray(columns[name], np.int64) for name in ("xpos", "ypos", "status"))
    value = flags_of(status)
    for part in parts:
        at_x, at_y = x - 1 - part.data.x0 + part.chip.x0, y - 1 - part.data.y0 + part.chip.y0
        own = (status != 0) & (at_x >= part.chip.x0) & (at_x < part.chip.x1)
        own &= (at_y >= part.chip.y0) & (at_y < part.chip.y1)
        flags[at_y[own], at_x[own]] |= value[own]
    return flags


def linearity_cards(found: OutputLinearity) -> dict[str, Scalar]:
    """Return gain and polynomial of each output as cards: a master bias carries them to all that is read out alike."""
    cards: dict[str, Scalar] = {}
    for i, output in enumerate(found.output):
        cards[f"LINGAIN{output}"] = round(float(found.gain[i]), 6)
        terms = [float(value) / found.unit ** (k + 1) for k, value in enumerate(found.coefficient[i][:_TERMS])]
        cards |= {f"LIN{output}C{k + 1}": value for k, value in enumerate(terms)}
    return cards


def rescaled(part: Quadrant, known: Meta) -> float:
    """Return what electrons of an output by its header's gain become by the gain that was measured.

    Parameters
    ----------
    part : Quadrant
    known : Meta
        Header of the master bias.
    """
    gain = known.get(f"LINGAIN{part.output}")
    return gain / part.gain if isinstance(gain, int | float) else 1.0


def linear(electrons: FloatArray, part: Quadrant, known: Meta) -> FloatArray:
    """Return the electrons of an output by its gain and linearity, where the master bias carries them.

    Parameters
    ----------
    electrons : array
        By the header's gain.
    part : Quadrant
    known : Meta
        Header of the master bias.
    """
    gain = known.get(f"LINGAIN{part.output}")
    if not isinstance(gain, int | float):
        return electrons
    counts = electrons / np.float32(part.gain)
    bend = np.ones_like(counts)
    for k in range(1, _TERMS + 1):
        term = known.get(f"LIN{part.output}C{k}")
        if isinstance(term, int | float):
            bend += np.float32(term) * counts**k
    return np.asarray(counts * bend * np.float32(gain))
