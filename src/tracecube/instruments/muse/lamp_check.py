"""Whether the lamps of arc exposures are those that their headers name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tracecube.core.frame import RawFrame
from tracecube.instruments.muse.arc_lines import LAMPS, law
from tracecube.instruments.muse.ccd import Channel
from tracecube.recipes.optics.lamp_pattern import alike, column_spectra, likeness
from tracecube.recipes.optics.slice_lines import LampLines

__all__ = ["SHIFT", "of_lamp"]

SHIFT = 330.0
"""Angstrom, largest departure of a slice from the nominal law."""

_ONE_LAMP = 0.5  # exposures of one lamp are alike by 0.99, of two by 0.02
_SEEN, _ODDS = 0.25, 2.0  # a lamp's list explains its own exposures by 0.45 to 0.85, those of others by 0.15

_Strangers = list[tuple[int, RawFrame]]


def of_lamp(
    channels: Sequence[Channel], lamp: int, lines: Sequence[LampLines]
) -> tuple[list[Channel], _Strangers, list[str]]:
    """Return the exposures whose lines are not those of another lamp, those that are with their lamp, and words.

    Parameters
    ----------
    channels : sequence of Channel
        Whose headers name the lamp.
    lamp : int
        Place in `LAMPS`.
    lines : sequence of LampLines
        Of all lamps; without any, headers are believed.
    """
    if not lines:
        return list(channels), [], []
    kinds: list[tuple[np.ndarray, int]] = []
    kept, strangers, said = [], _Strangers(), []
    for channel in channels:
        spectra = column_spectra(channel.counts)
        seen = next((one for known, one in kinds if alike(known, spectra) > _ONE_LAMP), None)
        if seen is None:
            seen = _lamp_of(spectra, lamp, lines)
            kinds.append((spectra, seen))
        if seen == lamp:
            kept.append(channel)
            continue
        strangers.append((seen, channel.raw))
        said.append(
            f"{channel.raw.name}: its lines are those of {LAMPS[seen]}, its header names {LAMPS[lamp]} (ESO INS LAMPi "
            f"ST): it counts as {LAMPS[seen]} if no other does"
        )
    return kept, strangers, said


def _lamp_of(spectra: np.ndarray, told: int, lines: Sequence[LampLines]) -> int:
    """Return the lamp whose lines an exposure shows: the one that is told unless another explains it far better."""
    value = {one.lamp: found for one, found in zip(lines, likeness(spectra, lines, law, shift=SHIFT), strict=True)}
    best = max(value, key=value.__getitem__)
    return best if value[best] > max(_SEEN, _ODDS * value.get(told, 0.0)) else told
