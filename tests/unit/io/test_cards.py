"""Our own parser and writer of cards against astropy's."""

from __future__ import annotations

import math
import warnings

import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from tracecube.core.errors import BadData
from tracecube.io.cards import STRUCTURAL, format_card, format_cards, parse_cards

PLAIN = st.from_regex(r"[A-Z][A-Z0-9_-]{0,7}", fullmatch=True)
LONG = st.from_regex(r"(ESO|QC)( [A-Z0-9]{1,8}){1,4}", fullmatch=True)
KEYS = st.one_of(PLAIN, LONG).filter(lambda key: not STRUCTURAL.fullmatch(key) and key != "HIERARCH")
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200).map(str.rstrip)
VALUES = st.one_of(
    TEXT,
    st.integers(-(2**62), 2**62),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
)


def astropy_values(text: str) -> dict[str, object]:
    """Return what astropy makes of the cards, an undefined value being None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = fits.Header.fromstring(text)
        return {
            card.keyword.upper(): None if isinstance(card.value, fits.card.Undefined) else card.value
            for card in header.cards
            if not STRUCTURAL.fullmatch(card.keyword)
        }


@given(st.dictionaries(KEYS, VALUES, max_size=8))
def test_what_is_written_comes_back_bit_by_bit(cards: dict[str, object]) -> None:
    lines = format_cards(cards)
    assert all(len(line) == 80 for line in lines)
    assert parse_cards("".join(lines)) == cards


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_astropy_reads_what_is_written(cards: dict[str, object]) -> None:
    # astropy ends a string at a quote that a blank or slash follows, even if it is a doubled one
    sound = {k: v for k, v in cards.items() if not (isinstance(v, str) and "'" in v)}
    assert astropy_values("".join(format_cards(sound))) == sound


@given(st.dictionaries(KEYS, st.one_of(VALUES, st.tuples(VALUES, TEXT)), max_size=6))
def test_we_read_what_astropy_writes(cards: dict[str, object]) -> None:
    header = fits.Header()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for key, given_value in cards.items():
            value, comment = given_value if isinstance(given_value, tuple) else (given_value, "")
            if isinstance(value, str) and ((len(value) > 40 and " " in key) or "&" in value or "'" in value):
                continue  # long HIERARCH strings and ampersands: astropy cuts or refuses them
            header[key if " " not in key else f"HIERARCH {key}"] = (value, comment)
        text = header.tostring(endcard=False, padding=False)
    ours, theirs = parse_cards(text), astropy_values(text)
    assert set(ours) == set(theirs)
    for key, value in theirs.items():
        assert ours[key] == value, key
        assert type(ours[key]) is type(value)


@pytest.mark.parametrize(
    ("card", "value"),
    [
        ("EXPTIME =                1.5D+3 / with a D exponent", 1500.0),
        ("EXPTIME = 1E3", 1000.0),
        ("EXPTIME =                  .5", 0.5),
        ("EXPTIME =                  5.", 5.0),
        ("EXPTIME =                -017", -17),
        ("EXPTIME =                    T / true", True),
        ("EXPTIME =                      / nothing", None),
        ("EXPTIME =                  NaN / nothing either", None),
        ("EXPTIME =                1E999 / beyond a double", None),
        ("EXPTIME = 'O''Neill / Smith' / a quote", "O'Neill / Smith"),
        ("EXPTIME = '  lead  '", "  lead"),
        ("EXPTIME = ''", ""),
        ("EXPTIME = 'no closing quote", "no closing quote"),
        ("EXPTIME = (1.0, 2.0)", "(1.0, 2.0)"),
        ("EXPTIME = 12:30:00", "12:30:00"),
        ("HIERARCH EXPTIME = 4 / x", 4),
    ],
)
def test_odd_values(card: str, value: object) -> None:
    assert parse_cards(card.ljust(80)) == {"EXPTIME": value}


def test_continued_string_with_comment_between() -> None:
    lines = ["OBJECT  = 'a ''long&'", "CONTINUE  ''' string &' / first", "CONTINUE  'of three' / last", "NEXT    = 1"]
    assert parse_cards("".join(line.ljust(80) for line in lines)) == {"OBJECT": "a 'long' string of three", "NEXT": 1}


def test_ampersand_without_continuation_stays() -> None:
    assert parse_cards("OBJECT  = 'A&'".ljust(80)) == {"OBJECT": "A&"}
    assert parse_cards("OBJECT  = 'A'".ljust(80) + "CONTINUE  'B'".ljust(80)) == {"OBJECT": "A"}


def test_first_of_equal_keys_counts() -> None:
    assert parse_cards("A       = 1".ljust(80) + "A       = 2".ljust(80)) == {"A": 1}


def test_commentary_is_no_value() -> None:
    assert parse_cards("COMMENT = not a value".ljust(80)[:80].replace("= ", ": ") + "HISTORY x".ljust(80)) == {}


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_no_value_for_what_fits_cannot_say(value: float | None) -> None:
    assert parse_cards(format_card("X", value)[0]) == {"X": None}


@pytest.mark.parametrize(("key", "value"), [("A", "naïve"), ("A", "two\nlines"), ("A=B", 1), ("ESO " + "X" * 60, 1)])
def test_what_a_header_cannot_hold_is_refused(key: str, value: object) -> None:
    with pytest.raises(BadData, match="FITS does not allow"):
        format_card(key, value)


def test_a_long_comment_is_cut() -> None:
    (line,) = format_card("QC READ NOISE", 1.5, "[electron] " + "x" * 100)
    assert len(line) == 80
    assert parse_cards(line) == {"QC READ NOISE": 1.5}
