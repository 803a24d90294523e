"""What a file of MUSE is: one table of rules on the observatory's DPR cards; static calibrations by PRO CATG."""

from __future__ import annotations

import re

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import Meta, Scalar
from tracecube.core.headers import text as as_written
from tracecube.core.instrument import Classification
from tracecube.instruments.muse.headers import (
    channels,
    exposure_time,
    field_size,
    lamps,
    mode,
    night_of,
    number,
    start_mjd,
    text,
    wavelength_range,
)

__all__ = ["GIVEN_TAGS", "RAW_TAGS", "STATIC_TAGS", "classify", "recognises"]

_RULES = (
    # tag, DPR CATG, DPR TYPE (regular expressions that must match whole)
    ("BIAS", "CALIB", "BIAS"),
    ("DARK", "CALIB", "DARK"),
    ("FLAT", "CALIB", "FLAT,LAMP"),
    ("ILLUM", "CALIB", "FLAT,LAMP,ILLUM"),
    ("SKYFLAT", "CALIB", "FLAT,SKY"),
    ("ARC", "CALIB", "WAVE"),
    ("ARC_LSF", "CALIB", "WAVE,LSF"),
    ("MASK", "CALIB", "WAVE,MASK"),
    ("ASTROMETRY", "CALIB", "ASTROMETRY"),
    ("STD", "CALIB", "STD"),
    ("SKY", "CALIB|SCIENCE", "SKY"),
    ("OBJECT", "SCIENCE", "OBJECT"),
    ("AMPL", "TECHNICAL", "FLAT,LAMP,THRUPUT"),
    ("LINGAIN_LAMP_OFF", "CALIB", "BIAS,DETCHECK"),
    ("LINGAIN_LAMP_ON", "CALIB", "LINEARITY,FLAT,DETCHAR"),
)
"""The observatory's own rules (gasgano's muse.oca)."""

STATIC_TAGS = {
    "LINE_CATALOG": "lines of the arc lamps, air wavelengths",
    "GEOMETRY_TABLE": "where each slice lies in the field",
    "EXTINCT_TABLE": "extinction of the atmosphere",
    "STD_FLUX_TABLE": "spectra of standard stars",
    "SKY_LINES": "lines of the night sky",
    "FILTER_LIST": "transmission of filters",
    "TELLURIC_REGIONS": "where the atmosphere absorbs",
    "BADPIX_TABLE": "pixels known to be bad",
    "ASTROMETRY_WCS": "scale and rotation of the field",
    "ASTROMETRY_REFERENCE": "stars of astrometric fields",
    "VIGNETTING_MASK": "where the field is vignetted",
    "LSF_PROFILE": "line-spread functions of the observatory",
    "RAMAN_LINES": "lines of the laser scattered by air",
    "OUTPUT_WCS": "grid that the cube is to have",
    "OFFSET_LIST": "offsets between exposures",
    "USER_SOURCES": "sources that offsets are to be measured with (PRO CATG SOURCE_LIST)",
    "USER_SKY_MASK": "where the field holds sky alone (PRO CATG SKY_MASK)",
    "AUTOCAL_FACTORS": "brightness of slices by the user",
}

_RENAMED = {"SOURCE_LIST": "USER_SOURCES", "SKY_MASK": "USER_SKY_MASK"}
"""Products of ours that users may give back, under another tag."""

GIVEN_TAGS = {
    "ESO_MASTER_BIAS": "master bias of the observatory's pipeline",
    "ESO_MASTER_DARK": "master dark of the observatory's pipeline",
    "ESO_MASTER_FLAT": "lamp flat of the observatory's pipeline",
    "ESO_TRACE_TABLE": "traces of the observatory's pipeline",
    "ESO_WAVECAL_TABLE": "wavelengths of the observatory's pipeline",
    "ESO_TWILIGHT_CUBE": "light of the twilight over the field by the observatory's pipeline",
    "ESO_STD_RESPONSE": "response of the observatory's pipeline",
    "ESO_STD_TELLURIC": "bands of the atmosphere by the observatory's pipeline",
    "ESO_PIXTABLE_OBJECT": "pixels of an exposure by the observatory's pipeline",
    "ESO_PIXTABLE_SKY": "pixels of an exposure of the sky by the observatory's pipeline",
    "ESO_PIXTABLE_STD": "pixels of a standard star by the observatory's pipeline",
    "ESO_PIXTABLE_ASTROMETRY": "pixels of an astrometric field by the observatory's pipeline",
    "ESO_PIXTABLE_REDUCED": "pixels of an exposure in flux and on the sky, by the observatory's pipeline",
    "ESO_DATACUBE_FINAL": "cube of an exposure by the observatory's pipeline",
    "ESO_IMAGE_FOV": "image of an exposure by the observatory's pipeline",
}
"""Products of the observatory's pipeline that take the place of ours: ESO_ and their PRO CATG."""

