"""Header cards as text: 80-byte cards to plain Python values and back.

A parser of our own, because a night has hundreds of headers of hundreds of cards and the general
one takes milliseconds for each; the general one is its oracle in the tests.

References
----------
FITS Standard 4.0, sections 4.1, 4.2 and appendix on HIERARCH; the CONTINUE convention, 4.2.1.2.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

import numpy as np

from tracecube.core.errors import BadData
from tracecube.core.fields import Scalar

__all__ = ["CARD", "STRUCTURAL", "CardValue", "format_card", "format_cards", "parse_cards"]

CARD = 80
"""Bytes in a card."""

CardValue = Scalar | tuple[Scalar, str]
"""A value, or a value with its comment."""

STRUCTURAL = re.compile(
    r"(SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BLOCKED|BSCALE|BZERO|BLANK|THEAP|TFIELDS"
    r"|(TTYPE|TFORM|TUNIT|TDIM|TNULL|TSCAL|TZERO|TDISP|TBCOL)\d+"
    r"|EXTNAME|EXTVER|EXTLEVEL|INHERIT|LONGSTRN|CHECKSUM|DATASUM|ZHECKSUM|ZDATASUM"
    r"|ZIMAGE|ZSIMPLE|ZTENSION|ZEXTEND|ZBLOCKED|ZBITPIX|ZNAXIS\d*|ZPCOUNT|ZGCOUNT|ZCMPTYPE|ZQUANTIZ|ZDITHER0"
    r"|ZBLANK|ZSCALE|ZZERO|ZMASKCMP|(ZTILE|ZNAME|ZVAL)\d+|COMMENT|HISTORY|CONTINUE|END|)"
)
"""Cards that describe the file, not the observation (full match)."""

_NUMBER = re.compile(r"[+-]?(?:\d+(?P<dot>\.\d*)?|\.\d+)(?P<exponent>[EeDd][+-]?\d+)?")
_STRING = re.compile(r" *'((?:[^']|'')*)'")
_PLAIN_KEY = re.compile(r"[A-Z0-9_-]{1,8}")
_TEXT = re.compile(r"[ -~]*")
_FIXED = 20  # width of the value field in fixed format, columns 11 to 30
_STRING_ROOM = 67  # characters between the quotes of a CONTINUE card, one kept for the ampersand


def parse_cards(text: str) -> dict[str, Scalar]:
    """Return all valued cards of a header unit.

    Parameters
    ----------
    text : str
        Whole cards, without the END card.

    Returns
    -------
    dict
        Keys as in FITS, without the word HIERARCH; the first of equal keys counts. A value that is
        blank, NaN or infinite is None; one that is no FITS value at all is its text.

    Examples
    --------
    >>> parse_cards("EXPTIME =              1.2D2 / s".ljust(80) + "HIERARCH ESO DPR TYPE = 'O''X '".ljust(80))
    {'EXPTIME': 120.0, 'ESO DPR TYPE': "O'X"}
    """
    found: dict[str, Scalar] = {}
    for key, field in _valued(text):
        if key in found:
            continue
        if field.lstrip()[:1] == "'":
            found[key] = _string(field)
        else:
            found[key] = _value(field.split("/", 1)[0].strip())
    return found


def _valued(text: str) -> Iterator[tuple[str, str]]:
    """Yield (key, value field) of every card that has a value, long strings joined."""
    key = field = ""
    for start in range(0, len(text), CARD):
        card = text[start : start + CARD]
        if card[:8] == "CONTINUE" and key:
            field = _joined(field, card[8:])
            continue
        if key:
            yield key, field
        key = ""
        if card[8:9] == "=":
            key, field = card[:8].rstrip(), card[9:]
        elif card[:9] == "HIERARCH " and "=" in card:
            name, field = card[9:].split("=", 1)
            key = name.strip().upper()
    if key:
        yield key, field


def _joined(field: str, more: str) -> str:
    """Append a CONTINUE card to a string value that ends in an ampersand."""
    first, second = _STRING.match(field), _STRING.match(more)
    if first is None or not first[1].rstrip().endswith("&"):
        return field
    return f"'{first[1].rstrip()[:-1]}{second[1] if second else ''}'"


def _string(field: str) -> str:
    match = _STRING.match(field)
    if match is None:  # the closing quote is missing: all that is left is the string
        return field.strip().lstrip("'").rstrip()
    return match[1].replace("''", "'").rstrip()


def _value(text: str) -> Scalar:
    """Read a value that is not a string."""
    if text in {"T", "F"}:
        return text == "T"
    match = _NUMBER.fullmatch(text)
    if match is None:
        blank = text.lower().lstrip("+-") in {"", "nan", "inf", "infinity"}
        return None if blank else text
    if match["dot"] is None and match["exponent"] is None and "." not in text:
        return int(text)
    number = float(text.replace("D", "E").replace("d", "e"))
    return number if math.isfinite(number) else None


def format_cards(cards: Mapping[str, CardValue]) -> list[str]:
    """Return the 80-character cards of a header."""
    lines: list[str] = []
    for key, given in cards.items():
        value, comment = given if isinstance(given, tuple) else (given, "")
        lines.extend(format_card(key, value, comment))
    return lines


def format_card(key: str, value: Scalar, comment: str = "") -> list[str]:
    """Return one card, or several when a string is long.

    Floats are written so that they come back bit by bit; None, NaN and infinities become a card
    without a value; a comment is cut where the card ends.

    Raises
    ------
    BadData
        The key or the value has characters that a header cannot hold.

    Examples
    --------
    >>> format_card("QC READ NOISE", 4.1, "[electron]")[0].rstrip()
    'HIERARCH QC READ NOISE = 4.1 / [electron]'
    """
    key = key.upper()
    value = value.item() if isinstance(value, np.generic) else value
    plain = _PLAIN_KEY.fullmatch(key) is not None
    head = f"{key:8}= " if plain else f"HIERARCH {key} = "
    room = 12 if isinstance(value, int) else 24  # characters that a value may need
    if not _TEXT.fullmatch(f"{key}{value}{comment}") or "=" in key or len(head) > CARD - room:
        raise BadData(
            f"header card {key} = {value!r} has a character or a length that FITS does not allow",
            hint="keep to printable ASCII and keys of some 40 characters",
        )
    if isinstance(value, str):
        return _string_cards(head, value, comment, fixed=plain)
    text = _number_text(value)
    body = head + (text.rjust(_FIXED) if plain else text)
    return [_with_comment(body, comment)]


def _number_text(value: float | None) -> str:
    """Write a number, a truth value or nothing as FITS text."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return "T" if value else "F"
    text = repr(float(value) if isinstance(value, float) else int(value)).upper()
    mantissa, mark, exponent = text.partition("E")
    if mark and "." not in mantissa:
        mantissa += ".0"
    return mantissa + mark + exponent


