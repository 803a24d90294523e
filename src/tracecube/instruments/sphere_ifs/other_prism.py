"""Lasers seen through another prism than the header says."""

from __future__ import annotations

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray
from tracecube.instruments.sphere_ifs.guess import MODES, Mode
from tracecube.recipes.optics.lasers import Lattice, find_lattice, fits_comb

__all__ = ["check_lasers"]


def check_lasers(image: FloatArray, ivar: FloatArray, lattice: Lattice, mode: Mode, name: str) -> None:
    """Refuse lasers that fit another prism's comb as a whole and this one's in part.

    The longest laser of Y-J falls 28.8 px from the first, that of Y-H 28.5: one spot can not tell prisms apart,
    the whole comb can. A laser that is off leaves a gap in its own comb and does not fill the other's.

    Parameters
    ----------
    image, ivar : array (y, x)
    lattice : Lattice
        Found with the lasers of ``mode``.
    mode : Mode
        Of the header.
    name : str
        Of the frames, for the message.

    Raises
    ------
    BadData
    """
    if fits_comb(lattice, mode.lattice):
        return
    for other in MODES.values():
        if other.name == mode.name or not _shows(image, ivar, other):
            continue
        own = ", ".join(f"{place:.1f}" for place in mode.lattice.offsets)
        seen = ", ".join(f"{place:.1f}" for place in other.lattice.offsets)
        raise BadData(
            f"{name}: lasers at {seen} px along dispersion, where {other.name} has them; those of {mode.name} are at "
            f"{own} px",
            hint=f"the header says {mode.name}: repair ESO INS2 COMB IFS, or leave the frame out",
        )


def _shows(image: FloatArray, ivar: FloatArray, mode: Mode) -> bool:
    """Whether a frame shows all lasers of a mode."""
    try:
        return fits_comb(find_lattice(image, ivar, mode.lattice), mode.lattice)
    except BadData:
        return False
