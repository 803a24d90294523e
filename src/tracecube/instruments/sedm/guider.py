"""Where the target lies in the field: the guide frames of an exposure matched to a star catalogue."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData, MissingInput, TracecubeError
from tracecube.core.fields import Meta
from tracecube.core.frame import RawFrame
from tracecube.core.target import Target
from tracecube.instruments.sedm.headers import frame_name, number, text
from tracecube.kernels.tangent_plane import sky_to_plane

__all__ = ["Pointing", "aligned", "coordinates", "locate"]

PIXEL_SCALE = 0.394  # arcsec, 0.394 to 0.395 in solutions of the observatory
FIELD_CENTRE = (1021.4, 1022.8)  # px, 0-based, full frame: where the prism picks off the spectrograph's field
FIELD_CENTRE_ERROR = 2.0 * PIXEL_SCALE  # arcsec; the alignment moves when the instrument is worked on
RED_QUADRANT = (1039, 2045, 1014, 2045)  # x0, x1, y0, y1 of the r filter, 0-based, half open
ALIGNMENT_ERROR = 0.15  # arcsec, between two pointings of one night once a standard gave the alignment
SATURATION = 55000.0  # adu: linear below, as the spectrograph's detector of the same make


class Pointing(NamedTuple):
    """Where the guider says that the target is.

    Parameters
    ----------
    x, y : float, arcsec
        From the field centre, to the east and north, at the guider's wavelength.
    error : float, arcsec
    fwhm : float, arcsec
        Of the guide stars; NaN when not measured.
    matched : int
        Stars that agree with the catalogue.
    pixel_x, pixel_y : float
        Place of the target in the camera's full frame, 0-based; NaN when not known.
    rotation : float, degree
        From +y to north, counter-clockwise.
    """

    x: float
    y: float
    error: float
    fwhm: float
    matched: int
    pixel_x: float = math.nan
    pixel_y: float = math.nan
    rotation: float = math.nan


def coordinates(meta: Meta) -> tuple[float, float]:
    """Place of the target (OBJRA, OBJDEC), degree.

    Raises
    ------
    MissingInput
        A card is blank.
    """
    values = []
    for key, scale in (("OBJRA", 15.0), ("OBJDEC", 1.0)):
        found = re.fullmatch(r"([+-]?)(\d{1,3}):(\d{1,2}):(\d{1,2}(?:\.\d*)?)", text(meta, key))
        if found is None:
            raise MissingInput(
                f"{frame_name(meta)}: header card {key} is {meta.get(key)!r}", hint=f"write {key} as hh:mm:ss.s"
            )
        value = int(found[2]) + int(found[3]) / 60.0 + float(found[4]) / 3600.0
        values.append((-value if found[1] == "-" else value) * scale)
    return values[0], values[1]


def locate(guider: Sequence[RawFrame], catalogue: RawFrame | None, meta: Meta) -> tuple[Pointing | None, list[str]]:
    """Solve the guide frames of an exposure.

    Parameters
    ----------
    guider : sequence of RawFrame
        Frames of the rainbow camera taken during the exposure.
    catalogue : RawFrame or None
        Table with columns ``ra``, ``dec`` (degree) and ``rmag``.
    meta : mapping
        Header of the spectrograph's frame: it names the target's coordinates.

    Returns
    -------
    Pointing or None
        None when no frame gives an answer.
    list of str
        Why, frame by frame.
    """
    if not guider:
        return None, ["no guide frame was taken during this exposure"]
    if catalogue is None:
        return None, ["no star catalogue for this field"]
    found, reasons = [], []
    for frame in sorted(guider, key=lambda item: item.name):
        try:
            found.append(_solve(frame, catalogue, meta))
        except TracecubeError as error:
            reasons.append(error.what if error.what.startswith(frame.name) else f"{frame.name}: {error.what}")
    if not found:
        return None, reasons
    x, y = (float(np.median([pointing[axis] for pointing in found])) for axis in (0, 1))
    fwhm = [pointing.fwhm for pointing in found if np.isfinite(pointing.fwhm)]
    place_error = float(np.hypot(max(pointing.error for pointing in found), FIELD_CENTRE_ERROR))
    width = float(np.median(fwhm)) if fwhm else float("nan")
    pixels = (float(np.median([pointing[axis] for pointing in found])) for axis in (5, 6, 7))
    return Pointing(x, y, place_error, width, min(pointing.matched for pointing in found), *pixels), reasons


def aligned(pointing: Pointing, standards: Sequence[Target]) -> Pointing:
    """Correct a pointing by what the night's standards say of the alignment of guider and spectrograph.

    Each of them was found in the field by its brightness, and located by the guider too.
    """
    known = [(target, number(target.meta, "GUIDEX"), number(target.meta, "GUIDEY")) for target in standards]
    gaps = [(target.x - x, target.y - y) for target, x, y in known if x is not None and y is not None]
    if not gaps:
        return pointing
    shift = np.median(np.array(gaps), axis=0)
    spread = float(np.hypot(*np.ptp(np.array(gaps), axis=0))) / 2.0
    error = max(ALIGNMENT_ERROR, spread)
    return pointing._replace(x=pointing.x + float(shift[0]), y=pointing.y + float(shift[1]), error=error)


def _solve(frame: RawFrame, catalogue: RawFrame, meta: Meta) -> Pointing:
    """Solve one frame; the error is that of the match alone."""
    from tracecube.recipes.sky.astrometry import Search, solve_plate  # noqa: PLC0415 - heavy
    from tracecube.recipes.sky.stars import find_stars  # noqa: PLC0415

    search = Search(
        scale=PIXEL_SCALE,
        rotation=6.0,  # degree: north is up "within a few degrees"
        offset=120.0,  # arcsec: worst blind pointing of the telescope
        scale_error=0.02,
        tolerance=1.0,  # arcsec: half the seeing
        minimum=5,
        elongation=1.6,
        brightest=30,
    )
    image, corner = _red_section(frame)
    stars = find_stars(image, threshold=5.0, smoothing=1.5, saturation=SATURATION)
    table = _star_table(catalogue)
    east, north = sky_to_plane(table["ra"], table["dec"], *coordinates(meta))
    centre = (FIELD_CENTRE[0] - corner[0], FIELD_CENTRE[1] - corner[1])
    plate = solve_plate(stars, east, north, table["rmag"], search, centre=centre)
    # The target is the origin of the tangent plane: seen from the field centre it lies the other way.
    centre_east, centre_north, error = plate.sky(*centre)
    x, y = plate.pixel(0.0, 0.0)
    return Pointing(
        -centre_east, -centre_north, error, plate.fwhm, plate.matched, x + corner[0], y + corner[1], plate.rotation
    )


def _red_section(frame: RawFrame) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Cut out the quadrant of the r filter; return it and its corner (x, y) in the full frame."""
    image = np.asarray(frame.data, dtype=float)
    found = re.fullmatch(r"\[(\d+):(\d+),(\d+):(\d+)\]", text(frame.meta, "DETSEC"))
    x0, y0 = (int(found[1]) - 1, int(found[3]) - 1) if found else (0, 0)
    low_x, high_x, low_y, high_y = RED_QUADRANT
    columns = slice(max(0, low_x - x0), max(0, high_x - x0))
    rows = slice(max(0, low_y - y0), max(0, high_y - y0))
    cut = image[rows, columns]
    if min(cut.shape) < 64:
        raise MissingInput(f"{frame.name}: no pixels of the r quadrant", hint="keep the r section of guide frames")
    return cut, (x0 + columns.start, y0 + rows.start)


def _star_table(catalogue: RawFrame) -> dict[str, NDArray[np.float64]]:
    """Return the columns of the first table that has them."""
    needed = ("ra", "dec", "rmag")
    for table in catalogue.tables.values():
        if all(name in table for name in needed):
            return {name: _numbers(table[name], name, catalogue.name) for name in needed}
    raise MissingInput(f"{catalogue.name}: no table with columns {', '.join(needed)}", hint="see the data model")


def _numbers(column: NDArray[Any], name: str, table: str) -> NDArray[np.float64]:
    """Return a column as numbers, NaN in lines that hold none: one word among them makes all of it text.

    Raises
    ------
    BadData
        Most of it are no numbers.
    """
    found = np.array([_number(cell) for cell in column.tolist()], dtype=float)
    if np.count_nonzero(np.isnan(found)) > found.size // 2:
        raise BadData(f"{table}: most of column {name} are no numbers", hint="repair the table")
    return found


def _number(cell: object) -> float:
    try:
        return float(str(cell))
    except ValueError:
        return math.nan
