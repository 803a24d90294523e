"""Scale, turn and centre of a field, from stars whose places are known."""

from __future__ import annotations

from dataclasses import dataclass

from tracecube.core.fields import FloatArray, IntArray, Meta, card, column, meta

__all__ = ["FieldWcs"]


@dataclass(frozen=True)
class FieldWcs:
    """How places in the field become places on the sky at position angle 0.

    ``(xi, eta) = CD (x - CRPIX1, y - CRPIX2)``, xi to the east and eta to the north (degree), x and y in spaxels from
    the centre of the field, ``x`` to the west.

    Parameters
    ----------
    x, y : array (n,), spaxel
        Of the stars found.
    x_error, y_error : array (n,), spaxel
    flux : array (n,)
    ra, dec : array (n,), degree
        Of the star of the catalogue that it is; NaN for none.
    residual_east, residual_north : array (n,), arcsec
        Measured less catalogue.
    used : int array (n,)
    cd11, cd12, cd21, cd22 : float, degree / spaxel
    crpix1, crpix2 : float, spaxel
        Where in the field the telescope's pointing falls.
    *_error : float
    terms : int
        Free numbers: 2 the centre alone, 4 with one scale and a turn, 6 with any linear map.
    """

    x: FloatArray = column("STARS", "x", unit="pix")
    y: FloatArray = column("STARS", "y", unit="pix")
    x_error: FloatArray = column("STARS", "xerr", unit="pix")
    y_error: FloatArray = column("STARS", "yerr", unit="pix")
    flux: FloatArray = column("STARS", "flux")
    ra: FloatArray = column("STARS", "ra", unit="deg")
    dec: FloatArray = column("STARS", "dec", unit="deg")
    residual_east: FloatArray = column("STARS", "east", unit="arcsec")
    residual_north: FloatArray = column("STARS", "north", unit="arcsec")
    used: IntArray = column("STARS", "used")
    cd11: float = card("CD1_1", unit="deg/pix")
    cd12: float = card("CD1_2", unit="deg/pix")
    cd21: float = card("CD2_1", unit="deg/pix")
    cd22: float = card("CD2_2", unit="deg/pix")
    crpix1: float = card("CRPIX1", unit="pix")
    crpix2: float = card("CRPIX2", unit="pix")
    cd11_error: float = card("CDE1_1", unit="deg/pix")
    cd12_error: float = card("CDE1_2", unit="deg/pix")
    cd21_error: float = card("CDE2_1", unit="deg/pix")
    cd22_error: float = card("CDE2_2", unit="deg/pix")
    crpix1_error: float = card("CPE1", unit="pix")
    crpix2_error: float = card("CPE2", unit="pix")
    terms: int = card("WCSTERMS", text="free numbers of the solution")
    meta: Meta = meta()
