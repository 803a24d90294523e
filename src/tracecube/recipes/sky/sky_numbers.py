"""What the fit of a sky says of itself: quality numbers, and what people must be told."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.quality import QualityNumber
from tracecube.recipes.sky.fibre_ground import Ground
from tracecube.recipes.sky.fibre_illumination import Illumination
from tracecube.recipes.sky.sky_anchor import SkyAnchor
from tracecube.recipes.sky.sky_fibres import SkyFibres

__all__ = ["anchor_numbers", "ground_caveats", "sky_caveats", "sky_numbers"]

_FILLED = "its emptiest fibres are brighter than the other bundles' illumination allows: it has their sky"


def sky_caveats(
    fibres: Sequence[SkyFibres], blank: Sequence[BoolArray], found: Illumination, least: int
) -> tuple[str, ...]:
    """Say which bundles have too few blank fibres, and which are filled with light."""
    counts: dict[int, int] = {}
    for one, b in zip(fibres, blank, strict=True):
        counts[int(one.slot[0])] = counts.get(int(one.slot[0]), 0) + int(b.sum())
    filled = {int(slot) for slot, full in zip(found.slots, found.filled, strict=True) if full}
    few = [slot for slot, count in sorted(counts.items()) if count < least and slot not in filled]
    return (
        *(f"bundle {slot:03d}: {_FILLED}" for slot in sorted(filled)),
        *(f"bundle {slot:03d}: fewer than {least} fibres see the sky alone" for slot in few),
    )


def ground_caveats(ground: Ground, stated: FloatArray) -> tuple[str, ...]:
    """Say so where the ground beneath the fibres was not found, though the overscan states (n,) that it is unknown."""
    if np.isfinite(ground.size) or not np.any(stated > 0):
        return ()
    text = "the ground beneath the fibres was not found: none is taken off, its error is that of the overscan"
    return (f"{text} (try: look for fibres that see the sky alone)",)


def anchor_numbers(
    anchor: SkyAnchor | None, lines: tuple[float, ...]
) -> tuple[tuple[QualityNumber, ...], tuple[str, ...]]:
    """Return how far the sky's lines lay off, with the error that is left; a caveat where none was seen."""
    if anchor is None and lines:
        names = ", ".join(f"{line:.0f}" for line in lines)
        return (), (f"none of the lines of the sky at {names} Angstrom stands out: wavelengths are those of the arcs",)
    if anchor is None:
        return (), ()
    each = (QualityNumber(f"WAVE ANCHOR {line:.0f}", value, "Angstrom") for line, value, _ in anchor.lines)
    return (
        QualityNumber("WAVE ANCHOR", anchor.offset, "Angstrom", low=-1.0, high=1.0),
        QualityNumber("WAVE ANCHOR ERROR", anchor.error, "Angstrom", high=0.05),
        *each,
    ), ()


def sky_numbers(
    fibres: Sequence[SkyFibres], blank: Sequence[BoolArray], found: Illumination, ground: Ground
) -> tuple[QualityNumber, ...]:
    """Return shifts of detectors, illumination of bundles with its error, the ground, and how many fibres are blank."""
    numbers = []
    for one in fibres:
        sides = "".join(sorted({str(amp)[:1] for amp in one.about[1]}))
        name = f"WAVE SHIFT {int(one.slot[0]):03d}{sides}"
        numbers.append(QualityNumber(name, one.shift, "Angstrom", low=-1.0, high=1.0))
    middle = float(np.median(found.level))
    for slot, level, error in zip(found.slots, found.level, found.level_error, strict=True):
        numbers.append(QualityNumber(f"ILLUMINATION {int(slot):03d}", float(level / middle), "", low=0.8, high=1.2))
        if np.isfinite(error):
            numbers.append(QualityNumber(f"ILLUMINATION ERROR {int(slot):03d}", float(error / middle), "", high=0.003))
    if np.isfinite(ground.size):
        numbers += [
            QualityNumber("GROUND SIZE", ground.size, "electron", high=2.0),
            QualityNumber("GROUND LENGTH", ground.length, "fibres"),
            QualityNumber("GROUND ERROR", float(np.median(ground.error)), "electron", high=1.0),
        ]
    numbers += [
        QualityNumber("LEVEL EXTRA SCATTER", found.scatter, "", high=0.01),
        QualityNumber("SKY FIBRES", float(sum(int(b.sum()) for b in blank)), ""),
    ]
    return tuple(numbers)
