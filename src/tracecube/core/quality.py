"""Quality numbers: what a recipe measured of its own work, with unit and limits."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["QualityNumber"]


@dataclass(frozen=True)
class QualityNumber:
    """One measured number, for example ``TRACE RMS`` = 0.012 px.

    Parameters
    ----------
    name : str
        Upper-case words; written to files as ``QC <name>``.
    value : float
    unit : str
        Empty for a pure number.
    low, high : float or None
        The range in which the number is unremarkable.
    """

    name: str
    value: float
    unit: str = ""
    low: float | None = None
    high: float | None = None

    @property
    def good(self) -> bool:
        """Whether the value lies within its limits (NaN never does)."""
        above = self.low is None or self.value >= self.low
        below = self.high is None or self.value <= self.high
        return self.value == self.value and above and below  # noqa: PLR0124 - NaN test without numpy
