"""Members of archives read like loose files, and archives are walked once."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tracecube.archive.hashing import hash_of_file
from tracecube.core.errors import BadData, MissingInput
from tracecube.io import members
from tracecube.io.headers import read_header
from tracecube.io.members import index_of, is_there, open_file, stamp
from tracecube.io.raw import read_raw


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(members._INDICES, "folder", None)
    members._KNOWN.clear()
    yield
    members._KNOWN.clear()


@pytest.fixture
def night(tmp_path: Path) -> dict[str, Path]:
    """Loose files of every kind by name, and an archive of them."""
    rng = np.random.default_rng(1)
    folder = tmp_path / "virus0000017" / "exp01"
    folder.mkdir(parents=True)
    for name in ("b.fits", "a.fits"):
        header = fits.Header({"EXPTIME": 360.0, "OBJECT": name})
        fits.PrimaryHDU(rng.integers(0, 65536, (20, 30)).astype(np.uint16), header).writeto(folder / name)
    packed = fits.CompImageHDU(rng.integers(0, 99, (20, 30)).astype(np.int16))
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(folder / "c.fits.fz")
    (folder / "d.fits.gz").write_bytes(gzip.compress((folder / "a.fits").read_bytes()))
    (folder / "e.csv").write_text("ra,dec\n1.5,2\n")
    (folder / f"{'long' * 40}.txt").write_text("# X Y\n1 2\n")
    loose = {str(path.relative_to(tmp_path)): path for path in sorted(folder.iterdir(), reverse=True)}
    with tarfile.open(tmp_path / "night.tar", "w") as tar:
        for name, path in loose.items():
            tar.add(path, name)
    return loose


def inside(path: Path, name: str) -> str:
    return f"{path}::{name}"


def test_members_are_read_like_loose_files(tmp_path: Path, night: dict[str, Path]) -> None:
    archive = tmp_path / "night.tar"
    assert index_of(archive).damage is None
    assert list(index_of(archive).members) == list(night)
    for name, loose in night.items():
        path = inside(archive, name)
        assert read_header(path) == read_header(loose)
        assert hash_of_file(path) == hash_of_file(loose)
        assert stamp(path) == (loose.stat().st_size, archive.stat().st_mtime_ns)
        one, other = read_raw(path, "X"), read_raw(loose, "X")
        assert one.name == other.name
        assert all(np.array_equal(one.images[key], other.images[key]) for key in other.images)
        assert {key: list(table) for key, table in one.tables.items()} == {k: list(t) for k, t in other.tables.items()}


def test_a_window_ends_where_the_member_ends(tmp_path: Path, night: dict[str, Path]) -> None:
    name, loose = next(iter(night.items()))
    with open_file(inside(tmp_path / "night.tar", name)) as file:
        content = loose.read_bytes()
        assert file.read() == content
        assert file.read(1) == b""
        file.seek(-4, io.SEEK_END)
        assert file.read(99) == content[-4:]
        file.seek(2)
        assert file.read(3) == content[2:5]


def test_what_is_not_there(tmp_path: Path, night: dict[str, Path]) -> None:
    archive = tmp_path / "night.tar"
    assert is_there(inside(archive, next(iter(night))))
    assert not is_there(inside(archive, "gone.fits"))
    assert not is_there(inside(tmp_path / "gone.tar", "gone.fits"))
    with pytest.raises(MissingInput, match="no such file"):
        read_header(inside(archive, "gone.fits"))


def test_an_index_serves_another_process_until_the_archive_changes(
    tmp_path: Path, night: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "night.tar"
    monkeypatch.setattr(members._INDICES, "folder", tmp_path / "index")
    first = index_of(archive)
    members._KNOWN.clear()  # as in a new process
    walked: list[Path] = []
    walk = members._walk
    monkeypatch.setattr(members, "_walk", lambda path, plain: walked.append(path) or walk(path, plain))
    assert index_of(archive) == first
    assert walked == []
    with tarfile.open(archive, "w") as tar:
        tar.add(next(iter(night.values())), "other.fits")
    assert list(index_of(archive).members) == ["other.fits"]
    members._KNOWN.clear()
    assert list(index_of(archive).members) == ["other.fits"]
    assert walked == [archive]


@pytest.mark.parametrize("cut", [0, 100, 600])
def test_of_a_truncated_archive_what_is_whole_can_be_read(tmp_path: Path, night: dict[str, Path], cut: int) -> None:
    archive = tmp_path / "night.tar"
    name = list(night)[4]
    start = index_of(archive).members[name][0]
    archive.write_bytes(archive.read_bytes()[: start - 512 + cut])
    found = index_of(archive)
    assert list(found.members) == list(night)[:4]
    assert found.damage is not None
    assert all(hash_of_file(inside(archive, one)) == hash_of_file(night[one]) for one in found.members)
    with pytest.raises(MissingInput):
        read_header(inside(archive, name))


@pytest.mark.parametrize(("suffix", "pack"), [("xz", lzma.compress), ("gz", gzip.compress), ("bz2", bz2.compress)])
def test_a_compressed_archive_is_decompressed_once(
    tmp_path: Path,
    night: dict[str, Path],
    suffix: str,
    pack: Callable[[bytes], bytes],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(members._INDICES, "folder", tmp_path / "index")
    archive = tmp_path / f"other.tar.{suffix}"
    archive.write_bytes(pack((tmp_path / "night.tar").read_bytes()))
    for _ in range(2):
        members._KNOWN.clear()
        assert {name: hash_of_file(inside(archive, name)) for name in night} == {
            name: hash_of_file(loose) for name, loose in night.items()
        }
    assert [record.message for record in caplog.records] == [
        f"{archive}: decompressing, which is slow; a plain .tar is read in place"
    ]


def test_a_compressed_archive_is_read_though_the_folder_of_an_earlier_run_is_gone(
    tmp_path: Path, night: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, run = tmp_path / "other.tar.xz", tmp_path / "run"
    archive.write_bytes(lzma.compress((tmp_path / "night.tar").read_bytes()))
    run.mkdir()
    monkeypatch.setattr(members._INDICES, "folder", run / "index")
    assert Path(index_of(archive).file).is_relative_to(run)
    shutil.rmtree(run)
    name, loose = next(iter(night.items()))
    assert hash_of_file(inside(archive, name)) == hash_of_file(loose)
    assert not run.exists()


def test_of_a_truncated_compressed_archive_what_is_whole_can_be_read(tmp_path: Path, night: dict[str, Path]) -> None:
    archive = tmp_path / "other.tar.gz"
    archive.write_bytes(gzip.compress((tmp_path / "night.tar").read_bytes())[:-3000])
    found = index_of(archive)
    assert 0 < len(found.members) < len(night)
    assert found.damage is not None
    assert all(hash_of_file(inside(archive, name)) == hash_of_file(night[name]) for name in found.members)


def test_no_archive(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"no archive at all" * 100)
    with pytest.raises(BadData, match="not a tar archive"):
        index_of(tmp_path / "x.tar")
