"""When and in which orientation a DIT was taken: times, parallactic angle, position angle of the lenslet plane.

The header knows the ends of the exposure; the middle of each DIT is computed. What a header does not
tell is answered by a rougher way, and every such way is named in the caveats of the result.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import Meta
from tracecube.core.headers import MJD_EPOCH, instant, mjd_of, number
from tracecube.instruments.sphere_ifs.headers import integration_time, start_mjd
from tracecube.instruments.sphere_ifs.sky_angles import Pole, Site, parallactic_angle, pole_of_date

__all__ = ["Astrometry", "Moment", "Orientation", "astrometry", "moment", "orientation", "pointing", "site"]

# Paranal as vlt-sphere 1.8 has it (and the headers), used where the header lacks the cards: degree, degree east, m.
UT3 = Site(-24.6268, -70.4045, 2648.0)
# Header angles are rounded to 0.001 deg; beyond this the header and the computed angle tell two stories, degree.
AGREEMENT = 0.05
# Packed coordinates are cut to 0.001 s: the two say the same within this, degree.
ROUNDING = 0.02 / 3600.0


@dataclass(frozen=True)
class Astrometry:
    """Constants of the orientation at a date: degree; ``scale_x``, ``scale_y`` sky-true over nominal.

    ``fixed_error`` is that of true north and instrument offset together, ``pitch_error`` the relative one of the
    lenslets' nominal distance.
    """

    true_north: float
    pupil: float
    instrument: float
    scale_x: float
    scale_y: float
    fixed_error: float
    pupil_error: float
    pitch_error: float


@dataclass(frozen=True)
class Moment:
    """When a DIT was taken.

    Parameters
    ----------
    start, middle, end : float
        Modified Julian date, UTC.
    fraction : float
        Place of the middle within the exposure, 0 at the first photon of the file and 1 at its last.
    caveats : tuple of str
    """

    start: float
    middle: float
    end: float
    fraction: float
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True)
class Orientation:
    """How the lenslet plane lay on the sky.

    Parameters
    ----------
    angle : float, degree
        Position angle (N through E) of +Y_L in the middle of the DIT.
    parallactic : float, degree
        Parallactic angle in the middle of the DIT, of the pole of date; -180 to 180.
    smear : float, degree
        Rotation of the field during the DIT.
    error : float, degree
        Of the constants: common to the whole night.
    caveats : tuple of str
    """

    angle: float
    parallactic: float
    smear: float
    error: float
    caveats: tuple[str, ...] = ()


def moment(meta: Meta, name: str) -> Moment:
    """Return when the DIT of a plane (card PLANE, 0-based) was taken.

    Start of DIT k = DATE-OBS + k (FRAM UTC - DATE-OBS) / NDIT + DITDELAY, FRAM UTC being the end of the last DIT.
    Without FRAM UTC the DITs are taken to follow each other at DIT + DITDELAY, which leaves out the readout.

    Raises
    ------
    MissingInput
        No DATE-OBS, MJD-OBS nor archive name, or no DIT.
    """
    caveats: list[str] = []
    dit, count = integration_time(meta, name), number(meta, "ESO DET NDIT")
    begin = _begin(meta, name, caveats)
    plane = int(number(meta, "PLANE") or 0)
    if count is None:
        count = float(plane + 1)
        caveats.append(f"no card ESO DET NDIT: {plane + 1} DITs assumed for the time of DIT {plane}")
    delay = number(meta, "ESO DET DITDELAY")
    if delay is None:
        delay = 0.0
        caveats.append("no card ESO DET DITDELAY: 0 s assumed")
    step = _cadence(meta, begin, (dit, delay, count), caveats)
    start = begin + (plane * step + delay) / 86400.0
    middle = start + 0.5 * dit / 86400.0
    whole = count * step / 86400.0
    return Moment(start, middle, start + dit / 86400.0, (middle - begin) / whole, tuple(caveats))


def _begin(meta: Meta, name: str, caveats: list[str]) -> float:
    """Modified Julian date of DATE-OBS, or MJD-OBS, or the archive's name where those are missing."""
    start = instant(meta, "DATE-OBS")
    if start is not None:
        return mjd_of(start)
    begin = start_mjd(meta, name)
    if number(meta, "MJD-OBS"):
        caveats.append("no card DATE-OBS: MJD-OBS taken as start of the exposure")
    else:
        caveats.append("no cards DATE-OBS and MJD-OBS: time in the archive's name of the file taken as start")
    return begin


