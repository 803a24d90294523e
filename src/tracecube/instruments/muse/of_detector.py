"""Products of all detectors, of which each exposure takes those of its own, the closest in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tracecube.core.errors import MissingInput
from tracecube.core.fields import HasMeta, Meta
from tracecube.core.headers import instant, mjd_of, number

__all__ = ["OfDetector", "closest_by_detector"]


T = TypeVar("T", bound=HasMeta)


@dataclass(frozen=True)
class OfDetector:
    """Places in a sequence of products, one a detector.

    Parameters
    ----------
    kind : str
        What the products are, in words.
    place : dict of str to int
        Detector -> place.
    """

    kind: str
    place: dict[str, int]

    def __getitem__(self, detector: str) -> int:
        """Return the place of a detector's product.

        Raises
        ------
        MissingInput
            There is none.
        """
        if detector not in self.place:
            known = ", ".join(sorted(self.place)) or "none"
            raise MissingInput(
                f"no {self.kind} of {detector}; there are those of: {known}",
                hint=f"look at what goes with it (`tracecube why`), or give the calibrations of {detector}",
            )
        return self.place[detector]

    def __contains__(self, detector: str) -> bool:
        return detector in self.place

    @property
    def detectors(self) -> tuple[str, ...]:
        """Names of the detectors, in order."""
        return tuple(sorted(self.place))


def closest_by_detector(nouns: Sequence[T], meta: Meta, kind: str) -> OfDetector:
    """Return where the product of each detector is that is closest in time to an exposure; of two alike the first.

    Parameters
    ----------
    nouns : sequence
        Products with DETECTOR and MJD-OBS or DATE-OBS in their headers; several nights of a detector are allowed.
    meta : Meta
        Header of the exposure.
    kind : str
        What the products are, in words, for the message where one is absent.
    """
    wanted = _time(meta)
    best: dict[str, tuple[float, int]] = {}
    for i, noun in enumerate(nouns):
        name = str(noun.meta.get("DETECTOR"))
        gap = abs(_time(noun.meta) - wanted)
        gap = gap if np.isfinite(gap) else np.inf
        if name not in best or gap < best[name][0]:
            best[name] = gap, i
    return OfDetector(kind, {name: i for name, (_, i) in best.items()})


def _time(meta: Meta) -> float:
    """Return the start of exposure (MJD); NaN where the header tells none."""
    found = number(meta, "MJD-OBS")
    if found is not None and found > 0:
        return found
    stamp = instant(meta, "DATE-OBS")
    return float("nan") if stamp is None else mjd_of(stamp)
