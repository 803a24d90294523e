"""Texts to files and back."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import suffix_of
from tracecube.core.spectra import Cube
from tracecube.core.text import TextFile
from tracecube.io import read_cards, read_product, verify_product, write_product

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.fixture(scope="session")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("text") / "x_NOTE.txt"


@given(text=TEXT)
def test_a_text_comes_back_as_it_was_line_ends_included(place, text):
    sha = write_product(place, TextFile(text), cards={"PRODTAG": "NOTE"})
    assert place.read_bytes() == text.encode("utf-8")
    assert read_product(place, TextFile) == TextFile(text)
    assert sha == verify_product(place) == hashlib.sha256(place.read_bytes()).hexdigest()


def test_the_file_holds_neither_cards_nor_header(tmp_path):
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    write_product(one, TextFile("a\n"), cards={"PRODTAG": "NOTE"})
    write_product(two, TextFile("a\n", meta={"OBJECT": "M31"}))
    assert one.read_bytes() == two.read_bytes() == b"a\n"
    assert read_cards(one) == {}


def test_a_text_is_replaced_whole(tmp_path):
    path = tmp_path / "x.txt"
    write_product(path, TextFile("a long text\n"))
    write_product(path, TextFile("b"))
    assert path.read_text() == "b"


def test_what_is_no_text_is_said_so(tmp_path):
    path = tmp_path / "x.txt"
    with pytest.raises(MissingInput, match="no such product"):
        read_product(path, TextFile)
    with pytest.raises(MissingInput, match="no such product"):
        verify_product(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadData, match="not a whole TextFile"):
        read_product(path, TextFile)
    with pytest.raises(BadData, match="UTF-8"):
        write_product(path, TextFile("\ud800"))


def test_a_noun_says_how_its_files_are_called():
    assert suffix_of(TextFile) == ".txt"
    assert suffix_of(Cube) == ".fits"
    assert [field.name for field in fields(TextFile)] == ["text", "meta", "name"]
