"""Ledgers with a little in them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from tracecube.archive.ledger import Ledger
from tracecube.archive.records import InputRecord, JobRecord, PlannedRecord, ProductRecord, RawRecord

ABOUT = {
    "raw_folder": "/raw",
    "fingerprint": "f" * 64,
    "targets": ["science"],
    "settings": {"bias": {"clip": 3}},
    "software": {"python": "3"},
    "host": "here",
}


DATABASE = "TRACECUBE_TEST_DATABASE"
"""Environment variable with the URL of an empty PostgreSQL database that the ledger's tests may use and clear."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request) -> str | None:
    """Another database than the folder's own file, or None; skipped where no such database is given."""
    if request.param == "sqlite":
        return None
    given = os.environ.get(DATABASE)
    if not given:
        pytest.skip(f"{DATABASE} is not set")
    engine = sa.create_engine(given)
    with engine.begin() as connection:
        for table in sa.inspect(connection).get_table_names():
            connection.execute(sa.text(f'DROP TABLE "{table}" CASCADE'))
    engine.dispose()
    return given


@pytest.fixture
def ledger(tmp_path, url: str | None) -> Iterator[Ledger]:
    """A new ledger."""
    with Ledger.open(tmp_path / "out", create=True, url=url) as opened:
        yield opened


@pytest.fixture
def raw() -> Callable[..., RawRecord]:
    """Make raw files."""

    def make(name: str, **more: Any) -> RawRecord:
        fields = {
            "path": f"/raw/{name}.fits", "name": name, "size": 10, "mtime_ns": 20, "sha256": f"sha-{name}",
            "header": {"OBJECT": "x", "EXPTIME": 1.5, "EMPTY": None}, "instrument": "i", "tag": "BIAS",
            "setup": {"night": "2020-01-01"}, "mjd": 1.0, "night": "2020-01-01", **more,
        }  # fmt: skip
        return RawRecord(**fields)

    return make


@pytest.fixture
def product(ledger) -> Callable[..., ProductRecord]:
    """Make products."""

    def make(name: str, **more: Any) -> ProductRecord:
        fields = {
            "output": "o", "tag": "TAG", "path": str(ledger.folder / f"{name}.fits"), "sha256": f"sha-{name}",
            "size": 5, "data_sha256": "d", "setup": {"raw_tag": "SCIENCE"}, "mjd": 1.0, "exptime": 2.0, "object": "M31",
            "night": "2020-01-01", "raw": name, "detector": None, "header": {"OBJECT": "M31"},
            "qc": {"RMS": {"value": 0.1, "unit": "pix", "good": True}}, **more,
        }  # fmt: skip
        return ProductRecord(**fields)

    return make


@pytest.fixture
def job() -> Callable[..., JobRecord]:
    """Make jobs."""

    def make(name: str, *products: ProductRecord, **more: Any) -> JobRecord:
        given = InputRecord(role="raw", main=True, raw=True, tag="BIAS", name="b", path="/raw/b.fits", sha256="sha-b")
        fields = {
            "instrument": "i", "task": "t", "name": name, "night": "2020-01-01", "recipe": "r", "version": "1",
            "provenance_key": f"key-{name}", "params": {"a": 1}, "state": "done", "level": 0,
            "inputs": (given,), **more,
        }  # fmt: skip
        return JobRecord(products=products, **fields)

    return make


@pytest.fixture
def started(ledger) -> Callable[..., int]:
    """Start a run with jobs of these names."""

    def start(*names: str, **more: Any) -> int:
        jobs = [
            PlannedRecord(instrument="i", task="t", name=name, night="2020-01-01", state="waiting") for name in names
        ]
        return ledger.start_run(about={**ABOUT, **more}, jobs=jobs)

    return start
