"""A night of raw frames, made by a forward model of slices, light and read-out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

from tracecube.core.frame import RawFrame
from tracecube.instruments.muse.simulation.field import Field
from tracecube.instruments.muse.simulation.night import Night, Wish
from tracecube.instruments.muse.simulation.schedule import schedule

__all__ = ["FAULTS", "simulate"]

FAULTS = {
    "dead_chip": "the chip of the last channel is not live all night",
    "missing_channel": "the last channel is missing in the last exposure of the target",
    "missing_lamp": "the xenon lamp was not exposed",
    "no_illum": "no illumination flat was taken at night",
    "no_twilight": "no flats of the twilight were taken",
    "no_std": "no standard star was observed",
    "no_sky": "no blank sky was observed",
    "no_sky_lines": "there is no list of sky lines",
    "saturated": "the first lamp flat is too long, and saturated",
    "duplicate": "the first exposure of the target is there twice",
}
"""What can be wrong with a night."""

_WITHOUT = {"missing_lamp": "Xe", "no_illum": "ILLUM", "no_twilight": "SKYFLAT", "no_std": "STD", "no_sky": "SKY"}
_MODES = ("WFM-NOAO-N", "WFM-NOAO-E", "WFM-AO-N", "WFM-AO-E")
_MOST = 4  # exposures of the target


def simulate(  # noqa: PLR0913 - choices of a night
    *,
    seed: int = 1,
    ifus: str = "12",
    exposures: int = 2,
    size: Literal["small", "night"] = "small",
    field: Field = "stars",
    angle: float = 0.0,
    hour: float = 1.5,
    seconds: float = 600.0,
    moon: float = 22.0,
    mode: str = "WFM-NOAO-N",
    tint: float = 0.0,
    faults: str = "",
) -> Iterator[RawFrame]:
    """Simulate a night.

    Parameters
    ----------
    seed : int
        Same seed, same night, bit for bit.
    ifus : str
        Channels, such as "12", "1,2,3" or "1-24".
    exposures : int
        Dithers of the target, 0 to 4.
    size : {"small", "night"}
        Few calibrations, or as many as a night has.
    field : {"stars", "one_star", "crowd", "nebula", "deep", "empty"}
        Four stars a channel, gas and a galaxy; one star; 180 stars; gas that fills the field; faint galaxies; sky.
    angle : float, degree
        Position angle of the target's field.
    hour : float, hour
        Hour angle of the target's first exposure: the larger, the more air.
    seconds : float
        Length of an exposure of the target.
    moon : float, AB mag/arcsec2
        Brightness of scattered moonlight; 30 for none.
    mode : str
        Of the wide field, with the laser or without it, nominal or extended: flats, standard star, target and sky are
        of it, and with the laser the filter against it is in; arcs and twilights are taken without.
    tint : float
        Share by which twilight, sky and objects are brighter at 9300 Angstrom, 30 arcsec to the west of the centre, and
        as much fainter at 4700 Angstrom; the other way round to the east.
    faults : str
        Names of `FAULTS`, with "+" between them.

    Yields
    ------
    RawFrame
        Raw files in order of time, static calibrations, then the truth in ``truth/``.

    Raises
    ------
    ValueError
        Such a night cannot be.
    """
    wrong = frozenset(name for name in faults.split("+") if name)
    numbers = _channels(ifus)
    if not 0 <= exposures <= _MOST:
        raise ValueError(f"0 to {_MOST} exposures")
    for value, known in ((field, get_args(Field)), (size, ("small", "night")), (mode, _MODES)):
        if value not in known:
            raise ValueError(f"{value!r} is none of {', '.join(known)}")
    if wrong - set(FAULTS) or (wrong & {"dead_chip", "missing_channel"} and len(numbers) == 1):
        raise ValueError(f"faults are {', '.join(FAULTS)}; a channel is missed only beside another")
    wish = Wish(field, angle, hour, moon, exposures, seconds, mode, tint)
    night = Night(seed, numbers, wish, wrong)
    without = frozenset(_WITHOUT[name] for name in wrong if name in _WITHOUT)
    for shot in schedule(night.date, size, exposures, seconds, without):
        yield from night.frames(shot)
    yield from night.tables()
    yield from night.truth()


def _channels(text: str) -> tuple[int, ...]:
    """Numbers of channels in a text such as "1,2,5-8"."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    if not found <= set(range(1, 25)) or not found:
        raise ValueError(f"channels {text!r} are not within 1 to 24")
    return tuple(sorted(found))
