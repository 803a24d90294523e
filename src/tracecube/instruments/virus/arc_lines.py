"""Lines of the Hg and Cd lamps in the range of the spectrographs, air wavelengths (NIST ASD), as they blend."""

from __future__ import annotations

from tracecube.recipes.optics.fibre_wavelength import LineGroup

__all__ = ["GROUPS", "SPAN"]

SPAN = (3470.0, 5540.0)
"""First and last pixel, roughly."""

GROUPS = (
    LineGroup("Hg", (3650.153, 3654.836, 3663.279)),
    LineGroup("Hg", (4046.565,)),
    LineGroup("Hg", (4358.335, 4347.494, 4339.223)),
    LineGroup("Hg", (4916.068,)),
    LineGroup("Hg", (5460.750,)),
    LineGroup("Cd", (3610.508, 3612.873, 3614.453)),
    LineGroup("Cd", (4678.149, 4662.352)),
    LineGroup("Cd", (4799.912,)),
    LineGroup("Cd", (5085.822,)),
)
