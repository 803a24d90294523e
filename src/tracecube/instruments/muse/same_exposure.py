"""Exposures that are given twice, as raw files and as products of the observatory's pipeline: one of them counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from tracecube.core.fields import HasMeta, Meta
from tracecube.instruments.muse.headers import SAME_EXPOSURE, start_mjd

__all__ = ["ESTIMATED", "MAKER", "each_once"]

MAKER = "MADEBY"
"""Header card: pipeline that made what was given, where that is not this one."""

ESTIMATED = "NOISEEST"
"""Header card: errors are not measured, but taken from the scatter of the image."""


T = TypeVar("T", bound=HasMeta)


def each_once(nouns: Sequence[T]) -> tuple[list[int], tuple[str, ...]]:
    """Return places of the products that count, in order of time, and what was left out.

    Of an exposure that is there more than once, our own counts, then one with errors of its own, then one made of its
    pixels; of its images through filters that in white light.
    """
    kept: list[int] = []
    said: list[str] = []
    times = [start_mjd(one.meta, "exposure") for one in nouns]
    for i in sorted(range(len(nouns)), key=lambda i: (times[i], i)):
        if not kept or times[i] - times[kept[-1]] >= SAME_EXPOSURE:
            kept.append(i)
            continue
        better, other = sorted((kept[-1], i), key=lambda k: _rank(nouns[k].meta))
        kept[-1] = better
        maker = nouns[other].meta.get(MAKER) or "tracecube"
        said.append(f"the exposure of MJD {times[i]:.6f} is given twice: that by {maker} is left out")
    return kept, tuple(said)


def _rank(meta: Meta) -> tuple[bool, bool, bool, bool]:
    return (
        MAKER in meta,
        ESTIMATED in meta,
        "RESAMPLE" not in meta,
        meta.get("ESO DRS MUSE FILTER NAME") not in {None, "white"},
    )
