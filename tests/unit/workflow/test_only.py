"""Conditions on the setup of raw files."""

from __future__ import annotations

import pytest

from tracecube.archive.records import RawRecord
from tracecube.core.errors import BadData
from tracecube.workflow.only import chosen, only_from


def file(name: str, **setup: str | int) -> RawRecord:
    return RawRecord(
        path=name, name=name, size=1, mtime_ns=1, sha256=name, header={}, instrument="toy", tag="RAW", setup=setup
    )


FILES = (
    file("a", slot=47, column=4, amp="LL"),
    file("b", slot=53, column=5, amp="LL"),
    file("c", slot=104, column=10, amp="RU"),
    file("table"),
)


def names(*conditions: str) -> list[str]:
    return [one.name for one in chosen(FILES, only_from(conditions))]


def test_a_file_is_taken_when_it_meets_all_conditions_or_says_nothing() -> None:
    assert names() == ["a", "b", "c", "table"]
    assert names("slot=47") == ["a", "table"]
    assert names("slot=047, 104") == ["a", "c", "table"]
    assert names("column=4..5") == ["a", "b", "table"]
    assert names("column=4..5,10", "amp=RU") == ["c", "table"]


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("slot", "no condition"),
        ("slot=", "no condition"),
        ("slot=5..3", "no interval"),
        ("slot=99", "slot is one of 104, 47, 53"),
        ("place=1", "keys are amp, column, slot"),
    ],
)
def test_what_can_not_be_met_is_said(condition: str, says: str) -> None:
    with pytest.raises(BadData, match=says):
        names(condition)
