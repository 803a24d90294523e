"""Tables and numbers of raw files are asked for by what is needed, and what is not there is said."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.frame import RawFrame

WAVE, FLUX = np.array([5000.0, 6000.0]), np.array([1.0, 2.0])
FRAME = RawFrame(
    "list", "SKY_LINES", {}, {}, {"other": {"lambda": WAVE}, "a": {"lambda": WAVE, "flux": FLUX}, "b": {"flux": FLUX}}
)


def test_table_is_the_first_that_has_all_columns():
    assert FRAME.table("lambda", "flux")["flux"] is FLUX
    assert set(FRAME.table("lambda")) == {"lambda"}


def test_all_tables_that_have_the_columns_keep_their_names_and_order():
    assert list(FRAME.tables_with("flux")) == ["a", "b"]


def test_file_and_columns_are_named_where_no_table_has_them():
    with pytest.raises(BadData, match=r"list: no table with columns lambda, extinction \(try: is it a SKY_LINES\?\)"):
        FRAME.table("lambda", "extinction")
