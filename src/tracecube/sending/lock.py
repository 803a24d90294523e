"""One at a time: who sends from an output folder holds its lock, which dies with the process."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tracecube.core.errors import BadData

__all__ = ["only_sender"]


@contextmanager
def only_sender(folder: Path) -> Iterator[None]:
    """Hold the lock of an output folder.

    What the ledger calls ``sending`` while the lock is held was cut short: whoever began it is gone.

    Raises
    ------
    BadData
        Another process sends, or the folder cannot be written.
    """
    path = folder / ".tracecube-sending"
    try:
        file = path.open("a")
    except OSError as error:
        raise BadData(f"{path}: cannot be written ({error.strerror})", hint="send as who owns the folder") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadData(f"{folder}: another process is sending from it", hint="wait until it is done") from error
        except OSError as error:
            what = f"{path}: cannot be locked ({error.strerror})"
            raise BadData(what, hint="keep the folder on a file system with locks") from error
        yield
