"""Reduce a folder while its files arrive: each new file makes what it allows, and what it changes.

Every turn is a run of its own on the files that are ready; what stands is reused. So a watched night ends with the
products that one run on the whole folder makes, and whatever ends the process, the next one goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tracecube.archive.summary import RunSummary
from tracecube.workflow.arrival import Arrivals
from tracecube.workflow.discover import Found, discover
from tracecube.workflow.executor import Executor
from tracecube.workflow.gate import WatchGate
from tracecube.workflow.reduce import Busy, reduce_folder
from tracecube.workflow.run import Memory, Watch
from tracecube.workflow.scan import data_files
from tracecube.workflow.settings import Settings

__all__ = ["CALIBRATION", "Pace", "Turn", "watch_folder"]

CALIBRATION = "calibration"
"""Named group of tasks that a watched night makes as soon as their frames are in, before any target asks for them."""


_File = tuple[str, int, int]  # path, size, time of change


@dataclass(frozen=True)
class Pace:
    """How a folder is watched.

    Parameters
    ----------
    poll : float, s
        From look to look.
    settle : float, s
        A file is read when it has not changed for so long.
    quiet : float, s
        Frames of a group are reduced together when its last one has been there for so long, or earlier by a frame of
        another kind.
    patience : float, s
        A file shorter than its headers promise is given up when it has not grown for so long.
    idle : float or None, s
        The watch ends when nothing has come for so long and nothing waits; None goes on.
    """

    poll: float = 1.0
    settle: float = 2.0
    quiet: float = 60.0
    patience: float = 300.0
    idle: float | None = None


@dataclass(frozen=True)
class Turn:
    """One run of a watch.

    Parameters
    ----------
    new : tuple of str
        Files that were not there at the turn before.
    summary : RunSummary
    unwhole, held : frozenset of str
        Files that are not whole, and frames that wait for others of their group.
    seconds : float
        The run took.
    since : mapping of str to float
        When the new files had arrived, s since the epoch.
    """

    new: tuple[str, ...]
    summary: RunSummary
    unwhole: frozenset[str]
    held: frozenset[str]
    seconds: float
    since: Mapping[str, float] = field(default_factory=dict)


def watch_folder(
    folder: Path,
    out: Path,
    executor: Executor,
    *,
    pace: Pace | None = None,
    targets: Sequence[str] = (),
    settings: Settings | None = None,
    earlier: bool = True,
    watch: Watch | None = None,
    instruments: Callable[[], Mapping[str, Found]] = discover,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Turn]:
    """Reduce what is ready in a folder, again and again; yield each run.

    Parameters
    ----------
    folder, out : Path
        The folder need not hold anything yet.
    executor : Executor
    pace : Pace, optional
    targets : sequence of str
        By default those of `reduce`, and the calibrations as soon as their frames are in.
    settings : mapping of task to parameters, optional
    earlier : bool
        Calibrations that are not there yet are borrowed from earlier nights in the same output folder.
    watch : Watch, optional
    instruments : callable
    clock, sleep : callable
        Of the real world, unless a test has its own.

    Raises
    ------
    TracecubeError
        Nothing can be run at all, for a reason that no new file will mend.
    """
    pace, folder = pace or Pace(), folder.expanduser().resolve()
    gate = WatchGate(Arrivals(settle=pace.settle, patience=pace.patience, clock=clock), quiet=pace.quiet)
    memory, done, last, due = Memory(), frozenset[_File](), clock(), None
    while True:
        ready = _ready(folder, gate)
        if ready - done or (due is not None and clock() >= due):
            new = tuple(sorted(path for path, *_ in ready - done))
            started = clock()
            try:
                summary = reduce_folder(
                    folder,
                    out,
                    executor,
                    targets=targets,
                    also=() if targets else (CALIBRATION,),
                    settings=settings,
                    watch=watch,
                    instruments=instruments,
                    earlier=earlier,
                    gate=gate,
                    memory=memory,
                )
            except Busy:
                sleep(pace.poll)  # a person runs something else into this folder; nothing is lost by waiting
                continue
            done, last = ready, clock()
            due = min(gate.held.values(), default=None)
            since = {path: gate.arrivals.since(path) for path in new}
            yield Turn(new, summary, gate.unwhole, frozenset(gate.held), last - started, since)
        elif pace.idle is not None and not gate.unwhole and due is None and clock() - last >= pace.idle:
            return
        else:
            sleep(pace.poll)


def _ready(folder: Path, gate: WatchGate) -> frozenset[_File]:
    """Return the files that are whole, each with its size and time: one that is written anew is a new one."""
    if not folder.is_dir():
        return frozenset()
    paths = list(data_files(folder))
    unfit = gate.unfit(paths)
    return frozenset((path, *gate.arrivals.stamp(path)) for path in paths if path not in unfit)