def _string_cards(head: str, value: str, comment: str, *, fixed: bool) -> list[str]:
    quoted = value.replace("'", "''")
    if len(head) + len(quoted) + 2 <= CARD:
        body = f"{head}'{quoted:8}'" if fixed else f"{head}'{quoted}'"
        return [_with_comment(body, comment)]
    pieces = list(_pieces(quoted, CARD - len(head) - 3))
    heads = [head] + ["CONTINUE  "] * (len(pieces) - 1)
    cards = [f"{start}'{piece}&'".ljust(CARD) for start, piece in zip(heads[:-1], pieces[:-1], strict=True)]
    return [*cards, _with_comment(f"{heads[-1]}'{pieces[-1]}'", comment)]


def _pieces(quoted: str, room: int) -> Iterator[str]:
    """Cut a quoted string for CONTINUE cards, never inside a doubled quote nor before a blank."""
    while len(quoted) > room:
        cut = room
        head = quoted[:cut]
        if (len(head) - len(head.rstrip("'"))) % 2:
            cut -= 1
        yield quoted[:cut]
        quoted, room = quoted[cut:], _STRING_ROOM
    yield quoted


def _with_comment(body: str, comment: str) -> str:
    text = f"{body} / {comment}" if comment else body
    if len(body) > CARD:
        raise BadData(f"header card {body!r} is longer than 80 characters", hint="shorten its key")
    return text[:CARD].ljust(CARD)