def _cadence(meta: Meta, begin: float, timing: tuple[float, float, float], caveats: list[str]) -> float:
    """Seconds from one DIT to the next."""
    dit, delay, count = timing
    end = instant(meta, "ESO DET FRAM UTC")
    step = 0.0 if end is None else (mjd_of(end) - begin) * 86400.0 / count
    if step >= dit + delay - 0.5:
        # 0.5 s: clocks of detector and telescope; a step shorter than the DIT itself is a broken card.
        return step
    said = "no card ESO DET FRAM UTC" if end is None else f"ESO DET FRAM UTC gives {step:.2f} s a DIT of {dit:g} s"
    caveats.append(f"{said}: DITs taken to follow each other at DIT + DITDELAY, readout not counted")
    return dit + delay


@cache
def _tables() -> dict[str, Any]:
    text = files("tracecube.instruments.sphere_ifs").joinpath("static", "astrometry.toml").read_text("utf-8")
    return tomllib.loads(text)


def _day(mjd: float) -> date:
    return (MJD_EPOCH + timedelta(days=mjd)).date()


def astrometry(mjd: float) -> Astrometry:
    """Return the constants of orientation and scale that hold at a date.

    Raises
    ------
    BadData
        No constants are known for that date.
    """
    day = _day(mjd)
    for row in _tables()["constants"]:
        if row["valid_from"] <= day < row["valid_to"]:
            return Astrometry(
                row["true_north"],
                row["pupil"],
                row["instrument"],
                row["scale_x"],
                row["scale_y"],
                math.hypot(row["true_north_error"], row["instrument_error"]),
                row["pupil_error"],
                row["pitch_error"],
            )
    raise BadData(f"no astrometric constants for {day}", hint="check DATE-OBS, or add a row to static/astrometry.toml")


def site(meta: Meta) -> tuple[Site, tuple[str, ...]]:
    """Return the telescope's place from the header, that of UT3 where the cards are missing."""
    place = [number(meta, f"ESO TEL {key}") for key in ("GEOLAT", "GEOLON", "GEOELEV")]
    if place[0] is None or place[1] is None:
        return UT3, ("no cards ESO TEL GEOLAT and GEOLON: coordinates of UT3 taken",)
    return Site(place[0], place[1], UT3.altitude if place[2] is None else place[2]), ()


def pointing(meta: Meta) -> tuple[float, float] | None:
    """Return right ascension and declination (degree, J2000) of the target.

    The derotator's cards are the target's, packed HHMMSS.TTT and DDMMSS.TTT: rounded to 15 mas. RA and DEC
    (degree) are finer, but may be those of the guide field: they are taken where the two agree within
    `ROUNDING`, and where the derotator's are missing.
    """
    packed = number(meta, "ESO INS4 DROT2 RA"), number(meta, "ESO INS4 DROT2 DEC")
    plain = number(meta, "RA"), number(meta, "DEC")
    fine = None if plain[0] is None or plain[1] is None else (plain[0], plain[1])
    if packed[0] is None or packed[1] is None or packed == (0.0, 0.0):
        return fine
    target = 15.0 * _unpacked(packed[0]), _unpacked(packed[1])
    if fine is not None:
        east = (fine[0] - target[0]) * math.cos(math.radians(target[1]))
        if math.hypot(east, fine[1] - target[1]) < ROUNDING:
            return fine
    return target


def _unpacked(value: float) -> float:
    """Turn HHMMSS.s to hours, DDMMSS.s to degrees."""
    size = round(abs(value), 6)
    whole, minutes = divmod(size, 10000.0)
    minute, second = divmod(minutes, 100.0)
    return math.copysign(whole + minute / 60.0 + second / 3600.0, value)


def _near(angle: float, reference: float) -> float:
    """Angle plus the whole turns that bring it nearest to a reference, degree."""
    return angle - 360.0 * round((angle - reference) / 360.0)


def _header_angle(meta: Meta, fraction: float) -> float | None:
    """Parallactic angle of the header, interpolated between its ends."""
    start, end = number(meta, "ESO TEL PARANG START"), number(meta, "ESO TEL PARANG END")
    if start is None or end is None:
        return None
    return start + fraction * (_near(end, start) - start)


