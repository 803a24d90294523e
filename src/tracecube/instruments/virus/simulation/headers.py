"""Headers as the observatory writes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from tracecube.core.fields import Scalar
from tracecube.core.headers import mjd_of
from tracecube.instruments.virus.simulation.geometry import Pointing
from tracecube.instruments.virus.simulation.schedule import Shot

__all__ = ["UNSET", "Unit", "frame_name", "header"]

UNSET = -999999.9


@dataclass(frozen=True)
class Unit:
    """What stands in a slot: spectrograph, bundle and controller, and how its amplifiers read.

    Parameters
    ----------
    slot : int
    specid : int
    ifuid : str
    contid : str
    x, y : float, arcsec
        Place of the slot in the focal plane.
    turned : bool
        Whether the columns of its amplifiers run the other way; their AMPNAME says so.
    gain, noise : mapping of str to float
        By amplifier: electron/adu, electron.
    """

    slot: int
    specid: int
    ifuid: str
    contid: str
    x: float
    y: float
    turned: bool
    gain: dict[str, float]
    noise: dict[str, float]

    def ampname(self, amp: str) -> str:
        """Name that the controller gives an amplifier."""
        return ("LR" if amp in {"LL", "RL"} else "UL") if self.turned else ("LL" if amp in {"LL", "RL"} else "UR")


def frame_name(shot: Shot, slot: int, amp: str, *, archived: bool) -> str:
    """Path of a raw frame under the folder of the night, or in the archive of its observation."""
    observation = f"virus{shot.observation:07d}"
    root = f"{shot.start:%Y%m%d}/virus/"
    inside = f"{observation}/exp{shot.number:02d}/virus/{shot.stamp}_{slot:03d}{amp}_{shot.kind}.fits"
    return f"{root}{observation}.tar::{inside}" if archived else root + inside


def header(shot: Shot, unit: Unit, amp: str, pointing: Pointing) -> dict[str, Scalar]:
    """All cards of a raw frame."""
    mjd = mjd_of(shot.start)
    sky = shot.kind == "sci"
    written = shot.start + timedelta(seconds=shot.seconds + 20.0)
    return {
        "DATE": f"{written:%Y-%m-%dT%H:%M:%S}",
        "DATE-OBS": f"{shot.start:%Y-%m-%d}",
        "TELESCOP": "het",
        "INSTRUME": "virus",
        "OBJECT": shot.object,
        "OBSERVER": "",
        "QPROG": "HET20-1-400" if sky else "CALS",
        "TELEQNOX": 2000,
        "PARANGLE": round(pointing.parallactic, 4) if sky else 0.005657,
        "STRUCTAZ": 93.4816 if sky else 0.00741067,
        "STRUCTEL": 55.078606,
        "ZD": 34.921394,
        "AIRMASS": 1.21960413859078,
        **_trajectory(pointing if sky else None),
        "UT": f"{shot.start:%H:%M:%S}.{shot.start.microsecond // 1000:03d}",
        "MJD": mjd,
        "NCCDS": 1,
        "CCDSUM": "2 1",
        "CCDSIZE": "[1:2064,1:2064]",
        "OBSID": shot.observation,
        "OBSERVAT": "MCDONALD",
        "REXPTIME": shot.seconds,
        "PEXPTIME": shot.seconds + 0.0021,
        "EXPTIME": shot.seconds + 0.0021,
        "DARKTIME": shot.seconds + 27.3,
        "READTIME": 19.92,
        "IMAGETYP": shot.kind,
        "DITHER": shot.number if sky else 1,
        "LAMP": {"cmp": shot.object, "flt": "LDLS"}.get(shot.kind, "<none>"),
        "AMBTEMP": shot.celsius,
        "HUMIDITY": 32.0,
        "DEWPOINT": -6.2,
        "BAROMPRE": 801.3,
        **_unit_cards(unit, amp),
    }


def _trajectory(pointing: Pointing | None) -> dict[str, Scalar]:
    """Where the telescope is led, hours and degrees."""
    keys = ("TRAJRA", "TRAJDEC", "TRAJCRA", "TRAJCDEC")
    if pointing is None:
        return dict.fromkeys(keys, UNSET)
    values = (pointing.ra / 15.0, pointing.dec) * 2
    hours, degrees = pointing.ra / 15.0, pointing.dec
    queue = {"QRA": _sexagesimal(hours, 1), "QDEC": f"+{_sexagesimal(degrees, 0)}"}
    place = {"RHO_STRT": -0.0368, "X_STRT": -0.62, "Y_STRT": 0.39}
    return {**dict(zip(keys, values, strict=True)), **queue, "TRAJCEQ": 2000.0, **place}


def _sexagesimal(value: float, digits: int) -> str:
    seconds = round(value * 3600.0, digits)
    rest = f"{seconds % 60:0{3 + digits if digits else 2}.{digits}f}"
    return f"{int(seconds // 3600):02d}:{int(seconds % 3600 // 60):02d}:{rest}"


def _unit_cards(unit: Unit, amp: str) -> dict[str, Scalar]:
    """Which hardware read the frame."""
    upper = amp[1] == "U"
    return {
        "CONTID": unit.contid,
        "SSA": str(200 + unit.slot),
        "PRESSURE": UNSET,
        "SPECID": unit.specid,
        "IFUID": unit.ifuid,
        "IFUSLOT": unit.slot,
        "CCDPOS": amp[0],
        "DETECTOR": 21000 + unit.specid,
        "DETTEMP": -110.02,
        "CCDHALF": amp[1],
        "CCDSEC": "[1:2064,1033:2064]" if upper else "[1:2064,1:1032]",
        "AMPNAME": unit.ampname(amp),
        "GAIN": unit.gain[amp],
        "RDNOISE": unit.noise[amp],
        "BIASTRGT": 1100,
        "DATASEC": "[1:1032,1:1032]",
        "BIASSEC": "[1033:1064,1:1032]",
        "TRIMSEC": "[1:1032,1:1032]",
        "REPEAT": False,
    }
