"""Tables of text between blanks: which texts are such tables, their names and cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.io.columns import read_columns
from tracecube.io.headers import read_header
from tracecube.io.raw import read_raw

NAMED = """##IFUSLOT X_FP   Y_FP   SPECID
047 -150.046 -249.896 308
# 048 is being repaired
053\t-50.645 149.919 320
"""
NAMELESS = """# $Revision: 3 $
# HETDEX IFU description file
#
# FIBERD   FIBERSEP
1.50      2.20
# NFIBX NFIBY
20 23
# col 2: fiber x position ["]
0001      -22.88      -24.24 L 0001    1.000
0002      -20.34      -24.24 R 0002    0.900
"""


def written(folder: Path, content: str) -> Path:
    path = folder / "table.txt"
    path.write_text(content, newline="")
    return path


def test_names_stand_above_the_rows(tmp_path: Path) -> None:
    path = written(tmp_path, NAMED)
    assert read_header(path) == {"FILETYPE": "table", "COLUMNS": "IFUSLOT,X_FP,Y_FP,SPECID"}
    table = read_raw(path, "FPLANE").tables[""]
    np.testing.assert_array_equal(table["IFUSLOT"], [47, 53])
    np.testing.assert_array_equal(table["X_FP"], [-150.046, -50.645])


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_without_names_columns_are_numbered_and_the_title_is_the_first_comment(tmp_path: Path, end: str) -> None:
    path = written(tmp_path, NAMELESS.replace("\n", end))
    header = read_header(path)
    assert header["TITLE"] == "HETDEX IFU description file"
    assert header["COLUMNS"] == "col1,col2,col3,col4,col5,col6"
    table = read_raw(path, "IFUCEN").tables[""]
    np.testing.assert_array_equal(table["col3"], [-24.24, -24.24])
    assert table["col4"].tolist() == ["L", "R"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "# nothing\n",
        "Unpack every archive in place.\n",
        "two words\nand two\n",
        NAMED + "054 1.0\n",
        "1\n2\n",
    ],
)
def test_other_texts_are_no_tables(tmp_path: Path, content: str) -> None:
    with pytest.raises(BadData, match="no table of columns"):
        read_columns(written(tmp_path, content))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"\xff\xfe 1\n")
    with pytest.raises(BadData, match="not text"):
        read_columns(tmp_path / "x.txt")
