"""What users put beside the raw files: offsets, sources, a grid for the output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import FloatArray, Meta
from tracecube.core.frame import RawFrame
from tracecube.instruments.muse.headers import SAME_EXPOSURE, number, start_mjd
from tracecube.recipes.align.field import FieldGrid
from tracecube.recipes.align.white import White, mapped

__all__ = ["OutputGrid", "listed_offsets", "listed_sources", "output_grid", "table_of"]


class OutputGrid(NamedTuple):
    """A grid that was asked for: on the sky, and first plane, step (Angstrom; 0 where not told), number of planes."""

    field: FieldGrid
    wave0: float
    step: float
    planes: int


def table_of(frame: RawFrame, *columns: str) -> dict[str, FloatArray]:
    """Return the table that has these columns.

    Raises
    ------
    BadData
        There is none.
    """
    found = next((one for one in frame.tables.values() if set(columns) <= set(one)), None)
    if found is None:
        raise BadData(f"{frame.name}: no table with columns {', '.join(columns)}", hint=f"is it a {frame.tag}?")
    return dict(found)


def listed_offsets(frame: RawFrame, metas: Sequence[Meta]) -> list[tuple[float, float, float] | None]:
    """Return offset in right ascension and declination (degree) and flux scale of each exposure, None where not listed.

    Exposures are known by MJD_OBS, as the observatory's pipeline does; a flux scale that is not told is NaN.
    """
    table = table_of(frame, "MJD_OBS", "RA_OFFSET", "DEC_OFFSET")
    times = np.asarray(table["MJD_OBS"], np.float64)
    scale = np.asarray(table.get("FLUX_SCALE", np.full(times.size, np.nan)), np.float64)
    found: list[tuple[float, float, float] | None] = []
    for meta in metas:
        gap = np.abs(times - start_mjd(meta, frame.name))
        row = int(np.argmin(gap)) if times.size else -1
        if row < 0 or gap[row] > SAME_EXPOSURE:
            found.append(None)
        else:
            found.append((float(table["RA_OFFSET"][row]), float(table["DEC_OFFSET"][row]), float(scale[row])))
    return found


def listed_sources(frames: Sequence[RawFrame], metas: Sequence[Meta], whites: Sequence[White]) -> list[FloatArray]:
    """Return the pixels (y, x) of listed sources in each exposure.

    A list belongs to the exposure whose time its header has, or its rows to those whose numbers stand in EXPOSURE.

    Raises
    ------
    MissingInput
        An exposure has no list.
    """
    found: list[FloatArray] = []
    for i, (meta, one) in enumerate(zip(metas, whites, strict=True)):
        places = []
        for frame in frames:
            table = table_of(frame, "RA", "DEC")
            ra, dec = np.asarray(table["RA"], np.float64), np.asarray(table["DEC"], np.float64)
            if "EXPOSURE" in table:
                own = np.asarray(table["EXPOSURE"]) == i + 1
            else:
                own = np.full(
                    ra.size, abs(start_mjd(frame.meta, frame.name) - start_mjd(meta, "image")) < SAME_EXPOSURE
                )
            places.append(np.stack(mapped(one, ra[own], dec[own]), axis=1))
        if not sum(len(part) for part in places):
            raise MissingInput(
                f"no SOURCE_LIST of exposure {i + 1} (MJD {start_mjd(meta, 'image'):.6f})",
                hint="give one for each exposure, or leave override_detection off",
            )
        found.append(np.concatenate(places))
    return found


def output_grid(frame: RawFrame) -> OutputGrid:
    """Return the grid of an OUTPUT_WCS.

    Raises
    ------
    MissingInput
        It has no celestial axes.
    BadData
        They are turned, or their pixels are no squares.
    """
    needed = ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "NAXIS1", "NAXIS2")
    told = {key: number(frame.meta, key) for key in needed}
    cd = _matrix(frame)
    if any(value is None for value in told.values()):
        lacking = ", ".join(key for key, value in told.items() if value is None)
        raise MissingInput(f"{frame.name}: no {lacking}", hint="an OUTPUT_WCS holds the axes of the cube to be made")
    side = cd[1, 1] * 3600.0
    if not (
        side > 0
        and np.isclose(-cd[0, 0] * 3600.0, side, rtol=1e-4)
        and np.allclose(cd[[0, 1], [1, 0]], 0.0, atol=1e-4 * cd[1, 1])
    ):
        raise BadData(
            f"{frame.name}: axes that are turned or not square",
            hint="north is up, east to the left, spaxels are square",
        )
    values = {key: float(value) for key, value in told.items() if value is not None}
    field = FieldGrid(
        values["CRVAL1"],
        values["CRVAL2"],
        (1.0 - values["CRPIX1"]) * side,
        (1.0 - values["CRPIX2"]) * side,
        side,
        int(values["NAXIS1"]),
        int(values["NAXIS2"]),
    )
    step, first = (
        number(frame.meta, "CD3_3") or number(frame.meta, "CDELT3") or 0.0,
        number(frame.meta, "CRVAL3") or 0.0,
    )
    planes = int(number(frame.meta, "NAXIS3") or 0)
    if not (step > 0 and first > 0 and planes > 1):
        return OutputGrid(field, 0.0, 0.0, 0)
    metres = 1e10 if step < 1e-6 else 1.0  # noqa: PLR2004 - no step is that small in Angstrom
    pixel = number(frame.meta, "CRPIX3") or 1.0
    return OutputGrid(field, (first + (1.0 - pixel) * step) * metres, step * metres, planes)


def _matrix(frame: RawFrame) -> FloatArray:
    """Return the matrix of the celestial axes, degree a pixel."""
    names = ((("CD1_1", "CDELT1"), ("CD1_2", "")), (("CD2_1", ""), ("CD2_2", "CDELT2")))
    return np.array(
        [[number(frame.meta, one) or number(frame.meta, other) or 0.0 for one, other in row] for row in names]
    )
