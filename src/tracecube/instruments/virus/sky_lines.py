"""Lines of the night sky that tell an exposure's shift: mercury lamps of towns.

Air wavelengths of mercury as it occurs (NIST ASD); those of the isotope 198, to which lists of arcs may refer, are
0.01 to 0.02 Angstrom higher.
"""

from __future__ import annotations

__all__ = ["SKY_LINES"]

SKY_LINES = (4046.563, 4358.328, 5460.735)
"""Angstrom. The nitrogen line at 5199 is a pair of varying strengths, and tells none."""
