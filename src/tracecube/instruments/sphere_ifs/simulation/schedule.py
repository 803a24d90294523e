"""Which frames a night has: a sequence on a star, and the calibrations of the noon after."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

__all__ = ["Shot", "night_start", "schedule"]

_READOUT = 0.9  # second an integration
_GAP = 45.0  # second between files


@dataclass(frozen=True)
class Shot:
    """One raw file.

    Parameters
    ----------
    start : datetime
        UTC.
    kind : str
        Raw tag.
    dit : float, second
    ndit : int
    lamp : str
        Of a detector flat: NB1 to NB4, BB.
    level : float
        Of a detector flat: adu at the middle of the array.
    """

    start: datetime
    kind: str
    dit: float
    ndit: int
    lamp: str = ""
    level: float = 0.0

    @property
    def name(self) -> str:
        """Name of the file, as the archive gives it."""
        return f"SPHER.{self.start:%Y-%m-%dT%H:%M:%S}.{self.start.microsecond // 1000:03d}"

    @property
    def end(self) -> datetime:
        """End of the last integration."""
        return self.start + timedelta(seconds=self.ndit * (self.dit + _READOUT))


def night_start(seed: int) -> datetime:
    """Begin the sequence of a seed: a night of 2018, two minutes before the star culminates."""
    return datetime(2018, 11, 1, 3, 36, 20, 61000, tzinfo=UTC) + timedelta(days=seed % 28, seconds=seed % 60)


def schedule(seed: int, size: str) -> list[Shot]:
    """All files of a night in order of time."""
    exposures, planes = {"day": (0, 0), "small": (4, 1), "night": (8, 2)}[size]
    plan: list[tuple[str, float, int]] = []
    if exposures:
        plan = [("FLUX", 1.65, 2), ("CENTER", 16.0, 1), *[("OBJECT", 16.0, planes)] * exposures, ("SKY", 16.0, 1)]
    time, shots = night_start(seed), []
    for number, (kind, dit, ndit) in enumerate(plan):
        shots.append(Shot(time, kind, dit, ndit))
        # Files between are left out, so that the field turns by enough.
        time = shots[-1].end + timedelta(seconds=_GAP + (420.0 if 1 < number < len(plan) - 2 else 0.0))
    return shots + _day(night_start(seed) + timedelta(hours=8, minutes=29))


def _day(time: datetime) -> list[Shot]:
    """Calibrations from a time on."""
    shots = []
    day: list[tuple[str, float, int, str, float]] = [("DARK", 1.65, 50, "", 0.0), ("DARK", 16.0, 20, "", 0.0)]
    day += [("BACKGROUND", 16.0, 20, "", 0.0)]
    for lamp in ("NB1", "NB2", "NB3", "NB4", "BB"):
        day += [("DETFLAT", 1.65, 200, lamp, level) for level in (2500.0, 9000.0)]
    day += [(kind, 1.65, 20, "", 0.0) for kind in ("SPECPOS", "WAVE", "IFUFLAT", "DISTORT")]
    for kind, dit, ndit, lamp, level in day:
        shots.append(Shot(time, kind, dit, ndit, lamp, level))
        time = shots[-1].end + timedelta(seconds=_GAP)
    return shots
