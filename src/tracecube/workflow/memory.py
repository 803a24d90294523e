"""How much memory a job takes at most."""

from __future__ import annotations

import ctypes
import resource
import sys
from pathlib import Path

__all__ = ["forget_peak", "give_back", "peak_memory"]

_RESET = Path("/proc/self/clear_refs")
_PEAK = "5"  # proc(5): writing it sets the largest resident size back to the present one


def give_back() -> None:
    """Give memory that earlier jobs freed back to the system, where its C library can (glibc, malloc_trim(3))."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def forget_peak() -> bool:
    """Let the largest resident size count from now on; return whether this system can (Linux)."""
    try:
        _RESET.write_text(_PEAK, "ascii")
    except OSError:
        return False
    return True


def peak_memory() -> int:
    """Return the largest resident size of this process, bytes: since it was last forgotten, or so far."""
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): kilobytes on Linux, bytes on macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