_FIELDS = ("ESO_DATACUBE_FINAL", "ESO_IMAGE_FOV", "ESO_PIXTABLE_REDUCED")
"""Those of all channels of an exposure together."""

_OF_A_MODE = frozenset({"FLAT", "ILLUM", "SKYFLAT", "ARC", "ARC_LSF", "ASTROMETRY", "STD", "SKY", "OBJECT"})
"""Tags of exposures whose calibrations, or that as calibrations, are of one mode."""

_DARKEST = frozenset({"BIAS", "LINGAIN_LAMP_OFF"})
"""Tags of frames without exposure."""

RAW_TAGS = {
    "BIAS": "bias",
    "DARK": "dark",
    "FLAT": "continuum lamps of the day",
    "ILLUM": "continuum lamps at night, beside exposures of the sky",
    "SKYFLAT": "twilight sky",
    "ARC": "arc lamps; setup key lamp tells which",
    "ARC_LSF": "arc lamps for the line-spread function",
    "MASK": "arc lamps through pinholes, stepped across the slices",
    "ASTROMETRY": "astrometric field",
    "STD": "spectrophotometric standard star",
    "SKY": "sky beside the target",
    "OBJECT": "science target",
    "AMPL": "lamp with the photodiode's current, for the throughput",
    "LINGAIN_LAMP_OFF": "bias beside the linearity frames",
    "LINGAIN_LAMP_ON": "lamp at many exposure times, for gain and linearity",
    **STATIC_TAGS,
    **GIVEN_TAGS,
}


def recognises(name: str, header: Meta) -> bool:
    """Whether a file is of MUSE, by INSTRUME."""
    del name
    return text(header, "INSTRUME") == "MUSE"


def classify(name: str, header: Meta) -> Classification:
    """Say what a file is, from its header alone.

    Raises
    ------
    MissingInput
        A time is absent, or the mode of an exposure that has one.
    BadData
        No rule matches, the file has no image of a detector, or what sees light or current was not exposed.
    """
    product = text(header, "ESO PRO CATG")
    if product:
        return _static(name, header, product)
    facts = text(header, "ESO DPR CATG"), text(header, "ESO DPR TYPE").replace(" ", "")
    tag = next(
        (tag for tag, catg, kind in _RULES if re.fullmatch(catg, facts[0]) and re.fullmatch(kind, facts[1])), None
    )
    if tag is None:
        raise BadData(
            f"{name}: DPR CATG {facts[0]!r}, TYPE {facts[1]!r} match no rule of instruments/muse/classify.py",
            hint="repair the ESO DPR cards, or leave the file out",
        )
    found = channels(header)
    if not found:
        raise BadData(
            f"{name}: none of its images is called CHAN01 to CHAN24", hint="fetch the raw file again, or leave it out"
        )
    mjd = start_mjd(header, name)
    if tag in _OF_A_MODE and not mode(header):
        raise MissingInput(
            f"{name}: no mode of the instrument (header card ESO INS MODE), by which its calibrations are found",
            hint="write it into the header, such as WFM-NOAO-N, or leave the file out",
        )
    if tag not in _DARKEST and not exposure_time(header, name) > 0.0:
        raise BadData(
            f"{name}: exposed for {exposure_time(header, name):g} s (EXPTIME), a {tag}",
            hint="repair the card EXPTIME, or leave the file out",
        )
    setup: dict[str, Scalar] = {
        "night": night_of(mjd),
        "mode": mode(header),
        "fov": field_size(header),
        "range": wavelength_range(header),
        "readout": _readout(header),
        "lamp": "+".join(lamps(header)),
        **_observed(name, header, name),
        "extensions": " ".join(found),
        "raw_tag": tag,
    }
    target = str(setup["target"]) if tag in {"OBJECT", "SKY", "STD", "ASTROMETRY"} else ""
    return Classification(tag, setup, mjd=mjd, exptime=exposure_time(header, name), object=target or None)


