"""Typed failures: each names the file or object, the rule that was broken and what to try."""

from __future__ import annotations

__all__ = ["BadData", "MissingInput", "NoConvergence", "TracecubeError"]


class TracecubeError(Exception):
    """Base of every failure that a recipe or the engine reports to a person.

    Parameters
    ----------
    what : str
        The file, product or quantity at fault and the rule it broke.
    hint : str
        What to try next.

    Examples
    --------
    >>> str(BadData("a.fits: no card EXPTIME", hint="repair the header"))
    'a.fits: no card EXPTIME (try: repair the header)'
    """

    def __init__(self, what: str, *, hint: str) -> None:
        super().__init__(what, hint)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what} (try: {self.hint})"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.hint)


def _rebuild(kind: type[TracecubeError], what: str, hint: str) -> TracecubeError:
    """Make a failure again on this side of a process boundary."""
    return kind(what, hint=hint)


class MissingInput(TracecubeError):
    """A file, lamp, card or calibration that is needed is not there."""


class BadData(TracecubeError):
    """An input is there but cannot be what it claims to be."""


class NoConvergence(TracecubeError):
    """A fit ended without a solution that meets its own criterion."""
