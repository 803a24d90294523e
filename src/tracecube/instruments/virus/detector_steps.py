"""What the detectors add: structure of the bias, dark current, read noise, pixels that lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracecube.core.errors import BadData, TracecubeError
from tracecube.core.fields import Scalar
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.recipes.detector.structure import Structure, StructureParams, amplifier_structure, read_noise

if TYPE_CHECKING:
    from tracecube.instruments.virus.ccd import Half

__all__ = ["master_dark"]

_AGREE = 0.05  # share by which the read noise may differ from the header's


@dataclass(frozen=True, kw_only=True)
class Dark(Outputs):
    """Structure, dark current and bad pixels of a CCD."""

    master_dark: Frame


@recipe(version="5")
def master_dark(*, raw: Sequence[RawFrame], params: StructureParams) -> Dark:
    """Measure read noise, smooth structure, dark current and hot pixels of a CCD from zeros and darks.

    A dead read-out is named in a caveat; the other amplifier goes on.
    """
    from tracecube.instruments.virus.ccd import HALF, HALVES, read_half  # noqa: PLC0415 - brings scipy

    halves: dict[str, dict[str, list[Half]]] = {}
    caveats: list[str] = []
    for frame in sorted(raw, key=lambda frame: frame.name):
        try:
            half = read_half(frame)
        except TracecubeError as error:
            caveats.append(str(error))
            continue
        halves.setdefault(half.amp, {}).setdefault(frame.tag, []).append(half)
    if not halves:
        raise BadData("no amplifier of this CCD can be used", hint="; ".join(_once(caveats)) or "take zeros and darks")
    side = next(iter(halves))[0]
    shape = (2 * HALF, HALF)
    data, variance = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    flags = np.full(shape, int(Flag.BAD_PIXEL), np.int32)
    numbers: list[QualityNumber] = []
    cards: dict[str, Scalar] = {}
    for row, amp in enumerate(HALVES[side]):
        if amp not in halves:
            continue
        part = slice(HALF * row, HALF * (row + 1))
        zeros, darks = (halves[amp].get(tag, []) for tag in ("ZERO", "DARK"))
        first = (zeros or darks)[0]
        noise, found = _structure(zeros, darks, params)
        if not zeros or not darks:
            caveats.append(f"amplifier {amp}: no {'zeros' if not zeros else 'darks'}: its dark current is not measured")
        data[part], variance[part], flags[part] = found.surface, found.error**2, found.flags
        cards |= {
            f"RN {amp}": round(noise, 5),
            f"LEVEL {amp}": round(found.level, 5),
            f"DARK {amp}": round(found.dark, 8),
        }
        numbers += _numbers(amp, noise, found.dark, found.flags, first.meta.get("RDNOISE"))
        waves = float(np.sqrt(np.mean([half.wave**2 for half in (*zeros, *darks)])))
        numbers.append(QualityNumber(f"INTERFERENCE {amp}", waves, "electron"))
    meta = {**next(iter(next(iter(halves.values())).values()))[0].meta, **cards}
    return Dark(
        master_dark=Frame(data, variance, flags, meta),
        quality=tuple(numbers),
        caveats=tuple(dict.fromkeys(_once(caveats))),
    )


def _structure(zeros: Sequence[Half], darks: Sequence[Half], params: StructureParams) -> tuple[float, Structure]:
    """Return read noise and structure of an amplifier."""
    from tracecube.instruments.virus.headers import dark_time  # noqa: PLC0415

    shape = (zeros or darks)[0].data.shape
    bias, dark = (np.stack([half.data for half in some]) if some else np.zeros((0, *shape)) for some in (zeros, darks))
    noise = read_noise(bias if zeros else dark)
    seconds = np.array([dark_time(half.meta, f"dark of amplifier {half.amp}") for half in darks])
    rows = float(np.mean([half.row_error for half in (*zeros, *darks)]))
    return noise, amplifier_structure(bias, dark, seconds, noise, params, row_error=rows)


def _numbers(amp: str, noise: float, dark: float, flags: np.ndarray, told: Scalar) -> list[QualityNumber]:
    """Return the quality numbers of an amplifier; its read noise is compared with the header's."""
    header = float(told) if isinstance(told, int | float) else None
    low, high = ((1.0 - _AGREE) * header, (1.0 + _AGREE) * header) if header else (None, None)
    return [
        QualityNumber(f"READ NOISE {amp}", noise, "electron", low=low, high=high),
        QualityNumber(f"DARK {amp}", dark, "electron/s"),
        QualityNumber(f"BAD PIXELS {amp}", float(np.count_nonzero(flags)), ""),
    ]


def _once(caveats: list[str]) -> list[str]:
    """Keep one sentence of those that differ in the exposure alone."""
    seen: dict[str, str] = {}
    for text in caveats:
        seen.setdefault(text.partition(": ")[2] or text, text)
    return list(seen.values())