def _readout(header: Meta) -> str:
    """Return read-out mode and binning, by which calibrations are found; a card that is absent is named."""
    return "/".join(as_written(header, key) or f"no {key}" for key in ("ESO DET READ CURID", "ESO DET BINX"))


def _observed(exposure: str, header: Meta, name: str) -> dict[str, Scalar]:
    """Return what tells of an exposure, and which belong together."""
    return {
        "template": as_written(header, "ESO TPL START"),
        "exposure": exposure,
        "target": as_written(header, "ESO OBS TARG NAME") or as_written(header, "OBJECT"),
        "block": as_written(header, "ESO OBS ID"),
        "seconds": exposure_time(header, name),
        "ra": number(header, "RA"),
        "dec": number(header, "DEC"),
    }


def _static(name: str, header: Meta, product: str) -> Classification:
    """Classify a calibration that is given with the raw files."""
    product = _RENAMED.get(product, product)
    if f"ESO_{product}" in GIVEN_TAGS:
        return _given(name, header, f"ESO_{product}")
    if product not in STATIC_TAGS:
        raise BadData(f"{name}: a product (PRO CATG {product}) among the raw files", hint="leave it out, or move it")
    setup: dict[str, Scalar] = {"night": None, "mode": mode(header), "fov": field_size(header), "raw_tag": product}
    return Classification(product, setup)


def _given(name: str, header: Meta, tag: str) -> Classification:
    """Classify a product of the observatory's pipeline: of one channel, of many in one file, or of all together."""
    setup: dict[str, Scalar] = {
        "night": None,
        "mode": mode(header),
        "fov": field_size(header),
        "range": wavelength_range(header),
        "readout": _readout(header),
        "raw_tag": tag,
    }
    if tag == "ESO_TWILIGHT_CUBE":
        setup |= {"detectors": " ".join(_lit(name, header)), "template": as_written(header, "ESO TPL START")}
        return Classification(tag, setup, mjd=start_mjd(header, name))
    merged = sorted({one.partition(".")[0] for one in as_written(header, "EXTENSIONS").split() if "." in one})
    own = as_written(header, "UNITNAME")
    if merged:
        setup["extensions"] = " ".join(merged)
    elif own in channels({"EXTENSIONS": own}):
        setup["detector"] = own
    elif tag not in {"ESO_STD_RESPONSE", "ESO_STD_TELLURIC", *_FIELDS}:
        raise BadData(
            f"{name}: of which channel this {tag.removeprefix('ESO_')} is is not told",
            hint="the primary header's EXTNAME should be CHANnn, or extensions CHANnn.DATA and so on",
        )
    if not tag.startswith("ESO_PIXTABLE") and tag not in _FIELDS:
        return Classification(tag, setup, mjd=start_mjd(header, name))
    shot = "" if tag in _FIELDS else as_written(header, "ESO PRO REC1 RAW1 NAME").partition(".fits")[0]
    setup |= {"night": night_of(start_mjd(header, name)), **_observed(f"{shot or name}_ESO", header, name)}
    return Classification(
        tag,
        setup,
        mjd=start_mjd(header, name),
        exptime=exposure_time(header, name),
        object=str(setup["target"]) or None,
    )


_FLUX_SKY = re.compile(r"ESO DRS MUSE FLAT FLUX SKY(\d+)")


def _lit(name: str, header: Meta) -> list[str]:
    """Return the channels whose light a TWILIGHT_CUBE tells.

    Raises
    ------
    BadData
        It tells of none.
    """
    found = sorted(int(match[1]) for key in header if (match := _FLUX_SKY.fullmatch(key)))
    if not found:
        raise BadData(
            f"{name}: of which channels this TWILIGHT_CUBE is is not told", hint="make it again with muse_twilight"
        )
    return [f"CHAN{channel:02d}" for channel in found]
