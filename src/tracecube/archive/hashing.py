"""Content hashes of files and of plain values."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tracecube.io.members import open_file

__all__ = ["hash_of_file", "hash_of_value"]


def hash_of_file(path: Path | str) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal; of a member of an archive that of its own bytes."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_of_value(value: Any) -> str:
    """Return the SHA-256 of a plain value in canonical JSON (sorted keys, no blanks).

    Examples
    --------
    >>> hash_of_value({"b": 1, "a": 2.0}) == hash_of_value({"a": 2.0, "b": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()
