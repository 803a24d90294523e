"""Reading the headers of MUSE files; keys are as the observatory writes them, without the word HIERARCH."""

from __future__ import annotations

import math
import re

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import Meta
from tracecube.core.headers import instant, mjd_of, needed, number
from tracecube.core.headers import night_of as night_at
from tracecube.core.headers import text as as_written

__all__ = [
    "LAST_WAVELENGTH",
    "SAME_EXPOSURE",
    "channels",
    "exposure_time",
    "field_size",
    "first_wavelength",
    "lamps",
    "mode",
    "needed",
    "night_of",
    "number",
    "start_mjd",
    "text",
    "wavelength_range",
]

SAME_EXPOSURE = 1.5 / 86400.0
"""Day by which the times of an exposure may differ from file to file."""

_LONGITUDE = -70.404  # degree, of Paranal
_CHANNEL = re.compile(r"CHAN(0[1-9]|1\d|2[0-4])")
_LAMPS = {
    "CU-LAMP1": "CONT",
    "CU-LAMP2": "CONT",
    "CU-LAMP3": "Ne",
    "CU-LAMP4": "Xe",
    "CU-LAMP5": "HgCd",
    "CU-LAMP6": "Ne",
}
"""What each lamp of the calibration unit is."""


def text(header: Meta, key: str) -> str:
    """Return a card as a stripped string in upper case, empty when it is absent or blank."""
    return as_written(header, key).upper()


def start_mjd(header: Meta, name: str) -> float:
    """Return the start of exposure, MJD (UTC): MJD-OBS, else DATE-OBS.

    Raises
    ------
    MissingInput
        Neither is there.
    """
    found = number(header, "MJD-OBS")
    if found is not None and found > 0:
        return found
    stamp = instant(header, "DATE-OBS")
    if stamp is None:
        raise MissingInput(
            f"{name}: no start of exposure (header cards MJD-OBS and DATE-OBS)",
            hint="write DATE-OBS into the header from the observing log, or leave the file out",
        )
    return mjd_of(stamp)


def night_of(mjd: float) -> str:
    """Return the UT date, YYYY-MM-DD, on which the night of a time ends.

    Examples
    --------
    >>> night_of(58500.15), night_of(58499.8)
    ('2019-01-17', '2019-01-17')
    """
    return night_at(mjd, _LONGITUDE)


def exposure_time(header: Meta, name: str) -> float:
    """Return the exposure time, second.

    Raises
    ------
    MissingInput
        No EXPTIME.
    """
    return needed(header, name, "EXPTIME")


def mode(header: Meta) -> str:
    """Return the mode of the instrument, by its present name: WFM-NONAO-N is WFM-NOAO-N."""
    return text(header, "ESO INS MODE").replace("NONAO", "NOAO")


_SIDES = {"WFM": 0.2, "NFM": 0.025}
"""Nominal spaxel (arcsec) of the wide and the narrow field."""


def field_size(header: Meta) -> str | None:
    """Return WFM or NFM: the field of the mode; where no mode is told, that of the scale of the axes (CD1_1, CD2_1).

    None where neither tells.

    Examples
    --------
    >>> field_size({"ESO INS MODE": "NFM-AO-N"}), field_size({"CD1_1": -5.6e-5, "CD2_1": 0.0}), field_size({})
    ('NFM', 'WFM', None)
    """
    told = mode(header)[:3]
    if told in _SIDES:
        return told
    side = 3600.0 * math.hypot(number(header, "CD1_1") or 0.0, number(header, "CD2_1") or 0.0)
    return next((name for name, nominal in _SIDES.items() if 0.5 * nominal < side < 2.0 * nominal), None)


def wavelength_range(header: Meta) -> str | None:
    """Return nominal or extended: the range of the mode; without one, whether the filter against the blue is in.

    None where neither tells. Modes of one field and one range share arcs, traces and twilights, with the laser or
    without it (the observatory's rules, muse.oca).

    Examples
    --------
    >>> wavelength_range({"ESO INS MODE": "WFM-AO-E"}), wavelength_range({"ESO INS OPTI1 NAME": "Blue"})
    ('extended', 'nominal')
    """
    told = mode(header).rpartition("-")[2]
    if told in _RANGES:
        return _RANGES[told]
    blocking = text(header, "ESO INS OPTI1 NAME")
    return _RANGES["N" if blocking.startswith("BLUE") else "E"] if blocking else None


_RANGES = {"N": "nominal", "E": "extended"}


def lamps(header: Meta) -> tuple[str, ...]:
    """Return what shone: lamps that are on behind an open shutter, each kind once, in order of name."""
    found = set()
    for number_ in range(1, int(number(header, "ESO INS LAMPNUM") or 6) + 1):
        lit = (header.get(f"ESO INS {part}{number_} ST") for part in ("LAMP", "SHUT"))
        if all(_is_true(state) for state in lit):
            name = text(header, f"ESO INS LAMP{number_} NAME")
            found.add(_LAMPS.get(name, name))
    return tuple(sorted(found - {""}))


LAST_WAVELENGTH = 9350.0
"""Angstrom, end of the spectra in all modes (instrument's user manual)."""

_FIRST = {"WFM-NOAO-N": 4750.0, "WFM-NOAO-E": 4600.0, "WFM-AO-N": 4700.0, "WFM-AO-E": 4600.0, "NFM-AO-N": 4750.0}


def first_wavelength(mode_name: str) -> float:
    """Return where the spectra begin in a mode (Angstrom).

    Raises
    ------
    BadData
        The mode is not known.
    """
    if mode_name not in _FIRST:
        raise BadData(
            f"mode {mode_name!r} (ESO INS MODE) is not known: where its spectra begin is not either",
            hint=f"it is one of {', '.join(_FIRST)}; write it into the headers",
        )
    return _FIRST[mode_name]


def _is_true(state: object) -> bool:
    return state is True or state == 1 or str(state).strip().upper() in {"T", "TRUE"}


def channels(header: Meta) -> tuple[str, ...]:
    """Return the names of the detectors that a file holds, in order."""
    return tuple(sorted(name for name in as_written(header, "EXTENSIONS").split() if _CHANNEL.fullmatch(name)))
