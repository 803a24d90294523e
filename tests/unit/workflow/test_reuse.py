"""Standing jobs: a product counts only with the very bytes that were written."""

from __future__ import annotations

from typing import Any

import pytest

from tracecube.archive.hashing import hash_of_file
from tracecube.archive.records import ProductRecord
from tracecube.workflow.reuse import all_intact, intact


@pytest.fixture
def product(tmp_path):
    path = tmp_path / "p.fits"
    path.write_bytes(bytes(range(256)) * 20)

    def record(**more: Any) -> ProductRecord:
        fields = {
            "output": "o", "tag": "T", "path": str(path), "sha256": hash_of_file(path), "size": path.stat().st_size,
            "data_sha256": "", "setup": {}, "mjd": None, "exptime": None, "object": None, "night": None, "raw": None,
            "detector": None, "header": {}, "qc": {}, **more,
        }  # fmt: skip
        return ProductRecord(**fields)

    return record


def test_the_same_bytes_stand(product):
    assert intact(product())
    assert all_intact([product()])
    assert all_intact([])


def test_any_flipped_bit_is_noticed(product, tmp_path):
    record = product()
    content = bytearray((tmp_path / "p.fits").read_bytes())
    for place in (0, 1234, len(content) - 1):
        content[place] ^= 0x10
        (tmp_path / "p.fits").write_bytes(content)
        assert not intact(record)
        content[place] ^= 0x10
    (tmp_path / "p.fits").write_bytes(content)
    assert intact(record)


def test_other_sizes_and_no_file_do_not_stand(product, tmp_path):
    record = product()
    (tmp_path / "p.fits").write_bytes(b"short")
    assert not intact(record)
    (tmp_path / "p.fits").unlink()
    assert not intact(record)
    (tmp_path / "p.fits").mkdir()
    assert not intact(record)


def test_a_replaced_product_is_not_current(product):
    assert not all_intact([product(current=False)])
