"""Lines of the night sky that tell an exposure's shift: mercury lamps of towns.

Air wavelengths of mercury as it occurs, measured in lamps (Sansonetti, Salit and Reader 1996, Applied Optics 35, 74),
as those of the arcs are: older lists have 5460.735 and 4358.328.
"""

from __future__ import annotations

__all__ = ["SKY_LINES"]

SKY_LINES = (4046.565, 4358.335, 5460.750)
"""Angstrom. The nitrogen line at 5199 is a pair of varying strengths, and tells none."""
