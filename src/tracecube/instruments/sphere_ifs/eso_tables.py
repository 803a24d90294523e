"""Tables of ESO's SPHERE pipeline: star centres, and the pattern of the distortion grid.

The manual (1.53) says what stands in them, not how columns are called: time, centre and detector stage of a frame;
places of points. Places are pixels of ESO's cubes, counted from 1, the field centre at 146.
"""

from __future__ import annotations

import numpy as np

from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.foreign import ForeignFile, ForeignTable, Plane, dicd_head
from tracecube.core.optics import PointPattern
from tracecube.core.star import StarCentre
from tracecube.instruments.sphere_ifs.headers import number

__all__ = ["point_pattern", "star_centre"]

_PIXEL, _MIDDLE = 7.46e-3, 146.0
"""Side of a pixel of ESO's cubes, arcsec, and the pixel of the field centre, counted from 1."""
_RAW = {"CENTER": "IFS_STAR_CENTER_WAFFLE_RAW", "DISTORT": "IFS_DISTORTION_MAP_RAW"}


def _px(place: FloatArray | float) -> FloatArray:
    return np.atleast_1d(np.asarray(_MIDDLE + np.asarray(place, float) / _PIXEL))


def star_centre(category: str, recipe: str, product: StarCentre) -> ForeignFile:
    """Lay out where the star is in a frame with satellite spots: a table of one row."""
    stage = [number(product.meta, f"ESO INS2 DITH POS{axis}") for axis in "XY"]
    rows = (
        Plane("TIME_UT", np.array([str(product.meta.get("DATE-OBS") or "")]), "", "start of the exposure"),
        Plane("PLANE", np.array([int(product.plane[0])], np.int32), "", "integration, from 0"),
        Plane("CENTRE_X", _px(product.centre_x), "pix", "at the wavelength ESO DRS IFS CENTRE LAMBDA"),
        Plane("CENTRE_Y", _px(product.centre_y), "pix"),
        Plane("CENTRE_X_ERR", np.array([product.centre_x_error / _PIXEL]), "pix"),
        Plane("CENTRE_Y_ERR", np.array([product.centre_y_error / _PIXEL]), "pix"),
        *(
            Plane(f"DMS_POS_{axis}", np.array([np.nan if at is None else at]), "pix", "stage of the detector")
            for axis, at in zip("XY", stage, strict=True)
        ),
    )
    head = dicd_head(category, recipe, product.meta, _RAW, **{
        "ESO DRS IFS CENTRE LAMBDA": (product.reference_wave * 1e-4, "[um]"),
    })  # fmt: skip
    table = ForeignTable("IFS_STAR_CENTER", rows)
    return ForeignFile((), (table,), product.meta, head, primary="")


def point_pattern(category: str, recipe: str, product: PointPattern) -> ForeignFile:
    """Lay out where pinholes are seen through a lattice taken as regular, and where the grid has them: a table."""
    used: IntArray = np.asarray(product.used, np.int32)
    table = ForeignTable(
        "IFS_POINT_PATTERN",
        (
            Plane("X", _px(product.x), "pix", "seen, lattice taken as regular"),
            Plane("Y", _px(product.y), "pix", "seen, lattice taken as regular"),
            Plane("ERROR", np.asarray(product.error, float) / _PIXEL, "pix", "of either, by noise"),
            Plane("X_GRID", _px(product.grid_x), "pix", "where the grid has it"),
            Plane("Y_GRID", _px(product.grid_y), "pix", "where the grid has it"),
            Plane("USED", used, "", "1 where the distortion was fitted to it"),
        ),
    )
    return ForeignFile((), (table,), product.meta, dicd_head(category, recipe, product.meta, _RAW), primary="")
