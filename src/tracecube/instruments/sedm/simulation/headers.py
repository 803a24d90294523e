"""Headers as the robot writes them, card by card in its order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tracecube.core.fields import Scalar
from tracecube.core.headers import mjd_of
from tracecube.instruments.sedm.observing import PALOMAR, airmass, parallactic_angle

__all__ = ["Pointing", "RobotCamera", "Shot", "header"]

_READOUT = {0.1: 38.0, 1.0: 5.0, 2.0: 3.0}  # s, MHz -> time from shutter to file for four million pixels


@dataclass(frozen=True)
class Pointing:
    """Where the telescope points, degree."""

    right_ascension: float
    declination: float


@dataclass(frozen=True)
class RobotCamera:
    """What a camera writes of itself."""

    prefix: str
    speed: float
    gain: float
    serial: str
    andor: bool = False


@dataclass(frozen=True)
class Shot:
    """One exposure as the robot ordered it.

    Parameters
    ----------
    start : datetime
        UTC.
    exptime : float, second
    object : str
        Card OBJECT.
    kind : {"Calibration", "Standard", "Science", "GUIDER"}
    pointing : Pointing
    camera : RobotCamera
    """

    start: datetime
    exptime: float
    object: str
    kind: str
    pointing: Pointing
    camera: RobotCamera

    @property
    def name(self) -> str:
        """File name without suffix."""
        return f"{self.camera.prefix}{self.start:%Y%m%d_%H_%M_%S}"

    @property
    def bare(self) -> str:
        """Target, lamp or calibration by its bare name."""
        if self.object.startswith("Calib: "):
            return self.object.split()[1]
        return self.object.split(" [")[0]


def _angle(value: float, *, signed: bool, digits: int) -> str:
    """Sexagesimal text of hours or degrees."""
    total = round(abs(value) * 3600.0, digits)
    whole, seconds = divmod(total, 60.0)
    first, minutes = divmod(int(whole), 60)
    sign = ("-" if value < 0 else "+") if signed else ""
    return f"{sign}{first:02d}:{minutes:02d}:{seconds:0{3 + digits}.{digits}f}"


def header(shot: Shot) -> dict[str, Scalar]:
    """Return the cards of a raw file.

    Airmass and parallactic angle follow from place and time; weather, dome and telescope read what they
    read on a quiet night.
    """
    mjd = mjd_of(shot.start)
    sky = shot.kind != "Calibration" or shot.bare == "twilight"
    ra, dec = shot.pointing.right_ascension / 15.0, shot.pointing.declination
    cards: dict[str, Scalar] = {
        **_camera_cards(shot),
        "LST": _angle(_sidereal(mjd) / 15.0, signed=False, digits=1),
        "MJD_OBS": mjd,
        "JD": mjd + 2400000.5,
        "APPEQX": round(2000.0 + (mjd - 51544.5) / 365.25, 1),
        "EQUINOX": 2000.0,
        "TEL_HA": _angle(((_sidereal(mjd) - 15.0 * ra + 180.0) % 360.0 - 180.0) / 15.0, signed=True, digits=2),
        "RA": _angle(ra, signed=False, digits=2),
        "TEL_RA": _angle(ra, signed=False, digits=2),
        "DEC": _angle(dec, signed=True, digits=1),
        "TEL_DEC": _angle(dec, signed=True, digits=1),
    }
    geometry = {**cards, "EXPTIME": shot.exptime, "TELESCOP": "60"}
    pair = [round(airmass(geometry, shot.name, fraction=f), 3) for f in (0.0, 1.0)]
    angle = [round(parallactic_angle(geometry, shot.name, fraction=f), 1) for f in (0.0, 1.0)]
    return {
        **cards,
        "AIRMASS": pair[0],
        "TEL_PA": angle[0],
        "RA_RATE": 0.0,
        "DEC_RATE": 0.0,
        "FOCPOS": 16.17,
        "DOMEST": "open" if sky else "closed",
        "TELCONT": "remote",
        **_lamp_cards(shot.bare if shot.kind == "Calibration" else ""),
        **_object_cards(shot, ra, dec),
        "OUT_AIR": 9.0,
        "OUT_HUM": 31.0,
        "IN_AIR": 9.5,
        "IN_HUM": 30.0,
        "MIR_TEMP": 10.1,
        "FILTER": "ifu" if shot.camera.prefix == "ifu" else "r",
        "ABPAIR": False,
        "IMGSET": "A" if shot.object.endswith("[A]") else "NA",
        "NAME": shot.bare,
        "BARPRESS": 1014.3,
        "ENDAIR": pair[1],
        "ENDDOME": "open" if sky else "closed",
        "END_PA": angle[1],
        "ELAPTIME": shot.exptime + 0.12,
    }


def _sidereal(mjd: float) -> float:
    """Local sidereal time, degree (Meeus 1998, eq. 12.4)."""
    return (280.46061837 + 360.98564736629 * (mjd - 51544.5) + PALOMAR.longitude) % 360.0


def _camera_cards(shot: Shot) -> dict[str, Scalar]:
    """Cards of the camera server."""
    camera = shot.camera
    end = shot.start + timedelta(seconds=shot.exptime + _READOUT[camera.speed])
    scan = {"PSCANX0": 1, "PSCANX1": 20, "OSCANX0": 2069, "OSCANX1": 2088} if camera.andor else {}
    return {
        "EXPTIME": shot.exptime,
        "ADCSPEED": camera.speed,
        "TEMP": -50.0,
        **scan,
        "GAIN_SET": 2,
        "MODEL": 22,
        "INTERFC": "USB",
        "SNSR_NM": "E2V 2048 x 2048 (CCD 42-40)(B)",
        "SER_NO": camera.serial,
        "TELESCOP": "60",
        "GAIN": camera.gain,
        "CAM_NAME": f"{camera.prefix.upper()} Cam",
        "INSTRUME": "SEDM-P60",
        "UTC": f"{shot.start:%Y-%m-%dT%H:%M:%S}.000",
        "END_SHUT": f"{end:%Y-%m-%dT%H:%M:%S}.000",
        "OBSDATE": f"{shot.start:%Y-%m-%d}",
        "OBSTIME": f"{shot.start:%H:%M:%S}.000",
    }


def _lamp_cards(lamp: str) -> dict[str, Scalar]:
    """Which lamp burns."""
    state = {name: "on" if name == lamp else "off" for name in ("dome", "Hg", "Xe", "Cd")}
    return {
        "LAMPSTAT": state["dome"],
        "LAMPCUR": 1.2 if lamp == "dome" else 0.0,
        "HG_LAMP": state["Hg"],
        "XE_LAMP": state["Xe"],
        "CD_LAMP": state["Cd"],
    }


def _object_cards(shot: Shot, ra: float, dec: float) -> dict[str, Scalar]:
    """What was observed, and for whom."""
    kinds = {"GUIDER": "Guider", "Science": "Transient"}
    return {
        "OBJECT": shot.object,
        "OBJTYPE": kinds.get(shot.kind, shot.kind),
        "IMGTYPE": shot.kind,
        "OBJNAME": shot.bare.lower(),
        "OBJEQX": "j2000.0",
        "OBJRA": _angle(ra, signed=False, digits=4),
        "OBJDEC": _angle(dec, signed=True, digits=3),
    }
