"""Which files of a folder have arrived whole: one that still grows, or is shorter than its headers promise, waits."""

from __future__ import annotations

import gzip
import os
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tracecube.core.errors import TracecubeError
from tracecube.io.headers import FITS_SUFFIXES, header_units
from tracecube.io.members import ARCHIVE, index_of

__all__ = ["Arrivals"]

_CHUNK = 1 << 20  # bytes decompressed at once


@dataclass
class _Seen:
    """A file as it was last seen.

    Parameters
    ----------
    stamp : (int, int)
        Size and time of change.
    since : float, s
        When it was first seen so, or when it was written where that is longer ago.
    whole : bool or None
        Whether it is as long as its headers promise; None before it was looked into.
    """

    stamp: tuple[int, int]
    since: float
    whole: bool | None = None


class Arrivals:
    """Tells whole files from those still being written.

    Parameters
    ----------
    settle : float, s
        A file counts when it has not changed for so long and is as long as its headers promise.
    patience : float, s
        A file that is not whole counts all the same when it has not changed for so long: the scan then says what is
        wrong with it, and its night goes on without it.
    clock : callable
        Seconds since the epoch, comparable with the times of files.
    """

    def __init__(self, *, settle: float = 2.0, patience: float = 300.0, clock: Callable[[], float] = time.time) -> None:
        self.settle, self.patience, self.clock = settle, patience, clock
        self._seen: dict[str, _Seen] = {}

    def waiting(self, paths: Iterable[str]) -> frozenset[str]:
        """Return those of these files that are not yet to be read."""
        now = self.clock()
        seen: dict[str, _Seen] = {}
        found = set()
        for path in paths:
            one = self._look(path, now)
            if one is None:
                found.add(path)
                continue
            seen[path] = one
            if not self._ready(path, one, now):
                found.add(path)
        self._seen = seen
        return frozenset(found)

    def since(self, path: str) -> float:
        """When a file was last seen to change, s; now for one that was not looked at."""
        one = self._seen.get(path)
        return self.clock() if one is None else one.since

    def stamp(self, path: str) -> tuple[int, int]:
        """Size and time of change of a file that was looked at."""
        return self._seen[path].stamp

    def _look(self, path: str, now: float) -> _Seen | None:
        """Return what is known of a file; None where it went away or points nowhere."""
        try:
            state = os.stat(path)  # noqa: PTH116 - hundreds of files every second
        except OSError:
            return None
        stamp = (state.st_size, state.st_mtime_ns)
        known = self._seen.get(path)
        if known is not None and known.stamp == stamp:
            return known
        # The clock of a file server may be ahead of ours; what is seen to change has changed now.
        return _Seen(stamp, min(state.st_mtime, now) if known is None else now)

    def _ready(self, path: str, one: _Seen, now: float) -> bool:
        quiet = now - one.since
        if quiet < self.settle:
            return False
        if one.whole is None:
            one.whole = _is_whole(Path(path))
        return one.whole or quiet >= self.patience


def _is_whole(path: Path) -> bool:
    """Whether a file ends where it should, as far as its form tells."""
    try:
        if path.name.endswith(ARCHIVE):
            return index_of(path).damage is None
        if path.name.endswith(".gz"):
            _read_to_its_end(path)
        elif path.name.endswith(FITS_SUFFIXES):
            for _ in header_units(path):
                pass
    except (TracecubeError, OSError, EOFError, zlib.error):
        return False
    return True


def _read_to_its_end(path: Path) -> None:
    """Decompress a file: its check sum stands at the very end."""
    with gzip.open(path) as file:
        while file.read(_CHUNK):
            pass
