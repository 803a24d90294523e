"""What is known beforehand; the sources are in ``static/SOURCES.txt``."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np

from tracecube.recipes.optics.night_shift import AirTransmission

__all__ = ["air_transmission"]


@cache
def air_transmission() -> AirTransmission:
    """Transmission of the air over 1 mm of water at airmass 1, 9000 to 18000 Angstrom."""
    with files(__package__).joinpath("static", "telluric.npz").open("rb") as file, np.load(file) as table:
        return AirTransmission(table["wave"].astype(float), table["transmission"].astype(float))
