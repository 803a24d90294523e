"""Lines of the Hg and Cd lamps in the range of the spectrographs, air wavelengths (NIST ASD), with what blends."""

from __future__ import annotations

from tracecube.recipes.optics.fibre_lines import FibreLine

__all__ = ["ARC_LINES"]

ARC_LINES = (
    FibreLine(3610.508, "Cd", (3612.873, 3614.453)),
    FibreLine(3650.153, "Hg", (3654.836, 3663.279)),
    FibreLine(4046.565, "Hg"),
    FibreLine(4358.335, "Hg", (4347.494, 4339.223)),
    FibreLine(4678.149, "Cd", (4662.352,)),
    FibreLine(4799.912, "Cd"),
    FibreLine(4916.068, "Hg"),
    FibreLine(5085.822, "Cd"),
    FibreLine(5460.750, "Hg"),
)
