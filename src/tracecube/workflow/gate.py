"""What of a folder a run takes: everything, or only what is whole and need not wait for others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from tracecube.archive.records import RawRecord
from tracecube.workflow.arrival import Arrivals
from tracecube.workflow.discover import Found
from tracecube.workflow.holding import held_back
from tracecube.workflow.scan import Scan

__all__ = ["Gate", "OpenGate", "WatchGate"]


class Gate(Protocol):
    """Decides which raw files a run sees."""

    @property
    def waits(self) -> bool:
        """Whether something was kept back when this was last asked."""
        ...

    def unfit(self, paths: Iterable[str]) -> frozenset[str]:
        """Return the files that must not be read yet."""
        ...

    def through(self, found: Scan, known: Mapping[str, RawRecord], instruments: Sequence[Found]) -> Scan:
        """Return what is let through of a scan; ``known`` was, before."""
        ...


class OpenGate:
    """Lets everything through."""

    waits = False

    def unfit(self, paths: Iterable[str]) -> frozenset[str]:  # noqa: ARG002
        """Return nothing."""
        return frozenset()

    def through(self, found: Scan, known: Mapping[str, RawRecord], instruments: Sequence[Found]) -> Scan:  # noqa: ARG002
        """Return the scan."""
        return found


class WatchGate:
    """Keeps back half-written files, and frames of a group of which more may follow.

    Parameters
    ----------
    arrivals : Arrivals
    quiet : float, s
        A group of calibrations is closed when its last frame has been there for so long, or by a later frame of
        another kind.

    Attributes
    ----------
    unwhole : frozenset of str
        Files that were not whole when last asked.
    held : dict of str to float
        Frames that waited for others of their group when last asked, and when they will no more, s.
    """

    def __init__(self, arrivals: Arrivals, *, quiet: float = 60.0) -> None:
        self.arrivals, self.quiet = arrivals, quiet
        self.unwhole: frozenset[str] = frozenset()
        self.held: dict[str, float] = {}

    @property
    def waits(self) -> bool:
        """Whether something was kept back when this was last asked."""
        return bool(self.unwhole or self.held)

    def unfit(self, paths: Iterable[str]) -> frozenset[str]:
        """Return the files that are not whole."""
        self.unwhole = self.arrivals.waiting(paths)
        return self.unwhole

    def through(self, found: Scan, known: Mapping[str, RawRecord], instruments: Sequence[Found]) -> Scan:
        """Return the scan without frames that wait for others of their group."""
        self.held = held_back(
            found.classified,
            known,
            instruments,
            closes=lambda path: self.arrivals.since(path) + self.quiet,
            now=self.arrivals.clock(),
        )
        return replace(found, files=tuple(file for file in found.files if file.path not in self.held))
