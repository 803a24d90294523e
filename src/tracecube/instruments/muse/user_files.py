"""What users put beside the raw files: offsets, sources, a grid for the output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import FloatArray, Meta
from tracecube.core.frame import RawFrame
from tracecube.instruments.muse.headers import SAME_EXPOSURE, number, start_mjd, text
from tracecube.instruments.muse.sky_axes import SkyAxes, told
from tracecube.recipes.align.field import FieldGrid
from tracecube.recipes.align.white import White, mapped

__all__ = ["OutputGrid", "listed_offsets", "listed_sources", "output_grid"]

_ANGSTROM = {"ANGSTROM": 1.0, "NM": 10.0, "UM": 1e4, "M": 1e10}
"""Units of wavelength that CUNIT3 may tell, in Angstrom."""

_CUBE = 3  # axes


class OutputGrid(NamedTuple):
    """A grid that was asked for: on the sky, and first plane, step (Angstrom), number of planes; 0 with an image."""

    field: FieldGrid
    wave0: float
    step: float
    planes: int


def listed_offsets(frame: RawFrame, metas: Sequence[Meta]) -> list[tuple[float, float, float] | None]:
    """Return offset in right ascension and declination (degree) and flux scale of each exposure, None where not listed.

    Exposures are known by MJD_OBS, as the observatory's pipeline does; a flux scale that is not told is NaN.
    """
    table = frame.table("MJD_OBS", "RA_OFFSET", "DEC_OFFSET")
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


def listed_sources(
    frames: Sequence[RawFrame], metas: Sequence[Meta], whites: Sequence[White]
) -> tuple[list[FloatArray], list[str]]:
    """Return the pixels (y, x) of listed sources in each exposure of a field, and what people should know of them.

    A list belongs to the exposure whose time its header has; one with a column EXPOSURE to the field of that exposure,
    its rows to those exposures of the field, by time, whose numbers they have.

    Raises
    ------
    MissingInput
        An exposure has no list.
    """
    lists = [_SourceRows.of(frame, metas) for frame in frames]
    found: list[FloatArray] = []
    for i, (meta, one) in enumerate(zip(metas, whites, strict=True)):
        places = [np.stack(mapped(one, *rows.seen_in(i, meta)), axis=1) for rows in lists]
        if not sum(len(part) for part in places):
            raise MissingInput(
                f"no SOURCE_LIST of exposure {i + 1} (MJD {start_mjd(meta, 'image'):.6f})",
                hint="give one for each exposure, or leave override_detection off",
            )
        found.append(np.concatenate(places))
    said = [
        f"{one.name}: without MJD-OBS in its header its EXPOSURE numbers count in this field, and in every other"
        for one in lists
        if one.number is not None and one.time is None
    ]
    return found, said


class _SourceRows(NamedTuple):
    """A list of sources: places (degree), number of the exposure where told, time of the list, whether it is of us."""

    name: str
    ra: FloatArray
    dec: FloatArray
    number: FloatArray | None
    time: float | None
    ours: bool

    @classmethod
    def of(cls, frame: RawFrame, metas: Sequence[Meta]) -> _SourceRows:
        """Read one."""
        table = frame.table("RA", "DEC")
        numbers = np.asarray(table["EXPOSURE"], np.float64) if "EXPOSURE" in table else None
        timed = any(text(frame.meta, key) for key in ("MJD-OBS", "DATE-OBS"))
        time = start_mjd(frame.meta, frame.name) if timed or numbers is None else None
        ours = time is None or any(abs(time - start_mjd(meta, "image")) < SAME_EXPOSURE for meta in metas)
        ra, dec = (np.asarray(table[key], np.float64) for key in ("RA", "DEC"))
        return cls(frame.name, ra, dec, numbers, time, ours)

    def seen_in(self, exposure: int, meta: Meta) -> tuple[FloatArray, FloatArray]:
        """Return places (degree) of sources of an exposure of the field, counted from 0."""
        if self.number is not None:
            own = self.ours & (self.number == exposure + 1)
        else:
            of_time = self.time is not None and abs(self.time - start_mjd(meta, "image")) < SAME_EXPOSURE
            own = np.full(self.ra.size, of_time)
        return self.ra[own], self.dec[own]


def output_grid(frame: RawFrame) -> OutputGrid:
    """Return the grid of an OUTPUT_WCS: a cube like the one that is wanted, or an image for its own wavelengths.

    Raises
    ------
    MissingInput
        It has no image, or no axes.
    BadData
        They are not understood: another projection, turned, pixels that are no squares, planes not even in wavelength.
    """
    axes = SkyAxes.of(frame, 2, _CUBE)
    side = axes.matrix[1, 1] * 3600.0
    if not (
        side > 0
        and np.isclose(-axes.matrix[0, 0] * 3600.0, side, rtol=1e-4)
        and np.allclose(axes.matrix[[0, 1], [1, 0]], 0.0, atol=1e-4 * axes.matrix[1, 1])
    ):
        raise BadData(
            f"{frame.name}: axes that are turned or not square",
            hint="north is up, east to the left, spaxels are square",
        )
    image = axes.image
    rows, columns = image.shape[-2:]
    field = FieldGrid(axes.ra, axes.dec, -axes.column * side, -axes.row * side, side, columns, rows)
    return OutputGrid(field, *(_planes(frame, len(image)) if image.ndim == _CUBE else (0.0, 0.0, 0)))


def _planes(frame: RawFrame, planes: int) -> tuple[float, float, int]:
    """Return first plane and step (Angstrom, air) and number of planes."""
    kind, unit = text(frame.meta, "CTYPE3"), text(frame.meta, "CUNIT3")
    if kind != "AWAV":
        raise BadData(f"{frame.name}: CTYPE3 is {kind!r}", hint="only AWAV is understood: even steps in air")
    if unit not in _ANGSTROM:
        raise BadData(f"{frame.name}: CUNIT3 is {unit!r}", hint="write Angstrom, nm, um or m")
    first, pixel = told(frame, "CRVAL3"), told(frame, "CRPIX3")
    step = number(frame.meta, "CD3_3")
    if step is None:
        turned = number(frame.meta, "PC3_3")
        step = told(frame, "CDELT3") * (1.0 if turned is None else turned)
    mixed = [f"{part}{pair}" for part in ("CD", "PC") for pair in ("1_3", "2_3", "3_1", "3_2")]
    if any(number(frame.meta, key) not in {None, 0.0} for key in mixed):
        raise BadData(f"{frame.name}: wavelength changes with place", hint="the third axis stands on the others")
    wave = (first + (1.0 - pixel) * step) * _ANGSTROM[unit]
    if not (step > 0 and wave > 0 and planes > 1):
        raise BadData(
            f"{frame.name}: {planes} planes from {wave:g} Angstrom in steps of {step * _ANGSTROM[unit]:g}",
            hint="wavelengths rise from plane to plane; an image without planes keeps the cube's own",
        )
    return wave, step * _ANGSTROM[unit], planes
