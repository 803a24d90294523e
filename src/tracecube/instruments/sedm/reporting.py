"""The night's report by the observatory's custom, and what of it goes to the survey's server.

Columns are those of the observatory's ``report.txt`` with the reason of the quality code, place and flux calibration
added. Gates are those of its documentation: quality codes above 2 are neither classified nor sent.
"""

from __future__ import annotations

import re
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from tracecube.core.headers import MJD_EPOCH
from tracecube.core.reporting import Annotation, Column, Extraction, Publishing, Reporting, TextTable
from tracecube.core.target import acceptable
from tracecube.instruments.sedm.ascii_layout import spectrum_name

__all__ = ["reporting", "signal_to_noise"]

SURVEY = re.compile(r"ZTF\d{2}[a-z]{7}")
"""Names of the survey's objects: year and seven letters."""

Z_MAX, RLAP_MIN = 0.3, 5.0  # a match beyond is not told to the survey (practice of the observatory's robot)
BAND = (4000.0, 8000.0)  # Angstrom, of the median signal to noise (practice of the observatory's robot)
UNKNOWN_QUALITY = "9"  # what the observatory writes where there is no code
TEXT = "SPECTRUM_ASCII"


def _clock(it: Extraction) -> str:
    """Start of exposure, UT."""
    return "" if it.mjd is None else f"{MJD_EPOCH + timedelta(days=it.mjd, seconds=0.5):%H:%M:%S}"


def _match(it: Extraction) -> str:
    """Type and subtype of the best match; empty where there is none."""
    return _joined(it.text("SNIDTYPE", "SNIDMATCHTYPE"), it.text("SNIDSUBT", "SNIDMATCHSUBTYPE"))


def _joined(found: str, sub: str) -> str:
    """Return type and subtype in one word, as ``II-pec``."""
    if found.lower() in {"", "none", "-"}:
        return ""
    if sub.startswith(found):
        return sub
    return found if sub in {"", "-"} else f"{found}-{sub}"


def _type(it: Extraction) -> str:
    """What it is: a type, a standard, or the code of a spectrum that is too bad to be typed."""
    found = _joined(it.text("CLSTYPE"), it.text("CLSSUBT")) or _match(it)
    if found:
        return found
    if it.standard:
        return "STD"
    quality = it.number("QUALITY")
    return "" if quality is None or acceptable(int(quality)) else f"QUALITY_{quality:.0f}"


def _quality(it: Extraction) -> str:
    return it.text("QUALITY") or UNKNOWN_QUALITY


def _method(it: Extraction) -> str:
    """Who extracted it: the robot, or the tag of a re-extraction."""
    return it.text("EXTRTAG") or it.text("EXTRTYPE").removeprefix("auto_") or "robot"


def _redshift(it: Extraction) -> float | None:
    return it.number("CLSZ", "SNIDZMED", "SNIDZMAT", "SNIDMATCHREDSHIFT")


def _rlap(it: Extraction) -> float | None:
    return it.number("SNIDRLAP", "SNIDMATCHRLAP")


def _centroid(it: Extraction) -> str:
    x, y = it.number("XPOS"), it.number("YPOS")
    return "" if x is None or y is None else f"{x:+.2f} {y:+.2f}"


def _calibration(it: Extraction) -> str:
    """How many standards the flux rests on, after the night where that is another."""
    count = len(it.text("CALSRC").replace(",", " ").split())
    said = f"{count}std" if count and it.calibration else ""
    return said if it.calibration in {"", it.night} else f"{it.calibration}:{said}".rstrip(":")


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100.0 * value:.1f}%"


