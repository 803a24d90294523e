"""Lines of the arc lamps: which of the list belong to which lamp, and which stand alone."""

from __future__ import annotations

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.core.frame import RawFrame
from tracecube.recipes.optics.slice_lines import LampLines

__all__ = ["LAMPS", "law", "line_list"]

LAMPS = ("HgCd", "Ne", "Xe")
_IONS = {"HG": "HgCd", "CD": "HgCd", "NE": "Ne", "XE": "Xe"}
_BESIDE = 8.0  # Angstrom, three widths of a line: a neighbour as close lies in its cut
_FAINT = 0.03  # of a line's strength: fainter neighbours move it by less than the list's own errors
_IDENTIFY = 1  # quality of lines that only help to identify others (ESO's LINE_CATALOG)


def law(u: FloatArray) -> FloatArray:
    """Return the nominal wavelength (Angstrom, air) at u, -1 to 1 along the detector: 1.245 Angstrom a pixel.

    Slices depart from it by up to 250 Angstrom, in a stagger of three (quality-control numbers of all channels).
    """
    return np.asarray(6990.0 + 2560.0 * u)


def line_list(catalogue: RawFrame) -> tuple[LampLines, ...]:
    """Return the lines of each lamp.

    Parameters
    ----------
    catalogue : RawFrame
        LINE_CATALOG: columns lambda (Angstrom, air), flux, ion, quality.

    Raises
    ------
    BadData
        A column is missing.
    """
    table = catalogue.table("lambda", "flux", "ion", "quality")
    ion = np.array([_IONS.get(str(name).strip().upper()[:2], "") for name in table["ion"]])
    found = []
    for number, lamp in enumerate(LAMPS):
        own = np.flatnonzero(ion == lamp)
        wave = np.asarray(table["lambda"], np.float64)[own]
        order = np.argsort(wave)
        wave, flux = wave[order], np.asarray(table["flux"], np.float64)[own][order]
        quality = np.asarray(table["quality"])[own][order]
        found.append(LampLines(number, wave, flux, (quality > _IDENTIFY) & _alone(wave, flux)))
    return tuple(found)


def _alone(wave: FloatArray, flux: FloatArray) -> np.ndarray:
    """Whether no neighbour of any weight is close."""
    near = np.abs(wave[:, None] - wave[None, :]) < _BESIDE
    np.fill_diagonal(near, False)
    return np.asarray(~(near & (flux[None, :] > _FAINT * flux[:, None])).any(axis=1))
