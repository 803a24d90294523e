"""Lasers and white light seen through another prism than the header says."""

from __future__ import annotations

import numpy as np

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray
from tracecube.core.optics import WavelengthSolution
from tracecube.instruments.sphere_ifs.guess import MODES, Mode
from tracecube.recipes.optics.lasers import Lattice, find_lattice, fits_comb

__all__ = ["check_lasers", "check_white_ends", "ends_of_light"]

# Inside an end of the band, px: where the light's level is taken that it falls to half of.
_LEVEL = (1.0, 3.5)
_STEP = 0.1  # px


def check_lasers(image: FloatArray, ivar: FloatArray, lattice: Lattice, mode: Mode, name: str) -> None:
    """Refuse lasers that fit another prism's comb as a whole and this one's in part.

    The longest laser of Y-J falls 28.8 px from the first, that of Y-H 28.5: one spot cannot tell prisms apart,
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


def ends_of_light(flux: FloatArray, solution: WavelengthSolution, mode: Mode) -> tuple[FloatArray, FloatArray]:
    """Where white light falls to half at either end of the mean spectrum, px along dispersion from the first laser.

    Parameters
    ----------
    flux : array (n, m), electron a pixel
    solution : WavelengthSolution
        Rows and samples alike.
    mode : Mode
        Whose law the solution follows.

    Returns
    -------
    ends : array (2,)
        Light that reaches an end of the traces without falling is said to end there.
    traces : array (2,)
        Ends of the traces.
    """
    whole = np.isfinite(flux).sum(axis=1) > 0.9 * np.isfinite(solution.wave).sum(axis=1)  # noqa: PLR2004 - nearly whole
    place = np.asarray(mode.law(solution.wave))
    place, light = place[whole], flux[whole]
    reach = np.nanmedian(np.nanmin(place, axis=1)), np.nanmedian(np.nanmax(place, axis=1))
    grid = np.arange(reach[0], reach[1], _STEP)
    mean = np.zeros(grid.size)
    for at, values in zip(place, light, strict=True):
        known = np.isfinite(at) & np.isfinite(values)
        mean += np.interp(grid, at[known], values[known])
    low, high = mode.law(np.array(mode.band))
    ends = np.array([_falls(grid, mean, low), -_falls(-grid[::-1], mean[::-1], -high)])
    return ends, grid[[0, -1]]


def _falls(grid: FloatArray, mean: FloatArray, end: float) -> float:
    """Place below which light stays under half of its level inside an end; the first of the grid where it does not."""
    level = np.max(mean[(grid > end + _LEVEL[0]) & (grid < end + _LEVEL[1])])
    faint = np.flatnonzero((mean < 0.5 * level) & (grid < end + _LEVEL[1]))
    return float(grid[faint[-1]] if faint.size else grid[0])


def check_white_ends(flux: FloatArray, solution: WavelengthSolution, mode: Mode, name: str) -> None:
    """Refuse white light that ends where another prism's band does.

    The bands are 37.3 px (Y-H) and 35.8 px (Y-J) long and begin 2.7 and 4.3 px before the first laser, so their
    ends are 3.4 px from each other, both taken together. Flexure since the lasers moves both ends alike, by a
    small part of a pixel on the same day.

    Parameters
    ----------
    flux : array (n, m), electron a pixel
    solution : WavelengthSolution
    mode : Mode
        Of the header.
    name : str
        Of the frames, for the message.

    Raises
    ------
    BadData
    """
    seen, traces = ends_of_light(flux, solution, mode)
    expected = {one.name: np.asarray(one.law(np.array(one.band))) for one in MODES.values()}
    nearest = min(expected, key=lambda one: float(np.hypot(*(seen - np.clip(expected[one], *traces)))))
    if nearest != mode.name:
        own, other = expected[mode.name], expected[nearest]
        raise BadData(
            f"{name}: white light from {seen[0]:.1f} to {seen[1]:.1f} px along dispersion from the first laser, as "
            f"through {nearest} ({other[0]:.1f} to {other[1]:.1f}); that of {mode.name} goes from {own[0]:.1f} to "
            f"{own[1]:.1f} px",
            hint=f"the header says {mode.name}: repair ESO INS2 COMB IFS, or leave the frame out",
        )
