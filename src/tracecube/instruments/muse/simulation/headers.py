"""Headers as the observatory writes them."""

from __future__ import annotations

from datetime import timedelta

from tracecube.core.fields import Scalar
from tracecube.core.headers import MJD_EPOCH
from tracecube.instruments.muse.simulation.observing import LATITUDE, LONGITUDE, Aim, sidereal
from tracecube.instruments.muse.simulation.optics import COLUMNS, ROWS
from tracecube.instruments.muse.simulation.readout import COVERED, Chip
from tracecube.instruments.muse.simulation.schedule import Shot

__all__ = ["channel_cards", "primary_cards", "static_cards"]

_LAMPS = {"Ne": (3,), "Xe": (4,), "HgCd": (5,), "CONT": (1, 2)}
_TEMPLATES = {
    "BIAS": "MUSE_wfm_cal_bias",
    "DARK": "MUSE_wfm_cal_dark",
    "FLAT": "MUSE_wfm_cal_specflat",
    "ILLUM": "MUSE_wfm_cal_specflatatt",
    "ARC": "MUSE_wfm_cal_wavespec",
    "SKYFLAT": "MUSE_wfm_cal_skyflat",
    "STD": "MUSE_wfm-noao_cal_specphot",
    "OBJECT": "MUSE_wfm-noao_obs_genericoffset",
    "SKY": "MUSE_wfm-noao_obs_genericoffset",
}


def _stamp(mjd: float, digits: int = 3) -> str:
    text = f"{MJD_EPOCH + timedelta(days=mjd):%Y-%m-%dT%H:%M:%S.%f}"
    return text[: 19 + (digits + 1 if digits else 0)]


def static_cards(kind: str) -> dict[str, Scalar]:
    """Cards of a static calibration."""
    return {"INSTRUME": "MUSE", "ESO PRO CATG": kind}


def primary_cards(shot: Shot, aim: Aim, target: str, fwhm: float, mode: str = "WFM-NOAO-N") -> dict[str, Scalar]:
    """Cards of the file, as the telescope and the instrument told them.

    Parameters
    ----------
    shot : Shot
    aim : Aim
        Where the telescope believes to point.
    target : str
    fwhm : float, arcsec
        Seeing that the monitor measured.
    mode : str
        Of the instrument.
    """
    name = target if shot.sky else shot.kind
    return {
        "ORIGIN": "SIMULATION",
        "DATE": _stamp(shot.mjd + (shot.seconds + 50.0) / 86400.0),
        "TELESCOP": "ESO-VLT-U4",
        "INSTRUME": "MUSE",
        "OBJECT": name,
        "RA": aim.ra,
        "DEC": aim.dec,
        "EQUINOX": 2000.0,
        "RADECSYS": "FK5",
        "EXPTIME": shot.seconds,
        "MJD-OBS": shot.mjd,
        "DATE-OBS": _stamp(shot.mjd),
        "UTC": shot.mjd % 1.0 * 86400.0,
        "LST": sidereal(shot.mjd) * 240.0,
        "ESO DPR CATG": shot.catg,
        "ESO DPR TYPE": shot.kind,
        "ESO DPR TECH": "IFU",
        "ESO INS MODE": mode,
        "ESO INS ID": "MUSE",
        "ESO TPL START": _stamp(shot.template, 0),
        "ESO TPL NEXP": shot.count,
        "ESO TPL EXPNO": shot.number,
        "ESO TPL ID": _TEMPLATES.get(shot.tag, "MUSE_wfm_cal"),
        "ESO OBS START": _stamp(shot.template, 0),
        "ESO OBS NAME": "SIM",
        "ESO OBS ID": 1,
        "ESO OBS PROG ID": "60.A-0000(A)",
        "ESO OBS TARG NAME": name,
        "ESO DET BINX": 1,
        "ESO DET BINY": 1,
        "ESO DET READ CURID": 1,
        "ESO DET READ CURNAME": "SCI1.0",
        **_lamp_cards(shot),
        "ESO INS TEMP7 VAL": round(12.0 - 4.0 * shot.progress, 2),
        "ESO INS TEMP11 VAL": round(12.0 - 4.0 * shot.progress, 2),
        **_telescope_cards(aim, fwhm),
    }


def _lamp_cards(shot: Shot) -> dict[str, Scalar]:
    lit = _LAMPS["CONT"] if shot.tag in {"FLAT", "ILLUM"} else _LAMPS.get(shot.lamp, ())
    cards: dict[str, Scalar] = {"ESO INS LAMPNUM": 6, "ESO INS SHUTNUM": 6}
    for number in range(1, 7):
        for part in ("LAMP", "SHUT"):
            cards[f"ESO INS {part}{number} NAME"] = f"CU-{part}{number}"
            cards[f"ESO INS {part}{number} ST"] = number in lit
    return cards


def _telescope_cards(aim: Aim, fwhm: float) -> dict[str, Scalar]:
    start, end = aim.at(0.0), aim.at(1.0)
    return {
        "ESO INS DROT MODE": "SKY",
        "ESO INS DROT POSANG": aim.angle,
        "ESO INS DROT START": 30.0,
        "ESO INS DROT END": 31.0,
        "ESO TEL AIRM START": round(start[0], 5),
        "ESO TEL AIRM END": round(end[0], 5),
        "ESO TEL PARANG START": round(start[1], 4),
        "ESO TEL PARANG END": round(end[1], 4),
        "ESO TEL ALT": round(start[2], 4),
        "ESO TEL AZ": round(start[3], 4),
        "ESO TEL AMBI PRES START": 743.0,
        "ESO TEL AMBI PRES END": 743.0,
        "ESO TEL AMBI TEMP": 12.0,
        "ESO TEL AMBI RHUM": 15.0,
        "ESO TEL AMBI FWHM START": fwhm,
        "ESO TEL AMBI FWHM END": fwhm,
        "ESO TEL IA FWHM": fwhm,
        "ESO TEL IA FWHMLIN": fwhm,
        "ESO TEL GEOLAT": LATITUDE,
        "ESO TEL GEOLON": LONGITUDE,
        "ESO TEL GEOELEV": 2648.0,
        "ESO TEL FOCU SCALE": 1.705,
    }


def channel_cards(number: int, chip: Chip, *, live: bool) -> dict[str, Scalar]:
    """Cards of the image of one channel."""
    cards: dict[str, Scalar] = {
        "ESO DET CHIP NAME": f"SIM{number:02d}",
        "ESO DET CHIP ID": f"ser{number:02d}",
        "ESO DET CHIP DATE": "2013-01-01",
        "ESO DET CHIP LIVE": live,
        "ESO DET CHIP NX": COLUMNS,
        "ESO DET CHIP NY": ROWS,
        "ESO DET OUTPUTS": 4,
    }
    corners = ((1, 1), (COLUMNS, 1), (COLUMNS, ROWS), (1, ROWS))
    for output, (x, y) in enumerate(corners, start=1):
        gain, noise = float(chip.gain[output - 1]), float(chip.noise[output - 1])
        own: dict[str, Scalar] = {"X": x, "Y": y, "NX": COLUMNS // 2, "NY": ROWS // 2}
        own |= dict.fromkeys(("PRSCX", "PRSCY", "OVSCX", "OVSCY"), COVERED)
        own |= {"GAIN": gain, "CONAD": round(1.0 / gain, 4), "RON": noise}
        cards |= {f"ESO DET OUT{output} {key}": value for key, value in own.items()}
    return cards
