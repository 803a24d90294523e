"""Raw files as items; a cube of integrations is one item a plane."""

from __future__ import annotations

import pytest

from tracecube.archive.records import RawRecord
from tracecube.workflow.items import raw_items


def record(**setup: float | str) -> RawRecord:
    return RawRecord(
        path="/raw/a.fits", name="a", size=1, mtime_ns=1, sha256="f" * 64, header={}, tag="OBJECT", setup=setup, mjd=5.0
    )


def test_file_is_one_item() -> None:
    (item,) = raw_items(record(mode="YJ"))
    assert (item.name, item.identity, item.plane, item.sha256) == ("a", "f" * 64, None, "f" * 64)


def test_only_plane_keeps_the_name_of_its_file() -> None:
    (item,) = raw_items(record(planes=1))
    assert (item.name, item.identity, item.plane) == ("a", "f" * 64, 0)


def test_planes_are_items_with_their_own_time() -> None:
    items = raw_items(record(planes=3, plane_step=0.25))
    assert [item.name for item in items] == ["a_000", "a_001", "a_002"]
    assert [item.mjd for item in items] == pytest.approx([5.0, 5.25, 5.5])
    assert [item.setup["plane"] for item in items] == [0, 1, 2]
    assert {item.raw for item in items} == {"a"}
    assert len({item.identity for item in items}) == 3
    assert {item.sha256 for item in items} == {"f" * 64}


def test_detectors_are_items_with_their_own_name_and_identity() -> None:
    items = raw_items(record(mode="WFM", extensions="CHAN01 CHAN02 CHAN24"))
    assert [item.name for item in items] == ["a_CHAN01", "a_CHAN02", "a_CHAN24"]
    assert [item.extension for item in items] == ["CHAN01", "CHAN02", "CHAN24"]
    assert [item.setup["detector"] for item in items] == ["CHAN01", "CHAN02", "CHAN24"]
    assert all("extensions" not in item.setup and item.setup["mode"] == "WFM" for item in items)
    assert {(item.raw, item.mjd, item.plane, item.sha256) for item in items} == {("a", 5.0, None, "f" * 64)}
    assert len({item.identity for item in items}) == 3


def test_the_only_detector_of_a_file_is_the_same_item_as_among_others() -> None:
    (alone,) = raw_items(record(extensions="CHAN02"))
    assert alone == raw_items(record(extensions="CHAN01 CHAN02"))[1]


def test_a_file_that_serves_detectors_is_an_item_of_each_as_a_whole() -> None:
    items = raw_items(record(mode="WFM", detectors="CHAN01 CHAN02"))
    assert [item.name for item in items] == ["a_CHAN01", "a_CHAN02"]
    assert [item.setup["detector"] for item in items] == ["CHAN01", "CHAN02"]
    assert all("detectors" not in item.setup for item in items)
    assert {(item.extension, item.plane, item.sha256) for item in items} == {(None, None, "f" * 64)}
    assert len({item.identity for item in items} | {"f" * 64}) == 3
