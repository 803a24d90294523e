"""The axes of an image of the sky that a user gives."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import FloatArray
from tracecube.core.frame import RawFrame
from tracecube.instruments.muse.headers import number, text
from tracecube.kernels.tangent_plane import sky_to_plane

__all__ = ["SkyAxes", "told"]

_PROJECTION = (("CTYPE1", "RA---TAN"), ("CTYPE2", "DEC--TAN"))


class SkyAxes(NamedTuple):
    """An image or cube, and how its pixels lie on the sky.

    Parameters
    ----------
    image : array (y, x) or (z, y, x)
    ra, dec : float, degree
        Tangent point.
    column, row : float
        Its pixel, from 0.
    matrix : array (2, 2), degree a pixel
        Columns and rows to the east and north.
    """

    image: FloatArray
    ra: float
    dec: float
    column: float
    row: float
    matrix: FloatArray

    @classmethod
    def of(cls, frame: RawFrame, *dimensions: int) -> SkyAxes:
        """Return the axes of the first image of as many dimensions.

        Raises
        ------
        MissingInput
            No such image, or a card of the axes is absent.
        BadData
            Another projection, or pixels without a size.
        """
        image = next((one for one in frame.images.values() if one.ndim in dimensions), None)
        if image is None:
            kinds = " or ".join(f"{one}" for one in dimensions)
            raise MissingInput(f"{frame.name}: no image of {kinds} dimensions", hint=f"is it a {frame.tag}?")
        for key, known in _PROJECTION:
            if text(frame.meta, key) != known:
                raise BadData(f"{frame.name}: {key} is {frame.meta.get(key)!r}", hint=f"only {known} is understood")
        ra, dec, column, row = (told(frame, key) for key in ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2"))
        matrix = _matrix(frame)
        if np.linalg.det(matrix) == 0.0:
            raise BadData(f"{frame.name}: no scale of its pixels", hint="look at its CD1_1 to CD2_2")
        return cls(image, ra, dec, column - 1.0, row - 1.0, matrix)

    def pixel_of(self, ra: FloatArray, dec: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return column and row, from 0, of places (degree) of any shape."""
        plane = np.stack(sky_to_plane(ra, dec, self.ra, self.dec)) / 3600.0
        column, row = np.linalg.solve(self.matrix, plane.reshape(2, -1)).reshape(plane.shape)
        return column + self.column, row + self.row


def told(frame: RawFrame, *keys: str) -> float:
    """Return the first of these cards that is there.

    Raises
    ------
    MissingInput
        None is.
    """
    found = next((value for key in keys if (value := number(frame.meta, key)) is not None), None)
    if found is None:
        raise MissingInput(f"{frame.name}: no {' or '.join(keys)}", hint="it needs the axes of an image on the sky")
    return found


def _matrix(frame: RawFrame) -> FloatArray:
    """Return the matrix of the celestial axes, degree a pixel: CDi_j, or CDELTi with PCi_j or CROTA2.

    Source: FITS Standard 4.0, section 8.1.
    """
    pairs = ("1_1", "1_2", "2_1", "2_2")
    cd, pc = ([number(frame.meta, f"{part}{pair}") for pair in pairs] for part in ("CD", "PC"))
    if any(one is not None for one in cd):
        return np.array([0.0 if one is None else one for one in cd]).reshape(2, 2)
    delta = np.array([told(frame, "CDELT1", "CD1_1"), told(frame, "CDELT2", "CD2_2")])
    if any(one is not None for one in pc):
        turn = np.where([one is None for one in pc], np.eye(2).ravel(), np.array(pc, np.float64)).reshape(2, 2)
        return np.asarray(delta[:, None] * turn)
    angle = np.radians(number(frame.meta, "CROTA2") or 0.0)  # absent: not turned, as the standard has it
    return np.asarray(np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * delta)
