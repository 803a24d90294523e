"""Which exposures a night has: calibrations of the afternoon, twilight, a standard star, the target, a blank sky."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tracecube.instruments.muse.simulation.lamps import ARC_SECONDS

__all__ = ["Shot", "schedule"]

_READ_OUT = 70.0  # second between exposures
_COUNTS = {
    "small": {"BIAS": 3, "DARK": 1, "FLAT": 3, "ARC": 1, "SKYFLAT": 2},
    "night": {"BIAS": 5, "DARK": 3, "FLAT": 5, "ARC": 3, "SKYFLAT": 3},
}
_KINDS = {
    # tag: DPR CATG, DPR TYPE, hour of the night's date (UT), thermal progress from day to night
    "BIAS": ("CALIB", "BIAS", -7.0, 0.0),
    "DARK": ("CALIB", "DARK", -6.6, 0.0),
    "FLAT": ("CALIB", "FLAT,LAMP", -6.0, 0.0),
    "ARC": ("CALIB", "WAVE", -5.7, 0.0),
    "SKYFLAT": ("CALIB", "FLAT,SKY", -0.4, 0.4),
    "STD": ("CALIB", "STD", 1.4, 0.85),
    "ILLUM": ("CALIB", "FLAT,LAMP,ILLUM", 2.6, 0.9),
    "OBJECT": ("SCIENCE", "OBJECT", 2.8, 1.0),
    "SKY": ("SCIENCE", "SKY", 3.0, 1.0),
}
_SECONDS = {"BIAS": 0.0, "DARK": 1800.0, "FLAT": 1.155, "SKYFLAT": 9.0, "STD": 60.0, "ILLUM": 1.155, "SKY": 300.0}


@dataclass(frozen=True)
class Shot:
    """One exposure of all channels.

    Parameters
    ----------
    name : str
        Of the file.
    tag : str
    catg, kind : str
        DPR CATG and TYPE.
    mjd : float
        Start.
    seconds : float
    lamp : str
        Arc lamp that shines, or "".
    progress : float
        From the day's optics (0) to the night's (1).
    number, count : int
        Within its template, from 1.
    index : int
        Which of its kind, from 0; of the target, each exposure is a template of its own.
    template : float
        MJD of the template's start.
    """

    name: str
    tag: str
    catg: str
    kind: str
    mjd: float
    seconds: float
    lamp: str
    progress: float
    number: int
    count: int
    template: float
    index: int

    @property
    def sky(self) -> bool:
        """Whether it is of the night sky."""
        return self.tag in {"STD", "OBJECT", "SKY"}

    @property
    def state(self) -> str:
        """Whose optics were the same: day, twilight, illum, and every exposure of the night."""
        known = {"SKYFLAT": "twilight", "ILLUM": "illum"}
        return self.name if self.sky else known.get(self.tag, "day")


def schedule(date: float, size: str, exposures: int, seconds: float, without: frozenset[str]) -> list[Shot]:
    """All exposures in order of time.

    Parameters
    ----------
    date : float
        MJD of the midnight (UT) after the calibrations.
    size : {"small", "night"}
    exposures : int
        Of the target.
    seconds : float
        Length of each.
    without : frozenset of str
        Tags, and names of lamps, that were not exposed.
    """
    counts: Mapping[str, int] = {**_COUNTS[size], "STD": 1, "ILLUM": 1, "OBJECT": exposures, "SKY": 1}
    shots: list[Shot] = []
    late = 0.0
    for tag in counts:
        if tag in without:
            continue
        lamps = [lamp for lamp in ARC_SECONDS if lamp not in without] if tag == "ARC" else [""]
        start = date + _KINDS[tag][2] / 24.0
        time = max(start, late)
        for lamp in lamps:
            length = ARC_SECONDS.get(lamp, _SECONDS.get(tag, seconds))
            shots += (made := _template(tag, lamp, counts[tag], time, length))
            time += len(made) * (length + _READ_OUT) / 86400.0
        late = time
    return sorted(shots, key=lambda shot: shot.mjd)


def _template(tag: str, lamp: str, count: int, start: float, seconds: float) -> list[Shot]:
    """Exposures of one kind after each other."""
    catg, kind, _, progress = _KINDS[tag]
    single = tag in {"STD", "ILLUM", "SKY"}
    made = []
    for i in range(count):
        name = f"arc_{lamp}{i}" if lamp else tag.lower() + ("" if single else str(i))
        time = start + i * (seconds + _READ_OUT) / 86400.0
        template = time if tag in {"OBJECT", "SKY"} else start
        last = count if tag not in {"OBJECT", "SKY"} else 1
        made.append(Shot(name, tag, catg, kind, time, seconds, lamp, progress, min(i + 1, last), last, template, i))
    return made
