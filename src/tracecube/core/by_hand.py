"""What a person may change of the extraction of one exposure, and how an instrument says so."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PARAMETERS", "ByHand"]

PARAMETERS = ("centroid_x", "centroid_y", "region", "exclude", "aperture", "recovered", "tag", "reviewer")
"""Parameters that the recipes of such tasks have.

Place, arcsec east and north of the field centre; corners of a polygon, likewise; numbers of spaxels to leave out;
radius of an aperture, arcsec; whether the brightest source was found to be the target; name of the extraction, and
who made it.
"""


@dataclass(frozen=True)
class ByHand:
    """How extractions are changed by hand.

    Parameters
    ----------
    tasks : tuple of str
        Each extracts the target of one exposure, with a recipe that has the `PARAMETERS`.
    recoverable : int
        Quality code that a person takes away by saying that the brightest source is the target.
    reviewer : tuple of str
        Environment variables that may hold the name of the person.
    """

    tasks: tuple[str, ...]
    recoverable: int
    reviewer: tuple[str, ...] = ()
