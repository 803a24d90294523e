"""What a raw file of the SED Machine is: one table of rules, first match wins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tracecube.core.errors import BadData
from tracecube.core.fields import Meta, Scalar
from tracecube.core.instrument import Classification
from tracecube.instruments.sedm.detectors import generation
from tracecube.instruments.sedm.headers import (
    NAME,
    bare_object,
    camera,
    exposure_time,
    night_of,
    readout_speed,
    start_mjd,
    text,
)

__all__ = ["RAW_TAGS", "RULES", "Rule", "classify", "recognises"]

RAW_TAGS = {
    "BIAS": "bias of the spectrograph, exposure time 0",
    "DOME": "dome flat: halogen lamp through the lenslets",
    "ARC_HG": "mercury lamp",
    "ARC_CD": "cadmium lamp",
    "ARC_XE": "xenon lamp",
    "TWILIGHT": "twilight sky through the spectrograph",
    "STANDARD": "spectrophotometric standard star",
    "SCIENCE": "target",
    "GUIDER": "rainbow camera, guiding on or acquiring the target of a spectrum",
    "RAINBOW": "other frame of the rainbow camera; not used",
    "STAR_CATALOGUE": "stars around the targets: field, source_id, ra, dec, rmag",
}

_CATALOGUE_COLUMNS = {"field", "source_id", "ra", "dec", "rmag"}
_INSTRUMENTS = re.compile(r"sedm|palomar-60", re.IGNORECASE)  # SEDM-P60, SEDm IFU Cam, Palomar-60 (2018)
# OBJECT "Calib: dome 1 of 5" at Palomar, a bare "dome", "arc" at Kitt Peak; IMGTYPE Calibration, bias, dome, lamp, flat
_CALIBRATION = re.compile(r"\s*(calib|(bias|dome|lamp|flat|arc)\s*$)", re.IGNORECASE)


@dataclass(frozen=True)
class Rule:
    """One row of the table.

    Parameters
    ----------
    tag : str or None
        None: a frame that is known and not to be reduced.
    where : mapping of str to str
        Fact -> regular expression that must be found in it, upper and lower case alike.
    reason : str
        Why the frame is not reduced, where it is not.
    """

    tag: str | None
    where: Mapping[str, str]
    reason: str = ""

    def matches(self, facts: Mapping[str, str]) -> bool:
        """Whether every condition holds."""
        return all(re.search(pattern, facts[key], re.IGNORECASE) for key, pattern in self.where.items())


# Facts: camera (ifu, rc), object (OBJECT), name (OBJECT and NAME), type (IMGTYPE), kind (calibration, sky: what OBJECT
# and IMGTYPE say together), exposed (yes, no: EXPTIME > 0), dome (DOMEST).
# What the robot itself skips - test, focus, dark, stow, blank, science with the dome closed - is skipped here.
RULES = (
    Rule("GUIDER", {"camera": "rc", "type": "guider|acquisition"}),
    Rule("RAINBOW", {"camera": "rc"}),
    Rule(None, {"object": r"\btest\b"}, "a test frame"),
    Rule(None, {"object": r"^\s*focus"}, "a focus frame"),
    Rule(None, {"object": r"\bdark\b"}, "a dark, which the cascade does not use"),
    Rule(None, {"name": "stow"}, "taken with the telescope stowed"),
    Rule(None, {"name": r"\bbias\b", "exposed": "yes"}, "labelled bias, but exposed"),
    Rule("BIAS", {"name": r"\bbias\b"}),
    Rule(None, {"exposed": "no"}, "neither a bias nor exposed"),
    Rule("DOME", {"name": r"\bdome\b", "kind": "calibration"}),
    Rule("ARC_HG", {"name": r"\bhg\b", "kind": "calibration"}),
    Rule("ARC_CD", {"name": r"\bcd\b", "kind": "calibration"}),
    Rule("ARC_XE", {"name": r"\bxe\b", "kind": "calibration"}),
    Rule("TWILIGHT", {"name": r"\btwilight\b"}),
    Rule(None, {"kind": "calibration"}, "a calibration of no known kind"),
    Rule(None, {"name": r"^\W*$"}, "without OBJECT and NAME"),
    Rule(None, {"dome": "closed"}, "taken through a closed dome"),
    Rule("STANDARD", {"name": "^std[-_ ]"}),
    Rule("STANDARD", {"type": "standard"}),
    Rule("SCIENCE", {"camera": "ifu"}),
)


def recognises(name: str, header: Meta) -> bool:
    """Whether a file is of the SED Machine.

    INSTRUME decides where it is written; without it, the robot's file name does. A catalogue is
    recognised by its columns.
    """
    if header.get("COLUMNS") is not None:
        return _is_catalogue(header)
    instrument = text(header, "INSTRUME")
    return bool(_INSTRUMENTS.search(instrument)) if instrument else bool(NAME.search(name))


def _is_catalogue(header: Meta) -> bool:
    """Whether a table has the columns of a star catalogue."""
    return set(text(header, "COLUMNS").replace(" ", "").lower().split(",")) >= _CATALOGUE_COLUMNS


def _facts(name: str, header: Meta, exptime: float) -> dict[str, str]:
    """Gather what the rules look at."""
    target, kind = text(header, "OBJECT"), text(header, "IMGTYPE")
    calibration = _CALIBRATION.match(target) or _CALIBRATION.match(kind)
    return {
        "camera": camera(header, name),
        "object": target,
        "name": f"{target} {text(header, 'NAME')}".strip(),
        "type": kind,
        "kind": "calibration" if calibration else "sky",
        "exposed": "yes" if exptime > 0 else "no",
        "dome": text(header, "DOMEST"),
    }


def classify(name: str, header: Meta) -> Classification:
    """Say what a raw file is, from its header alone.

    Parameters
    ----------
    name : str
        File name.
    header : mapping

    Raises
    ------
    MissingInput
        A card that is needed (EXPTIME, ADCSPEED, a time) is absent.
    BadData
        The frame is not to be reduced, and why.
    """
    if header.get("COLUMNS") is not None:
        return Classification("STAR_CATALOGUE", {"night": None, "raw_tag": "STAR_CATALOGUE"})
    exptime = exposure_time(header, name)
    facts = _facts(name, header, exptime)
    rule = next((rule for rule in RULES if rule.matches(facts)), None)
    if rule is None or rule.tag is None:
        why = rule.reason if rule else "no rule of instruments/sedm/classify.py matches it"
        raise BadData(
            f"{name}: OBJECT {facts['object']!r} is {why}", hint="repair OBJECT, NAME, IMGTYPE or EXPTIME if it is not"
        )
    mjd = start_mjd(header, name)
    on_sky = rule.tag in {"STANDARD", "SCIENCE", "GUIDER"}
    target, nod = bare_object(header) if on_sky else (None, "")
    setup: dict[str, Scalar] = {
        "night": night_of(mjd),
        "speed": readout_speed(header, name),
        "camera": facts["camera"],
        "generation": generation(header),
        "object": target,
        "nod": nod or None,
        "raw_tag": rule.tag,
    }
    return Classification(rule.tag, setup, mjd=mjd, exptime=exptime, object=target)
