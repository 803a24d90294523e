"""Headers as the observatory writes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tracecube.core.fields import Scalar
from tracecube.core.headers import mjd_of
from tracecube.instruments.sphere_ifs.observing import UT3
from tracecube.instruments.sphere_ifs.simulation.schedule import Shot
from tracecube.instruments.sphere_ifs.sky_angles import parallactic_angle, pole_of_date

__all__ = ["Target", "header", "parallactic", "target_of"]

_TYPES = {
    "DARK": ("CALIB", "DARK", "IMAGE"),
    "BACKGROUND": ("CALIB", "DARK,BACKGROUND", "IMAGE"),
    "DETFLAT": ("CALIB", "FLAT,LAMP", "IMAGE"),
    "SPECPOS": ("CALIB", "SPECPOS,LAMP", "IFU"),
    "WAVE": ("CALIB", "WAVE,LAMP", "IFU"),
    "IFUFLAT": ("CALIB", "FLAT,LAMP", "IFU"),
    "DISTORT": ("CALIB", "LAMP,DISTORT", "IFU"),
    "FLUX": ("SCIENCE", "OBJECT,FLUX", "IFU"),
    "CENTER": ("SCIENCE", "OBJECT,CENTER", "IFU"),
    "OBJECT": ("SCIENCE", "OBJECT", "IFU"),
    "SKY": ("SCIENCE", "SKY", "IFU"),
}
_COMB = {"YJ": "OBS_YJ", "YJH": "OBS_H"}


@dataclass(frozen=True)
class Target:
    """A star: name, and degrees J2000 without proper motion."""

    name: str
    right_ascension: float
    declination: float


def target_of(time: datetime) -> Target:
    """Invent a star that culminates 7 degrees from the zenith a quarter of an hour after a time."""
    # Sidereal time of the site, good to a few arcminutes: nothing but the choice of a star hangs on it.
    sidereal = 280.46062 + 360.98564737 * (mjd_of(time) - 51544.5) + UT3.longitude
    return Target("HIP 999102", round((sidereal + 4.0) % 360.0, 6), -32.1)


def parallactic(target: Target, time: datetime) -> float:
    """Parallactic angle, degree."""
    mjd = mjd_of(time)
    return parallactic_angle(pole_of_date((target.right_ascension, target.declination), mjd), UT3, mjd)


def header(shot: Shot, mode: str, target: Target) -> dict[str, Scalar]:
    """All cards of a raw file."""
    catg, kind, tech = _TYPES[shot.kind]
    comb = f"CAL_BB_2_{mode}" if shot.kind == "DARK" else _COMB[mode]
    if shot.kind == "DETFLAT":
        comb = f"CAL_{shot.lamp}_{1 if shot.lamp in {'NB1', 'NB2', 'NB3'} else 2}_{mode}"
    sky = catg == "SCIENCE"
    stamp = _stamp(shot.start)
    cards: dict[str, Scalar] = {
        "ORIGIN": "ESO-PARANAL",
        "TELESCOP": "ESO-VLT-U3",
        "INSTRUME": "SPHERE",
        "OBJECT": target.name if sky else kind,
        "EXPTIME": shot.dit,
        "MJD-OBS": round(mjd_of(shot.start), 8),
        "DATE-OBS": stamp,
        "BUNIT": "adu",
        "ARCFILE": f"{shot.name}.fits",
        "ESO DPR CATG": catg,
        "ESO DPR TYPE": kind,
        "ESO DPR TECH": tech,
        "ESO SEQ ARM": "IFS",
        "ESO OBS PROG ID": "0102.C-9999(A)",
        "ESO OBS NAME": "Simulated sequence" if sky else "Daily calibration",
        "ESO OBS TARG NAME": target.name if sky else "CALIB",
        "ESO DET NAME": "IFS",
        "ESO DET SEQ1 DIT": shot.dit,
        "ESO DET NDIT": shot.ndit,
        "ESO DET DITDELAY": 0.2 if sky else 0.0,
        "ESO DET READ CURNAME": "Nondest",
        "ESO DET FRAM FORMAT": "cube" if sky else "single",
        "ESO DET SEQ UTC": stamp,
        "ESO DET FRAM UTC": _stamp(shot.end),
        "ESO DET OUT1 GAIN": 1.8,
        "ESO INS2 MODE": "NIROBS",
        "ESO INS2 COMB IFS": comb,
        "ESO INS2 OPTI2 NAME": f"PRI_{mode}",
        "ESO INS COMB ICOR": f"N_ALC_{mode}_S" if sky else "N_NS_CLEAR",
        "ESO INS4 FILT2 NAME": "ND_2.0" if shot.kind == "FLUX" else "OPEN",
        "ESO INS2 DITH POSX": 0.0,
        "ESO INS2 DITH POSY": 0.0,
        "ESO INS4 DROT2 MODE": "ELEV" if sky else "STAT",
    }
    if sky:
        cards.update(_sky_cards(shot, target))
    return cards


def _sky_cards(shot: Shot, target: Target) -> dict[str, Scalar]:
    """Where the telescope pointed, and the weather."""
    return {
        "RA": target.right_ascension,
        "DEC": target.declination,
        "EQUINOX": 2000.0,
        "ESO TEL PARANG START": round(parallactic(target, shot.start), 3),
        "ESO TEL PARANG END": round(parallactic(target, shot.end), 3),
        "ESO TEL ALT": 82.5,
        "ESO TEL AIRM START": 1.009,
        "ESO TEL AIRM END": 1.009,
        "ESO TEL GEOLAT": UT3.latitude,
        "ESO TEL GEOLON": UT3.longitude,
        "ESO TEL GEOELEV": UT3.altitude,
        "ESO TEL AMBI FWHM START": 0.72,
        "ESO TEL AMBI FWHM END": 0.75,
        "ESO TEL AMBI TAU0": 0.0052,
        "ESO TEL AMBI PRES START": 743.2,
        "ESO TEL AMBI TEMP": 11.4,
        "ESO TEL AMBI RHUM": 14.0,
        "ESO INS4 DROT2 POSANG": 0.0,
        "ESO INS4 DROT2 RA": _packed(target.right_ascension / 15.0),
        "ESO INS4 DROT2 DEC": _packed(target.declination),
        "ESO OCS WAFFLE AMPL": 0.0154 if shot.kind == "CENTER" else 0.0,
        "ESO OCS WAFFLE ORIENT": "x",
    }


def _stamp(time: datetime) -> str:
    """Time to a millisecond."""
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}"


def _packed(value: float) -> float:
    """Hours or degrees as the drive writes them: HHMMSS.s."""
    seconds = round(abs(value) * 3600.0, 3)
    packed = int(seconds // 3600) * 10000 + int(seconds % 3600 // 60) * 100 + seconds % 60
    return round(packed if value >= 0 else -packed, 3)
