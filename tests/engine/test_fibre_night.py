"""A simulated night of a fibre bundle: neither archives nor workers change a byte of any product."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import pytest

from tracecube.cli.nights import simulator, write_night
from tracecube.io import members
from tracecube.workflow.discover import Found, load
from tracecube.workflow.executor import InProcess, LocalPool
from tracecube.workflow.reduce import reduce_folder

pytestmark = pytest.mark.night

TARGETS = ("virus_traces",)


def installed() -> dict[str, Found]:
    """The instrument alone."""
    reference = "tracecube.instruments.virus:instrument"
    return {"virus": Found(reference, load(reference))}


def hashes(out: Path) -> dict[str, str]:
    """Name -> SHA-256 of every product file."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.rglob("*.fits"))}


def test_archives_and_workers_change_no_byte(tmp_path, monkeypatch):
    monkeypatch.setattr(members._INDICES, "folder", None)
    members._KNOWN.clear()
    raw, archived = tmp_path / "raw", tmp_path / "archived"
    write_night(simulator("virus"), raw, 3, {"ifus": "1", "exposures": "0"})
    archived.mkdir()
    files = sorted((path for path in raw.rglob("*.fits") if "truth" not in path.parts), key=lambda p: p.name[::-1])
    with tarfile.open(archived / "virus.tar", "w") as tar:
        for path in files:
            tar.add(path, str(path.relative_to(raw)))
    pool = LocalPool(2)
    try:
        assert reduce_folder(raw, tmp_path / "two", pool, targets=TARGETS, instruments=installed).good
    finally:
        pool.close()
    assert reduce_folder(archived, tmp_path / "one", InProcess(), targets=TARGETS, instruments=installed).good
    made = hashes(tmp_path / "two")
    assert sorted({name.rsplit("_", 1)[-1] for name in made}) >= ["DARK.fits", "MAP.fits"]
    assert hashes(tmp_path / "one") == made
