"""Cubes that are read a slab of planes at a time, and exposures of slices some rows at a time."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from astropy.io import fits

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray, IntArray, Scalar
from tracecube.core.slices import SliceExposure, SliceExposureOnDisk
from tracecube.core.spectra import Cube, CubeOnDisk
from tracecube.io.cards import STRUCTURAL
from tracecube.io.headers import header_units
from tracecube.io.products import AXES, holds

__all__ = ["open_cube", "open_exposure"]


def open_cube(path: Path | str) -> CubeOnDisk:
    """Open a cube without reading its planes.

    Raises
    ------
    BadData
        It is no cube.
    """
    if not holds(path, Cube):
        raise BadData(f"{path}: not a cube", hint="make the product again")
    head, axes = _cards(path)
    meta = head | {key: value for key, value in axes.items() if AXES.fullmatch(key)}
    shape = tuple(int(str(axes[f"NAXIS{i}"])) for i in (3, 2, 1))
    with fits.open(path, memmap=False) as hdus:
        table = hdus["COVAR"].data
        offset = np.array(table["offset"], np.int32).reshape(-1, 3)
        alike = np.array(table["correlation"], np.float64)
    return CubeOnDisk((shape[0], shape[1], shape[2]), partial(_section, path), meta, offset, alike)


def open_exposure(path: Path | str) -> SliceExposureOnDisk:
    """Open an exposure of one detector with slices without reading its pixels.

    Raises
    ------
    BadData
        It is no such exposure.
    """
    if not holds(path, SliceExposure):
        raise BadData(f"{path}: not an exposure of slices", hint="make the product again")
    meta, axes = _cards(path)
    with fits.open(path, memmap=False) as hdus:
        table = hdus["SLICES"].data
        aperture, shift = np.array(table["aperture"], np.int32), np.array(table["shift"], np.float64)
    shape = int(str(axes["NAXIS2"])), int(str(axes["NAXIS1"]))
    return SliceExposureOnDisk(shape, partial(_section, path), aperture, shift, meta)


def _cards(path: Path | str) -> tuple[dict[str, Scalar], dict[str, Scalar]]:
    """Return the cards of a product, and those of its data."""
    units = {str(unit.cards.get("EXTNAME", "")): unit for unit in header_units(Path(path))}
    return {key: value for key, value in units[""].cards.items() if not STRUCTURAL.fullmatch(key)}, units["DATA"].cards


def _section(path: Path | str, start: int, stop: int) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return data, variance and flags from ``start`` to ``stop`` along their first axis."""
    with fits.open(path, memmap=False) as hdus:
        data, variance, flags = (np.asarray(hdus[name].section[start:stop]) for name in ("DATA", "STAT", "DQ"))
    return data.astype(np.float32), variance.astype(np.float32), flags.astype(np.int32)
