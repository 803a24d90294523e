"""Which calibrations go with a main input: an ordered ladder, and a total order in ties.

Pure functions of sets: neither the order of files, nor their paths, nor copies change the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tracecube.core.fields import Scalar
from tracecube.core.workflow import Association, Match
from tracecube.workflow.items import DAY, Item

__all__ = ["Choice", "Reference", "allowed", "choose", "middle", "reference"]


@dataclass(frozen=True)
class Reference:
    """What candidates are compared with: the main input of a job, one file or a group.

    Parameters
    ----------
    setup : mapping
        Keys on which all members agree.
    mjd : float or None
        Start; of a group the middle between its first and last start.
    exposures : tuple of (float, float)
        Start and end (MJD) of every member.
    """

    setup: Mapping[str, Scalar]
    mjd: float | None
    exposures: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Choice:
    """The candidates taken, closest first, and the level of the rung that gave them."""

    items: tuple[Item, ...]
    level: int


def middle(times: Iterable[float | None]) -> float | None:
    """Return the middle between the first and the last known time.

    Examples
    --------
    >>> middle([3.0, 1.0, None, 1.5])
    2.0
    """
    known = [time for time in times if time is not None]
    return (min(known) + max(known)) / 2 if known else None


def reference(members: Sequence[Item]) -> Reference:
    """Return what the members of a group have in common."""
    first = members[0].setup
    agreed = {key: value for key, value in first.items() if all(m.setup.get(key) == value for m in members[1:])}
    spans = tuple((m.mjd, m.mjd + (m.exptime or 0.0) / DAY) for m in members if m.mjd is not None)
    return Reference(agreed, middle(m.mjd for m in members), spans)


def allowed(item: Item, where: Mapping[str, tuple[Scalar, ...]]) -> bool:
    """Whether every named setup key has one of its allowed values."""
    return all(item.setup.get(key) in values for key, values in where.items())


def choose(main: Reference, candidates: Iterable[Item], rule: Association) -> Choice | None:
    """Return what the first rung with enough candidates gives, None when no rung has.

    Candidates closest in time come first; then the earlier, then the smaller content hash. A setup
    key that is unknown on either side never counts as equal, an unknown time is in no interval but
    the unlimited one, and is the farthest.
    """
    once = {item.identity: item for item in candidates if item.tag in rule.tags and allowed(item, rule.where)}
    for rung in rule.ladder:
        fit = sorted((item for item in once.values() if _fits(main, item, rung)), key=lambda item: _rank(main, item))
        if len(fit) >= max(1, rule.minimum):
            return Choice(tuple(fit[: rule.maximum]), rung.level)
    return None


def _fits(main: Reference, item: Item, rung: Match) -> bool:
    """Whether a candidate stands on a rung."""
    for key in rung.same:
        if item.setup.get(key) is None or item.setup.get(key) != main.setup.get(key):
            return False
    if rung.days != Match(level=0).days:
        if item.mjd is None or main.mjd is None:
            return False
        if not rung.days[0] <= item.mjd - main.mjd <= rung.days[1]:
            return False
    if rung.during:
        return item.mjd is not None and any(start <= item.mjd <= end for start, end in main.exposures)
    return True


def _rank(main: Reference, item: Item) -> tuple[float, float, str]:
    """Return distance in time, time, content."""
    far = float("inf")
    distance = far if item.mjd is None or main.mjd is None else abs(item.mjd - main.mjd)
    return (distance, *item.order)
