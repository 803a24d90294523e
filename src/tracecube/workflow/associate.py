"""Which calibrations go with a main input: an ordered ladder, and a total order in ties.

Pure functions of sets: neither the order of files, nor their paths, nor copies change the answer.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tracecube.core.fields import Scalar
from tracecube.core.workflow import Association, Instead, Match
from tracecube.workflow.items import DAY, Item

__all__ = ["Candidates", "Choice", "Reference", "allowed", "choose", "middle", "reference", "value_of"]

UNLIMITED = Match(level=0).days
"""The interval of a rung that says nothing of time."""

RAW = "raw"
"""Key of a rung that asks for the same raw file; no setup key, for that is written into products."""


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
    raw : str or None
        Name of the raw file that all members descend from.
    """

    setup: Mapping[str, Scalar]
    mjd: float | None
    exposures: tuple[tuple[float, float], ...]
    raw: str | None = None


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
    raws = {m.raw for m in members}
    return Reference(agreed, middle(m.mjd for m in members), spans, raws.pop() if len(raws) == 1 else None)


def allowed(item: Item, where: Mapping[str, tuple[Scalar, ...]]) -> bool:
    """Whether every named setup key has one of its allowed values."""
    return all(item.setup.get(key) in values for key, values in where.items())


class Candidates:
    """What a rule may choose from, each content once, found by setup and by time.

    Parameters
    ----------
    items : iterable of Item
    rule : Association
    """

    def __init__(self, items: Iterable[Item], rule: Association) -> None:
        once = {item.identity: item for item in items if item.tag in rule.tags and allowed(item, rule.where)}
        self._items = sorted(once.values(), key=lambda item: item.order)
        self._alike: dict[tuple[str, ...], dict[tuple[Scalar, ...], _Timed]] = {}

    def on(self, rung: Match, main: Reference) -> list[Item]:
        """Return the candidates that stand on a rung.

        A setup key that is unknown on either side never counts as equal; an unknown time is in no
        interval but the unlimited one.
        """
        wanted = tuple(value_of(main, key) for key in rung.same)
        if None in wanted:
            return []
        alike = self._with(rung.same).get(wanted)
        if alike is None:
            return []
        found = alike.items
        if rung.days != UNLIMITED:
            found = [] if main.mjd is None else alike.between(main.mjd, rung.days)
        if rung.during:
            allowed_here = {item.identity for item in found}
            inside = {item.identity: item for start, end in main.exposures for item in alike.within(start, end)}
            found = [item for identity, item in inside.items() if identity in allowed_here]
        return [item for item in found if item.tag in rung.tags] if rung.tags else found

    def _with(self, keys: tuple[str, ...]) -> dict[tuple[Scalar, ...], _Timed]:
        """Return the candidates by their values of some setup keys."""
        if keys not in self._alike:
            alike: dict[tuple[Scalar, ...], list[Item]] = {}
            for item in self._items:
                alike.setdefault(tuple(value_of(item, key) for key in keys), []).append(item)
            self._alike[keys] = {values: _Timed(items) for values, items in alike.items()}
        return self._alike[keys]


def value_of(one: Item | Reference, key: str) -> Scalar:
    """Return what a rung compares: a setup key, or the raw file's name."""
    return one.raw if key == RAW else one.setup.get(key)


class _Timed:
    """Items in order of time."""

    def __init__(self, items: list[Item]) -> None:
        self.items = items
        self._dated = [item for item in items if item.mjd is not None]
        self._times = [item.order[0] for item in self._dated]

    def within(self, start: float, end: float) -> list[Item]:
        """Return the items of a closed interval of time."""
        return self._dated[bisect_left(self._times, start) : bisect_right(self._times, end)]

    def between(self, mjd: float, days: tuple[float, float]) -> list[Item]:
        """Return the items whose time minus ``mjd`` lies in a closed interval.

        The difference decides, as the rule says it; the bounds of the search are a day too wide, for
        a sum of floats rounds differently.
        """
        near = self.within(mjd + days[0] - 1, mjd + days[1] + 1)
        return [item for item in near if item.mjd is not None and days[0] <= item.mjd - mjd <= days[1]]


def choose(
    main: Reference, candidates: Candidates, rule: Association, *, own: Collection[str] = frozenset()
) -> Choice | None:
    """Return what the first rung with enough candidates gives, None when no rung has.

    Candidates closest in time come first; then the earlier, then the smaller content hash. An unknown
    time is the farthest.

    Parameters
    ----------
    own : collection of str
        Identities of the main inputs themselves, which are never their own calibration, and of what else is no choice.
    """
    first = () if rule.instead is None else rule.instead.tags
    found = None
    for rung in rule.ladder:
        fit = [item for item in candidates.on(rung, main) if item.identity not in own and item.tag not in first]
        if len(fit) >= max(1, rule.minimum):
            closest = sorted(fit, key=lambda item: _rank(main, item))
            found = Choice(tuple(closest[: rule.maximum]), rung.level)
            break
    return found if rule.instead is None else _replaced(found, main, candidates, rule, rule.instead, own)


def _replaced(  # noqa: PLR0913 - a choice, what it was made from, and what takes its place
    found: Choice | None,
    main: Reference,
    candidates: Candidates,
    rule: Association,
    instead: Instead,
    own: Collection[str],
) -> Choice | None:
    """Put what goes before the ladder in the place of what the ladder found."""
    fit = [item for item in candidates.on(instead.match, main) if item.tag in instead.tags and item.identity not in own]
    if not fit:
        return found
    closest = sorted(fit, key=lambda item: _rank(main, item))
    if rule.maximum == 1 or found is None:
        return Choice(tuple(closest[: rule.maximum]), instead.match.level)
    taken = {value_of(item, instead.key) for item in closest}
    kept = [item for item in found.items if value_of(item, instead.key) not in taken]
    return Choice((*closest, *kept)[: rule.maximum], max(instead.match.level, found.level if kept else 0))


def _rank(main: Reference, item: Item) -> tuple[float, float, str]:
    """Return distance in time, time, content."""
    far = float("inf")
    distance = far if item.mjd is None or main.mjd is None else abs(item.mjd - main.mjd)
    return (distance, *item.order)
