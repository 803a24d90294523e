"""How far the light may have moved between two frames of a night.

The instrument stands still on its platform: nothing bends, but it follows the temperature, whose changes add up from
minute to minute (a random walk: the variance grows with time). From the night to its calibrations of the next noon,
nine hours on, spectra move by about 0.3 px, so they do by 0.1 px in an hour and by 0.013 px in a minute. Where the
light has moved further across dispersion, which every frame tells to a thousandth of a pixel, something else happened,
and along dispersion it may have moved as far.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from tracecube.core.errors import MissingInput
from tracecube.core.fields import Meta
from tracecube.instruments.sphere_ifs.observing import moment

__all__ = ["HOUR", "Drift", "drift"]

HOUR = 0.1
"""Drift of an hour, px, one sigma: 0.3 px over the square root of nine."""
_ELSEWHERE = 0.01  # px: light in other lenslets has other errors of its wavelengths (0.1 nm a lenslet)


class Drift(NamedTuple):
    """Drift between two frames: one sigma of each axis, px, and what was assumed of the times."""

    sigma: float
    caveats: tuple[str, ...] = ()


def drift(one: Meta, other: Meta, name: str) -> Drift:
    """Return how far light may have moved from one frame to the other.

    Parameters
    ----------
    one, other : mapping
        Headers; the middles of their integrations count.
    name : str
        Of the first frame, for messages.

    Returns
    -------
    Drift
        That of an hour, and a caveat, where a header does not tell the time.
    """
    try:
        hours = 24.0 * abs(moment(one, name).middle - moment(other, "the frame with satellite spots").middle)
    except MissingInput as failure:
        return Drift(HOUR, (f"the time to the frame with satellite spots is not known, an hour is assumed: {failure}",))
    return Drift(math.hypot(HOUR * math.sqrt(hours), _ELSEWHERE))