UT = Column("UTStart", _clock)
OBJECT = Column("Object", lambda it: it.object)
EXPTIME = Column("Exptime", lambda it: _number(it.exptime, ".1f"), right=True)
AIRMASS = Column("Air", lambda it: _number(it.number("AIRMEAN", "AIRMASS"), ".3f"), right=True)
QUALITY = Column("Qual", _quality, right=True)
REASON = Column("Reason", lambda it: it.text("REASON"))
METHOD = Column("Method", _method)
ALLOCATION = Column("Allocation", lambda it: it.text("P60PRID"))
CENTROID = Column("X Y (arcsec)", _centroid, right=True)
X = Column("X", lambda it: _number(it.number("XPOS"), "+.2f"), right=True)
Y = Column("Y", lambda it: _number(it.number("YPOS"), "+.2f"), right=True)
SOURCE = Column("Position", lambda it: it.text("SRCPOS"))
NOISE = Column("S/N", lambda it: _number(it.numbers.get("SIGNAL TO NOISE"), ".1f"), right=True)
LEVEL = Column("Flux err", lambda it: _percent(it.number("LEVELERR")), right=True)
COLOUR = Column("Colour err", lambda it: _percent(it.number("COLERR")), right=True)
TYPE = Column("Type", _type)
REDSHIFT = Column("z", lambda it: _number(_redshift(it), ".4f"), right=True)
RLAP = Column("Rlap", lambda it: _number(_rlap(it), ".2f"), right=True)
PROBABILITY = Column("Prob", lambda it: _number(it.number("CLSPROB"), ".3f"), right=True)
CALIBRATION = Column("Fluxcal", _calibration)
UPLOAD = Column("Upload", lambda it: it.sent.state.replace(" ", "-"))
URL = Column("URL", lambda it: it.sent.url)

_ALL = (
    *(UT, OBJECT, EXPTIME, AIRMASS, QUALITY, METHOD, ALLOCATION, X, Y, SOURCE, NOISE, TYPE, REDSHIFT, RLAP),
    *(PROBABILITY, CALIBRATION),
)


def picture_name(it: Extraction) -> str:
    """File name of the one-page report of an extraction.

    Examples
    --------
    >>> picture_name(Extraction("ZTF18abc", "ifu20180907_10_55_22", "2018-09-07", None, None, False, {}))
    'pysedm_report_robot_lstep1__crr_b_ifu20180907_10_55_22_ZTF18abc.png'
    """
    return f"{spectrum_name(it.object, it.raw, _method(it))}.png".replace("spec_auto", "pysedm_report", 1)


def file_name(it: Extraction) -> str:
    """File name under which the survey gets a spectrum: that of the observatory.

    Examples
    --------
    >>> file_name(Extraction("ZTF18abc", "ifu20180907_10_55_22", "2018-09-07", None, None, False, {}))
    'spec_auto_robot_lstep1__crr_b_ifu20180907_10_55_22_ZTF18abc.txt'
    """
    return f"{spectrum_name(it.object, it.raw, _method(it))}.txt"


def of_survey(name: str) -> bool:
    """Whether an object belongs to the survey: by the beginning of its name."""
    return name.startswith("ZTF")


def held_back(it: Extraction) -> str:
    """Why a spectrum is not sent; empty when it may be.

    Examples
    --------
    >>> held_back(Extraction("ZTF18abcdefg", "r", "n", None, None, False, {"QUALITY": 5, "REASON": "no astrometry"}))
    'quality 5: no astrometry'
    >>> held_back(Extraction("ZTF18abc_b", "r", "n", None, None, False, {"QUALITY": 0, "FLUXCAL": True}))
    'the server knows no such name: ZTF18abc_b'
    """
    if SURVEY.fullmatch(it.object) is None:
        return f"the server knows no such name: {it.object}"
    quality = it.number("QUALITY")
    if quality is None:
        return "no quality code"
    if not acceptable(int(quality)):
        return f"quality {quality:.0f}: {it.text('REASON')}".removesuffix(": ")
    return "" if it.text("FLUXCAL").lower() in {"true", "t", "1"} else "not flux-calibrated"


