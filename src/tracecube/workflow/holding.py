"""Which new raw files still wait for others of their group: a master is made once, when its frames are in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from tracecube.archive.records import RawRecord
from tracecube.core.workflow import Task
from tracecube.workflow.associate import allowed
from tracecube.workflow.discover import Found
from tracecube.workflow.items import Item, raw_items

__all__ = ["held_back"]


def held_back(
    files: Sequence[RawRecord],
    known: Collection[str],
    instruments: Iterable[Found],
    closes: Callable[[str], float],
    now: float,
) -> dict[str, float]:
    """Return the paths of new files whose groups are not closed, and when they will be if nothing more comes, s.

    A group of raw files that go into one job together is closed by a later frame of the same instrument that is none
    of them, or when its last member has been there for a while.

    Parameters
    ----------
    files : sequence of RawRecord
        Classified ones.
    known : collection of str
        Paths of files that were let through before; they are never taken back.
    instruments : iterable of Found
    closes : callable
        Until when a file may be followed by another of its group, s.
    now : float, s
    """
    held: dict[str, float] = {}
    for found in instruments:
        own = [item for file in files if file.instrument == found.instrument.name for item in raw_items(file)]
        for task in found.instrument.workflow.tasks:
            for members in _groups(task, own):
                new = {item.path for item in members} - set(known)
                until = max(closes(item.path) for item in members)
                if until > now and not _closed(members, own, task):
                    held.update((path, max(until, held.get(path, until))) for path in new)
    return held


def _groups(task: Task, items: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield the groups of raw files that a task takes together."""
    if task.main.group_by is None:
        return
    groups: dict[tuple[object, ...], list[Item]] = {}
    for item in items:
        if item.tag in task.main.tags and allowed(item, task.main.where):
            groups.setdefault(tuple(item.setup.get(key) for key in task.main.group_by), []).append(item)
    yield from groups.values()


def _closed(members: Iterable[Item], items: Iterable[Item], task: Task) -> bool:
    """Whether a frame of another kind was taken after the last member."""
    last = max((item.mjd for item in members if item.mjd is not None), default=None)
    if last is None:
        return False
    return any(item.mjd is not None and item.mjd > last and item.tag not in task.main.tags for item in items)
