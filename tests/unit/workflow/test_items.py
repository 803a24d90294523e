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
