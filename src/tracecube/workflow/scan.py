"""Look through a folder of raw files and give each its tag, without reading a pixel."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from tracecube.archive.hashing import hash_of_file, hash_of_value
from tracecube.archive.ledger import LEDGER_NAME
from tracecube.archive.records import RawRecord
from tracecube.core.errors import MissingInput, TracecubeError
from tracecube.core.instrument import Instrument
from tracecube.io.columns import TEXT_SUFFIX
from tracecube.io.headers import FITS_SUFFIXES, TABLE_SUFFIXES, bare_name, read_header
from tracecube.io.members import ARCHIVE, INSIDE, PACKED, index_of, stamp

__all__ = ["Scan", "data_files", "scan"]


TRUTH = "truth"
"""Folder of a simulated night that says what was put in; no reduction looks there."""


@dataclass(frozen=True)
class Scan:
    """What a folder holds.

    Parameters
    ----------
    folder : Path
    files : tuple of RawRecord
        Every file once, classified or not, by time and content.
    copies : tuple of RawRecord
        Files with the content of another; ``copy_of`` names the one that is used.
    """

    folder: Path
    files: tuple[RawRecord, ...]
    copies: tuple[RawRecord, ...] = ()

    @property
    def classified(self) -> tuple[RawRecord, ...]:
        """The files that have a tag."""
        return tuple(file for file in self.files if file.tag is not None)

    @property
    def unclassified(self) -> tuple[RawRecord, ...]:
        """The files that have none; ``reason`` says why."""
        return tuple(file for file in self.files if file.tag is None)


def scan(
    folder: Path,
    instruments: Sequence[Instrument],
    known: Mapping[str, RawRecord] | None = None,
    *,
    without: Collection[str] = (),
) -> Scan:
    """Find, read the headers of, and classify all raw files under a folder.

    Parameters
    ----------
    folder : Path
    instruments : sequence of Instrument
    known : mapping of str to RawRecord, optional
        Earlier records by path; header and hash of a file of unchanged size and time are taken from
        there. The tag is always made anew, for the rules may have changed.
    without : collection of str
        Paths of files that are left alone.

    Raises
    ------
    MissingInput
        There is no such folder, or no instrument is installed.
    """
    folder = folder.expanduser().resolve()
    if not folder.is_dir():
        raise MissingInput(f"{folder}: no such folder", hint="name the folder with the raw files")
    if not instruments:
        raise MissingInput(
            "no instrument is installed", hint="install a package that announces one, then `tracecube ls`"
        )
    paths, refused = _with_members(sorted(path for path in data_files(folder) if path not in without))
    with ThreadPoolExecutor(max_workers=4) as pool:  # hashing leaves the interpreter lock
        opened = list(pool.map(lambda path: _opened(path, known or {}), paths))
    files, copies = _without_copies([*opened, *refused])
    every = (_classified(file, instruments) for file in files)
    found = sorted((file for file in every if not _is_prose(file)), key=_order)
    return Scan(folder, tuple(found), tuple(copies))


def _order(file: RawRecord) -> tuple[float, str]:
    return (float("inf") if file.mjd is None else file.mjd, file.sha256)


def _is_prose(file: RawRecord) -> bool:
    """Whether a text is no table of an instrument: one need not say so of every README."""
    return file.path.endswith(TEXT_SUFFIX) and file.tag is None and (file.foreign or file.header is None)


def _with_members(paths: Iterable[str]) -> tuple[list[str], list[RawRecord]]:
    """Put the members of archives in the place of these; what cannot be had of them has its reason."""
    found: list[str] = []
    refused: list[RawRecord] = []
    for path in paths:
        if not path.endswith((ARCHIVE, *PACKED)):
            found.append(path)
            continue
        members, reason = _members(path)
        found += [f"{path}{INSIDE}{name}" for name in members]
        if reason is not None:
            refused.append(_refused(path, reason))
    return found, refused


def _members(path: str) -> tuple[list[str], str | None]:
    """Return the raw files in an archive, and why there may be more."""
    try:
        index = index_of(Path(path))
    except TracecubeError as error:
        return [], str(error)
    except OSError as error:
        return [], f"{path}: cannot be read ({error.strerror}) (try: check its rights and its disk)"
    members = [name for name in index.members if _is_wanted(name)]
    if index.damage is None:
        return members, None
    lost = f"{len(members)} raw files in it are whole, what follows is lost"
    return members, f"{path}: damaged archive, {index.damage}; {lost} (try: fetch or copy it again)"


def _is_wanted(member: str) -> bool:
    *folders, name = member.split("/")
    hidden = any(part.startswith(".") and part != "." for part in (*folders, name))
    return not hidden and TRUTH not in folders and name.endswith((*FITS_SUFFIXES, *TABLE_SUFFIXES))


def _refused(path: str, reason: str) -> RawRecord:
    return RawRecord(path=path, name=bare_name(path), size=0, mtime_ns=0, sha256="", header=None, reason=reason)


def data_files(folder: Path) -> Iterator[str]:
    """Yield all files with a known suffix, and archives; hidden ones, the truth and our own products are left out.

    A compressed archive that was unpacked beside itself is left out too.
    """
    seen: set[tuple[int, int]] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        state = Path(root).stat()
        if LEDGER_NAME in names or (state.st_dev, state.st_ino) in seen:
            folders.clear()  # products, or a link back to a folder already looked through
            continue
        seen.add((state.st_dev, state.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != TRUTH)
        yield from (
            str(Path(root) / name)
            for name in names
            if name.endswith((*FITS_SUFFIXES, *TABLE_SUFFIXES, ARCHIVE, *PACKED))
            and not name.startswith(".")
            and not (name.endswith(PACKED) and name.partition(".")[0] in folders)
        )


def _opened(path: str, known: Mapping[str, RawRecord]) -> RawRecord:
    """Return path, content hash and header; what stops the reading becomes the reason."""
    try:
        size, time = stamp(path)
        earlier = known.get(path)
        if earlier and (earlier.size, earlier.mtime_ns) == (size, time):
            return replace(earlier, reason=earlier.reason if earlier.header is None else None)
        sha256 = hash_of_file(path)
    except OSError as error:
        return _refused(path, f"{path}: cannot be read ({error.strerror}) (try: check its rights and its disk)")
    return _with_header(
        RawRecord(path=path, name=bare_name(path), size=size, mtime_ns=time, sha256=sha256, header=None)
    )


def _with_header(file: RawRecord) -> RawRecord:
    try:
        return replace(file, header=read_header(file.path))
    except TracecubeError as error:
        return replace(file, reason=str(error))


def _without_copies(files: Iterable[RawRecord]) -> tuple[list[RawRecord], list[RawRecord]]:
    """Keep one file of each content: that of the shortest name, for copies are called "x (1)" or "copy of x".

    A frame of the same name and header in another compression counts as the same content too.
    """
    kept: list[RawRecord] = []
    first: dict[str, RawRecord] = {}
    copies: list[RawRecord] = []
    for file in sorted(files, key=lambda file: (len(file.name), file.name, file.path)):
        marks = _marks(file)
        original = next((first[mark] for mark in marks if mark in first), None)
        if original is not None:
            copies.append(replace(_blank(file), reason=None, copy_of=original.path))
        else:
            kept.append(file)
            first.update(dict.fromkeys(marks, file))
    return kept, copies


def _marks(file: RawRecord) -> list[str]:
    """Return what two files that hold the same have in common."""
    marks = [file.sha256] if file.sha256 else []
    if file.header is not None and "FILETYPE" not in file.header:  # a text table's header says little of it
        marks.append(hash_of_value([file.name, sorted(file.header.items())]))
    return marks


def _blank(file: RawRecord) -> RawRecord:
    """Forget all that classification gave."""
    known = {name: getattr(file, name) for name in ("path", "name", "size", "mtime_ns", "sha256", "header", "reason")}
    return RawRecord(**known)


def _classified(file: RawRecord, instruments: Sequence[Instrument]) -> RawRecord:
    """Give a file its tag, or the reason why it has none."""
    blank = _blank(file)
    if file.header is None:
        return blank
    header = file.header
    owners = [one for one in instruments if one.recognises(file.name, header)]
    if len(owners) != 1:
        return replace(blank, foreign=not owners, reason=_no_owner(owners, instruments))
    try:
        found = owners[0].classify(file.name, header)
    except TracecubeError as error:
        return replace(blank, instrument=owners[0].name, reason=str(error))
    except Exception as error:  # noqa: BLE001 - one strange header must not stop a night; it is reported by its file
        fault = f"{file.name}: {type(error).__name__}: {error} (a fault in the rules of {owners[0].name}, or a header"
        return replace(blank, instrument=owners[0].name, reason=f"{fault} beyond repair; try: leave the file out)")
    night = found.setup.get("night")
    return replace(
        blank,
        instrument=owners[0].name,
        tag=found.tag,
        setup=dict(found.setup),
        mjd=found.mjd,
        exptime=found.exptime,
        object=found.object,
        night=None if night is None else str(night),
    )


def _no_owner(owners: Sequence[Instrument], instruments: Sequence[Instrument]) -> str:
    if owners:
        return f"claimed by several instruments: {', '.join(one.name for one in owners)}"
    return f"not a file of {' or '.join(one.name for one in instruments)}"
