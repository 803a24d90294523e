"""What a raw file of SPHERE-IFS is: one table of rules on the observatory's DPR cards, first match wins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import Meta, Scalar
from tracecube.core.instrument import Classification
from tracecube.instruments.sphere_ifs.headers import (
    cadence,
    dated,
    integration_time,
    integrations,
    is_cube,
    night_of,
    start_mjd,
    text,
)

__all__ = ["LAMPS", "ON_SKY", "RAW_TAGS", "RULES", "Rule", "classify", "mode_told", "recognises"]

RAW_TAGS = {
    "DARK": "dark, shutter closed",
    "BACKGROUND": "instrument background, shutter open, no source",
    "SKY": "sky beside the target",
    "DETFLAT": "detector flat: lamp without lenslets and prism; setup key lamp is NB1 to NB4 or BB",
    "SPECPOS": "white lamp through the lenslets: where the spectra are",
    "IFUFLAT": "white lamp through the lenslets: their throughput",
    "WAVE": "lasers",
    "DISTORT": "white lamp through the pinhole grid",
    "GAIN": "lamp at many levels, for gain and linearity",
    "PERSISTENCE": "technical: persistence of the detector",
    "FLUX": "star off the mask, dimmed",
    "CENTER": "star behind the mask, with satellite spots",
    "OBJECT": "star behind the mask",
    "STD_ASTROMETRY": "astrometric field",
    "STD_FLUX": "spectrophotometric standard star",
}

LAMPS = ("NB1", "NB2", "NB3", "NB4", "BB")
"""Detector-flat lamps, as INS2 COMB IFS names them."""

ON_SKY = frozenset({"SKY", "FLUX", "CENTER", "OBJECT", "STD_ASTROMETRY", "STD_FLUX"})
"""Tags of frames that the telescope's light reached."""

_DISPERSED = ON_SKY | {"SPECPOS", "IFUFLAT", "WAVE", "DISTORT"}
_MODES = (("YJH", r"(OBS_H|_YJH)$"), ("YJ", r"(OBS_YJ|_YJ)$"))  # OBS_H is Y-JH: the prism that reaches H
_DICHROICS = {"DIC_H": "YJ", "DIC_K": "YJH"}
"""The common path's dichroic gives IRDIS its band, and the IFS what is bluer: H leaves Y-J, K leaves Y-JH."""


@dataclass(frozen=True)
class Rule:
    """One row of the table.

    Parameters
    ----------
    tag : str
    where : mapping of str to str
        Fact -> regular expression that must be found in it.
    """

    tag: str
    where: Mapping[str, str]

    def matches(self, facts: Mapping[str, str]) -> bool:
        """Whether every condition holds."""
        return all(re.search(pattern, facts[key]) for key, pattern in self.where.items())


# Facts: catg, type, tech (ESO DPR ...), comb (ESO INS2 COMB IFS), all upper case. Parts of TYPE are divided by commas.
RULES = (
    Rule("PERSISTENCE", {"type": r"\bPERSIST"}),
    Rule("GAIN", {"type": r"\bRONGAIN\b"}),
    Rule("SKY", {"type": r"^(OBJECT,)?SKY\b"}),
    Rule("BACKGROUND", {"type": r"\bBACKGROUND\b", "catg": "CALIB"}),
    Rule("DARK", {"type": "^DARK$", "catg": "CALIB"}),
    Rule("SPECPOS", {"type": r"\bSPECPOS\b", "catg": "CALIB"}),
    Rule("WAVE", {"type": r"\bWAVE\b", "catg": "CALIB"}),
    Rule("DISTORT", {"type": r"\bDISTORT\b", "catg": "CALIB"}),
    Rule("IFUFLAT", {"type": r"\bFLAT\b", "catg": "CALIB", "comb": "^OBS_"}),
    Rule("DETFLAT", {"type": r"\bFLAT\b", "catg": "CALIB", "comb": "^CAL_(NB[1-4]|BB)"}),
    Rule("STD_ASTROMETRY", {"type": r"\bASTROMETRY\b"}),
    Rule("STD_FLUX", {"type": r"\bSTD\b"}),
    Rule("CENTER", {"type": r"\bCENTER\b"}),
    Rule("FLUX", {"type": r"\bFLUX\b"}),
    Rule("OBJECT", {"type": "^OBJECT$"}),
)


