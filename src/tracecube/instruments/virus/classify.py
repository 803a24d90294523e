"""What a raw file of VIRUS is: by IMAGETYP, the lamp, and the columns of text tables."""

from __future__ import annotations

import re

from tracecube.core.errors import BadData
from tracecube.core.fields import Meta, Scalar
from tracecube.core.instrument import Classification
from tracecube.instruments.virus.headers import (
    NAME,
    amplifier,
    exposure_key,
    needed,
    night_of,
    number,
    start_mjd,
    text,
    unit,
)

__all__ = ["RAW_TAGS", "classify", "recognises"]

RAW_TAGS = {
    "ZERO": "bias, exposure time 0",
    "DARK": "dark",
    "FLAT": "continuum lamp (LDLS) through the fibres",
    "ARC_HG": "mercury lamp",
    "ARC_CD": "cadmium lamp",
    "TWILIGHT": "twilight sky",
    "SCIENCE": "one exposure of an observation",
    "FPLANE": "places of the fibre bundles in the focal plane",
    "IFUCEN": "places of the fibres in their bundle",
    "STAR_CATALOGUE": "stars of the field with positions and magnitudes",
    "SOURCE_MODEL": "spectrum of a source that is to be put into the fibres",
}

_BY_TYPE = {"zro": "ZERO", "drk": "DARK", "flt": "FLAT", "twi": "TWILIGHT", "sci": "SCIENCE"}
_TABLES = {
    "FPLANE": {"IFUSLOT", "X_FP", "Y_FP", "SPECID", "IFUID"},
    "STAR_CATALOGUE": {"RAMEAN", "DECMEAN", "GAPMAG"},
    "SOURCE_MODEL": {"WAVE", "FLUX"},
}


_IFUCEN = ("HETDEX IFU DESCRIPTION", 6)
"""How the table of fibres begins, which has no line of names, and its number of columns."""

_DATE = re.compile(r"(?<!\d)(20\d{2})(\d{2})(\d{2})(?!\d)")


def _table_tag(header: Meta) -> str | None:
    """Return the tag of a text table, None if it is not of VIRUS."""
    columns = text(header, "COLUMNS").upper().replace(" ", "").split(",")
    title, count = _IFUCEN
    if text(header, "TITLE").upper().startswith(title):
        return "IFUCEN" if len(columns) == count else None
    return next((tag for tag, wanted in _TABLES.items() if wanted <= set(columns)), None)


def recognises(name: str, header: Meta) -> bool:
    """Whether a file is of VIRUS: INSTRUME decides where it is written, the file name or columns else."""
    if header.get("COLUMNS") is not None:
        return _table_tag(header) is not None
    instrument = text(header, "INSTRUME")
    return bool(re.fullmatch(r"virus", instrument, re.IGNORECASE)) if instrument else bool(NAME.search(name))


def classify(name: str, header: Meta) -> Classification:
    """Say what a raw file is, from its header alone.

    Raises
    ------
    MissingInput
        A card that the identity of the unit needs is absent.
    BadData
        A type or lamp that the cascade does not know.
    """
    if header.get("COLUMNS") is not None:
        return _classify_table(name, header)
    amp, tag = amplifier(header, name), _tag(name, header)
    slot = int(needed(header, name, "IFUSLOT"))
    setup: dict[str, Scalar] = {
        "night": night_of(header, name),
        "unit": unit(header, name),
        "slot": slot,
        "column": slot // 10,
        "row": slot % 10,
        "ccd": f"{slot:03d}{amp[0]}",
        "amp": amp,
        "obs": int(needed(header, name, "OBSID")),
        "exposure": exposure_key(header, name),
        "dither": int(number(header, "DITHER") or 0),
        "raw_tag": tag,
    }
    sky = text(header, "OBJECT") if tag == "SCIENCE" else None
    return Classification(
        tag, setup, mjd=start_mjd(header, name), exptime=number(header, "EXPTIME"), object=sky or None
    )


def _classify_table(name: str, header: Meta) -> Classification:
    tag = _table_tag(header)
    if tag is None:
        raise BadData(f"{name}: a table of {text(header, 'COLUMNS')}", hint="leave it out: the cascade uses no such")
    date = _DATE.search(name) if tag == "FPLANE" else None
    return Classification(tag, {"night": "-".join(date.groups()) if date else None, "raw_tag": tag})


def _tag(name: str, header: Meta) -> str:
    """Return the tag by IMAGETYP (the name's ending without it) and, of arcs, the lamp."""
    named = NAME.search(name)
    kind = text(header, "IMAGETYP").lower() or (named["type"] if named else "")
    if kind in _BY_TYPE:
        return _BY_TYPE[kind]
    lamp = f"{text(header, 'LAMP')} {text(header, 'OBJECT')}".lower()
    if kind == "cmp":
        for word, tag in (("hg", "ARC_HG"), ("cd", "ARC_CD")):
            if word in lamp:
                return tag
    raise BadData(
        f"{name}: IMAGETYP {kind!r} with lamp {lamp.strip()!r} is no frame that the cascade uses",
        hint="repair IMAGETYP, LAMP or OBJECT if it is",
    )
