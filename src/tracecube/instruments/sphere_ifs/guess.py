"""First guess of where light falls: the lenslets' lattice, the prisms and the lasers, by mode.

Numbers of the archival wavelength solutions that charis ships for this instrument (Samland et al. 2022),
measured on real four-laser frames; the night's own lasers replace them.
"""

from __future__ import annotations

from dataclasses import dataclass

from tracecube.core.errors import BadData
from tracecube.recipes.optics.lasers import LensletGuess
from tracecube.recipes.optics.lenslets import PrismLaw

__all__ = ["MODES", "NOMINAL_PITCH", "Mode", "mode_of"]

NOMINAL_PITCH = 0.01292
"""Distance of lenslets on the sky, arcsec: 7.46 mas sqrt 3; good to half a per cent."""

_PITCH, _ANGLE, _SIGMA = 15.554, -10.886, 0.95
# Of the dispersion's terms over the field, px: r.m.s. measured in one four-laser frame (2018-11-18).
_VARIES = (0.77, 1.75, 1.07)
_LASERS = (9877.2, 11237.1, 13093.7, 15451.0)


@dataclass(frozen=True)
class Mode:
    """One prism with its lasers.

    Parameters
    ----------
    name : str
    lattice : LensletGuess
    law : PrismLaw
    band : (float, float), Angstrom
        Ends of the light.
    channels : (float, float, int)
        First and last of the common wavelength grid, Angstrom, and their number.
    """

    name: str
    lattice: LensletGuess
    law: PrismLaw
    band: tuple[float, float]
    channels: tuple[float, float, int]


def _mode(name: str, offsets: tuple[float, ...], dispersion: tuple[float, ...], band: tuple[float, float]) -> Mode:
    """Build a mode of its lasers' places (px) and dispersions (Angstrom a px)."""
    lasers = _LASERS[: len(offsets)]
    return Mode(
        name,
        LensletGuess(_PITCH, _ANGLE, lasers, offsets, _SIGMA),
        PrismLaw.through(lasers, offsets, dispersion, varies=_VARIES),
        band,
        (band[0] + 65.0, band[1] - 130.0, 39),
    )


MODES = {
    "YJH": _mode("YJH", (0.0, 8.29, 17.65, 28.47), (145.8, 181.6, 211.0, 219.4), (9500.0, 16780.0)),
    "YJ": _mode("YJ", (0.0, 13.43, 28.76), (93.1, 109.7, 133.2), (9490.0, 13470.0)),
}


def mode_of(name: str | None, raw: str) -> Mode:
    """Return a mode by name.

    Raises
    ------
    BadData
        There is none of that name.
    """
    if name not in MODES:
        raise BadData(f"{raw}: mode {name!r} is not known", hint=f"repair ESO INS2 COMB IFS; known: {', '.join(MODES)}")
    return MODES[name]
