"""A part of the raw files: those whose setup has certain values, and those that say nothing of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tracecube.archive.records import RawRecord
from tracecube.core.errors import BadData
from tracecube.core.fields import Scalar

__all__ = ["Only", "chosen", "only_from"]

_RANGE = ".."


@dataclass(frozen=True)
class Only:
    """A condition on one key of the setup.

    Parameters
    ----------
    key : str
    values : tuple of str
        Any of these.
    ranges : tuple of (float, float)
        Or in any of these closed intervals.
    """

    key: str
    values: tuple[str, ...]
    ranges: tuple[tuple[float, float], ...] = ()

    def holds(self, value: Scalar | None) -> bool:
        """Whether a value meets the condition."""
        number = _number(value)
        if number is not None:
            wanted = (_number(text) for text in self.values)
            return number in wanted or any(low <= number <= high for low, high in self.ranges)
        return str(value) in self.values


def only_from(texts: Sequence[str]) -> tuple[Only, ...]:
    """Read conditions ``key=value``, with several values and intervals: ``slot=47,53``, ``column=3..5``.

    Raises
    ------
    BadData
        One is not of this form.
    """
    return tuple(_read(text) for text in texts)


def _read(text: str) -> Only:
    key, equals, right = (part.strip() for part in text.partition("="))
    parts = [part.strip() for part in right.split(",")]
    if not key or not equals or not all(parts):
        raise BadData(f"--only {text!r} is no condition", hint="key=value, key=1,2 or key=1..5")
    ranges = []
    for part in (part for part in parts if _RANGE in part):
        low, high = (_number(end) for end in part.split(_RANGE, 1))
        if low is None or high is None or low > high:
            raise BadData(f"--only {text!r}: {part!r} is no interval", hint="numbers, the smaller first: 3..5")
        ranges.append((low, high))
    return Only(key, tuple(part for part in parts if _RANGE not in part), tuple(ranges))


def chosen(files: Iterable[RawRecord], conditions: Sequence[Only]) -> tuple[RawRecord, ...]:
    """Return the files that meet all conditions; a file whose setup lacks a key (a table, say) meets that one.

    Raises
    ------
    BadData
        No file has such a key, or none of those that have it meets the condition.
    """
    kept = tuple(files)
    for one in conditions:
        having = [file.setup[one.key] for file in kept if file.setup.get(one.key) is not None]
        if not any(one.holds(value) for value in having):
            raise BadData(f"--only {one.key}: no raw file is so", hint=_there_are(kept, one.key, having))
        kept = tuple(f for f in kept if f.setup.get(one.key) is None or one.holds(f.setup[one.key]))
    return kept


def _there_are(files: Sequence[RawRecord], key: str, having: Sequence[Scalar]) -> str:
    if having:
        return f"{key} is one of {', '.join(sorted({str(value) for value in having}))}"
    return f"keys are {', '.join(sorted({name for file in files for name in file.setup}))}"


def _number(value: Scalar | None) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except ValueError:
        return None
