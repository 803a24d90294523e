"""Copies are told one by one, but those in an archive together."""

from __future__ import annotations

import pytest

from tracecube.archive.records import RawRecord
from tracecube.cli.summary import show_files


def copy(path: str, of: str) -> RawRecord:
    return RawRecord(path=path, name="a", size=1, mtime_ns=1, sha256="x", header={}, copy_of=of)


def test_copies_in_an_archive_are_told_together(capsys: pytest.CaptureFixture[str]) -> None:
    many = [copy(f"/n/1/{i}.fits", f"/n/1.tar::1/{i}.fits") for i in range(3)]
    show_files([], [copy("/n/b (1).fits", "/n/b.fits"), *many, copy("/n/2.tar.xz::2/c.fits", "/n/c.fits")])
    assert capsys.readouterr().out.splitlines() == [
        "copy: /n/b (1).fits holds the same as /n/b.fits; it is used once",
        "copies: 3 files of /n/1.tar lie elsewhere too; each is used once",
        "copies: 1 files of /n/2.tar.xz lie elsewhere too; each is used once",
    ]
