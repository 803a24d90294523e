"""Raw files where they lie: loose, or as members of a tar archive, which is not unpacked.

A member's path is that of the archive, ``::``, and its name in there. Where each member begins is looked up once
and kept: in this process, and in a folder that all workers of a run share.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import logging
import lzma
import os
import tarfile
import tempfile
import threading
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tracecube.core.errors import BadData

__all__ = [
    "ARCHIVE",
    "INSIDE",
    "PACKED",
    "Index",
    "append_member",
    "index_of",
    "indices_folder",
    "is_there",
    "keep_indices_in",
    "open_file",
    "split_path",
    "stamp",
]

ARCHIVE = ".tar"
PACKED = (".tar.xz", ".tar.gz", ".tgz", ".tar.bz2")
"""Compressed archives: no member can be reached without unpacking all that lies before it, and so they are
decompressed once, which is slow, and the plain archive is kept where the index is."""

INSIDE = "::"
_BLOCK = 512  # byte, of a tar archive (POSIX.1-2017, pax: "ustar Interchange Format")
_KNOWN: dict[str, tuple[tuple[int, int], Index]] = {}
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Index:
    """What an archive holds.

    Parameters
    ----------
    members : dict of str to (int, int)
        Name -> first byte and size of each regular file that is there in whole.
    damage : str or None
        Why more may have been in it.
    file : str
        The plain archive; another one than that asked for where that is compressed.
    """

    members: dict[str, tuple[int, int]]
    damage: str | None
    file: str


@dataclass
class _Indices:
    """Where this process keeps the indices of archives.

    Parameters
    ----------
    folder : Path or None
        Of the run, which its workers share; None before any.
    own : TemporaryDirectory or None
        Made where there is none, and removed with this process.
    """

    folder: Path | None = None
    own: tempfile.TemporaryDirectory[str] | None = None


_INDICES = _Indices()


class _Window(io.RawIOBase):
    """Part of a file, as a file of its own."""

    def __init__(self, file: io.FileIO, start: int, size: int) -> None:
        self._file, self._start, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        room = memoryview(buffer).cast("B")
        self._file.seek(self._start + self._at)
        found = self._file.readinto(room[: max(self._size - self._at, 0)])
        self._at += found
        return int(found)

    def close(self) -> None:
        self._file.close()
        super().close()


def split_path(path: Path | str) -> tuple[Path, str | None]:
    """Return the file on the disk, and the member that is meant if that is an archive.

    Examples
    --------
    >>> split_path("/n/night17.tar::night17/exp01/a.fits")[1]
    'night17/exp01/a.fits'
    """
    archive, inside, member = str(path).partition(INSIDE)
    return (Path(archive), member) if inside and archive.endswith((ARCHIVE, *PACKED)) else (Path(path), None)


def open_file(path: Path | str) -> io.BufferedReader:
    """Open a file for reading bytes, be it loose or a member of an archive.

    Raises
    ------
    OSError
        As `open`; FileNotFoundError too where the archive has no such member.
    BadData
        The archive cannot be read.
    """
    archive, member = split_path(path)
    if member is None:
        return archive.open("rb")
    file, start, size = _place(archive, member)
    return io.BufferedReader(_Window(Path(file).open("rb", buffering=0), start, size), 1 << 16)


def stamp(path: Path | str) -> tuple[int, int]:
    """Return size (byte) and time of change (ns) of a file; of a member its own size, and the archive's time.

    Raises
    ------
    OSError, BadData
        As `open_file`.
    """
    archive, member = split_path(path)
    state = archive.stat()
    return state.st_size if member is None else _place(archive, member)[2], state.st_mtime_ns


def is_there(path: Path | str) -> bool:
    """Whether there is such a file, or such a member of such an archive."""
    archive, member = split_path(path)
    if member is None:
        return archive.is_file()
    try:
        return member in index_of(archive).members
    except (OSError, BadData):
        return False


def append_member(archive: Path, name: str, content: bytes) -> None:
    """Add a member to an archive, which is made when there is none; same content, same bytes.

    Raises
    ------
    BadData
        The archive does not end as archives do.
    """
    info = tarfile.TarInfo(name)
    info.size = len(content)
    end = bytes(2 * _BLOCK)
    with archive.open("r+b" if archive.exists() else "w+b") as file:
        if file.seek(0, os.SEEK_END):
            at = file.seek(-len(end), os.SEEK_END)
            if file.read() != end:
                raise BadData(f"{archive}: no end of an archive", hint="remove it, and write it anew")
            file.seek(at)
        file.write(info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % _BLOCK) + end)


def _place(archive: Path, member: str) -> tuple[str, int, int]:
    index = index_of(archive)
    if member not in index.members:
        raise FileNotFoundError(2, "no such member of the archive", f"{archive}{INSIDE}{member}")
    return index.file, *index.members[member]


def index_of(archive: Path) -> Index:
    """Return what an archive holds; it is walked once, and again only when its size or time change.

    Raises
    ------
    BadData
        Not a tar archive.
    """
    state = archive.stat()
    now = (state.st_size, state.st_mtime_ns)
    with _LOCK:
        known = _KNOWN.get(str(archive))
        if known is None or known[0] != now or not Path(known[1].file).is_file():
            known = _KNOWN[str(archive)] = (now, _kept_or_walked(archive, now))
    return known[1]


def _kept_or_walked(archive: Path, now: tuple[int, int]) -> Index:
    kept = _folder() / f"{hashlib.sha256(str(archive).encode()).hexdigest()[:24]}.json"
    found = _load(kept, now)
    if found is None:
        plain = _decompressed(archive, kept.with_suffix(ARCHIVE)) if archive.name.endswith(PACKED) else archive
        found = _walk(archive, plain)
        _save(kept, now, found)
    return found


def keep_indices_in(folder: Path | None) -> None:
    """Keep what archives hold in a folder that other processes of the run read too; None forgets it."""
    _INDICES.folder = folder


def indices_folder() -> Path | None:
    """Return the folder of the run, None where there is none."""
    return _INDICES.folder


def _folder() -> Path:
    """Return where indices are kept: the run's folder while there is one, else one that ends with this process."""
    given = indices_folder()
    if given is not None and given.parent.is_dir():  # an earlier run's, a trial's above all, may be gone
        return given
    if _INDICES.own is None:
        _INDICES.own = tempfile.TemporaryDirectory(prefix="tracecube-index-")
    return Path(_INDICES.own.name)


