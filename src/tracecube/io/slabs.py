"""Cubes that are read a slab of planes at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.spectra import Cube, CubeOnDisk
from tracecube.io.cards import STRUCTURAL
from tracecube.io.headers import header_units
from tracecube.io.products import AXES, holds

__all__ = ["open_cube"]


def open_cube(path: Path | str) -> CubeOnDisk:
    """Open a cube without reading its planes.

    Raises
    ------
    BadData
        It is no cube.
    """
    if not holds(path, Cube):
        raise BadData(f"{path}: not a cube", hint="make the product again")
    units = {str(unit.cards.get("EXTNAME", "")): unit for unit in header_units(Path(path))}
    head, axes = units[""].cards, units["DATA"].cards
    meta = {key: value for key, value in head.items() if not STRUCTURAL.fullmatch(key)}
    meta |= {key: value for key, value in axes.items() if AXES.fullmatch(key)}
    shape = tuple(int(str(axes[f"NAXIS{i}"])) for i in (3, 2, 1))

    def planes(start: int, stop: int) -> tuple[FloatArray, FloatArray, IntArray]:
        with fits.open(path, memmap=True) as hdus:
            data, variance, flags = (np.array(hdus[name].section[start:stop]) for name in ("DATA", "STAT", "DQ"))
        return data.astype(np.float32), variance.astype(np.float32), flags.astype(np.int32)

    return CubeOnDisk((shape[0], shape[1], shape[2]), planes, meta)