def orientation(meta: Meta, name: str) -> Orientation:
    """Return the position angle of the lenslet plane in the middle of a DIT.

    The parallactic angle is computed from the target's coordinates of date; the header's angles serve as
    a check, and stand in, interpolated, where there are no coordinates.

    Raises
    ------
    MissingInput
        Neither coordinates nor PARANG START and END, or a mode of the derotator that is not known.
    """
    when = moment(meta, name)
    caveats = list(when.caveats)
    parallactic, smear = _parallactic(meta, name, when, caveats)
    constants, mode = astrometry(when.middle), _mode(meta, name)
    angle, error = constants.instrument + constants.true_north, constants.fixed_error
    if mode == "ELEV":
        angle += parallactic + constants.pupil + _clock_fault(meta, when.middle, caveats)
        error = math.hypot(error, constants.pupil_error)
    elif mode == "SKY":  # the derotator holds the field: the sky does not turn on the lenslets
        angle += number(meta, "ESO INS4 DROT2 POSANG") or 0.0
        smear = 0.0
    else:
        angle += parallactic
        caveats.append("derotator at rest (DROT2 MODE = STAT): orientation by the published offset, never checked")
    return Orientation(angle % 360.0, parallactic, smear, error, tuple(caveats))


def _parallactic(meta: Meta, name: str, when: Moment, caveats: list[str]) -> tuple[float, float]:
    """Parallactic angle in the middle of a DIT, and its change during it."""
    target, header = pointing(meta), _header_angle(meta, when.fraction)
    if target is None:
        if header is None:
            raise MissingInput(
                f"{name}: neither coordinates (ESO INS4 DROT2 RA, DEC or RA, DEC) nor ESO TEL PARANG START and END",
                hint="write RA and DEC (degree) into the header",
            )
        caveats.append("no coordinates: parallactic angle interpolated between PARANG START and END")
        ends = [number(meta, f"ESO TEL PARANG {key}") or 0.0 for key in ("START", "END")]
        count = max(1.0, number(meta, "ESO DET NDIT") or 1.0)
        return _near(header, 0.0), abs(_near(ends[1], ends[0]) - ends[0]) / count
    where, said = site(meta)
    caveats.extend(said)
    pole: Pole = pole_of_date(target, when.middle)
    caveats.extend(pole.caveats)
    middle = parallactic_angle(pole, where, when.middle)
    ends = [parallactic_angle(pole, where, mjd) for mjd in (when.start, when.end)]
    if header is None:
        caveats.append("no cards ESO TEL PARANG START and END: computed parallactic angle not checked")
    elif not _consistent(meta, pole, where, when):
        caveats.append(f"parallactic angle {middle:.3f} deg computed, the header's PARANG says {header:.3f} deg")
    return middle, abs(_near(ends[1], ends[0]) - ends[0])


def _consistent(meta: Meta, pole: Pole, where: Site, when: Moment) -> bool:
    """Whether the header's angle at the start of the exposure lies where the coordinates put it.

    PARANG START belongs to the first DIT: it is compared at DATE-OBS, within what half a DIT or 5 s of
    header clocks change.
    """
    begin = instant(meta, "DATE-OBS")
    given = number(meta, "ESO TEL PARANG START")
    if begin is None or given is None:
        return True
    computed = parallactic_angle(pole, where, mjd_of(begin))
    later = parallactic_angle(pole, where, mjd_of(begin) + 5.0 / 86400.0)
    slack = AGREEMENT + abs(_near(later, computed) - computed)
    return abs(_near(computed, given) - given) <= slack and when.middle > 0.0


def _mode(meta: Meta, name: str) -> str:
    """Mode of the derotator: ELEV, SKY or STAT."""
    mode = str(meta.get("ESO INS4 DROT2 MODE") or "").strip().upper()
    if mode in {"ELEV", "STAT"} or (mode == "SKY" and number(meta, "ESO INS4 DROT2 POSANG") is not None):
        return mode
    raise MissingInput(
        f"{name}: derotator mode ESO INS4 DROT2 MODE = {meta.get('ESO INS4 DROT2 MODE')!r}, "
        f"POSANG = {meta.get('ESO INS4 DROT2 POSANG')!r}",
        hint="modes are ELEV (pupil), SKY (field, with POSANG) and STAT; repair the header",
    )


def _clock_fault(meta: Meta, mjd: float, caveats: list[str]) -> float:
    """Correction of the derotator angle before its clock was put right, degree."""
    if _day(mjd) >= _tables()["clock_fault"]["until"]:
        return 0.0
    altitude, begin = number(meta, "ESO TEL ALT"), number(meta, "ESO INS4 DROT2 BEGIN")
    if altitude is None or begin is None:
        caveats.append("before 2016-07-12, no ESO TEL ALT or INS4 DROT2 BEGIN: derotator's clock fault not corrected")
        return 0.0
    return math.degrees(math.atan(math.tan(math.radians(altitude - 2.0 * begin))))