def _decompressed(archive: Path, plain: Path) -> Path:
    """Write the plain archive of a compressed one; what can be had of a truncated one is taken."""
    logging.getLogger(__name__).warning("%s: decompressing, which is slow; a plain .tar is read in place", archive)
    openers: dict[str, Any] = {".xz": lzma.open, ".gz": gzip.open, ".tgz": gzip.open, ".bz2": bz2.open}
    plain.parent.mkdir(exist_ok=True)
    part = plain.with_suffix(f".{os.getpid()}")
    with openers[archive.suffix](archive, "rb") as packed, part.open("wb") as file:
        try:
            while chunk := packed.read1(1 << 16):
                file.write(chunk)
        except (EOFError, OSError, lzma.LZMAError, zlib.error):
            pass  # the walk finds where it ends
    part.replace(plain)
    return plain


def _walk(archive: Path, plain: Path) -> Index:
    """Go from header to header of an archive, without reading what lies between."""
    members: dict[str, tuple[int, int]] = {}
    end, damage, total = 0, None, plain.stat().st_size
    try:
        with tarfile.open(plain, "r:") as tar:
            for one in tar:
                end = one.offset_data + -(-one.size // _BLOCK) * _BLOCK if one.isreg() else one.offset_data
                if one.offset_data + one.size > total:
                    damage = f"it ends within {one.name}"
                    break
                if one.isreg() and not one.issparse():
                    members[one.name] = (one.offset_data, one.size)  # the last of a name holds, as when unpacking
    except tarfile.TarError as error:
        if not members:
            raise BadData(
                f"{archive}: not a tar archive ({error})", hint="fetch or copy it again, or leave it out"
            ) from error
        damage = str(error)
    with plain.open("rb") as file:
        file.seek(end)
        if damage is None and file.read(_BLOCK) != bytes(_BLOCK):
            damage = f"no mark of its end after byte {end}"
    return Index(members, damage, str(plain))


def _load(kept: Path, now: tuple[int, int]) -> Index | None:
    """Read an index that was kept, if the archive is still what it was."""
    try:
        content = json.loads(kept.read_text())
        if tuple(content["stamp"]) != now or not Path(content["file"]).is_file():
            return None
        members = {str(name): (int(start), int(size)) for name, (start, size) in content["members"].items()}
        return Index(members, content["damage"], content["file"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # it is but a copy of what the archive says


def _save(kept: Path, now: tuple[int, int], found: Index) -> None:
    part = kept.with_suffix(f".{os.getpid()}")
    try:
        kept.parent.mkdir(exist_ok=True)
        part.write_text(json.dumps({"stamp": now, **asdict(found)}))
        part.replace(kept)
    except OSError:
        return  # no place to keep it: the next process walks the archive again