def recognises(name: str, header: Meta) -> bool:
    """Whether a file is of the IFS arm of SPHERE: INSTRUME, and SEQ ARM or, without it, the detector's name."""
    del name
    arm = text(header, "ESO SEQ ARM") or text(header, "ESO DET NAME")
    return text(header, "INSTRUME") == "SPHERE" and arm.startswith("IFS")


def classify(name: str, header: Meta) -> Classification:
    """Say what a raw file is, from its header alone.

    Raises
    ------
    MissingInput
        A card that is needed (DIT, NDIT, a time, the mode of a dispersed frame) is absent.
    BadData
        No rule matches.
    """
    facts = {
        "catg": text(header, "ESO DPR CATG"),
        "type": text(header, "ESO DPR TYPE"),
        "tech": text(header, "ESO DPR TECH"),
        "comb": text(header, "ESO INS2 COMB IFS"),
    }
    rule = next((rule for rule in RULES if rule.matches(facts)), None)
    if rule is None:
        raise BadData(
            f"{name}: DPR CATG {facts['catg']!r}, TYPE {facts['type']!r}, INS2 COMB IFS {facts['comb']!r} "
            "match no rule of instruments/sphere_ifs/classify.py",
            hint="repair the ESO DPR cards, or leave the file out",
        )
    mjd, dit = start_mjd(header, name), integration_time(header, name)
    target = str(header.get("OBJECT") or header.get("ESO OBS TARG NAME") or "").strip() or None
    setup: dict[str, Scalar] = {
        "night": night_of(mjd),
        "mode": mode_told(header, name, rule.tag),
        "dit": dit,
        "ndit": integrations(header, name),
        "lamp": _lamp(facts["comb"]) if rule.tag in {"DETFLAT", "GAIN"} else None,
        "object": target if rule.tag in ON_SKY else None,
        "raw_tag": rule.tag,
        **_planes(header, name),
    }
    if not dated(header):
        setup["timing"] = "archive name"
    return Classification(rule.tag, setup, mjd=mjd, exptime=dit, object=target if rule.tag in ON_SKY else None)


def mode_told(header: Meta, name: str, tag: str) -> str | None:
    """Return "YJ" or "YJH": of the combination of prism and filter, else of the prism, else of the dichroic.

    Raises
    ------
    MissingInput
        A dispersed frame that says neither.
    """
    told = [text(header, key) for key in ("ESO INS2 COMB IFS", "ESO INS2 OPTI2 NAME")]
    for mode, pattern in _MODES:
        if any(re.search(pattern, value) for value in told[:1]):
            return mode
    for mode, pattern in _MODES:
        if re.search(pattern, told[1]):
            return mode
    if tag not in _DISPERSED:
        return _DICHROICS.get(text(header, "ESO INS4 OPTI13 NAME"))
    raise MissingInput(
        f"{name}: INS2 COMB IFS {told[0]!r} and INS2 OPTI2 NAME {told[1]!r} tell no mode",
        hint="write ESO INS2 COMB IFS (OBS_YJ or OBS_H) into the header",
    )


def _lamp(comb: str) -> str | None:
    """Return the lamp of a detector flat."""
    return next((lamp for lamp in LAMPS if comb.startswith(f"CAL_{lamp}")), None)


def _planes(header: Meta, name: str) -> dict[str, Scalar]:
    """Return number and cadence of the planes of a cube; nothing of a mean."""
    if not is_cube(header):
        return {"planes": None, "plane_step": None, "timing": None}
    step, told = cadence(header, name)
    return {"planes": integrations(header, name), "plane_step": step, "timing": "header" if told else "DIT alone"}
