"""Regions as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracecube.cli.regions import read_region, read_spaxels
from tracecube.core.errors import BadData, MissingInput

TRIANGLE = ((0.0, 0.0), (2.5, 0.0), (0.0, -2.0))


@pytest.mark.parametrize(
    "text",
    [
        "0 0\n2.5 0\n0 -2\n",
        "# x y\n0,0\n 2.5 , 0 # corner\n\n0\t-2\n",
        "# Region file format: DS9 version 4.1\nglobal color=green\nimage\npolygon(0,0,2.5,0,0,-2) # color=red\n",
        "linear;polygon(0 0 2.5 0 0 -2)\n",
    ],
)
def test_corners_are_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.reg").write_text(text)
    assert read_region(tmp_path / "a.reg") == TRIANGLE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 0\n1 1\n", "2 corners"),
        ("0 0 0\n1 1\n2 2\n", "no corner"),
        ("a b\n", "could not convert"),
        ("fk5\npolygon(10.1,20.2,10.2,20.2,10.1,20.3)\n", "a region in fk5"),
        ("image\npolygon(0,0,1,0,0)\n", "no polygon of pairs"),
        ("image\n-polygon(0,0,1,0,0,1)\n", "that includes"),
    ],
)
def test_what_is_no_region_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.reg").write_text(text)
    with pytest.raises(BadData, match=said):
        read_region(tmp_path / "a.reg")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"nothing\.reg: cannot be read"):
        read_region(tmp_path / "nothing.reg")


def test_spaxels_are_a_list_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "hits").write_text("7 # bright\n3, 7\n")
    assert read_spaxels("12,3") == (3, 12)
    assert read_spaxels(str(tmp_path / "hits")) == (3, 7)
    with pytest.raises(BadData, match="no numbers of spaxels"):
        read_spaxels("1.5")