def _rows(text: str) -> list[list[str]]:
    """Return wavelength, flux and its error or variance of each sample, as written."""
    return [line.split()[:3] for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _numbers(text: str) -> NDArray[np.float64]:
    """Return the columns of a text (sample, 3)."""
    return np.array(_rows(text), np.float64).reshape(-1, 3)


def survey_text(text: str) -> str:
    r"""Return the text form with the standard error in its third column, in ASCII.

    The observatory's form has the variance there, and the server takes what it is given for an error.

    Examples
    --------
    >>> print(survey_text("# NAME: Müller\n5000.0 2.000e-16 4.000e-34"))
    # NAME: M?ller
    # COLUMNS: wavelength (vacuum Angstrom), flux, standard error of the flux
    5000.0 2.000e-16 2.000e-17
    <BLANKLINE>
    """
    head = [line for line in text.splitlines() if line.startswith("#")]
    head.append("# COLUMNS: wavelength (vacuum Angstrom), flux, standard error of the flux")
    body = [f"{wave} {flux} {np.sqrt(float(variance)):.3e}" for wave, flux, variance in _rows(text)]
    return "\n".join([*head, *body, ""]).encode("ascii", "replace").decode("ascii")


def signal_to_noise(sent: str) -> tuple[float, float, float] | None:
    r"""Return the median signal to noise of a text that is sent, and the band it is of (Angstrom); None outside it.

    Examples
    --------
    >>> signal_to_noise("4500.0 2.0 1.0\n5000.0 6.0 2.0\n9000.0 9.0 1.0")
    (2.5, 4500.0, 5000.0)
    """
    rows = _numbers(sent)
    inside = rows[(rows[:, 0] >= BAND[0]) & (rows[:, 0] <= BAND[1])]
    if not len(inside):
        return None
    median = float(np.median(inside[:, 1] / inside[:, 2]))
    return median, float(inside[0, 0]), float(inside[-1, 0])


def beside_spectrum(it: Extraction, sent: str) -> tuple[Annotation, ...]:
    """Return what the survey is told beside a spectrum: signal to noise, and the match of a good classification."""
    found = []
    noise = signal_to_noise(sent)
    if noise is not None:
        median, start, end = noise
        found.append(Annotation("sedm:S2N", {"median": round(median, 2), "wl_start": start, "wl_end": end}))
    match, z, rlap = _match(it), it.number("SNIDZMAT", "SNIDMATCHREDSHIFT", "SNIDZMED", "CLSZ"), _rlap(it)
    if match and z is not None and rlap is not None and z < Z_MAX and rlap > RLAP_MIN:
        age = it.number("SNIDAMAT", "SNIDMATCHAGE", "SNIDAMED")
        data: dict[str, str | float | None] = {
            "match": match,
            "rlap": round(rlap, 2),
            "redshift": round(z, 4),
            "age": age and round(age, 1),
        }
        found.append(Annotation("sedm:SNID", {key: value for key, value in data.items() if value is not None}))
    return tuple(found)


reporting = Reporting(
    columns=(
        *(UT, OBJECT, EXPTIME, AIRMASS, QUALITY, REASON, CENTROID, SOURCE, NOISE, LEVEL, COLOUR),
        *(TYPE, REDSHIFT, RLAP, PROBABILITY, CALIBRATION, UPLOAD),
    ),
    tables=(
        TextTable("report.txt", "SED Machine, night of {night}", (*_ALL, UPLOAD, REASON)),
        TextTable(
            "report_ztf.txt",
            "SED Machine, objects of ZTF, night of {night}",
            (*_ALL, UPLOAD, URL),
            lambda it: of_survey(it.object),
        ),
    ),
    picture=picture_name,
    publishing=Publishing(
        lists=of_survey,
        held_back=held_back,
        tag=TEXT,
        text=survey_text,
        filename=file_name,
        columns=(0, 1, 2),
        annotations=beside_spectrum,
        program=ALLOCATION.value,
        instrument_ids={"fritz.science": 2},
    ),
    message=(UT, OBJECT, QUALITY, NOISE, TYPE, REDSHIFT, UPLOAD),
    calibrations={"wavelength": "{date}_wavesolution_dispersionmap", "flat": "{date}_flat3d"},
)
