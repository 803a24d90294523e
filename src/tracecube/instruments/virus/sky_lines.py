"""Lines of the night sky that tell an exposure's shift: mercury lamps of towns, air wavelengths (NIST ASD)."""

from __future__ import annotations

__all__ = ["SKY_LINES"]

SKY_LINES = (4046.565, 4358.335, 5460.750)
"""Angstrom. The nitrogen line at 5199 is a pair of varying strengths, and tells none."""
