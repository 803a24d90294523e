"""One exposure of a channel, calibrated band by band: bias and its noise, dark, pixels known to be bad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import FloatArray
from tracecube.core.flags import NOT_USABLE
from tracecube.core.frame import Frame, RawFrame
from tracecube.instruments.muse.ccd import OUTPUTS, Channel, noise_card
from tracecube.instruments.muse.known_pixels import linear, rescaled
from tracecube.recipes.detector.bands import (
    Band,
    Combined,
    FaintExposure,
    Reader,
    combine_bands,
    relative_scales,
)

__all__ = ["combine_lamps", "open_channels", "read_noises", "reader"]

_SOME = 256  # every so many rows tell whether two exposures are one


def read_noises(bias: Frame) -> dict[int, float]:
    """Return the read noise (electron) of each output, from a master bias.

    Raises
    ------
    MissingInput
        The master bias does not state it.
    """
    found = {output: bias.meta.get(noise_card(output)) for output in OUTPUTS}
    if not all(isinstance(value, int | float) for value in found.values()):
        raise MissingInput("master bias: no read noise in its header", hint="make the master bias again")
    return {output: float(value) for output, value in found.items() if isinstance(value, int | float)}


def open_channels(raw: Sequence[RawFrame]) -> tuple[list[Channel], tuple[str, ...]]:
    """Open the exposures of one channel in order of name; those that cannot or only in part be used are named.

    Raises
    ------
    BadData
        None can be used.
    """
    channels: list[Channel] = []
    notes: list[str] = []
    for frame in sorted(raw, key=lambda frame: frame.name):
        held: tuple[FloatArray, ...] = ()  # pixels that are read once
        try:
            held = tuple(frame.images.values())
            channel = Channel.of(frame)
        except (BadData, MissingInput) as error:
            notes.append(str(error))
        else:
            twin = next((one.raw.name for one in channels if _same(one, channel)), None)
            if twin is not None:
                notes.append(f"{frame.name}: the same exposure as {twin}: it counts once")
                continue
            channels.append(channel)
            notes += channel.doubts
        del held
    if not channels:
        raise BadData("no exposure of this channel can be used", hint="; ".join(notes))
    return channels, tuple(notes)


def _same(one: Channel, other: Channel) -> bool:
    """Whether two files hold one exposure: no two of them have the noise of some rows in common."""
    return one.counts.shape == other.counts.shape and bool(np.array_equal(one.counts[::_SOME], other.counts[::_SOME]))


def reader(channel: Channel, bias: Frame, *, bad: Sequence[Frame] = ()) -> Reader:
    """Return what reads rows of an exposure, without its bias.

    Parameters
    ----------
    channel : Channel
    bias : Frame
        Master bias of the channel.
    bad : sequence of Frame
        Other calibrations whose flags hold here too.
    """
    noise = read_noises(bias)

    def read(y0: int, y1: int) -> Band:
        data, flags = channel.rows(y0, y1)
        data -= bias.data[y0:y1]
        floor = channel.floor(y0, y1, noise) + bias.variance[y0:y1]
        for part in channel.parts:
            first, last = max(y0, part.chip.y0), min(y1, part.chip.y1)
            if first < last and f"LINGAIN{part.output}" in bias.meta:
                own = slice(first - y0, last - y0), slice(part.chip.x0, part.chip.x1)
                data[own] = linear(data[own], part, bias.meta)
                floor[own] *= np.float32(rescaled(part, bias.meta) ** 2)
        for known in (bias, *bad):
            flags |= known.flags[y0:y1] & NOT_USABLE
        return Band(data, floor, flags)

    return read


def combine_lamps(
    channels: Sequence[Channel], bias: Frame, *, clip: float, tolerance: float, bad: Sequence[Frame] = ()
) -> Combined:
    """Return the mean of lamp exposures of one channel, each brought to the mean brightness.

    An exposure without the others' light, the lamp warming up or off, is left out, and named.
    """
    shape, kept, notes = channels[0].shape, list(range(len(channels))), []
    readers = [reader(channel, bias, bad=bad) for channel in channels]
    while True:
        own = [readers[i] for i in kept]
        try:
            scale = relative_scales(own, shape[0], names=[channels[i].raw.name for i in kept])
        except FaintExposure as error:
            notes.append(f"{error.what}: it is left out")
            del kept[error.index]
        else:
            break
    found = combine_bands(own, shape, scale=scale, clip=clip, tolerance=tolerance)
    return replace(found, kept=tuple(kept), notes=tuple(notes))
