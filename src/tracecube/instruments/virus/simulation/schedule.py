"""Which exposures a night has: calibrations of the afternoon, twilight, and one observation of several dithers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

__all__ = ["DITHERS", "Shot", "schedule"]

DITHERS = ((0.0, 0.0), (1.27, -0.73), (1.27, 0.73))
"""Nominal shifts, arcsec in x and y of the bundle."""

_READ_OUT = 34.0  # second between exposures
_COUNTS = {
    "small": {"zro": 3, "drk": 1, "flt": 2, "twi": 1},
    "night": {"zro": 5, "drk": 3, "flt": 3, "twi": 3},
}
_NOON, _NIGHT = 12.2, 7.4  # degree Celsius


@dataclass(frozen=True)
class Shot:
    """One exposure of all spectrographs.

    Parameters
    ----------
    start : datetime
        UTC.
    kind : str
        zro, drk, flt, cmp, twi or sci.
    object : str
    seconds : float
    observation, number : int
        Number of the observation, and of the exposure in it from 1.
    celsius : float
        Temperature of the dome.
    """

    start: datetime
    kind: str
    object: str
    seconds: float
    observation: int
    number: int
    celsius: float

    @property
    def stamp(self) -> str:
        """Time as file names have it."""
        return f"{self.start:%Y%m%dT%H%M%S}.{self.start.microsecond // 100000}"

    @property
    def state(self) -> str:
        """Whose optics were the same: flt, arc, or each exposure on the sky, twi1 and sci1 and so on."""
        return f"{self.kind}{self.number}" if self.kind in {"sci", "twi"} else {"cmp": "arc"}.get(self.kind, self.kind)


def schedule(seed: int, size: str, exposures: int, lamps: tuple[str, ...]) -> list[Shot]:
    """All exposures in order of time.

    The night has one date of universal time: the afternoon's calibrations come after the observation.

    Parameters
    ----------
    seed : int
    size : {"small", "night"}
    exposures : int
        Dithers of the observation.
    lamps : tuple of str
        Arc lamps that shine.
    """
    counts = _COUNTS[size]
    day = datetime(2020, 1, 14, tzinfo=UTC) + timedelta(days=seed % 14)
    plan: list[tuple[float, str, str, float, int, int, float]] = [
        (1.2, "twi", "twi", 12.0, 9, counts["twi"], 10.0),
        (6.3, "sci", f"DEX{day:%y%m%d}_17", 360.0, 17, exposures, _NIGHT),
        (22.0, "zro", "zero", 0.0, 1, counts["zro"], _NOON),
        (22.1, "drk", "dark", 360.0, 2, counts["drk"], _NOON),
        (22.6, "flt", "ldls_long", 60.0, 3, counts["flt"], _NOON),
    ]
    plan += [(22.7 + 0.03 * i, "cmp", lamp, 30.0, 4 + i, 1, _NOON) for i, lamp in enumerate(lamps)]
    shots = []
    for hour, kind, name, seconds, observation, count, celsius in plan:
        time = day + timedelta(hours=hour, seconds=0.1 * (seed % 10))
        for number in range(1, count + 1):
            drop = 0.15 * (number - 1) if kind in {"sci", "twi"} else 0.0
            shots.append(Shot(time, kind, name, seconds, observation, number, round(celsius - drop, 2)))
            time += timedelta(seconds=seconds + _READ_OUT)
    return shots
